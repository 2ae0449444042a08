//! Numbers that are the same in every run (xorshift). Deliberately no dependency: what is found in
//! a run must be found again.

/// The generator.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// From a seed; none is 0.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self((seed ^ 0x9e37_79b9_7f4a_7c15).max(1));
        for _ in 0..8 {
            random.below(2);
        }
        random
    }

    /// A number below a limit; 0 if the limit is.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // the upper half is the better one
        usize::try_from(self.0 >> 32).unwrap_or(0) % limit.max(1)
    }

    #[allow(dead_code, reason = "a test uses the rest")]
    /// One of some; the default of none.
    pub(crate) fn one<T: Copy + Default>(&mut self, of: &[T]) -> T {
        of.get(self.below(of.len())).copied().unwrap_or_default()
    }

    /// Any byte.
    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or_default()
    }
}
