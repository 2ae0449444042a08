//! What a set of rules is, as one digest, and what is another in it than in the set before.

use std::collections::BTreeMap;

use ring::digest::{Context, Digest, SHA256};
use signals::{DEFAULT_RULES, RuleSettings};

use super::{Read, Ruleset};
use crate::config;

/// What is another in a set of rules, by their ids in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleChanges {
    /// Rules that were not there.
    pub added: Vec<String>,
    /// Rules that are gone.
    pub removed: Vec<String>,
    /// Rules that are others.
    pub changed: Vec<String>,
    /// What routes make of them is another.
    pub settings: bool,
}

impl RuleChanges {
    /// What `now` has otherwise than `before`; without one, all is new.
    pub(super) fn of(now: &Ruleset, before: Option<&Ruleset>) -> Self {
        let rules = |set: &Ruleset| set.rules.set().fingerprints().collect::<BTreeMap<_, _>>();
        let (new, old) = (rules(now), before.map(rules).unwrap_or_default());
        let ids = |ids: &mut dyn Iterator<Item = &u32>| ids.map(u32::to_string).collect();
        let other = |(id, made): (&u32, &[u8; 32])| old.get(id).is_some_and(|old| old != made);
        Self {
            added: ids(&mut new.keys().filter(|id| !old.contains_key(id))),
            removed: ids(&mut old.keys().filter(|id| !new.contains_key(id))),
            changed: ids(&mut new.iter().filter(|one| other(*one)).map(|(id, _)| id)),
            settings: before.is_some_and(|before| before.settings != now.settings),
        }
    }
}

/// Of the files as they were read, whatever they are called: where they lie is no part of what
/// they say.
pub(super) fn of_files(read: &Read) -> String {
    let mut context = Context::new(&SHA256);
    if read.named.is_empty() {
        add(&mut context, DEFAULT_RULES.as_bytes());
    }
    read.named.iter().for_each(|file| add(&mut context, &file.text));
    for (_, files) in &read.fetched {
        context.update(&(files.len() as u64).to_be_bytes());
        files.iter().for_each(|file| add(&mut context, &file.text));
    }
    hex(&context.finish())
}

/// Of what the top says of the rules, and of what routes say that say something else.
pub(super) fn of_settings(config: &config::Waf) -> String {
    let mut context = Context::new(&SHA256);
    let mut said = |name: &str, settings: &RuleSettings| {
        add(&mut context, name.as_bytes());
        add(&mut context, format!("{settings:?}").as_bytes());
    };
    if let Some(top) = config.views.first() {
        said("", &top.settings);
    }
    for (route, view) in &config.routes {
        if let Some(view) = config.views.get(*view) {
            said(route, &view.settings);
        }
    }
    hex(&context.finish())
}

/// Of both.
pub(super) fn of_set(files: &str, settings: &str) -> String {
    let mut context = Context::new(&SHA256);
    [files, settings].iter().for_each(|part| add(&mut context, part.as_bytes()));
    hex(&context.finish())
}

/// Each text with its length before it, so that two files are not one.
fn add(context: &mut Context, text: &[u8]) {
    context.update(&(text.len() as u64).to_be_bytes());
    context.update(text);
}

fn hex(digest: &Digest) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::rules;

    const RULES: &str = "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5\"\n\
        SecRule ARGS \"@pmFromFile words.data\" \"id:2,phase:2,deny\"\nInclude more-*.conf\n";

    fn write(directory: &Path, files: &[(&str, &str)]) -> Ruleset {
        for (name, text) in files {
            fs::write(directory.join(name), text).unwrap();
        }
        Ruleset::compile(rules::given(&[directory.join("a.conf")]).unwrap()).unwrap()
    }

    #[test]
    fn a_digest_is_of_all_files_and_of_none_of_their_names() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = [
            ("a.conf", RULES),
            ("words.data", "union\n"),
            ("more-1.conf", "SecRule ARGS \"@rx a\" \"id:3,phase:2,pass\"\n"),
        ];
        let first = write(one.path(), &files);
        assert_eq!(write(two.path(), &files).digest(), first.digest());
        assert_eq!((first.digest().len(), first.paths().count()), (64, 3));
        assert_ne!(Ruleset::own().unwrap().digest(), first.digest());
        let whole = RuleChanges::of(&first, None);
        assert_eq!((whole.added.len(), whole.changed.len()), (3, 0));
        let check = |name: &str, text: &str, added: &[&str], removed: &[&str], changed: &[&str]| {
            let place = tempfile::tempdir().unwrap();
            write(place.path(), &files);
            let now = write(place.path(), &[(name, text)]);
            assert_ne!(now.digest(), first.digest(), "{name}: {text}");
            let changes = RuleChanges::of(&now, Some(&first));
            let of = [changes.added, changes.removed, changes.changed];
            assert_eq!(of, [added, removed, changed].map(|ids| ids.to_vec()), "{name}: {text}");
        };
        check("words.data", "select\n", &[], &[], &["2"]);
        check("more-1.conf", "SecRule ARGS \"@rx b\" \"id:3,phase:2,pass\"\n", &[], &[], &["3"]);
        check("more-1.conf", "# nothing\n", &[], &["3"], &[]);
        check("more-2.conf", "SecRule ARGS \"@rx b\" \"id:4,phase:2,pass\"\n", &["4"], &[], &[]);
        check("more-1.conf", "SecRule ARGS \"@rx a\" \"id:3,phase:2,pass\"\n#\n", &[], &[], &[]);
    }
}
