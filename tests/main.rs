//! The suites that look at the product from outside.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a suite is a test throughout, its helpers too"
)]

mod attacks;
mod closed;
#[cfg(feature = "components")]
mod components;
mod docs;
mod e2e;
mod faults;
mod flood;
#[cfg(feature = "components")]
mod ftw;
mod issuers;
mod layers;
mod limits;
mod load;
#[cfg(feature = "components")]
mod prove;
#[cfg(feature = "components")]
mod trail;
