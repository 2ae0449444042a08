//! The annotations of one policy, read once at load. The list is closed, so that a misspelt one
//! is a problem and not a policy that quietly does something else.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::Effect;

use crate::lint::Lint;
use crate::outcome::{Audit, Cache, Class, Obligations};
use crate::problem::{Problem, Text};

const OURS: [&str; 8] = ["id", "refuse", "message_id", "acr", "audit", "cache", "mode", "doc"];
const FORBID_ONLY: [&str; 3] = ["refuse", "message_id", "acr"];
const PERMIT_ONLY: [&str; 1] = ["cache"];

/// Longest `@id` and `@message_id`: they are in every event that they determine.
const WORD_BYTES_MAX: usize = 96;
/// Longest `@acr`: it is in a response header.
const ACR_BYTES_MAX: usize = 256;

/// What a policy's annotations say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) rule: Rule,
    /// It is evaluated and reported, and changes nothing.
    pub(crate) shadow: bool,
    pub(crate) obligations: Obligations,
}

/// What a policy does when its conditions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    Permit,
    Forbid { class: Class, message_id: Option<String>, acr: Option<String> },
}

/// One annotation as it stands in the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Annotation<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
    /// Byte offset in the file.
    pub(crate) offset: usize,
}

/// The policy that carries them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Carrier<'a> {
    pub(crate) text: Text<'a>,
    /// Byte offset of the policy in the file.
    pub(crate) offset: usize,
    pub(crate) effect: Effect,
}

