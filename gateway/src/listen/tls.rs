//! TLS of a door: versions 1.2 and 1.3, with ring, for HTTP/2 and HTTP/1.1.
//!
//! Deliberately absent: early data, client certificates, and reading of files.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use signals::Conn;

/// HTTP/2 over TLS (RFC 9113 §3.2), as ALPN names it.
pub(super) const H2: &str = "h2";

/// The oldest version of TLS that a door speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oldest {
    /// TLS 1.2 (RFC 5246), with the cipher suites rustls has: all of them forward secret and AEAD.
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// What a door needs to speak TLS: the certificate chain, the server's own first, and its key.
///
/// # Errors
/// The key is not one that can be used, or is not the certificate's.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    oldest: Oldest,
) -> Result<ServerConfig, rustls::Error> {
    let versions = match oldest {
        Oldest::Tls12 => &[&TLS13, &TLS12][..],
        Oldest::Tls13 => &[&TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![H2.as_bytes().to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Writes into `conn` what the session says of the connection.
pub(super) fn describe(session: &rustls::ServerConnection, conn: &mut Conn) {
    conn.tls = true;
    conn.tls_version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
        _ => String::new(),
    };
    let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    // rustls names TLS 1.3's suites `TLS13_…`; the registered names begin with `TLS_`.
    conn.cipher = suite.unwrap_or_default().replacen("TLS13_", "TLS_", 1);
    conn.sni = session.server_name().unwrap_or_default().to_owned();
    let alpn = session.alpn_protocol().unwrap_or_default();
    conn.alpn = String::from_utf8_lossy(alpn).into_owned();
}
