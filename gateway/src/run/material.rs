//! Certificates and keys, from the files that the configuration names: read at the start, and
//! certificates at each reload. Whatever is wrong with any of them is said at once.

use std::path::Path;

use ledger::keys::Issuer;
use ledger::note::{PrivateKey, VerifierKey};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{AuditKeys, Config, Problem, Tls, TlsVersion};
use crate::listen::{self, Oldest};

/// What each listener shows, in their order, if it speaks TLS.
pub(super) type Served = Vec<Option<ServerConfig>>;

/// TLS of every listener, and the record's issuer.
///
/// # Errors
/// Every problem.
pub(super) fn load(config: &Config) -> Result<(Served, Issuer), Vec<Problem>> {
    let issuer = issuer(&config.audit.keys).map_err(|problem| config.sites.keys.problem(problem));
    match (certificates(config), issuer) {
        (Ok(certificates), Ok(issuer)) => Ok((certificates, issuer)),
        (Ok(_), Err(problem)) => Err(vec![problem]),
        (Err(problems), Ok(_)) => Err(problems),
        (Err(mut problems), Err(problem)) => {
            problems.push(problem);
            Err(problems)
        }
    }
}

/// TLS of every listener.
///
/// # Errors
/// Every problem.
pub(super) fn certificates(config: &Config) -> Result<Served, Vec<Problem>> {
    let (mut served, mut problems) = (Vec::new(), Vec::new());
    for (listener, site) in config.listeners.iter().zip(&config.sites.tls) {
        match listener.transport.tls().map(server_config).transpose() {
            Ok(config) => served.push(config),
            Err(problem) => {
                problems.push(site.problem(format!("listener `{}`: {problem}", listener.name)));
            }
        }
    }
    if problems.is_empty() { Ok(served) } else { Err(problems) }
}

fn server_config(tls: &Tls) -> Result<ServerConfig, String> {
    let Tls { certificate, key, min_version } = tls;
    let failed = |problem: String| format!("`{}`: {problem}", certificate.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| failed(error.to_string()))?;
    let key = key.read().map_err(|error| chained(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key.expose())
        .map_err(|error| failed(format!("its private key: {error}")))?;
    let oldest = match min_version {
        TlsVersion::V12 => Oldest::Tls12,
        TlsVersion::V13 => Oldest::Tls13,
    };
    listen::server_config(chain, key, oldest).map_err(|error| failed(chained(&error)))
}

fn issuer(keys: &AuditKeys) -> Result<Issuer, String> {
    let secret = keys.issuer.read().map_err(|error| chained(&error))?;
    let pem = std::str::from_utf8(secret.expose())
        .map_err(|_| "the issuer's private key is no PEM".to_owned())?;
    let private =
        PrivateKey::from_pem(pem).map_err(|error| format!("the issuer's private key: {error}"))?;
    let text = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| format!("`{}`: {error}", path.display()))
    };
    let root = VerifierKey::parse(text(&keys.root)?.trim())
        .map_err(|error| format!("`{}`: {error}", keys.root.display()))?;
    Issuer::open(&private, &text(&keys.issuer_note)?, &root).map_err(|error| chained(&error))
}

/// The error and what it came from.
fn chained(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
