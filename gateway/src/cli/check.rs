//! `portcullis check`: every problem of a configuration and of what it names, without starting.
//!
//! It opens no socket, reads no secret, and does not look at the certificates and notes that go
//! with one. Whoever calls it says how what a configuration names is looked at.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::config::{Config, Examined, Problem};

/// The exit code when all is well.
pub const OK: u8 = 0;

/// The exit code when there are problems.
pub const INVALID: u8 = 3;

/// Prints every problem of the configuration and its policies
#[derive(Debug, Clone, clap::Args)]
pub struct Check {
    /// The main file
    #[arg(long, short, default_value = "portcullis.yaml")]
    pub config: PathBuf,
    /// How problems are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How problems are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line each, and a line for its hint.
    Text,
    /// One JSON list of `{file, line, column, message, hint}`.
    Json,
}

impl Check {
    /// Looks, prints, and returns the exit code: [`OK`] or [`INVALID`].
    ///
    /// `named` looks at what a configuration names that holds together by itself: policies,
    /// issuers, upstreams.
    ///
    /// # Errors
    /// What `out` refuses.
    pub fn run(
        &self,
        named: impl FnOnce(&Config, &Path) -> Vec<Problem>,
        out: &mut impl Write,
    ) -> io::Result<u8> {
        let Examined { config, mut problems } = Examined::load(&self.config);
        if let Some(config) = &config {
            problems.extend(named(config, &self.config));
        }
        match self.format {
            Format::Text => text(out, config.as_ref(), &problems)?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, &problems)?;
                writeln!(out)?;
            }
        }
        Ok(if problems.is_empty() { OK } else { INVALID })
    }
}

fn text(out: &mut impl Write, config: Option<&Config>, problems: &[Problem]) -> io::Result<()> {
    for problem in problems {
        writeln!(out, "{problem}")?;
    }
    match (config, problems.len()) {
        (Some(config), 0) => writeln!(
            out,
            "ok: files={} listeners={} apis={} routes={} digest={}",
            config.files.len(),
            config.listeners.len(),
            config.apis.len(),
            config.routes.iter().count(),
            config.digest
        ),
        (config, count) => writeln!(out, "{}", counted(count, config.is_some())),
    }
}

/// The last line about problems. Where too much of the configuration is wrong, what it names is
/// unknown.
pub(super) fn counted(problems: usize, named_too: bool) -> String {
    let rest = if named_too { "" } else { "; the policies were not looked at" };
    format!("problems: {problems}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(main: &str, format: Format, policies: Vec<Problem>) -> (u8, String) {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("portcullis.yaml");
        std::fs::write(&config, main).unwrap();
        let mut out = Vec::new();
        let code = Check { config, format }.run(|_, _| policies, &mut out).unwrap();
        let base = format!("{}/", directory.path().display());
        (code, String::from_utf8(out).unwrap().replace(&base, ""))
    }

    const SAMPLE: &str = include_str!("../../portcullis.yaml");

    #[test]
    fn a_sound_configuration_is_ok() {
        let (code, out) = run(SAMPLE, Format::Text, Vec::new());
        assert!(out.starts_with("ok: files=1 listeners=1 apis=1 routes="), "{out}");
        assert_eq!(code, OK);
        assert_eq!(run(SAMPLE, Format::Json, Vec::new()), (OK, "[]\n".to_owned()));
    }

    #[test]
    fn problems_are_printed_and_counted() {
        let (code, out) = run("version: 2\n", Format::Text, Vec::new());
        assert!(out.contains("portcullis.yaml:1:10: 2 is above 1, the most allowed\n"), "{out}");
        assert!(out.ends_with("problems: 5; the policies were not looked at\n"), "{out}");
        assert_eq!(code, INVALID);
    }

    #[test]
    fn problems_of_the_policies_count_too() {
        let problem = Problem {
            file: "orders/read.cedar".to_owned(),
            line: 3,
            column: 7,
            message: "no such action".to_owned(),
            hint: Some("did you mean `read`?".to_owned()),
        };
        let (code, out) = run(SAMPLE, Format::Text, vec![problem.clone()]);
        assert_eq!(
            out,
            "orders/read.cedar:3:7: no such action\n  hint: did you mean `read`?\nproblems: 1\n"
        );
        assert_eq!(code, INVALID);
        let (_, out) = run(SAMPLE, Format::Json, vec![problem]);
        let list: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(list[0]["line"], 3);
        assert_eq!(list[0]["hint"], "did you mean `read`?");
    }
}
