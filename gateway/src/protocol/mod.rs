//! Protocols of the front door. Each gives the canonical request or says why there is none, and
//! follows the body; none of them answers, decides or knows a route.

pub mod chunked;
pub mod forwarded;
pub mod frames;
pub mod h1;
pub mod h2;
pub mod proxy;
