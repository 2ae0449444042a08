//! Rules as they are written: for whoever asks what one does, and which are others than before.

use ring::digest::{SHA256, digest};

use crate::{syntax::Directive, variable::Variable};

use super::{
    Change, Effect, Piece, Program, Rule, RuleSet, Targets, Template, TxName, build::Building,
};

/// A rule as its files have it, with what later directives made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<'r> {
    /// Its id.
    pub id: u32,
    /// Where it stands: `file:line`.
    pub place: String,
    /// Its phase, from 1 to 5.
    pub phase: u8,
    /// Its message, macros as they are.
    pub message: String,
    /// Its severity, from 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    /// Its tags.
    pub tags: Vec<&'r str>,
    /// Its tests: it matches when all do.
    pub links: Vec<WrittenLink<'r>>,
}

/// One test of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenLink<'r> {
    /// What it looks at, `ARGS|!ARGS:token`; empty if that is nothing.
    pub targets: &'r str,
    /// What it looks for there, `!@rx …`; empty if it always matches.
    pub operator: &'r str,
    /// What is done to a text before, in order.
    pub transformations: Vec<&'static str>,
    /// What a match sets, `tx.anomaly_score=+%{tx.critical_anomaly_score}`.
    pub sets: Vec<String>,
}

/// The texts of a link.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkText {
    pub(crate) targets: Box<str>,
    pub(crate) operator: Box<str>,
}

/// All that made a rule: directives, what held by default, and the files that operators name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Material(Vec<u8>);

impl Material {
    /// Adds a text, so that what is added apart is not what is added as one.
    pub(crate) fn add(&mut self, text: &[u8]) {
        self.0.extend((text.len() as u64).to_be_bytes());
        self.0.extend_from_slice(text);
    }

    /// Adds what made another link.
    pub(crate) fn append(&mut self, mut more: Self) {
        self.0.append(&mut more.0);
    }

    /// Adds a directive, however its line is laid out.
    pub(crate) fn directive(&mut self, directive: &Directive) {
        self.add(directive.name.text.as_bytes());
        directive.arguments.iter().for_each(|argument| self.add(argument.text.as_bytes()));
    }

    /// Adds a file, which may be large.
    pub(crate) fn file(&mut self, text: &[u8]) {
        self.add(digest(&SHA256, text).as_ref());
    }

    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        digest(&SHA256, &self.0).as_ref().try_into().unwrap_or_default()
    }
}

impl RuleSet {
    /// Each rule's id, and a digest (SHA-256) of all that made it: what it is written as, what
    /// changed it, and what it names. Of two sets, a rule that has the same is the same.
    pub fn fingerprints(&self) -> impl Iterator<Item = (u32, [u8; 32])> {
        self.program.rules.iter().map(|rule| (rule.id, rule.fingerprint))
    }

    /// A rule as it is written; `None` if there is none with that id.
    pub fn written(&self, id: u32) -> Option<Written<'_>> {
        let program = &self.program;
        let number = *program.by_id.get(&id)?;
        let rule = program.rules.get(number as usize)?;
        let mut phases = (1..).zip(&program.phases);
        let phase = phases.find(|(_, rules)| rules.contains(&number)).map_or(0, |(phase, _)| phase);
        Some(Written {
            id,
            place: self.place((rule.file, rule.line)).unwrap_or_default(),
            phase,
            message: program.text(&rule.message.pieces),
            severity: rule.severity,
            tags: program.tags_of(rule).collect(),
            links: program.written_links(rule),
        })
    }
}

impl Program {
    fn written_links(&self, rule: &Rule) -> Vec<WrittenLink<'_>> {
        let range = rule.links.start as usize..rule.links.end as usize;
        let links = self.links.get(range.clone()).unwrap_or_default();
        let texts = self.texts.get(range).unwrap_or_default();
        let written = links.iter().zip(texts).map(|(link, text)| {
            let steps = self.chains.get(link.chain as usize).map(|chain| chain.steps.as_slice());
            WrittenLink {
                targets: &text.targets,
                operator: &text.operator,
                transformations: steps.unwrap_or_default().iter().map(|step| step.name()).collect(),
                sets: link.effects.iter().filter_map(|effect| self.set(effect)).collect(),
            }
        });
        written.collect()
    }

    fn set(&self, effect: &Effect) -> Option<String> {
        let Effect::Set { variable, change } = effect else { return None };
        let name = self.name(variable);
        let text = |template: &Template| self.text(&template.pieces);
        Some(match change {
            Change::Assign(value) => format!("tx.{name}={}", text(value)),
            Change::Add(amount) => format!("tx.{name}=+{}", text(amount)),
            Change::Subtract(amount) => format!("tx.{name}=-{}", text(amount)),
            Change::Unset => format!("!tx.{name}"),
        })
    }

    /// The name of a `tx` variable, macros as they are.
    pub(crate) fn name(&self, variable: &TxName) -> String {
        match variable {
            TxName::Slot(slot) => self.slot_name(*slot),
            TxName::Made(template) => self.text(&template.pieces),
        }
    }

    fn slot_name(&self, slot: u32) -> String {
        let name = self.tx_names.get(slot as usize).map_or(&b""[..], Vec::as_slice);
        String::from_utf8_lossy(name).into_owned()
    }

    /// A text with its macros as they are.
    pub(crate) fn text(&self, pieces: &[Piece]) -> String {
        pieces.iter().map(|piece| self.piece(piece)).collect()
    }

    /// A piece of it.
    pub(crate) fn piece(&self, piece: &Piece) -> String {
        match piece {
            Piece::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Piece::Tx(slot) => format!("%{{tx.{}}}", self.slot_name(*slot)),
            Piece::Variable(variable, None) => format!("%{{{}}}", variable.name()),
            Piece::Variable(variable, Some(key)) => {
                format!("%{{{}.{}}}", variable.name(), String::from_utf8_lossy(key))
            }
        }
    }
}

