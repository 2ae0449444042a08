//! What `policy diff` and `policy prove` have in common: the solver, its times, the format.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use prover::{Means, Solver};

use super::format::Format;

/// With what it is proved.
#[derive(Debug, clap::Args)]
pub(super) struct Proving {
    /// The solver cvc5; else what CVC5 names in the environment, else `cvc5` on the PATH. Without
    /// one nothing is proved, and counterexamples are looked for among made up requests
    #[arg(long, value_name = "PROGRAM")]
    pub(super) solver: Option<PathBuf>,
    /// Longest time that the solver may take for one question
    #[arg(long, value_name = "SECONDS", default_value_t = prover::QUERY.as_secs())]
    pub(super) timeout: u64,
    /// Longest time for everything; what is not settled then is undecided
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(super) deadline: u64,
    /// Without a solver: how many requests are made up for each environment
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub(super) requests: usize,
    /// How it is told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

impl Proving {
    /// # Errors
    /// A solver that was asked for and is not there.
    pub(super) fn means(&self) -> anyhow::Result<Means> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let named = self.solver.clone().or_else(|| std::env::var_os("CVC5").map(PathBuf::from));
        let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let program = match named {
            Some(named) => match find(&named, &directories) {
                Some(program) => Some(program),
                None => bail!("there is no solver `{}`", named.display()),
            },
            None => find(Path::new("cvc5"), &directories),
        };
        let query = Duration::from_secs(self.timeout);
        Ok(Means {
            solver: program.map(|program| Solver { program, query }),
            deadline: Duration::from_secs(self.deadline),
            requests: self.requests,
        })
    }
}

/// A program: a path, or a name on the search path.
fn find(program: &Path, directories: &[PathBuf]) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.is_file().then(|| program.to_owned());
    }
    directories.iter().map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// What a proof without a solver is called.
pub(super) const NO_SOLVER: &str = "not proved: there is no solver (Debian: apt-get install cvc5)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solver_is_a_path_or_a_name() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("solver");
        std::fs::write(&program, "").unwrap();
        let directories = [directory.path().to_owned()];
        assert_eq!(find(&program, &[]), Some(program.clone()));
        assert_eq!(find(Path::new("solver"), &directories), Some(program));
        assert_eq!(find(Path::new("solver"), &[]), None);
        assert_eq!(find(Path::new("other"), &directories), None);
        assert_eq!(find(&directory.path().join("other"), &directories), None);
    }
}
