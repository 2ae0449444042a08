//! What is asked of both: every value that the CRS's tests send, and mutations of them.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result};
use ftw::wire;

use crate::random::Random;

/// What a mutation puts in: what SQL, HTML and their readers make something of.
const PIECES: [&[u8]; 44] = [
    b"'",
    b"\"",
    b"`",
    b"\\",
    b"--",
    b"#",
    b"/*",
    b"*/",
    b"/*!",
    b";",
    b"(",
    b")",
    b",",
    b"=",
    b"<",
    b">",
    b"/",
    b"!",
    b"@",
    b"@@",
    b"$",
    b"$$",
    b"{",
    b"}",
    b"[",
    b"]",
    b"|",
    b"||",
    b"&",
    b"%",
    b"0x",
    b"1e",
    b".",
    b" ",
    b"\t",
    b"\n",
    b"\0",
    b"\x0b",
    b"\xa0",
    b"\xff",
    b" union select ",
    b" or ",
    b"<a href=",
    b" onload=",
];
/// No value is longer.
const BYTES_MAX: usize = 512;

/// So many different values, the same for the same seed.
pub(crate) fn all(tests: &Path, count: usize, seed: u64) -> Result<Vec<Vec<u8>>> {
    let sent: Vec<Vec<u8>> = sent(tests)?.into_iter().collect();
    let mut random = Random::new(seed);
    let mut all: BTreeSet<Vec<u8>> = sent.iter().take(count).cloned().collect();
    // plain words are asked of both once; what has a mark of SQL or HTML is worth changing
    let marked: Vec<Vec<u8>> =
        sent.into_iter().filter(|value| value.iter().any(|byte| b"'\"<(".contains(byte))).collect();
    while all.len() < count {
        all.insert(mutate(&marked, &mut random));
    }
    all.remove(&b""[..]);
    Ok(all.into_iter().collect())
}

/// The values of every test's request: as they are sent, and decoded.
fn sent(tests: &Path) -> Result<BTreeSet<Vec<u8>>> {
    let mut values = BTreeSet::new();
    for stage in ftw::read(tests)? {
        let request = wire::read(&wire::raw(&stage.input)).context("a head without end")?;
        let headers = request.headers.into_iter().map(|(_, value)| value);
        for whole in headers.chain([request.target, request.body]) {
            for part in whole.split(|byte| b"?&=;".contains(byte)).chain([&whole[..]]) {
                values.insert(decode(part));
                values.insert(part.to_vec());
            }
        }
    }
    Ok(values.into_iter().filter(|value| (1..=BYTES_MAX).contains(&value.len())).collect())
}

fn decode(text: &[u8]) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text);
    while let [first, after @ ..] = rest {
        let hex = |bytes: &[u8]| u8::from_str_radix(std::str::from_utf8(bytes).ok()?, 16).ok();
        let escaped = if *first == b'%' { after.get(..2).and_then(hex) } else { None };
        decoded.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    decoded
}

/// One to four changes of a value: bytes put in, taken out, said twice, in another case, or another
/// value's end.
fn mutate(sent: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut value = any(sent, random);
    for _ in 0..=random.below(4) {
        let at = random.below(value.len() + 1);
        let to = (at + random.below(8)).min(value.len());
        match random.below(7) {
            0 | 1 => {
                let piece = any(&PIECES, random);
                value.splice(at..at, piece.iter().copied());
            }
            2 => drop(value.drain(at..to)),
            3 => {
                let again: Vec<u8> = value.drain(at..to).collect();
                value.splice(at..at, again.repeat(2));
            }
            4 => value.iter_mut().skip(at).take(to - at).for_each(|byte| {
                *byte ^= if byte.is_ascii_alphabetic() { 0x20 } else { 0 };
            }),
            5 => {
                let byte = u8::try_from(random.below(256)).unwrap_or_default();
                value.splice(at..at, [byte]);
            }
            _ => {
                let other = any(sent, random);
                let from = random.below(other.len() + 1);
                value.splice(at.., other.into_iter().skip(from));
            }
        }
    }
    value.truncate(BYTES_MAX);
    value
}

fn any<T: Clone + Default>(list: &[T], random: &mut Random) -> T {
    list.get(random.below(list.len())).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_once() {
        let check = |text: &str, want: &str| assert_eq!(decode(text.as_bytes()), want.as_bytes());
        check("a%27+b%2527", "a' b%27");
        check("%4", "%4");
        check("%zz%", "%zz%");
    }

    #[test]
    fn mutations_of_a_seed_are_the_same_and_of_another_others() {
        let sent = [b"1' or 1=1".to_vec(), b"<script>".to_vec()];
        let run = |seed| {
            let mut random = Random::new(seed);
            (0..50).map(|_| mutate(&sent, &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!(run(1).iter().all(|value| value.len() <= BYTES_MAX));
    }
}