/// The id and the meaning, each if it is right; problems are appended.
pub(crate) fn read(
    carrier: Carrier<'_>,
    annotations: &[Annotation<'_>],
    listed: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> (Option<String>, Option<Meta>) {
    let mut reader = Reader { carrier, ours: BTreeMap::new(), problems, sound: true };
    for annotation in annotations {
        reader.sort_in(*annotation, listed);
    }
    let id = reader.id();
    let meta = reader.meta();
    (id, meta)
}

struct Reader<'a, 'p> {
    carrier: Carrier<'a>,
    ours: BTreeMap<&'a str, Annotation<'a>>,
    problems: &'p mut Vec<Problem>,
    sound: bool,
}

impl<'a> Reader<'a, '_> {
    fn wrong(&mut self, lint: Lint, offset: usize, message: String, hint: &str) {
        self.sound = false;
        self.problems.push(self.carrier.text.problem(offset, message).hint(hint).lint(lint));
    }

    fn sort_in(&mut self, annotation: Annotation<'a>, listed: &BTreeSet<String>) {
        let Annotation { key, offset, .. } = annotation;
        if !OURS.contains(&key) {
            self.foreign(key, offset, listed);
            return;
        }
        self.ours.insert(key, annotation);
        let (out_of_place, effect) = match self.carrier.effect {
            Effect::Permit => (FORBID_ONLY.contains(&key), "permit"),
            Effect::Forbid => (PERMIT_ONLY.contains(&key), "forbid"),
        };
        if out_of_place {
            let message = format!("`@{key}` means nothing on a `{effect}`");
            self.wrong(Lint::Annotation, offset, message, "remove it");
        }
    }

    /// Not one of ours: right if it is listed and cannot be a slip for one of ours.
    fn foreign(&mut self, key: &str, offset: usize, listed: &BTreeSet<String>) {
        let is_listed = listed.contains(key);
        match nearest(key, is_listed) {
            Some(ours) => self.wrong(
                Lint::Annotation,
                offset,
                format!("unknown annotation `@{key}`"),
                &format!("did you mean `@{ours}`?"),
            ),
            None if is_listed => {}
            None => self.wrong(
                Lint::Annotation,
                offset,
                format!("unknown annotation `@{key}`"),
                "list annotations of your own in the configuration",
            ),
        }
    }

    /// The value of one of ours as `parse` reads it.
    fn value<T>(&mut self, key: &str, want: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let Annotation { value, offset, .. } = *self.ours.get(key)?;
        let parsed = parse(value);
        if parsed.is_none() {
            self.wrong(lint_of(key), offset, format!("`@{key}` cannot be `{value}`"), want);
        }
        parsed
    }

    fn missing(&mut self, key: &str, hint: &str) {
        if !self.ours.contains_key(key) {
            let effect = self.carrier.effect;
            let message = format!("this `{effect}` has no `@{key}`");
            self.wrong(lint_of(key), self.carrier.offset, message, hint);
        }
    }

    fn id(&mut self) -> Option<String> {
        self.missing("id", "events name policies by it: give each one of its own");
        self.value("id", WORD, word)
    }

    fn meta(&mut self) -> Option<Meta> {
        let shadow = self.value("mode", "`shadow` or `enforce`", |value| match value {
            "shadow" => Some(true),
            "enforce" => Some(false),
            _ => None,
        });
        let audit = self.value("audit", "`strict` or `gated`", |value| match value {
            "strict" => Some(Audit::Strict),
            "gated" => Some(Audit::Gated),
            _ => None,
        });
        let cache = self.value("cache", "`no-store`, `no-cache` or `private`", |value| {
            [Cache::NoStore, Cache::NoCache, Cache::Private]
                .into_iter()
                .find(|cache| cache.as_str() == value)
        });
        let rule = match self.carrier.effect {
            Effect::Permit => Some(Rule::Permit),
            Effect::Forbid => self.forbid(),
        };
        let meta = Meta {
            rule: rule?,
            shadow: shadow.unwrap_or(false),
            obligations: Obligations { audit, cache },
        };
        self.sound.then_some(meta)
    }

    fn forbid(&mut self) -> Option<Rule> {
        let classes = Class::ALL.map(|class| format!("`{}`", class.as_str())).join(", ");
        let classes = format!("one of {classes}");
        self.missing("refuse", &format!("say how the client is refused: {classes}"));
        let class = self.value("refuse", &classes, Class::parse);
        let message_id = self.value("message_id", WORD, word);
        let acr = self.value("acr", "visible ASCII without quotes and backslashes", |value| {
            let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
            let right =
                !value.is_empty() && value.len() <= ACR_BYTES_MAX && value.bytes().all(plain);
            right.then(|| value.to_owned())
        });
        match (class, self.ours.get("acr").copied()) {
            (Some(Class::StepUp), None) => {
                self.missing("acr", "say which authentication to ask for")
            }
            (Some(class), Some(acr)) if class != Class::StepUp => {
                let message =
                    format!("`@acr` means nothing with `@refuse(\"{}\")`", class.as_str());
                let hint = "use it with `@refuse(\"step_up\")`";
                self.wrong(Lint::Annotation, acr.offset, message, hint);
            }
            _ => {}
        }
        Some(Rule::Forbid { class: class?, message_id, acr })
    }
}

pub(crate) const WORD: &str = "letters, digits, `-`, `_`, `.`, `:` and `/`, at most 96";

pub(crate) fn word(value: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    let right = !value.is_empty() && value.len() <= WORD_BYTES_MAX && value.bytes().all(plain);
    right.then(|| value.to_owned())
}

fn lint_of(key: &str) -> Lint {
    if key == "id" { Lint::Id } else { Lint::Obligation }
}

/// The annotation of ours that `key` is a slip for. An annotation that the operator listed is one
/// only if it is nearer than half of our name: `@pci` may be listed, `@refused` may not.
fn nearest(key: &str, listed: bool) -> Option<&'static str> {
    let reach = |ours: &str| if listed { (ours.len().saturating_sub(1) / 2).min(2) } else { 2 };
    OURS.into_iter()
        .map(|ours| (distance(key, ours), ours))
        .filter(|(distance, ours)| *distance <= reach(ours))
        .min()
        .map(|(_, ours)| ours)
}

