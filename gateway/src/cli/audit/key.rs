//! `portcullis audit key …`: the audit root key, made once and kept offline, and the issuer keys
//! it certifies, one a cluster. A gateway makes each log's own key itself, in memory.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use ledger::keys::{OriginPrefix, Root, Validity};
use ledger::note::{PrivateKey, Signer, VerifierKey};

use crate::asked::now_ms;
use crate::cli::OK;

/// How long an issuer key may be valid: ten years.
const DAYS_MAX: u32 = 3_653;

/// Make keys
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Key {
    Root(RootKey),
    Issuer(IssuerKey),
}

/// Make an audit root key: `root.key` to be kept offline, `root.vkey` for whoever verifies
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RootKey {
    /// The directory for both files
    #[arg(long)]
    out: PathBuf,
    /// The key's name
    #[arg(long, default_value = "audit-root")]
    name: String,
}

/// Make an issuer key for a cluster: `issuer.key`, and `issuer.note`, the root's word for it
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct IssuerKey {
    /// The audit root's private key; `root.vkey` lies beside it
    #[arg(long)]
    root: PathBuf,
    /// The directory for both files
    #[arg(long)]
    out: PathBuf,
    /// The DNS domain that answers for the record
    #[arg(long)]
    domain: String,
    /// The cluster whose gateways use it
    #[arg(long)]
    cluster: String,
    /// Days it is valid
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    days: u32,
}

impl Key {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        match self {
            Self::Root(root) => root.run(out),
            Self::Issuer(issuer) => issuer.run(out),
        }
    }
}

impl RootKey {
    fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let private = PrivateKey::generate()?;
        let root = Root::new(&self.name, &private)?;
        let key = root.verifier_key().to_string();
        write_private(&self.out.join("root.key"), &private.to_pem())?;
        write_new(&self.out.join("root.vkey"), &format!("{key}\n"), 0o644)?;
        writeln!(out, "audit key root: key={key}")?;
        Ok(OK)
    }
}

impl IssuerKey {
    fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))
        };
        let private = PrivateKey::from_pem(&read(&self.root)?)?;
        let vkey = VerifierKey::parse(read(&self.root.with_extension("vkey"))?.trim())?;
        let root = Root::open(&private, &vkey)?;
        let prefix = OriginPrefix::parse(&format!("audit.{}/{}", self.domain, self.cluster))?;
        let issuer = PrivateKey::generate()?;
        let signer = Signer::new(prefix.as_str(), &issuer)?;
        let now_s = u64::try_from(now_ms() / 1000).context("the clock is before 1970")?;
        // Machines' clocks differ: a key made now is valid for one that is a little behind.
        let validity = Validity::new(
            now_s.saturating_sub(300),
            now_s.saturating_add(u64::from(self.days) * 86_400),
        )?;
        let note = root.certify(signer.verifier_key(), &prefix, validity)?;
        write_private(&self.out.join("issuer.key"), &issuer.to_pem())?;
        write_new(&self.out.join("issuer.note"), &note, 0o644)?;
        writeln!(out, "audit key issuer: prefix={} days={}", prefix.as_str(), self.days)?;
        Ok(OK)
    }
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    write_new(path, text, 0o600)
}

/// A key is never written over.
fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    ensure!(directory.is_dir(), "`{}` is no directory", directory.display());
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.with_context(|| format!("write `{}`", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}
