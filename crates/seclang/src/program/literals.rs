//! Of a pattern, short texts of which every match of it holds one, in whatever case. Where none of
//! them is, the pattern is not searched for.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use super::needs::commonness;

/// Texts kept of one pattern.
const TEXTS_MAX: usize = 1024;
/// Texts that parts of a pattern may make together, and bytes of each.
const JOINED_MAX: usize = 128;
const BYTES_MAX: usize = 24;
/// Bytes of a class that count as a choice among texts.
const CLASS_MAX: usize = 6;
/// Texts that are in one of so many bytes of prose tell too little.
const BYTES_PER_FIND_MIN: f64 = 300.0;

type Texts = Vec<Vec<u8>>;

/// What is known of a part.
struct Part {
    /// All that it matches, if that is little.
    exact: Option<Texts>,
    /// Of what it matches, each holds one of these.
    held: Option<Texts>,
}

/// The texts, in lower case; none if there are no telling ones.
pub(crate) fn of_pattern(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let part = part(hir);
    let mut texts = best([part.exact, part.held])?;
    texts.sort_unstable();
    texts.dedup();
    (finds_per_byte(&texts) * BYTES_PER_FIND_MIN <= 1.0).then_some(texts)
}

fn part(hir: &Hir) -> Part {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Part::exact(vec![Vec::new()]),
        HirKind::Literal(literal) => Part::exact(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => Part { exact: members(class), held: None },
        HirKind::Capture(capture) => part(&capture.sub),
        HirKind::Repetition(repetition) => repeated(repetition),
        HirKind::Concat(parts) => joined(parts),
        HirKind::Alternation(branches) => chosen(branches),
    }
}

impl Part {
    fn exact(texts: Texts) -> Self {
        Self { exact: Some(texts), held: None }
    }

    /// What of it tells most.
    fn telling(self) -> Option<Texts> {
        best([self.exact, self.held])
    }
}

/// The bytes of a small class, in lower case.
fn members(class: &Class) -> Option<Texts> {
    let Class::Bytes(class) = class else { return None };
    let mut bytes = Vec::new();
    for range in class.iter() {
        if range.end() - range.start() >= 64 {
            return None;
        }
        bytes.extend((range.start()..=range.end()).map(|byte| byte.to_ascii_lowercase()));
    }
    bytes.sort_unstable();
    bytes.dedup();
    (bytes.len() <= CLASS_MAX).then(|| bytes.into_iter().map(|byte| vec![byte]).collect())
}

fn repeated(repetition: &Repetition) -> Part {
    let sub = part(&repetition.sub);
    match (repetition.min, repetition.max) {
        (0, Some(1)) => {
            let exact = sub.exact.map(|mut texts| {
                texts.push(Vec::new());
                texts
            });
            Part { exact, held: None }
        }
        (0, _) => Part { exact: None, held: None },
        (1, Some(1)) => sub,
        _ => Part { exact: None, held: sub.telling() },
    }
}

/// One after the other: texts that are made of neighbours, as long as they are few.
fn joined(parts: &[Hir]) -> Part {
    let mut run = vec![Vec::new()];
    let mut whole = true;
    let mut candidates = Vec::new();
    for hir in parts {
        let part = part(hir);
        candidates.push(part.held);
        match part.exact.map(|texts| product(&run, &texts).ok_or(texts)) {
            Some(Ok(longer)) => run = longer,
            Some(Err(texts)) => {
                whole = false;
                candidates.push(Some(std::mem::replace(&mut run, texts)));
            }
            None => {
                whole = false;
                candidates.push(Some(std::mem::replace(&mut run, vec![Vec::new()])));
            }
        }
    }
    if whole {
        return Part { exact: Some(run), held: best(candidates) };
    }
    candidates.push(Some(run));
    Part { exact: None, held: best(candidates) }
}

fn product(firsts: &Texts, seconds: &Texts) -> Option<Texts> {
    if firsts.len() * seconds.len() > JOINED_MAX {
        return None;
    }
    let mut all = Vec::new();
    for first in firsts {
        for second in seconds {
            if first.len() + second.len() > BYTES_MAX {
                return None;
            }
            all.push([first.as_slice(), second].concat());
        }
    }
    Some(all)
}

fn chosen(branches: &[Hir]) -> Part {
    let parts: Vec<Part> = branches.iter().map(part).collect();
    let mut exact = Some(Texts::new());
    for part in &parts {
        exact = match (exact, &part.exact) {
            (Some(mut all), Some(texts)) if all.len() + texts.len() <= TEXTS_MAX => {
                all.extend_from_slice(texts);
                Some(all)
            }
            _ => None,
        };
    }
    let mut held = Some(Texts::new());
    for part in parts {
        held = match (held, part.telling()) {
            (Some(mut all), Some(texts)) if all.len() + texts.len() <= TEXTS_MAX => {
                all.extend(texts);
                Some(all)
            }
            _ => None,
        };
    }
    Part { exact, held }
}

/// The texts that are found most seldom. One that is empty is found everywhere.
fn best(candidates: impl IntoIterator<Item = Option<Texts>>) -> Option<Texts> {
    let telling = candidates.into_iter().flatten().filter(|texts| {
        !texts.is_empty() && texts.len() <= TEXTS_MAX && texts.iter().all(|text| !text.is_empty())
    });
    telling
        .map(|texts| (finds_per_byte(&texts), texts))
        .min_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, texts)| texts)
}

/// How often one of them is found in prose, estimated.
fn finds_per_byte(texts: &[Vec<u8>]) -> f64 {
    let share = |byte: &u8| f64::from(commonness(*byte)) / 1_000.0;
    texts.iter().map(|text| text.iter().map(share).product::<f64>()).sum()
}

#[cfg(test)]
mod tests {
    use crate::program::Pattern;

    #[test]
    fn of_each_match_one_text_is_held() {
        fn check(pattern: &str, want: &[&str]) {
            let texts = Pattern::new(pattern).expect("a pattern").texts;
            let want = (!want.is_empty())
                .then(|| want.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>());
            assert_eq!(texts, want, "{pattern}");
        }
        check("union", &["union"]);
        check("(?i)union\\s+select", &["select"]);
        check("(?i)(?:sleep|benchmark)\\s*\\(", &["benchmark", "sleep"]);
        check("[sS]cript[<>]", &["script<", "script>"]);
        check("a.{3}xyz+w?", &["xy"]);
        check("(?:ab|cd)(?:ef|gh)", &["abef", "abgh", "cdef", "cdgh"]);
        check("(?:java|)script", &["javascript", "script"]);
        check("(?:java)?[^a]*", &[]);
        check("on[a-z]{3,}=", &[]);
        check("(?:passwd){2,}", &["passwd"]);
        check("(?:select|[a-z]+)", &[]);
    }
}
