//! Floods of like refusals: the first of each source are recorded one by one, the rest counted.
//!
//! A request that is refused without effort costs its sender nothing and the spool some
//! kilobytes. So in each window a source has a budget of records for each [`Kind`] of refusal,
//! and all sources together have one; what is refused beyond it is counted by source and reason,
//! and [`drain`](Flood::drain) hands the counts out, some times a second, for one signed event a
//! source. Whoever is counted is [told](Flood::recorded) no sooner than that event is recorded, so
//! that no answer is without its count: requests = decisions + what aggregates count. What a source
//! is told does not change, but that there is no decision whose id it could be given.
//!
//! What policy permits, blocks or forbids is never counted here, always recorded. This module
//! reads no clock: whoever calls it ends windows.

mod flush;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ledger::event::{Aggregate, limit::REASONS_MAX};
use signals::Unreadable;
use tokio::sync::watch;
use verdict::Class;

pub(crate) use flush::Flushing;

/// Sources that are told apart in one window. The refusals of more are counted as those of
/// [`Source::REST`].
pub const SOURCES_MAX: usize = 4096;

/// Sources that have an aggregate of their own each time: those with the most refusals. The others
/// are counted together, or sources would be a flood of aggregates.
pub const NAMED_MAX: usize = 64;

/// How many refusals are recorded one by one in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of one source and one kind.
    pub per_source: u32,
    /// Of all sources and kinds.
    pub in_all: u32,
}

/// Refusals that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request could not be read.
    Unreadable,
    /// No route has it.
    Unrouted,
    /// There was no good credential.
    Unauthenticated,
    /// There were too many.
    Throttled,
    /// The protocol refused it on its connection, before there was a request.
    Connection,
}

const KINDS: usize = 5;

/// Why a request was refused that may be counted instead of recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Why {
    kind: Kind,
    /// The word that its event would have.
    reason: &'static str,
}

impl Why {
    /// No route has the host and path.
    pub const NOT_FOUND: Self = Self { kind: Kind::Unrouted, reason: "not_found" };

    /// The route does not have the method.
    pub const METHOD_NOT_ALLOWED: Self =
        Self { kind: Kind::Unrouted, reason: "method_not_allowed" };

    /// A page of that origin may not send such a request.
    pub const PREFLIGHT_REFUSED: Self = Self { kind: Kind::Unrouted, reason: "preflight_refused" };

    /// The request could not be read.
    pub fn unreadable(unreadable: Unreadable) -> Self {
        Self { kind: Kind::Unreadable, reason: unreadable.code() }
    }

    /// Policy refused; `None` if that is always recorded.
    pub fn refused(class: Class) -> Option<Self> {
        let kind = match class {
            Class::Unauthenticated => Kind::Unauthenticated,
            Class::Throttled => Kind::Throttled,
            Class::Unavailable | Class::Blocked | Class::StepUp | Class::Forbidden => return None,
        };
        Some(Self { kind, reason: class.as_str() })
    }
}

/// Refusals that somebody else has counted: a connection, when it is over.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    /// Where they came from.
    pub ip: IpAddr,
    /// When the first may have come, Unix milliseconds.
    pub from_ms: i64,
    /// When the last may have come, Unix milliseconds.
    pub to_ms: i64,
    /// How many by reason.
    pub counts: &'a [(&'static str, u64)],
}

impl Counted<'_> {
    /// The same, to be [restored](Flood::restore) if no event could be made of it.
    pub fn folded(&self) -> Folded {
        let Self { ip, from_ms, to_ms, counts } = *self;
        Folded { source: Source::of(ip), from_ms, to_ms, counts: counts.to_vec() }
    }
}

/// What is to be done with a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// It is to be recorded as any other.
    Record,
    /// It is counted, and [recorded](Flood::recorded) with this batch.
    Fold(Batch),
}

/// What is counted between two [drains](Flood::drain).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Batch(u64);

/// The counts of a batch are not in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uncounted;

/// Where refusals come from: an IPv4 address, or a /64, which is what one IPv6 client is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// The address, or the network's first.
    pub ip: IpAddr,
    /// The length of the network's prefix.
    pub prefix_bits: u8,
}

