//! Policies that are to be enforced one day: a whole directory, asked about a share of the
//! decisions, after each is recorded. What it would have answered is in the completion.
//!
//! It changes nothing: no answer, no status, no field, and no load of the policies that are
//! enforced. If it is wrong it is left out, and that is told; `portcullis check` tells it too.

mod trials;

use std::sync::Arc;

use ledger::event::CandidateDigests;
use ring::digest::{SHA256, digest};
use uuid::Uuid;

use crate::config::{Config, Problem};
use crate::snapshot::{PolicySet, of_candidate};

pub(crate) use trials::Trials;

/// A whole, in the parts that a [`Share`] counts.
const MILLION: u32 = 1_000_000;

/// A share of decisions, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// So many of a million; at most all.
    pub fn of_million(millionths: u32) -> Self {
        Self(millionths.min(MILLION))
    }

    /// Whether a decision is of the share. The first eight bytes of the SHA-256 of its id's
    /// sixteen, as a big-endian fraction of 2^64, are below the share: anybody can say which
    /// decisions these are, and of a larger share they are all part.
    pub fn has(self, decision: Uuid) -> bool {
        let digest = digest(&SHA256, decision.as_bytes());
        let first = digest.as_ref().first_chunk().copied().map_or(u64::MAX, u64::from_be_bytes);
        u128::from(first) * u128::from(MILLION) < u128::from(self.0) << 64
    }
}

/// The candidate of a configuration.
#[derive(Debug)]
pub enum Candidate {
    /// There is to be none.
    Absent,
    /// It is asked.
    Loaded(Arc<Loaded>),
    /// It is left out, for these problems.
    Broken(Vec<Problem>),
}

/// A candidate that is asked.
#[derive(Debug)]
pub struct Loaded {
    set: Arc<PolicySet>,
    digests: Arc<CandidateDigests>,
    share: Share,
}

impl Candidate {
    /// Loads what the configuration names, as the policies that are enforced are loaded: what is
    /// the same as `before` is not read again.
    pub fn load(config: &Config, before: Option<&Self>) -> Self {
        let Some(candidate) = &config.policies.candidate else { return Self::Absent };
        let before = match before {
            Some(Self::Loaded(loaded)) => Some(&loaded.set),
            Some(Self::Absent | Self::Broken(_)) | None => None,
        };
        match of_candidate(&candidate.directory, config, before) {
            Ok(set) => Self::Loaded(Arc::new(Loaded::new(set, candidate.share))),
            Err(mut problems) => {
                for problem in &mut problems {
                    problem.message = format!("the candidate: {}", problem.message);
                }
                Self::Broken(problems)
            }
        }
    }

    /// Its digests, if it is asked.
    pub fn digests(&self) -> Option<&CandidateDigests> {
        match self {
            Self::Loaded(loaded) => Some(&loaded.digests),
            Self::Absent | Self::Broken(_) => None,
        }
    }

    /// Why it is left out.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Broken(problems) => problems,
            Self::Absent | Self::Loaded(_) => &[],
        }
    }

    /// Tells the operator how it is.
    pub(crate) fn log(&self) {
        match self {
            Self::Absent => {}
            Self::Loaded(loaded) => {
                tracing::info!(policies = loaded.digests.policies, "a candidate is asked too");
            }
            Self::Broken(problems) => {
                for problem in problems {
                    tracing::error!(%problem, "the candidate is left out");
                }
            }
        }
    }
}

impl Loaded {
    fn new(set: Arc<PolicySet>, share: Share) -> Self {
        let verdict::Digests { policies, schema, entities } = set.policies.digests().clone();
        let digests = CandidateDigests { policies, schema, entities };
        Self { set, digests: Arc::new(digests), share }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(0x019a_a2b0_7d1c_7c3e_9a41_0000_0000_0000 + n)
    }

    /// Ids that follow one another differ in their last bits alone: the share is even all the same.
    #[test]
    fn a_share_is_even_and_the_same_each_time() {
        let check = |millionths: u32, want: std::ops::RangeInclusive<usize>| {
            let share = Share::of_million(millionths);
            let has = || (0..10_000).filter(|n| share.has(id(*n))).count();
            assert!(want.contains(&has()), "{millionths}: {}", has());
            assert_eq!(has(), has());
        };
        check(0, 0..=0);
        check(5_000, 25..=75);
        check(100_000, 900..=1100);
        check(500_000, 4800..=5200);
        check(1_000_000, 10_000..=10_000);
        check(u32::MAX, 10_000..=10_000);
    }

    #[test]
    fn a_larger_share_has_all_of_a_smaller_one() {
        let (small, large) = (Share::of_million(10_000), Share::of_million(200_000));
        assert!((0..10_000).filter(|n| small.has(id(*n))).all(|n| large.has(id(n))));
    }

    #[test]
    fn which_decisions_are_of_a_share_never_changes() {
        let share = Share::of_million(100_000);
        let has: Vec<u128> = (0..64).filter(|n| share.has(id(*n))).collect();
        assert_eq!(has, [0, 9, 25, 36, 43, 51]);
    }
}
