//! Which byte values a text holds: one pass over it, then constant-time questions.

/// A set of byte values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ByteSet([u64; 4]);

impl ByteSet {
    /// Letters, digits and the underscore.
    pub(crate) const WORD: Self =
        Self::of(b"_").and(Self::UPPER).and_range(b'a', b'z').and_range(b'0', b'9');
    /// Upper case letters.
    pub(crate) const UPPER: Self = Self::of(b"").and_range(b'A', b'Z');
    /// Every byte.
    pub(crate) const ALL: Self = Self([u64::MAX; 4]);

    /// These bytes.
    pub(crate) const fn of(mut bytes: &[u8]) -> Self {
        let mut set = Self([0; 4]);
        while let [first, rest @ ..] = bytes {
            set = set.and_range(*first, *first);
            bytes = rest;
        }
        set
    }

    /// These, and those of `other`.
    pub(crate) const fn and(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a | e, b | f, c | g, d | h])
    }

    const fn and_range(self, first: u8, last: u8) -> Self {
        let [mut a, mut b, mut c, mut d] = self.0;
        let mut byte = first;
        loop {
            let bit = 1 << (byte & 63);
            match byte >> 6 {
                0 => a |= bit,
                1 => b |= bit,
                2 => c |= bit,
                _ => d |= bit,
            }
            if byte >= last {
                break;
            }
            byte += 1;
        }
        Self([a, b, c, d])
    }

    /// The bytes that occur in `text`.
    pub(crate) fn seen(text: &[u8]) -> Self {
        let mut occurs = [false; 256];
        for byte in text {
            if let Some(slot) = occurs.get_mut(usize::from(*byte)) {
                *slot = true;
            }
        }
        let mut set = [0_u64; 4];
        for (word, slots) in set.iter_mut().zip(occurs.chunks_exact(64)) {
            *word = slots.iter().rev().fold(0, |word, slot| word << 1 | u64::from(*slot));
        }
        Self(set)
    }

    /// A byte is in both.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.0.iter().zip(other.0).any(|(mine, theirs)| mine & theirs != 0)
    }

    /// No byte is outside `other`.
    pub(crate) fn within(self, other: Self) -> bool {
        self.0.iter().zip(other.0).all(|(mine, theirs)| mine & !theirs == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_in_its_own_set_and_in_no_other() {
        for a in 0..=255_u8 {
            assert_eq!(ByteSet::seen(&[a]), ByteSet::of(&[a]));
            assert!(ByteSet::of(&[a]).within(ByteSet::ALL));
            assert_eq!(
                ByteSet::of(&[a]).within(ByteSet::WORD),
                a == b'_' || a.is_ascii_alphanumeric()
            );
            for b in 0..=255_u8 {
                assert_eq!(ByteSet::of(&[a]).meets(ByteSet::of(&[b])), a == b, "{a} {b}");
            }
        }
        assert!(
            ByteSet::seen(b"").within(ByteSet::of(b"")) && !ByteSet::seen(b"").meets(ByteSet::ALL)
        );
    }
}
