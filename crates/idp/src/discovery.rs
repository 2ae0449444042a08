//! OpenID Connect Discovery 1.0: from an issuer's identifier to where its keys are.
//!
//! Of the metadata only what the check of tokens needs is read, so that issuers nobody can log in
//! at (of workloads, for one) do as well.

use serde::Deserialize;

use crate::{
    fetch::{FetchError, Fetcher},
    json,
};

/// Bytes of a `jwks_uri`, at most.
const URL_BYTES_MAX: usize = 2048;

/// Characters of a foreign issuer that an error shows.
const SHOWN_CHARS_MAX: usize = 256;

/// Why an issuer's metadata could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiscoveryError {
    #[error("`{url}` could not be fetched")]
    Fetch { url: String, source: FetchError },
    #[error("`{url}` is no provider metadata")]
    Malformed { url: String, source: serde_json::Error },
    #[error("the metadata names the issuer `{found}`, not `{wanted}`")]
    OtherIssuer { wanted: String, found: String },
    #[error("the `jwks_uri` of `{0}` is longer than {URL_BYTES_MAX} bytes")]
    LongUrl(String),
}

/// What is read of provider metadata (§3).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// The `jwks_uri` of the issuer, from its metadata.
///
/// The metadata's `issuer` must equal the identifier to the letter (§4.3): without that, whoever
/// controls one document could speak for another issuer.
pub(crate) async fn key_set_url(fetcher: &Fetcher, issuer: &str) -> Result<String, DiscoveryError> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let url = format!("{base}/.well-known/openid-configuration");
    let body = match fetcher.get(&url).await {
        Ok(body) => body,
        Err(source) => return Err(DiscoveryError::Fetch { url, source }),
    };
    let metadata: Metadata = match json::object(&body) {
        Ok(metadata) => metadata,
        Err(source) => return Err(DiscoveryError::Malformed { url, source }),
    };
    if metadata.issuer != issuer {
        return Err(DiscoveryError::OtherIssuer {
            wanted: issuer.to_owned(),
            found: metadata.issuer.chars().take(SHOWN_CHARS_MAX).collect(),
        });
    }
    if metadata.jwks_uri.len() > URL_BYTES_MAX {
        return Err(DiscoveryError::LongUrl(issuer.to_owned()));
    }
    Ok(metadata.jwks_uri)
}

#[cfg(test)]
mod tests {
    use fixtures::serve::{Answer, Reply, Server, bind};
    use serde_json::{Value, json};

    use super::*;
    use crate::Guard;

    fn fetcher(allow_private_addresses: bool) -> Fetcher {
        let guard =
            Guard { allow_private_addresses, allow_plain_http: true, trust_anchors_pem: None };
        Fetcher::new(guard).unwrap()
    }

    /// What an issuer whose identifier ends in `tail` gives for its metadata; `ISSUER` stands for
    /// the identifier.
    async fn found(tail: &str, metadata: Value) -> Result<String, String> {
        let listener = bind(0).unwrap();
        let issuer = format!("http://{}{tail}", listener.local_addr().unwrap());
        let body = metadata.to_string().replace("ISSUER", &issuer);
        let server = Server::replying(listener, move |message| match message.path() {
            "/.well-known/openid-configuration" | "/a/.well-known/openid-configuration" => {
                Reply::Answer(Answer::text(200, "application/json", body.clone()))
            }
            _ => Reply::Close,
        });
        let found = key_set_url(&fetcher(true), &issuer).await;
        drop(server);
        found.map_err(|error| error.to_string().replace(&issuer, "ISSUER"))
    }

    #[tokio::test]
    async fn the_metadata_must_be_the_issuers_own() {
        let metadata = |issuer: &str| json!({"issuer": issuer, "jwks_uri": "https://a.test/jwks"});
        for tail in ["", "/", "/a", "/a/"] {
            let found = found(tail, metadata("ISSUER")).await;
            assert_eq!(found.as_deref(), Ok("https://a.test/jwks"), "{tail}");
        }
        for other in ["https://idp.evil.test", "ISSUER/", "issuer", ""] {
            let error = found("", metadata(other)).await.unwrap_err();
            assert_eq!(error, format!("the metadata names the issuer `{other}`, not `ISSUER`"));
        }
    }

    #[tokio::test]
    async fn metadata_has_its_members_and_their_types() {
        for metadata in [
            json!({"issuer": "ISSUER"}),
            json!({"issuer": "ISSUER", "jwks_uri": null}),
            json!({"issuer": "ISSUER", "jwks_uri": ["https://a.test/jwks"]}),
            json!({"jwks_uri": "https://a.test/jwks"}),
            json!(["ISSUER", "https://a.test/jwks"]),
            json!("ISSUER"),
        ] {
            let error = found("", metadata.clone()).await.unwrap_err();
            assert!(error.ends_with("is no provider metadata"), "{metadata}: {error}");
        }
        for (bytes, want) in [(URL_BYTES_MAX, true), (URL_BYTES_MAX + 1, false)] {
            let metadata = json!({"issuer": "ISSUER", "jwks_uri": "x".repeat(bytes)});
            assert_eq!(found("", metadata).await.is_ok(), want, "{bytes}");
        }
    }

    #[tokio::test]
    async fn the_guard_holds_for_the_key_set_that_metadata_names() {
        for url in ["http://10.0.0.1/jwks", "http://[::ffff:169.254.169.254]/", "http://127.1:1/"] {
            let named = found("", json!({"issuer": "ISSUER", "jwks_uri": url})).await.unwrap();
            let refused = fetcher(false).get(&named).await;
            let held = matches!(
                refused,
                Err(FetchError::PrivateAddress { .. } | FetchError::NobodysAddress { .. })
            );
            assert!(held, "{url}: {refused:?}");
        }
    }
}
