//! Certificates and keys, from the files that the configuration names: read at the start, and
//! certificates at each reload. Whatever is wrong with any of them is said at once, and when a
//! certificate ends is kept with it, so that whoever asks waits for no file.

use std::path::Path;

use ledger::keys::Issuer;
use ledger::note::{PrivateKey, VerifierKey};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::expiry::not_after;
use crate::config::{AuditKeys, Config, Problem, Tls, TlsVersion};
use crate::listen::{self, Oldest};
use crate::regular;

/// Bytes of a file of certificates and of a note, at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the listeners show.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// Of each, in their order, if it speaks TLS.
    pub(super) tls: Vec<Option<ServerConfig>>,
    /// Of those that speak TLS.
    pub(super) ends: Vec<Ends>,
}

/// When the first certificate that a listener shows ends.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) listener: String,
    /// As RFC 3339 writes it; `None` if that cannot be read.
    pub(crate) not_after: Option<String>,
}

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
    let (mut served, mut problems) = (Served::default(), Vec::new());
    for (listener, site) in config.listeners.iter().zip(&config.sites.tls) {
        match listener.transport.tls().map(shown).transpose() {
            Ok(None) => served.tls.push(None),
            Ok(Some((tls, not_after))) => {
                served.tls.push(Some(tls));
                served.ends.push(Ends { listener: listener.name.clone(), not_after });
            }
            Err(problem) => {
                problems.push(site.problem(format!("listener `{}`: {problem}", listener.name)));
            }
        }
    }
    if problems.is_empty() { Ok(served) } else { Err(problems) }
}

/// What a listener shows, and when its first certificate ends.
fn shown(tls: &Tls) -> Result<(ServerConfig, Option<String>), String> {
    let Tls { certificate, key, min_version } = tls;
    let failed = |problem: String| format!("`{}`: {problem}", certificate.display());
    let pem = regular::read(certificate, FILE_BYTES_MAX);
    let pem = pem.map_err(|error| failed(error.to_string()))?;
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| failed(error.to_string()))?;
    let not_after = chain.first().and_then(|first| not_after(first));
    let key = key.read().map_err(|error| chained(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key.expose())
        .map_err(|error| failed(format!("its private key: {error}")))?;
    let oldest = match min_version {
        TlsVersion::V12 => Oldest::Tls12,
        TlsVersion::V13 => Oldest::Tls13,
    };
    let tls = listen::server_config(chain, key, oldest);
    let tls = tls.map_err(|error| failed(chained(&error)))?;
    Ok((tls, not_after))
}

fn issuer(keys: &AuditKeys) -> Result<Issuer, String> {
    let secret = keys.issuer.read().map_err(|error| chained(&error))?;
    let pem = std::str::from_utf8(secret.expose())
        .map_err(|_| "the issuer's private key is no PEM".to_owned())?;
    let private =
        PrivateKey::from_pem(pem).map_err(|error| format!("the issuer's private key: {error}"))?;
    let text = |path: &Path| {
        regular::text(path, FILE_BYTES_MAX)
            .map_err(|error| format!("`{}`: {error}", path.display()))
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
