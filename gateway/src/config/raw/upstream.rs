//! The services behind the gateway.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{seconds, thirty_seconds};
use crate::config::units::{Endpoint, Time};

/// A service behind the gateway.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Upstream {
    /// Where it answers.
    #[schemars(length(min = 1, max = 256), extend("uniqueItems" = true))]
    pub(in crate::config) endpoints: Vec<Endpoint>,
    /// Time to look up the name and connect.
    #[serde(default = "three_seconds")]
    pub(in crate::config) connect_timeout: Time,
    /// Time from the request's last byte to the first byte of the answer.
    #[serde(default = "thirty_seconds")]
    pub(in crate::config) response_timeout: Time,
    /// The longest pause within a body, in either direction.
    #[serde(default = "one_minute")]
    pub(in crate::config) idle_timeout: Time,
    /// Idle connections that each worker keeps to one endpoint.
    #[serde(default = "pool")]
    #[schemars(range(min = 0, max = 10_000))]
    pub(in crate::config) pool_idle_max_per_worker: u32,
    /// Time an idle connection is kept. Less than the upstream keeps it.
    #[serde(default = "fifteen_seconds")]
    pub(in crate::config) pool_idle_timeout: Time,
    /// Failed connects in a row after which an endpoint is left out.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) eject_after: u32,
    /// Time it is then left out.
    #[serde(default = "five_seconds")]
    pub(in crate::config) eject_for: Time,
}

fn three_seconds() -> Time {
    seconds(3)
}

fn five_seconds() -> Time {
    seconds(5)
}

fn fifteen_seconds() -> Time {
    seconds(15)
}

fn one_minute() -> Time {
    seconds(60)
}

fn pool() -> u32 {
    64
}

fn five() -> u32 {
    5
}
