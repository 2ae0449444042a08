//! The rules of the rule engine, as the event of a load tells of them.

use serde::Serialize;

use super::cut::Cutter;
use super::lifecycle::Ids;

/// The set of rules that is in use, and what a load changed of it.
#[derive(Debug, Clone, Copy)]
pub struct RuleSet<'a> {
    /// Digest of its files and of what routes make of them, SHA-256 in hex.
    pub digest: &'a str,
    /// That of the set that was in use before, if the load exchanged one for another.
    pub before: Option<&'a str>,
    /// How many files it was made of.
    pub files: usize,
    /// How many rules it has.
    pub rules: usize,
    /// What the load changed; nothing if it was refused.
    pub changes: RuleChanges<'a>,
}

/// What a load changed, rules by their ids. All are counted, the first
/// [`super::limit::POLICY_IDS_MAX`] of each kind are named.
#[derive(Debug, Clone, Copy, Default)]
pub struct RuleChanges<'a> {
    /// Rules that were not there.
    pub added: &'a [String],
    /// Rules that are gone.
    pub removed: &'a [String],
    /// Rules that are others: in themselves, by what changes them, or by a file they name.
    pub changed: &'a [String],
    /// What routes make of them is another.
    pub settings: bool,
}

/// [`RuleSet`] in the event.
#[derive(Serialize)]
pub(super) struct ToldRules<'a> {
    digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a str>,
    files: usize,
    rules: usize,
    added: Ids<'a>,
    removed: Ids<'a>,
    changed: Ids<'a>,
    settings_changed: bool,
}

impl<'a> RuleSet<'a> {
    pub(super) fn told(self, cutter: &mut Cutter) -> ToldRules<'a> {
        let Self { digest, before, files, rules, changes } = self;
        let RuleChanges { added, removed, changed, settings } = changes;
        let mut ids = |of| Ids::cut(of, cutter);
        ToldRules {
            digest,
            before,
            files,
            rules,
            added: ids(added),
            removed: ids(removed),
            changed: ids(changed),
            settings_changed: settings,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::limit;
    use super::*;

    #[test]
    fn every_rule_is_counted_and_the_first_are_named() {
        let check = |count: usize, named: usize| {
            let ids: Vec<String> = (0..count).map(|id| id.to_string()).collect();
            let changes = RuleChanges { added: &ids, removed: &[], changed: &ids, settings: true };
            let set = RuleSet { digest: "b", before: Some("a"), files: 2, rules: 9, changes };
            let told: Value = serde_json::to_value(set.told(&mut Cutter::default())).unwrap();
            assert_eq!((&told["digest"], &told["before"]), (&"b".into(), &"a".into()));
            for (kind, count, named) in
                [("added", count, named), ("removed", 0, 0), ("changed", count, named)]
            {
                assert_eq!(told[kind]["count"], count, "{kind}");
                assert_eq!(told[kind]["ids"].as_array().map(Vec::len), Some(named), "{kind}");
            }
        };
        check(0, 0);
        check(limit::POLICY_IDS_MAX, limit::POLICY_IDS_MAX);
        check(limit::POLICY_IDS_MAX + 1, limit::POLICY_IDS_MAX);
    }
}
