//! The known name nearest to one that is not known.

/// The name of `known` that the fewest edits make of `name`, if it is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let distance = |known: &&str| edits(name.as_bytes(), known.to_ascii_lowercase().as_bytes());
    let nearest = known.into_iter().map(|known| (distance(&known), known)).min()?;
    (nearest.0 <= name.len() / 3 + 1).then_some(nearest.1)
}

/// Bytes to insert, remove or replace.
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, left) in a.iter().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (slot, right) in row.iter_mut().skip(1).zip(b) {
            let replaced = diagonal + usize::from(left != right);
            diagonal = *slot;
            before = replaced.min(before + 1).min(diagonal + 1);
            *slot = before;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let known = ["SecRule", "SecAction", "SecMarker"];
        for (name, want) in [
            ("SecRul", Some("SecRule")),
            ("secaction", Some("SecAction")),
            ("SecMaker", Some("SecMarker")),
            ("Include", None),
        ] {
            assert_eq!(nearest(name, known), want, "{name}");
        }
        assert_eq!(edits(b"kitten", b"sitting"), 3);
    }
}
