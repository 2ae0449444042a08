//! `name=value` pairs, as forms and queries have them.

use super::{Body, Limits, Reason, unescaped};

/// Takes apart a form, or a query. Each name and value is decoded once; an escape that is none
/// stays as it is. The separator is `&` nearly always.
pub fn urlencoded(bytes: &[u8], separator: u8, limits: &Limits) -> Body {
    Body::read(bytes, limits, |body, bytes| {
        let pairs = bytes.split(|byte| *byte == separator).filter(|pair| !pair.is_empty());
        for pair in pairs {
            pair_of(body, pair, limits)?;
        }
        Ok(())
    })
}

fn pair_of(body: &mut Body, pair: &[u8], limits: &Limits) -> Result<(), Reason> {
    let mut halves = pair.splitn(2, |byte| *byte == b'=');
    let mut half = || unescaped(halves.next().unwrap_or_default(), true);
    let (name, value) = (half(), half());
    body.arg(name, value, limits.values_max)
}
