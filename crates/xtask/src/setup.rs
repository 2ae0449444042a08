//! What the machine must have, and getting it: by apt-get and rustup where we may, else the one
//! line that does. Deliberately Debian's package names only.

use std::process::Command;

use anyhow::{Result, bail};

use crate::machine::{cargo, succeed, succeeds};

/// Something the build or a suite needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    /// What it is called.
    pub(crate) name: &'static str,
    /// The Debian package that has it.
    package: &'static str,
    /// A command that succeeds only where it is there.
    probe: &'static [&'static str],
}

impl Need {
    /// Whether it is there.
    pub(crate) fn met(&self) -> bool {
        let Some((program, arguments)) = self.probe.split_first() else { return true };
        succeeds(Command::new(program).args(arguments))
    }
}

pub(crate) const C_COMPILER: Need = Need {
    name: "a C compiler with its headers",
    package: "build-essential",
    probe: &["cc", "-include", "pthread.h", "-fsyntax-only", "-x", "c", "/dev/null"],
};
/// librdkafka is C, but its `configure` goes on only where there is one.
pub(crate) const CXX_COMPILER: Need =
    Need { name: "a C++ compiler", package: "g++", probe: &["c++", "--version"] };
pub(crate) const MAKE: Need = Need { name: "make", package: "make", probe: &["make", "--version"] };
pub(crate) const BASH: Need = Need { name: "bash", package: "bash", probe: &["bash", "--version"] };
pub(crate) const JAVA: Need =
    Need { name: "Java 17", package: "openjdk-17-jre-headless", probe: &["java", "-version"] };
pub(crate) const MAVEN: Need = Need { name: "Maven", package: "maven", probe: &["mvn", "-v"] };
pub(crate) const PYTHON: Need = Need {
    name: "Python with venv",
    package: "python3-venv",
    probe: &["python3", "-c", "import ensurepip, venv"],
};
pub(crate) const NGINX: Need =
    Need { name: "nginx", package: "nginx-light", probe: &["nginx", "-v"] };
pub(crate) const TASKSET: Need =
    Need { name: "taskset", package: "util-linux", probe: &["taskset", "--version"] };

/// What fetches Go modules: test data, and peers to compare with.
pub(crate) const GO: Need = Need { name: "Go", package: "golang-go", probe: &["go", "version"] };

/// What proves a change of policies.
pub(crate) const CVC5: Need = Need { name: "cvc5", package: "cvc5", probe: &["cvc5", "--version"] };

/// What the build needs.
pub(crate) const BUILD: [Need; 4] = [C_COMPILER, CXX_COMPILER, MAKE, BASH];
/// What the suites with real components need beside it.
const COMPONENTS: [Need; 5] = [JAVA, MAVEN, PYTHON, CVC5, GO];

/// Everything, for demo, tests and CI.
pub(crate) fn everything() -> Result<()> {
    rust_components()?;
    obtain(&BUILD)?;
    obtain(&COMPONENTS)?;
    println!("setup: everything is there");
    Ok(())
}

/// Gets what is missing; an error with the line to type if that is not ours to do.
pub(crate) fn obtain(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !need.met()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.name).collect();
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let install = format!("apt-get update && apt-get install -y {}", packages.join(" "));
    if !may_install() {
        bail!("missing: {}; as root: {install}", names.join(", "));
    }
    println!("setup: installing {}", packages.join(" "));
    succeed(Command::new("apt-get").args(["-qq", "update"]))?;
    let mut apt = Command::new("apt-get");
    apt.args(["-qq", "install", "-y", "--no-install-recommends"]).args(&packages);
    succeed(apt.env("DEBIAN_FRONTEND", "noninteractive"))?;
    match missing.iter().find(|need| !need.met()) {
        None => Ok(()),
        Some(need) => bail!("{} is still missing after: {install}", need.name),
    }
}

/// rustfmt and clippy, by rustup.
pub(crate) fn rust_components() -> Result<()> {
    for (component, verb) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !succeeds(cargo(&[verb, "--version"])?.current_dir("/")) {
            println!("setup: rustup component add {component}");
            succeed(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}

/// Whether this is CI, where what cannot be had is a failure.
pub(crate) fn ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

fn may_install() -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    root && succeeds(Command::new("apt-get").arg("--version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_is_met_where_its_probe_succeeds() {
        let need = |probe| Need { name: "it", package: "it", probe };
        assert!(need(&["true"]).met());
        assert!(!need(&["false"]).met());
        assert!(!need(&["no-such-program-anywhere"]).met());
    }

    #[test]
    fn what_is_there_is_not_installed() {
        obtain(&[Need { name: "it", package: "no-such-package", probe: &["true"] }])
            .expect("there");
    }
}
