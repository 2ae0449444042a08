//! The suites are in `main.rs`: one crate, one test binary. What they share lives in `fixtures`.
