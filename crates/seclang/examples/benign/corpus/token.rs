//! Tokens of made up people, signed by nobody.

use base64::{Engine as _, engine::general_purpose};
use serde_json::json;

use crate::random::Random;

/// A JSON Web Token that an identity provider might have issued.
pub(super) fn jwt(nth: usize, random: &mut Random) -> String {
    let alg = random.one(&["RS256", "ES256", "EdDSA", "HS256"]);
    let head = json!({"alg": alg, "typ": "JWT", "kid": format!("key-{}", random.below(1_000))});
    let issued = 1_731_420_000 + random.below(1_000_000);
    let mut claims = json!({
        "iss": random.one(&["https://login.example.com/", "https://accounts.example.org/realms/main"]),
        "sub": format!("auth0|{:024x}", random.below(usize::MAX)),
        "aud": ["https://api.example.com/", "web"],
        "iat": issued,
        "exp": issued + 3_600,
        "scope": "openid profile email offline_access",
    });
    if nth.is_multiple_of(2)
        && let Some(claims) = claims.as_object_mut()
    {
        let name =
            random.one(&["Sinéad O'Brien", "王小明", "Jürgen Müller", "Robert \"Bob\" D'Angelo"]);
        claims.insert("name".to_owned(), json!(name));
        claims.insert("roles".to_owned(), json!(["reader", "editor", "Group/R&D"]));
    }
    let size = if alg == "RS256" { 256 } else { 64 };
    let signature: Vec<u8> = (0..size).map(|_| random.byte()).collect();
    let [head, claims] = [head, claims].map(|part| url_safe(part.to_string().as_bytes()));
    format!("{head}.{claims}.{}", url_safe(&signature))
}

pub(super) fn url_safe(bytes: &[u8]) -> String {
    general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn base64(bytes: &[u8]) -> String {
    general_purpose::STANDARD.encode(bytes)
}
