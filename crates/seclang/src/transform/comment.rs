//! Comments, as SQL, C, shells and markup write them.

use memchr::{memchr, memmem};

use super::rewrite;

/// Each `/* … */` is a space; one that does not end takes the rest.
pub(super) fn replace(bytes: &[u8]) -> Option<Vec<u8>> {
    rewrite(
        bytes,
        |rest| memchr(b'/', rest),
        |out, slash, tail| match tail.strip_prefix(b"*") {
            Some(inside) => {
                out.push(b' ');
                1 + up_to(inside, b"*/")
            }
            None => {
                out.push(slash);
                0
            }
        },
    )
}

/// `/* … */` and `<!-- … -->` are gone, `--` and `#` take the rest; what does not end is a space.
pub(super) fn remove(bytes: &[u8]) -> Option<Vec<u8>> {
    let find = |rest: &[u8]| rest.iter().position(|byte| matches!(byte, b'/' | b'<' | b'-' | b'#'));
    rewrite(bytes, find, |out, mark, tail| {
        let (opening, closing): (&[u8], &[u8]) = match mark {
            b'#' => return tail.len(),
            b'-' if tail.starts_with(b"-") => return tail.len(),
            b'/' if tail.starts_with(b"*") => (b"*", b"*/"),
            b'<' if tail.starts_with(b"!--") => (b"!--", b"-->"),
            _ => {
                out.push(mark);
                return 0;
            }
        };
        let inside = tail.get(opening.len()..).unwrap_or_default();
        if memmem::find(inside, closing).is_none() {
            out.push(b' ');
        }
        opening.len() + up_to(inside, closing)
    })
}

/// The marks of comments are gone: `/*`, `*/`, `<!--`, `-->`, `--` and `#`.
pub(super) fn remove_marks(bytes: &[u8]) -> Option<Vec<u8>> {
    const MARKS: [(u8, &[u8]); 6] =
        [(b'/', b"*"), (b'*', b"/"), (b'<', b"!--"), (b'-', b"->"), (b'-', b"-"), (b'#', b"")];
    let find =
        |rest: &[u8]| rest.iter().position(|byte| matches!(byte, b'/' | b'*' | b'<' | b'-' | b'#'));
    rewrite(bytes, find, |out, first, tail| {
        let spelt = |(begin, more): &&(u8, &[u8])| *begin == first && tail.starts_with(more);
        match MARKS.iter().find(spelt) {
            Some((_, more)) => more.len(),
            None => {
                out.push(first);
                0
            }
        }
    })
}

/// The length of what comes up to and with the closing mark; all of it if there is none.
fn up_to(inside: &[u8], closing: &[u8]) -> usize {
    memmem::find(inside, closing).map_or(inside.len(), |at| at + closing.len())
}
