//! Numbers that are the same in every run of a seed (xorshift). Deliberately no dependency: what
//! is found in a run must be found again.

/// The generator.
pub(crate) struct Random(u64);

impl Random {
    /// From a seed; none is 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number below a limit, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // the upper half is the better one
        usize::try_from(self.0 >> 32).unwrap_or(usize::MAX) % limit.max(1)
    }
}
