//! Paths: what goes round in circles goes straight.

use super::changed;

/// Removes `//`, `/./` and resolves `/../` as far as there is something to go up from. A path that
/// begins with `/` has nothing above it; one that does not keeps the `..` it begins with.
pub(super) fn normalize(bytes: &[u8]) -> Option<Vec<u8>> {
    changed(bytes, normalized(bytes))
}

/// As [`normalize`], with backslashes for slashes first.
pub(super) fn normalize_win(bytes: &[u8]) -> Option<Vec<u8>> {
    let slash = |byte: &u8| if *byte == b'\\' { b'/' } else { *byte };
    changed(bytes, normalized(&bytes.iter().map(slash).collect::<Vec<u8>>()))
}

fn normalized(bytes: &[u8]) -> Vec<u8> {
    let absolute = bytes.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in bytes.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(last) if *last != b".." => drop(kept.pop()),
                _ if absolute => {}
                _ => kept.push(segment),
            },
            _ => kept.push(segment),
        }
    }
    let mut out = Vec::with_capacity(bytes.len());
    if absolute {
        out.push(b'/');
    }
    for (index, segment) in kept.iter().enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        out.extend_from_slice(segment);
    }
    if bytes.last() == Some(&b'/') && !kept.is_empty() {
        out.push(b'/');
    }
    out
}
