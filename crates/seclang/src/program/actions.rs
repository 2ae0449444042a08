//! Actions of a rule, sorted out.

use crate::{
    nearest::nearest,
    problem::Fault,
    syntax::{self, Action, Argument, Piece},
    transform::Transform,
};

use super::{
    Allow, Change, Template, TxName, Verdict,
    build::{Building, DraftEffect, DraftFlow, Which},
    directive::{engine_state, on},
    update::{ids, tag_pattern},
};

/// A directive's actions.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    pub(crate) id: Option<(usize, u32)>,
    pub(crate) phase: Option<(usize, u8)>,
    pub(crate) message: Option<Piece>,
    pub(crate) data: Option<Piece>,
    pub(crate) severity: Option<u8>,
    pub(crate) tags: Vec<u32>,
    pub(crate) version: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) verdict: Option<Intent>,
    pub(crate) flow: Option<DraftFlow>,
    pub(crate) log: Option<bool>,
    pub(crate) capture: bool,
    pub(crate) chain: bool,
    pub(crate) multi_match: bool,
    /// `t:none` stands before these.
    pub(crate) from_none: bool,
    pub(crate) transforms: Vec<Transform>,
    pub(crate) effects: Vec<DraftEffect>,
}

/// What a rule would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// What the phase's defaults say.
    Block,
    This(Verdict),
}

/// Actions that exist and do nothing here.
const WITHOUT_MEANING: [&str; 18] = [
    "accuracy",
    "auditlog",
    "deprecatevar",
    "expirevar",
    "initcol",
    "maturity",
    "noauditlog",
    "rev",
    "sanitiseArg",
    "sanitiseMatched",
    "sanitiseMatchedBytes",
    "sanitiseRequestHeader",
    "sanitiseResponseHeader",
    "setenv",
    "setrsc",
    "setsid",
    "setuid",
    "xmlns",
];

/// Those of them that are worth a word: a rule's author expects that they count or keep.
const NOT_EVALUATED: [&str; 7] =
    ["deprecatevar", "expirevar", "initcol", "setenv", "setrsc", "setsid", "setuid"];

/// Actions that do something.
const KNOWN: [&str; 24] = [
    "allow",
    "block",
    "capture",
    "chain",
    "ctl",
    "deny",
    "drop",
    "id",
    "log",
    "logdata",
    "msg",
    "multiMatch",
    "nolog",
    "pass",
    "phase",
    "redirect",
    "setvar",
    "severity",
    "skip",
    "skipAfter",
    "status",
    "t",
    "tag",
    "ver",
];

const SEVERITIES: [&str; 8] =
    ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"];

