//! The suites that look at the product from outside.

#[cfg(feature = "components")]
mod components;
mod layers;
