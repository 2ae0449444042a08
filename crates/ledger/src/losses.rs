//! Requests that could not be recorded, counted, so that a signed record can say how many as
//! soon as anything can be written.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why a request was not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The spool had no room.
    SpoolFull,
    /// It was not taken before the deadline, or before the caller went away.
    NotTaken,
    /// The log cannot be written.
    WriteFailed,
}

impl Reason {
    const ALL: [Self; 3] = [Self::SpoolFull, Self::NotTaken, Self::WriteFailed];

    /// The word that the loss record uses.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SpoolFull => "spool_full",
            Self::NotTaken => "not_taken",
            Self::WriteFailed => "write_failed",
        }
    }
}

/// How many, and when the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) count: u64,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
}

/// What no record stands for yet, by reason.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    spans: Mutex<[Option<Span>; Reason::ALL.len()]>,
}

impl Losses {
    fn lock(&self) -> MutexGuard<'_, [Option<Span>; Reason::ALL.len()]> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one.
    pub(crate) fn count(&self, reason: Reason, now_ms: i64) {
        self.add(reason, Span { count: 1, first_ms: now_ms, last_ms: now_ms });
    }

    /// Counts what `taken` gave and could not be written after all.
    pub(crate) fn add(&self, reason: Reason, more: Span) {
        if let Some(span) = self.lock().get_mut(reason as usize) {
            let sum = span.map_or(more, |span| Span {
                count: span.count + more.count,
                first_ms: span.first_ms.min(more.first_ms),
                last_ms: span.last_ms.max(more.last_ms),
            });
            *span = Some(sum);
        }
    }

    /// Takes what was counted for one reason, if anything was.
    pub(crate) fn take(&self) -> Option<(Reason, Span)> {
        let mut spans = self.lock();
        let mut all = Reason::ALL.into_iter().zip(spans.iter_mut());
        all.find_map(|(reason, span)| span.take().map(|span| (reason, span)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Losses, Reason, Span};

    #[test]
    fn losses_add_up_by_reason() {
        let losses = Losses::default();
        losses.count(Reason::NotTaken, 5);
        losses.count(Reason::SpoolFull, 7);
        losses.count(Reason::NotTaken, 3);
        assert_eq!(
            losses.take(),
            Some((Reason::SpoolFull, Span { count: 1, first_ms: 7, last_ms: 7 }))
        );
        let late = Span { count: 2, first_ms: 3, last_ms: 5 };
        assert_eq!(losses.take(), Some((Reason::NotTaken, late)));
        assert_eq!(losses.take(), None);
        losses.add(Reason::NotTaken, late);
        losses.count(Reason::NotTaken, 9);
        assert_eq!(
            losses.take(),
            Some((Reason::NotTaken, Span { count: 3, first_ms: 3, last_ms: 9 }))
        );
    }
}