/// How many insertions, deletions and replacements lead from one to the other (Levenshtein).
pub(crate) fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, character) in from.chars().enumerate() {
        let mut next = vec![above + 1];
        let mut left = above + 1;
        for ((wanted, diagonal), up) in to.iter().zip(&row).zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(*wanted != character);
            left = replaced.min(up + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let check = |from, to, want| assert_eq!(distance(from, to), want, "{from} {to}");
        check("refuse", "refuse", 0);
        check("refsue", "refuse", 2);
        check("", "id", 2);
        check("id", "", 2);
        check("messageid", "message_id", 1);
        check("ticket", "cache", 4);
    }

    #[test]
    fn a_listed_annotation_is_a_slip_only_when_very_near() {
        let check = |key, listed, want| assert_eq!(nearest(key, listed), want, "{key} {listed}");
        check("refuze", false, Some("refuse"));
        check("ids", false, Some("id"));
        check("pci", false, Some("acr"));
        check("owner", false, None);
        check("refused", true, Some("refuse"));
        check("message-id", true, Some("message_id"));
        check("pci", true, None);
        check("ids", true, None);
    }

    fn problems(effect: Effect, annotations: &[(&str, &str)]) -> (Option<Meta>, Vec<String>) {
        let annotations: Vec<_> =
            annotations.iter().map(|(key, value)| Annotation { key, value, offset: 0 }).collect();
        let carrier = Carrier { text: Text::new("orders/x.cedar", ""), offset: 0, effect };
        let mut problems = Vec::new();
        let (_, meta) =
            read(carrier, &annotations, &BTreeSet::from(["ticket".to_owned()]), &mut problems);
        (meta, problems.into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn each_wrong_annotation_is_named() {
        let check = |effect, annotations: &[(&str, &str)], want: &[&str]| {
            let (meta, messages) = problems(effect, annotations);
            assert_eq!(messages, want, "{annotations:?}");
            assert_eq!(meta.is_some(), want.is_empty(), "{annotations:?}");
        };
        let (permit, forbid) = (Effect::Permit, Effect::Forbid);
        check(permit, &[("id", "a"), ("ticket", "ACME-1"), ("doc", "why")], &[]);
        check(permit, &[("id", "a"), ("cache", "no-store"), ("audit", "gated")], &[]);
        check(permit, &[], &["this `permit` has no `@id`"]);
        check(permit, &[("id", "")], &["`@id` cannot be ``"]);
        check(permit, &[("id", "a b")], &["`@id` cannot be `a b`"]);
        check(permit, &[("id", "a"), ("owner", "x")], &["unknown annotation `@owner`"]);
        check(permit, &[("id", "a"), ("cache", "max-age=5")], &["`@cache` cannot be `max-age=5`"]);
        check(permit, &[("id", "a"), ("audit", "buffered")], &["`@audit` cannot be `buffered`"]);
        check(permit, &[("id", "a"), ("mode", "shdaow")], &["`@mode` cannot be `shdaow`"]);
        check(
            permit,
            &[("id", "a"), ("refuse", "blocked")],
            &["`@refuse` means nothing on a `permit`"],
        );
        check(forbid, &[("id", "a"), ("refuse", "throttled"), ("mode", "shadow")], &[]);
        check(forbid, &[("id", "a"), ("refuse", "step_up"), ("acr", "aal2")], &[]);
        check(forbid, &[("id", "a")], &["this `forbid` has no `@refuse`"]);
        check(forbid, &[("id", "a"), ("refuse", "deny")], &["`@refuse` cannot be `deny`"]);
        check(forbid, &[("id", "a"), ("refuse", "step_up")], &["this `forbid` has no `@acr`"]);
        check(
            forbid,
            &[("id", "a"), ("refuse", "step_up"), ("acr", "a\"b")],
            &["`@acr` cannot be `a\"b`"],
        );
        check(
            forbid,
            &[("id", "a"), ("refuse", "blocked"), ("acr", "aal2")],
            &["`@acr` means nothing with `@refuse(\"blocked\")`"],
        );
        check(
            forbid,
            &[("id", "a"), ("refuse", "blocked"), ("cache", "no-store")],
            &["`@cache` means nothing on a `forbid`"],
        );
    }

    #[test]
    fn ids_have_a_limit() {
        assert!(word(&"x".repeat(WORD_BYTES_MAX)).is_some());
        assert!(word(&"x".repeat(WORD_BYTES_MAX + 1)).is_none());
    }
}
