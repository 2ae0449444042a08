//! What old code pages make of characters they do not have: a way to spell `<` or `'` without it.

/// What Microsoft's code page 20127 (US-ASCII) takes for these characters, from the first on; `\0`
/// where it has nothing. Full-width forms, which it has too, are not listed.
const FITS: [(u32, &[u8]); 18] = [
    (0x00a0, b" !c\0$Y|\0\0Ca<\0-R\0\0\x0023\0\0\0.,1o>"),
    (0x00c0, b"AAAAAAACEEEEIIIIDNOOOOO\0OUUUUY\0\0aaaaaaaceeeeiiii\0nooooo\0ouuuuy\0y"),
    (
        0x0100,
        b"AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIi\0\0JjKk\0LlLlLl\0\0LlNnNnNn\0\0\0\
          OoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZ\0ZzZz\0b",
    ),
    (0x0189, b"D"),
    (0x0191, b"Ff\0\0\0\0I\0\0l\0\0\0\0OOo"),
    (0x01ab, b"t\0\0TUu\0\0\0\0\0z"),
    (0x01cd, b"AaIiOoUuUuUuUuUu\0Aa\0\0\0\0GgGgKkOoOo\0\0j"),
    (0x0261, b"g"),
    (0x02b9, b"'\"\0'"),
    (0x02c4, b"^\0^\0'\0\0`\0_"),
    (0x02dc, b"~"),
    (0x0300, b"`\0^~"),
    (0x030e, b"\""),
    (0x0331, b"__"),
    (0x2000, b"       "),
    (0x2010, b"--\0--\0\0\0'',\0\"\"\"\0\0\0.\0\0\0."),
    (0x2032, b"'\0\0`\0\0\0<>"),
    (0x2122, b"T"),
];

/// A character as one byte, as IIS does it: what fits best, or else the low byte.
pub(super) fn byte(code: u32) -> u8 {
    let fit = |(first, fits): &(u32, &[u8])| {
        let at = usize::try_from(code.checked_sub(*first)?).ok()?;
        fits.get(at).copied().filter(|fit| *fit != 0)
    };
    FITS.iter().find_map(fit).unwrap_or_else(|| look_alike(code))
}

/// A character as one byte: full-width forms and look-alikes of what attacks need as the ASCII
/// that one code page or another makes of them, others cut to the low byte.
pub(super) fn look_alike(code: u32) -> u8 {
    let code = match code {
        0xff01..=0xff5e => code - 0xff00 + 0x20,
        0x2018 | 0x2019 | 0x2032 | 0x02bc => u32::from(b'\''),
        0x201c | 0x201d | 0x2033 => u32::from(b'"'),
        0x2024 => u32::from(b'.'),
        0x2044 | 0x2215 => u32::from(b'/'),
        0x2216 => u32::from(b'\\'),
        0x2039 | 0x2329 | 0x3008 => u32::from(b'<'),
        0x203a | 0x232a | 0x3009 => u32::from(b'>'),
        _ => code,
    };
    u8::try_from(code & 0xff).unwrap_or_default()
}
