//! The stages that do not come out as the suite expects, each with what comes out instead and why:
//! YAML, a list of them.
//!
//! Deliberately no way to ignore a stage: what happens instead is held to as well.

use super::{
    Result,
    suite::{Expected, Stage},
    yaml::{self, Node},
};

/// One stage that comes out otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// `920100-4`.
    pub test: String,
    /// From 1; the first, if it is not said.
    pub stage: usize,
    /// Where it does; everywhere, if it is not said.
    pub at: Option<At>,
    /// Rules that match.
    pub ids: Vec<u32>,
    /// Rules that do not.
    pub no_ids: Vec<u32>,
    /// What the server answers.
    pub status: Option<u16>,
    /// Why.
    pub reason: String,
}

/// Where stages are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// In process.
    Engine,
    /// Through the gateway.
    Gateway,
}

/// Reads overrides.
///
/// # Errors
/// One that is none, with its line.
pub fn read(text: &str) -> Result<Vec<Override>> {
    let Some(root) = yaml::parse(text)? else { return Ok(Vec::new()) };
    root.list()?.iter().map(one).collect()
}

fn one(node: &Node) -> Result<Override> {
    let [test, stage, at, ids, no_ids, status, reason] =
        node.keys(["test", "stage", "at", "ids", "no_ids", "status", "reason"])?;
    let needed = |one: Option<&Node>, what: &str| match one.map(Node::text).transpose()? {
        Some(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        _ => Err(node.wrong(format!("the override has no `{what}`"))),
    };
    let numbers = |one: Option<&Node>| -> Result<Vec<u32>> {
        one.map_or(Ok(&[][..]), Node::list)?.iter().map(Node::number).collect()
    };
    let at = match at.map(|at| Ok((at, at.text()?))).transpose()? {
        None => None,
        Some((_, "engine")) => Some(At::Engine),
        Some((_, "gateway")) => Some(At::Gateway),
        Some((at, _)) => return Err(at.wrong("`engine` and `gateway` are places")),
    };
    let one = Override {
        test: needed(test, "test")?,
        stage: stage.map_or(Ok(1), Node::number)?,
        at,
        ids: numbers(ids)?,
        no_ids: numbers(no_ids)?,
        status: status.map(Node::number).transpose()?,
        reason: needed(reason, "reason")?,
    };
    match one.ids.is_empty() && one.no_ids.is_empty() && one.status.is_none() {
        true => Err(node.wrong("the override expects nothing instead")),
        false => Ok(one),
    }
}

impl Override {
    /// Whether it is about this stage, run there.
    pub fn is_of(&self, stage: &Stage, at: At) -> bool {
        self.is_at(at) && self.test == stage.test && self.stage == stage.nth
    }

    /// Whether it is about what is run there.
    pub fn is_at(&self, at: At) -> bool {
        self.at.is_none_or(|own| own == at)
    }

    /// What is expected instead.
    pub fn expected(&self) -> Expected {
        let (ids, no_ids) = (self.ids.clone(), self.no_ids.clone());
        Expected { ids, no_ids, status: self.status, ..Expected::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_says_what_instead_and_why() {
        let check = |text: &str, want: Option<&str>| {
            let found = read(text).err().map(|error| error.to_string());
            let as_wanted = match (&found, want) {
                (Some(found), Some(want)) => found.contains(want),
                (found, want) => found.is_none() && want.is_none(),
            };
            assert!(as_wanted, "{text}: {found:?}");
        };
        let whole = "- test: 1-1\n  at: engine\n  ids: [1]\n  reason: so\n";
        check(whole, None);
        check("# none\n", None);
        check(
            &whole.replace("reason: so", "reason: ' '"),
            Some(":1: the override has no `reason`"),
        );
        check(&whole.replace("test: 1-1\n  ", ""), Some("no `test`"));
        check(&whole.replace("ids: [1]", "ids: []"), Some("nothing instead"));
        check(&whole.replace("engine", "moon"), Some(":2: `engine` and"));
        check(&whole.replace("reason", "because"), Some("what `because` is"));
        let read = read(&whole.replace("  at: engine\n", "")).unwrap();
        assert!(read[0].is_at(At::Engine) && read[0].is_at(At::Gateway));
    }
}
