//! How much work it is to look at a request, so that a worker looks at what is little itself.
//!
//! Work is counted in bytes that the rules read, and estimated from sizes: never from time, so
//! that it is the same for the same request.

use seclang::Limits;

use super::{Inspect, Observed, Rules, limits};
use crate::{Checks, Conn, Health, Request, Waf};

/// What a worker does itself: bytes that rules read in about 2 ms, 4 ns each.
const INLINE_WORK_BYTES_MAX: u64 = 512 << 10;

/// Of the rules of a set, one in so many reads a byte of ordinary text.
const RULES_PER_READ: u64 = 16;

/// A content coding says in one byte as much as so many.
const CODED_RATIO: u64 = 8;

impl Rules {
    /// Looks at what is no more work than a worker should do; `None` if there is more. That is as
    /// sizes tell, or shows on the way: then what was seen so far is nothing.
    pub fn observe_inline(
        &self,
        checks: &Checks,
        request: &Request,
        conn: &Conn,
    ) -> Option<Observed> {
        self.observe_within(checks, request, conn, INLINE_WORK_BYTES_MAX)
    }

    pub(super) fn observe_within(
        &self,
        checks: &Checks,
        request: &Request,
        conn: &Conn,
        work_bytes_max: u64,
    ) -> Option<Observed> {
        if self.estimate(checks, request) > work_bytes_max {
            return None;
        }
        let limits = Limits { work_bytes_max, ..limits() };
        let (observed, work_bytes) = self.look(checks, request, conn, &limits);
        (work_bytes <= work_bytes_max).then_some(observed)
    }

    /// The fact where nobody could look: why, in one word.
    pub fn unavailable(&self, checks: &Checks, problem: &str) -> Waf {
        let view = self.views.get(checks.view);
        Waf {
            health: Health::Unavailable,
            problem: problem.to_owned(),
            mode: view.map(|view| view.mode).unwrap_or_default(),
            threshold: view.and_then(|view| view.threshold).unwrap_or(self.threshold),
            ..Waf::default()
        }
    }

    /// Bytes that the rules will read, of ordinary text as long as what they look at.
    pub(super) fn estimate(&self, checks: &Checks, request: &Request) -> u64 {
        let body = match checks.waf {
            Inspect::Nothing => return 0,
            Inspect::Head => 0,
            Inspect::Body => request.inspected.bytes.len() as u64,
        };
        let coded = request.headers.get("content-encoding").is_some();
        let body = if coded { body.saturating_mul(CODED_RATIO) } else { body };
        let head = request.headers.iter().map(|header| header.value.len() as u64).sum::<u64>();
        let query = request.query.as_ref().map_or(0, |query| query.as_str().len() as u64);
        let rules = self.set.len() as u64;
        (body + head + query).saturating_mul(rules.div_ceil(RULES_PER_READ))
    }
}