impl Source {
    /// All that are not told apart: `::/0`.
    pub const REST: Self = Self { ip: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix_bits: 0 };

    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V6(v6) => {
                let network = v6.to_bits() & !u128::from(u64::MAX);
                Self { ip: Ipv6Addr::from_bits(network).into(), prefix_bits: 64 }
            }
            v4 @ IpAddr::V4(_) => Self { ip: v4, prefix_bits: 32 },
        }
    }
}

/// Refusals of one source that were counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// Where they came from.
    pub source: Source,
    /// When the first was counted, Unix milliseconds.
    pub from_ms: i64,
    /// When the last was counted, Unix milliseconds.
    pub to_ms: i64,
    /// How many by reason, by the reasons' names; at most [`REASONS_MAX`] reasons.
    pub counts: Vec<(&'static str, u64)>,
}

impl Folded {
    /// How many in all.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// The event that stands for them.
    pub fn aggregate(&self) -> Aggregate<'_> {
        Aggregate {
            start_ms: self.from_ms,
            end_ms: self.to_ms,
            source: self.source.ip,
            prefix_bits: self.source.prefix_bits,
            scope: "folded",
            counts: &self.counts,
        }
    }
}

/// The refusals of the present window. All workers share it.
#[derive(Debug)]
pub struct Flood {
    limits: Limits,
    window: Mutex<Window>,
    /// The batch that was recorded last, or could not be; none at first.
    told: watch::Sender<Option<(Batch, Result<(), Uncounted>)>>,
}

#[derive(Debug, Default)]
struct Window {
    batch: Batch,
    recorded: u32,
    sources: HashMap<Source, Tally>,
    rest: Option<Counts>,
}

#[derive(Debug, Default)]
struct Tally {
    recorded: [u32; KINDS],
    folded: Option<Counts>,
}

#[derive(Debug)]
struct Counts {
    from_ms: i64,
    to_ms: i64,
    by_reason: Vec<(&'static str, u64)>,
}

impl Flood {
    /// A first window.
    pub fn new(limits: Limits) -> Self {
        Self { limits, window: Mutex::default(), told: watch::Sender::new(None) }
    }

    /// Counts a refusal, unless it is to be recorded.
    pub fn admit(&self, ip: IpAddr, why: Why, now_ms: i64) -> Admit {
        let once = [(why.reason, 1)];
        self.admit_counts(why.kind, Counted { ip, from_ms: now_ms, to_ms: now_ms, counts: &once })
    }

    /// Adds what a connection counted, unless it is to have an event of its own.
    pub fn admit_connection(&self, counted: Counted<'_>) -> Admit {
        self.admit_counts(Kind::Connection, counted)
    }

    fn admit_counts(&self, kind: Kind, counted: Counted<'_>) -> Admit {
        let mut window = self.lock();
        let source = Source::of(counted.ip);
        if window.records(source, kind, self.limits) {
            return Admit::Record;
        }
        window.count(source, counted.from_ms, counted.to_ms, counted.counts);
        Admit::Fold(window.batch)
    }

    /// Waits until what was counted in this batch is in the record.
    ///
    /// # Errors
    /// It could not be recorded. It is counted still, and tried again.
    pub async fn recorded(&self, batch: Batch) -> Result<(), Uncounted> {
        let mut told = self.told.subscribe();
        let ended = told.wait_for(|told| told.is_some_and(|(last, _)| last >= batch)).await;
        ended.map_or(Err(Uncounted), |told| told.map_or(Err(Uncounted), |(_, ended)| ended))
    }

    /// Ends a batch, and takes what was counted in it: at most [`NAMED_MAX`] sources, those with the
    /// most refusals first, and [`Source::REST`] last. What came of it is to be
    /// [told](Self::tell).
    pub fn drain(&self) -> (Batch, Vec<Folded>) {
        let mut window = self.lock();
        let batch = window.batch;
        window.batch = Batch(batch.0.saturating_add(1));
        (batch, window.take())
    }

    /// Tells those who wait for a batch what came of it.
    pub fn tell(&self, batch: Batch, ended: Result<(), Uncounted>) {
        self.told.send_replace(Some((batch, ended)));
    }

