//! Up to which time everything that was written has been taken in. What is missing is overdue by
//! that time only, not by the clock: a sink that is behind, or that had no broker, must not call
//! a log silent whose events lie in Kafka or wait to get there.

use std::collections::BTreeMap;

/// Milliseconds that brokers must have answered before the clock counts: those who write were cut
/// off too, and need a while to deliver what they hold.
pub(super) const GRACE_MS: i64 = 30_000;

/// How far a partition was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The next offset.
    pub(super) next: i64,
    /// When the last message was written, as Kafka says.
    newest_ms: Option<i64>,
}

impl Place {
    pub(super) fn at(next: i64) -> Self {
        Self { next, newest_ms: None }
    }

    /// A message was taken in.
    pub(super) fn reach(&mut self, offset: i64, written_ms: Option<i64>) {
        self.next = offset + 1;
        self.newest_ms = written_ms.or(self.newest_ms);
    }
}

/// Since when the brokers have answered.
#[derive(Debug, Default)]
pub(super) struct Progress {
    answering_since_ms: Option<i64>,
}

impl Progress {
    /// A broker did not answer.
    pub(super) fn unreachable(&mut self) {
        self.answering_since_ms = None;
    }

    /// The time up to which all messages have been taken in: the least of the partitions', as a
    /// log is in one of them and its successor in another. `ends` are the partitions' ends, asked
    /// for after `now_ms` was read. `None` if nothing can be said.
    pub(super) fn until_ms(
        &mut self,
        now_ms: i64,
        places: &BTreeMap<i32, Place>,
        ends: &BTreeMap<i32, i64>,
    ) -> Option<i64> {
        let since_ms = *self.answering_since_ms.get_or_insert(now_ms);
        let clock_counts = now_ms - since_ms >= GRACE_MS;
        let of = |(number, place): (&i32, &Place)| {
            let at_end = ends.get(number).is_some_and(|end| place.next >= *end);
            match place.newest_ms {
                _ if at_end && clock_counts => Some(now_ms),
                // Kafka's time may be the writer's, and wrong.
                newest_ms => newest_ms.map(|newest_ms| newest_ms.min(now_ms)),
            }
        };
        places.iter().map(of).min().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_000_000;

    /// `places`: next offset, end, and time of the last message, partition by partition.
    fn check(answering_ms: i64, places: &[(i64, i64, Option<i64>)], want: Option<i64>) {
        let mut progress = Progress { answering_since_ms: Some(NOW_MS - answering_ms) };
        let numbered = || (0..).zip(places);
        let ends = numbered().map(|(number, (_, end, _))| (number, *end)).collect();
        let places = numbered().map(|(number, (next, _, newest_ms))| {
            let mut place = Place::at(*next);
            if let Some(newest_ms) = newest_ms {
                place.reach(next - 1, Some(*newest_ms));
            }
            (number, place)
        });
        assert_eq!(progress.until_ms(NOW_MS, &places.collect(), &ends), want);
    }

    #[test]
    fn the_clock_counts_at_the_end_of_every_partition() {
        check(GRACE_MS, &[(5, 5, Some(70)), (0, 0, None)], Some(NOW_MS));
        check(GRACE_MS, &[(5, 6, Some(70)), (0, 0, None)], Some(70));
        check(GRACE_MS, &[(5, 6, Some(70)), (3, 9, Some(60))], Some(60));
        check(GRACE_MS, &[(5, 5, Some(70)), (3, 9, None)], None);
        check(GRACE_MS, &[(4, 5, Some(NOW_MS + 9))], Some(NOW_MS));
        check(GRACE_MS, &[], None);
    }

    #[test]
    fn after_an_outage_the_messages_count_for_a_while() {
        check(GRACE_MS - 1, &[(5, 5, Some(70)), (7, 7, Some(80))], Some(70));
        check(GRACE_MS - 1, &[(5, 5, Some(70)), (0, 0, None)], None);
        let mut progress = Progress { answering_since_ms: Some(0) };
        progress.unreachable();
        let (places, ends) = ([(0, Place::at(5))].into(), [(0, 5)].into());
        assert_eq!(progress.until_ms(NOW_MS, &places, &ends), None);
        let later_ms = NOW_MS + GRACE_MS;
        assert_eq!(progress.until_ms(later_ms, &places, &ends), Some(later_ms));
    }
}