impl Building<'_> {
    /// Reads actions; every fault is noted.
    pub(crate) fn actions(&mut self, argument: Option<&Argument>) -> Actions {
        let mut actions = Actions::default();
        let Some(argument) = argument else { return actions };
        let mut faults = Vec::new();
        for action in syntax::actions(argument, &mut faults) {
            if let Err(fault) = self.action(&action, &mut actions) {
                faults.push(fault);
            }
        }
        self.faults(faults);
        actions
    }

    fn action(&mut self, action: &Action, actions: &mut Actions) -> Result<(), Fault> {
        let name = &action.name;
        let all = KNOWN.iter().chain(&WITHOUT_MEANING);
        let Some(known) = all.clone().find(|known| action.is(known)) else {
            let fault = Fault::new(name.at, format!("unknown action `{}`", name.text));
            return Err(match nearest(&name.text, all.copied()) {
                Some(known) => fault.hint(format!("`{known}` is known")),
                None => fault,
            });
        };
        if WITHOUT_MEANING.contains(known) {
            if NOT_EVALUATED.contains(known) {
                self.notice(name.at, format!("`{known}` is not evaluated here"));
            }
            return Ok(());
        }
        let plain = matches!(
            *known,
            "block"
                | "capture"
                | "chain"
                | "deny"
                | "drop"
                | "log"
                | "multiMatch"
                | "nolog"
                | "pass"
        );
        match &action.value {
            Some(_) if plain => Err(Fault::new(name.at, format!("`{known}` takes no value"))),
            None if plain => {
                self.plain(known, actions);
                Ok(())
            }
            None if *known == "allow" => {
                actions.verdict = Some(Intent::This(Verdict::Allow(Allow::Transaction)));
                Ok(())
            }
            None => Err(Fault::new(name.at, format!("`{known}` needs a value"))),
            Some(value) => self.valued(known, value, actions),
        }
    }

    fn plain(&mut self, name: &str, actions: &mut Actions) {
        match name {
            "block" => actions.verdict = Some(Intent::Block),
            "deny" => actions.verdict = Some(Intent::This(Verdict::Deny)),
            "drop" => actions.verdict = Some(Intent::This(Verdict::Drop)),
            "pass" => actions.verdict = Some(Intent::This(Verdict::Pass)),
            "capture" => actions.capture = true,
            "chain" => actions.chain = true,
            "multiMatch" => actions.multi_match = true,
            "log" => actions.log = Some(true),
            _ => actions.log = Some(false),
        }
    }

    fn valued(&mut self, name: &str, value: &Piece, actions: &mut Actions) -> Result<(), Fault> {
        let fault = |what: &str| Fault::new(value.at, format!("`{}` is no {what}", value.text));
        match name {
            "id" => {
                let id = value.text.parse().ok().filter(|id| *id > 0);
                actions.id = Some((value.at, id.ok_or_else(|| fault("id: a number above 0 is"))?));
            }
            "phase" => {
                let phase = phase(&value.text).ok_or_else(|| fault("phase: 1 to 5 are"))?;
                actions.phase = Some((value.at, phase));
            }
            "msg" => actions.message = Some(value.clone()),
            "logdata" => actions.data = Some(value.clone()),
            "severity" => {
                actions.severity = Some(severity(&value.text).ok_or_else(|| fault("severity"))?)
            }
            "tag" => {
                let tag = self.tag(&value.text);
                actions.tags.push(tag);
            }
            "ver" => actions.version = Some(value.text.clone()),
            "status" => actions.status = Some(value.text.parse().map_err(|_| fault("status"))?),
            "allow" => {
                let allow = match value.text.to_ascii_lowercase().as_str() {
                    "phase" => Allow::Phase,
                    "request" => Allow::Request,
                    _ => return Err(fault("part of a transaction: `phase` and `request` are")),
                };
                actions.verdict = Some(Intent::This(Verdict::Allow(allow)));
            }
            "redirect" => actions.verdict = Some(Intent::This(Verdict::Redirect)),
            "skip" => {
                let count = value.text.parse().map_err(|_| fault("number"))?;
                actions.flow = Some(DraftFlow::Skip(count));
            }
            "skipAfter" => actions.flow = Some(DraftFlow::After(value.at, value.text.clone())),
            "t" => transform(value, actions)?,
            "setvar" => self.setvar(value, actions)?,
            "ctl" => self.ctl(value, actions)?,
            _ => {}
        }
        Ok(())
    }

    /// `tx.name=value`, `tx.name=+1`, `!tx.name`, `tx.name`.
    fn setvar(&mut self, value: &Piece, actions: &mut Actions) -> Result<(), Fault> {
        let (unset, rest) = match value.text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, value.text.as_str()),
        };
        let (name, amount) = match rest.split_once('=') {
            Some((name, amount)) => (name.trim(), amount.trim_start()),
            None => (rest.trim(), "1"),
        };
        let Some((collection, name)) =
            name.split_once(['.', ':']).filter(|(_, name)| !name.is_empty())
        else {
            return Err(Fault::new(value.at, format!("`{}` is no assignment", value.text)));
        };
        if !collection.eq_ignore_ascii_case("tx") {
            const KEPT: [&str; 7] = ["ip", "global", "session", "user", "resource", "env", "rule"];
            if !KEPT.contains(&collection.to_ascii_lowercase().as_str()) {
                return Err(Fault::new(
                    value.at,
                    format!("`{collection}` has no variables to set"),
                )
                .hint("`tx` has"));
            }
            self.notice(value.at, format!("variables of `{collection}` are not kept here"));
            return Ok(());
        }
        let made = Template::new(value.at, name, self)?;
        let variable = match made.constant() {
            Some(_) => TxName::Slot(self.tx(name)),
            None => TxName::Made(made),
        };
        let mut template = |text: &str| Template::new(value.at, text, self);
        let change = match (unset, amount.as_bytes().first()) {
            (true, _) => Change::Unset,
            (_, Some(b'+')) => Change::Add(template(amount.trim_start_matches('+'))?),
            (_, Some(b'-')) => Change::Subtract(template(amount.trim_start_matches('-'))?),
            _ => Change::Assign(template(amount)?),
        };
        actions.effects.push(DraftEffect::Set(variable, change));
        Ok(())
    }

    fn ctl(&mut self, value: &Piece, actions: &mut Actions) -> Result<(), Fault> {
        const WITHOUT_MEANING: [&str; 7] = [
            "auditEngine",
            "auditLogParts",
            "debugLogLevel",
            "hashEnforcement",
            "hashEngine",
            "responseBodyLimit",
            "requestBodyLimit",
        ];
        const KNOWN: [&str; 11] = [
            "forceRequestBodyVariable",
            "parseXmlIntoArgs",
            "requestBodyAccess",
            "requestBodyProcessor",
            "responseBodyAccess",
            "ruleEngine",
            "ruleRemoveById",
            "ruleRemoveByMsg",
            "ruleRemoveByTag",
            "ruleRemoveTargetById",
            "ruleRemoveTargetByTag",
        ];
        let Some((name, argument)) = value.text.split_once('=') else {
            return Err(Fault::new(value.at, format!("`{}` is no setting", value.text)));
        };
        let all = KNOWN.iter().chain(&WITHOUT_MEANING).chain(&["ruleRemoveTargetByMsg"]);
        let Some(known) = all.clone().find(|known| known.eq_ignore_ascii_case(name.trim())) else {
            let fault = Fault::new(value.at, format!("unknown setting `{name}` of `ctl`"));
            return Err(match nearest(name, all.copied()) {
                Some(known) => fault.hint(format!("`{known}` is known")),
                None => fault,
            });
        };
        let piece = Piece { at: value.at, text: argument.trim().to_owned() };
        let effect = match *known {
            "ruleEngine" => DraftEffect::Engine(engine_state(&piece)?),
            "forceRequestBodyVariable" => DraftEffect::ForceBody(on(&piece)?),
            "requestBodyAccess" => DraftEffect::BodyAccess(on(&piece)?),
            "requestBodyProcessor" => {
                DraftEffect::Processor(Template::new(value.at, &piece.text, self)?)
            }
            remove if remove.starts_with("ruleRemoveTarget") => {
                self.remove_target(remove, &piece)?
            }
            remove if remove.starts_with("ruleRemove") => {
                DraftEffect::Remove(which(remove, piece.at, &piece.text)?)
            }
            _ => {
                self.notice(value.at, format!("`ctl:{known}` has no meaning here"));
                return Ok(());
            }
        };
        actions.effects.push(effect);
        Ok(())
    }

    /// `942100;ARGS:token`, `attack-sqli;ARGS`.
    fn remove_target(&mut self, name: &str, piece: &Piece) -> Result<DraftEffect, Fault> {
        let Some((rules, target)) = piece.text.split_once(';') else {
            return Err(Fault::new(piece.at, format!("`{}` names no target", piece.text)));
        };
        let which = which(name, piece.at, rules)?;
        let mut faults = Vec::new();
        let written = syntax::targets(&Argument::of(piece.at, target.trim()), &mut faults);
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault);
        }
        let [target] = written.as_slice() else {
            return Err(Fault::new(piece.at, "one target is removed at a time"));
        };
        match self.selector(target)? {
            Some(selector) => Ok(DraftEffect::RemoveTargets(which, selector)),
            None => Ok(DraftEffect::Remove(Which::Ids(Vec::new()))),
        }
    }
}