impl Building<'_> {
    /// Targets as rules name them, with what later directives added and took away.
    pub(crate) fn targets_text(&self, targets: &Targets) -> String {
        let name = |number: &u32| self.selector_texts.get(*number as usize).map(String::as_str);
        let included = targets.included.iter().filter_map(name).map(str::to_owned);
        let excluded = targets.excluded.iter().filter_map(name).map(|name| format!("!{name}"));
        included.chain(excluded).collect::<Vec<_>>().join("|")
    }
}

/// What selects members of a variable, as rules name it.
pub(crate) fn selector_text(variable: Variable, count: bool, members: &str) -> String {
    let name = match variable {
        Variable::XmlText => "XML:/*",
        Variable::XmlAttributes => "XML://@*",
        _ => variable.name(),
    };
    format!("{}{name}{members}", if count { "&" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::super::{File, RuleSet, Wanted};

    const RULES: &str = "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.critical=5\"\n\
        SecRule ARGS|!ARGS:token|XML:/*|&TX:Seen \"!@rx ^a b$\" \"id:2,phase:2,deny,t:none,\
        t:urlDecodeUni,t:lowercase,msg:'of %{MATCHED_VAR_NAME}',tag:'x',severity:'CRITICAL',chain\"\n\
        SecRule REQUEST_HEADERS:Host|REQUEST_COOKIES:/^ad_/ \"@pmFromFile words\" \
        \"setvar:'tx.anomaly_score=+%{tx.critical}',setvar:!tx.seen\"\n";

    fn load(text: &str, words: &str) -> RuleSet {
        let file = File { name: "a.conf".to_owned(), text: text.as_bytes().to_vec() };
        let words = File { name: "words".to_owned(), text: words.as_bytes().to_vec() };
        let fetch = |_: Wanted<'_>| Ok(vec![words.clone()]);
        RuleSet::load(&[file], &fetch).unwrap().rules
    }

    #[test]
    fn a_rule_is_told_as_it_is_written_and_was_changed() {
        let rules = load(&format!("{RULES}SecRuleUpdateTargetById 2 \"!ARGS:csrf\"\n"), "a");
        let rule = rules.written(2).unwrap();
        assert_eq!((rule.place.as_str(), rule.phase, rule.severity), ("a.conf:2", 2, Some(2)));
        assert_eq!((rule.message.as_str(), &*rule.tags), ("of %{MATCHED_VAR_NAME}", &["x"][..]));
        let [first, second] = &rule.links[..] else { panic!("{rule:?}") };
        assert_eq!(first.targets, "ARGS|XML:/*|&TX:seen|!ARGS:token|!ARGS:csrf");
        assert_eq!(first.operator, "!@rx ^a b$");
        assert_eq!(first.transformations, ["urlDecodeUni", "lowercase"]);
        assert_eq!(second.targets, "REQUEST_HEADERS:host|REQUEST_COOKIES:/^ad_/");
        assert_eq!(second.sets, ["tx.anomaly_score=+%{tx.critical}", "!tx.seen"]);
        let action = rules.written(1).unwrap();
        assert_eq!((action.links[0].targets, action.links[0].operator), ("", ""));
        assert_eq!(rules.written(3), None);
    }

    #[test]
    fn a_rule_is_another_when_anything_that_made_it_is() {
        let of = |text: &str, words: &str| {
            let rules = load(text, words);
            rules.fingerprints().map(|(_, fingerprint)| fingerprint).collect::<Vec<_>>()
        };
        let before = of(RULES, "a");
        let check = |text: &str, words: &str, want: [bool; 2]| {
            let now = of(text, words);
            assert_eq!([before[0] == now[0], before[1] == now[1]], want, "{text}");
        };
        check(&format!("# a word\n\n{}", RULES.replace("  ", " ")), "a", [true, true]);
        check(&RULES.replace("critical=5", "critical=4"), "a", [false, true]);
        check(RULES, "b", [true, false]);
        check(&RULES.replace("^ad_", "^ac_"), "a", [true, false]);
        check(&format!("{RULES}SecRuleUpdateTargetById 2 \"!ARGS:csrf\"\n"), "a", [true, false]);
        check(&format!("SecDefaultAction \"phase:2,deny\"\n{RULES}"), "a", [true, false]);
    }
}
