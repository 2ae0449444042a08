//! Which byte values a text holds: one pass over it, then constant-time questions.

/// A set of byte values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// Texts of fewer bytes are read bit by bit: the table for longer ones takes longer to make.
    const SHORT: usize = 64;
    /// Upper case letters.
    pub const UPPER: Self = Self::range(b'A', b'Z');
    /// Lower case letters.
    pub const LOWER: Self = Self::range(b'a', b'z');
    /// Letters and digits.
    pub const ALNUM: Self = Self::UPPER.and(Self::LOWER).and_range(b'0', b'9');
    /// Letters, digits and the underscore.
    pub const WORD: Self = Self::of(b"_").and(Self::ALNUM);
    /// Every byte.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// These bytes.
    pub const fn of(mut bytes: &[u8]) -> Self {
        let mut set = Self([0; 4]);
        while let [first, rest @ ..] = bytes {
            set = set.and_range(*first, *first);
            bytes = rest;
        }
        set
    }

    /// These, and those of `other`.
    pub const fn and(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a | e, b | f, c | g, d | h])
    }

    /// The bytes from one to another, with both; none if the second is the smaller.
    pub const fn range(first: u8, last: u8) -> Self {
        Self([0; 4]).and_range(first, last)
    }

    /// The bytes that are not in it.
    pub const fn not(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([!a, !b, !c, !d])
    }

    /// The byte is in it.
    pub const fn has(self, byte: u8) -> bool {
        let [a, b, c, d] = self.0;
        let word = match byte >> 6 {
            0 => a,
            1 => b,
            2 => c,
            _ => d,
        };
        word >> (byte & 63) & 1 == 1
    }

    const fn and_range(self, first: u8, last: u8) -> Self {
        let [mut a, mut b, mut c, mut d] = self.0;
        let mut byte = first;
        while byte <= last {
            let bit = 1 << (byte & 63);
            match byte >> 6 {
                0 => a |= bit,
                1 => b |= bit,
                2 => c |= bit,
                _ => d |= bit,
            }
            if byte == u8::MAX {
                break;
            }
            byte += 1;
        }
        Self([a, b, c, d])
    }

    /// The bytes that occur in `text`.
    pub fn seen(text: &[u8]) -> Self {
        if text.len() < Self::SHORT {
            let mut set = [0_u64; 4];
            for byte in text {
                if let Some(word) = set.get_mut(usize::from(byte >> 6)) {
                    *word |= 1 << (byte & 63);
                }
            }
            return Self(set);
        }
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

    /// The bytes that are in it, in order.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        let words = (0_u8..).zip(self.0);
        words.flat_map(|(nth, word)| {
            let after = |bits: &u64| Some(bits & (bits - 1)).filter(|bits| *bits != 0);
            let bits = std::iter::successors(Some(word).filter(|bits| *bits != 0), after);
            bits.map(move |bits| nth * 64 + u8::try_from(bits.trailing_zeros()).unwrap_or(0))
        })
    }

    /// A byte is in both.
    pub fn meets(self, other: Self) -> bool {
        self.0.iter().zip(other.0).any(|(mine, theirs)| mine & theirs != 0)
    }

    /// No byte is outside `other`.
    pub fn within(self, other: Self) -> bool {
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
            assert_eq!(ByteSet::seen(&[a; ByteSet::SHORT]), ByteSet::of(&[a]));
            assert_eq!(ByteSet::of(&[a, 70]).bytes().count(), 1 + usize::from(a != 70));
            assert!(ByteSet::of(&[a]).bytes().eq([a]));
            assert!(ByteSet::of(&[a]).within(ByteSet::ALL));
            assert!(!ByteSet::of(&[a]).not().has(a));
            assert_eq!(
                ByteSet::of(&[a]).within(ByteSet::WORD),
                a == b'_' || a.is_ascii_alphanumeric()
            );
            for b in 0..=255_u8 {
                assert_eq!(ByteSet::of(&[a]).meets(ByteSet::of(&[b])), a == b, "{a} {b}");
                assert_eq!(ByteSet::of(&[a]).has(b), a == b, "{a} {b}");
                assert_eq!(ByteSet::range(a, b).has(a), a <= b, "{a} {b}");
            }
        }
        assert!(
            ByteSet::seen(b"").within(ByteSet::of(b"")) && !ByteSet::seen(b"").meets(ByteSet::ALL)
        );
    }
}
