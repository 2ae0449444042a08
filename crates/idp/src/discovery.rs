//! OpenID Connect Discovery 1.0: from an issuer's identifier to where its keys are.

use openidconnect::core::CoreProviderMetadata;

use crate::fetch::{FetchError, Fetcher};

/// Why an issuer's metadata could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiscoveryError {
    #[error("`{url}` could not be fetched")]
    Fetch { url: String, source: FetchError },
    #[error("`{url}` is no provider metadata")]
    Malformed { url: String, source: serde_json::Error },
    #[error("the metadata names the issuer `{found}`, not `{wanted}`")]
    OtherIssuer { wanted: String, found: String },
}

/// The `jwks_uri` of the issuer, from its metadata.
///
/// The metadata's `issuer` must equal the identifier to the letter (§4.3): without that, whoever
/// controls one document could speak for another issuer.
pub(crate) async fn key_set_url(fetcher: &Fetcher, issuer: &str) -> Result<String, DiscoveryError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let body = match fetcher.get(&url).await {
        Ok(body) => body,
        Err(source) => return Err(DiscoveryError::Fetch { url, source }),
    };
    let metadata: CoreProviderMetadata = match serde_json::from_slice(&body) {
        Ok(metadata) => metadata,
        Err(source) => return Err(DiscoveryError::Malformed { url, source }),
    };
    let found = metadata.issuer().as_str();
    if found != issuer {
        return Err(DiscoveryError::OtherIssuer {
            wanted: issuer.to_owned(),
            found: found.chars().take(256).collect(),
        });
    }
    Ok(metadata.jwks_uri().url().as_str().to_owned())
}