/// The rules that `…ById`, `…ByTag` or `…ByMsg` names.
fn which(name: &str, at: usize, text: &str) -> Result<Which, Fault> {
    if name.ends_with("Id") {
        ids(at, text).map(Which::Ids)
    } else if name.ends_with("Tag") {
        tag_pattern(at, text).map(Which::Tag)
    } else {
        Ok(Which::Message(text.to_owned(), regex::Regex::new(text).ok()))
    }
}

fn transform(value: &Piece, actions: &mut Actions) -> Result<(), Fault> {
    if value.text.eq_ignore_ascii_case("none") {
        actions.from_none = true;
        actions.transforms.clear();
        return Ok(());
    }
    let Some(transform) = Transform::named(&value.text) else {
        let fault = Fault::new(value.at, format!("unknown transformation `{}`", value.text));
        return Err(match nearest(&value.text, Transform::NAMES.iter().map(|(name, _)| *name)) {
            Some(known) => fault.hint(format!("`{known}` is known")),
            None => fault,
        });
    };
    actions.transforms.push(transform);
    Ok(())
}

fn phase(text: &str) -> Option<u8> {
    match text.to_ascii_lowercase().as_str() {
        "request" => Some(2),
        "response" => Some(4),
        "logging" => Some(5),
        number => number.parse().ok().filter(|phase| (1..=5).contains(phase)),
    }
}

fn severity(text: &str) -> Option<u8> {
    let named = SEVERITIES.iter().position(|name| name.eq_ignore_ascii_case(text));
    let number = named.or_else(|| text.parse().ok()).filter(|number| *number < SEVERITIES.len());
    number.and_then(|number| u8::try_from(number).ok())
}