    /// Nothing is recorded any more, whatever is counted.
    pub fn close(&self) {
        self.tell(Batch(u64::MAX), Err(Uncounted));
    }

    /// Ends the window: sources have their budgets again. What is counted stays.
    pub fn renew(&self) {
        let mut window = self.lock();
        window.recorded = 0;
        window.sources.retain(|_, tally| {
            tally.recorded = [0; KINDS];
            tally.folded.is_some()
        });
    }

    /// Counts again, in the present batch, what could not be recorded.
    pub fn restore(&self, folded: &Folded) {
        let Folded { source, from_ms, to_ms, counts } = folded;
        self.lock().count(*source, *from_ms, *to_ms, counts);
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        // Nothing in here can panic between two changes that belong together.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// One more of this source is to be recorded.
    fn records(&mut self, source: Source, kind: Kind, limits: Limits) -> bool {
        if !self.has_room_for(source) {
            return false;
        }
        let tally = self.sources.entry(source).or_default();
        #[expect(clippy::indexing_slicing, reason = "there is a place for each kind")]
        let of_kind = &mut tally.recorded[kind as usize];
        let records = *of_kind < limits.per_source && self.recorded < limits.in_all;
        if records {
            *of_kind += 1;
            self.recorded += 1;
        }
        records
    }

    fn has_room_for(&self, source: Source) -> bool {
        self.sources.len() < SOURCES_MAX || self.sources.contains_key(&source)
    }

    fn count(&mut self, source: Source, from_ms: i64, to_ms: i64, more: &[(&'static str, u64)]) {
        let to = if source != Source::REST && self.has_room_for(source) {
            &mut self.sources.entry(source).or_default().folded
        } else {
            &mut self.rest
        };
        Counts::add(to, from_ms, to_ms, more);
    }

    /// Takes what is counted of each source, of at most [`NAMED_MAX`] by itself.
    fn take(&mut self) -> Vec<Folded> {
        let mut rest = self.rest.take();
        let counted = self.sources.iter_mut().filter_map(|(source, tally)| {
            let counts = tally.folded.take()?;
            Some((counts.sum(), *source, counts))
        });
        let mut named: Vec<(u64, Source, Counts)> = counted.collect();
        named.sort_unstable_by(|(a, at, _), (b, bt, _)| b.cmp(a).then(at.cmp(bt)));
        for (_, _, counts) in named.split_off(named.len().min(NAMED_MAX)) {
            Counts::add(&mut rest, counts.from_ms, counts.to_ms, &counts.by_reason);
        }
        let named = named.into_iter().map(|(_, source, counts)| (source, counts));
        let rest = rest.map(|counts| (Source::REST, counts));
        named.chain(rest).flat_map(|(source, counts)| counts.folded(source)).collect()
    }
}

impl Counts {
    fn add(to: &mut Option<Self>, from_ms: i64, to_ms: i64, more: &[(&'static str, u64)]) {
        let counts = to.get_or_insert_with(|| Self { from_ms, to_ms, by_reason: Vec::new() });
        counts.from_ms = counts.from_ms.min(from_ms);
        counts.to_ms = counts.to_ms.max(to_ms);
        for (reason, count) in more {
            match counts.by_reason.iter_mut().find(|(known, _)| known == reason) {
                Some((_, sum)) => *sum += count,
                None => counts.by_reason.push((reason, *count)),
            }
        }
    }

    fn sum(&self) -> u64 {
        self.by_reason.iter().map(|(_, count)| count).sum()
    }

    /// As many aggregates as hold all reasons; one, as long as there are not more than
    /// [`REASONS_MAX`].
    fn folded(self, source: Source) -> impl Iterator<Item = Folded> {
        let Self { from_ms, to_ms, mut by_reason } = self;
        by_reason.sort_unstable();
        let parts: Vec<_> = by_reason.chunks(REASONS_MAX).map(<[_]>::to_vec).collect();
        parts.into_iter().map(move |counts| Folded { source, from_ms, to_ms, counts })
    }
}

#[cfg(test)]
mod tests;
