//! OpenID Connect for the gateway: discovery, key sets and bearer tokens of several issuers.
//!
//! [`Issuers::identify`] turns the credential of a request into an [`Identity`]. A credential that
//! does not hold is a *fact* about the request, for a guardrail to refuse; it never makes the
//! request look as if none had been sent. Key sets are fetched by [`Issuers::run`] in the
//! background: nothing here makes the start wait, and a set that is bad never replaces a good one.
//!
//! It does not decide, keep sessions or log people in.

mod bearer;
mod cache;
mod claims;
mod config;
mod crypto;
mod discovery;
mod fetch;
mod issuer;
mod issuers;
mod json;
mod jws;
mod keys;

pub use bearer::{Problem, TOKEN_BYTES_MAX};
pub use config::{Algorithm, ClaimMap, ConfigError, IssuerConfig};
pub use fetch::{FetchError, Guard};
pub use issuers::{IssuerStatus, Issuers};
pub use signals::Identity;
