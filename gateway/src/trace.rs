//! W3C Trace Context (Level 1): the trace a request belongs to, and our span in it.
//!
//! A `traceparent` that is not exactly as the standard has it counts as absent, and then
//! `tracestate` does too. No span is exported: the ledger is where a trace id leads.

use http::HeaderValue;
use ledger::event::push_hex;

/// The trace and our span in it: what goes upstream and into the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    traceparent: String,
    continued: bool,
}

impl Trace {
    /// Continues the trace of the only `traceparent` among `headers`, or begins one. The new ids
    /// are cut from `random`.
    ///
    /// A trace that begins here is `sampled`: the ledger has recorded the request under its id
    /// (§3.2.2.5.1 "the caller may have recorded trace data").
    pub fn new<'a>(
        mut traceparents: impl Iterator<Item = &'a HeaderValue>,
        random: [u8; 24],
    ) -> Self {
        let (trace_id, span_id) = cut(random);
        let parent = match (traceparents.next(), traceparents.next()) {
            (Some(only), None) => parse(only.as_bytes()),
            _ => None,
        };
        let (trace_id, sampled) = parent.unwrap_or((trace_id, true));
        let flags = if sampled { "01" } else { "00" };
        let mut traceparent = String::with_capacity(55);
        traceparent.push_str("00-");
        push_hex(&mut traceparent, &trace_id);
        traceparent.push('-');
        push_hex(&mut traceparent, &span_id);
        traceparent.push('-');
        traceparent.push_str(flags);
        Self { traceparent, continued: parent.is_some() }
    }

    /// The `traceparent` field's value, 55 characters.
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// The client's `traceparent` was valid: its `tracestate` goes on too.
    pub fn continued(&self) -> bool {
        self.continued
    }
}

/// Both ids from one draw; an all-zero id is no id, so its last bit is set.
fn cut(random: [u8; 24]) -> ([u8; 16], [u8; 8]) {
    let (mut trace_id, mut span_id) = ([0; 16], [0; 8]);
    for (to, from) in trace_id.iter_mut().chain(&mut span_id).zip(random) {
        *to = from;
    }
    let nonzero_trace = u128::from_be_bytes(trace_id).max(1);
    let nonzero_span = u64::from_be_bytes(span_id).max(1);
    (nonzero_trace.to_be_bytes(), nonzero_span.to_be_bytes())
}

/// `version "-" trace-id "-" parent-id "-" trace-flags` (§3.2.2): the trace id and the sampled
/// flag. A later version may have more fields after these; `ff` is no version.
fn parse(value: &[u8]) -> Option<([u8; 16], bool)> {
    let (known, more) = value.split_at_checked(55)?;
    let mut fields = known.split(|&byte| byte == b'-');
    let version: [u8; 1] = hex(fields.next()?)?;
    let trace_id: [u8; 16] = hex(fields.next()?)?;
    let parent_id: [u8; 8] = hex(fields.next()?)?;
    let flags: [u8; 1] = hex(fields.next()?)?;
    let later = version != [0] && more.first() == Some(&b'-');
    let whole = fields.next().is_none() && (more.is_empty() || later);
    let named = version != [0xff] && trace_id != [0; 16] && parent_id != [0; 8];
    (whole && named).then_some((trace_id, flags != [0] && flags.iter().all(|flag| flag & 1 == 1)))
}

/// Exactly `N` bytes as lower-case hex.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: [u8; 24] = [0xab; 24];
    const NEW: &str = "00-abababababababababababababababab-abababababababab-01";

    fn trace(values: &[&str]) -> Trace {
        let values: Vec<_> =
            values.iter().map(|v| HeaderValue::from_str(v).expect("a value")).collect();
        Trace::new(values.iter(), RANDOM)
    }

    #[test]
    fn traceparents() {
        fn check(values: &[&str], want: Option<&str>) {
            let got = trace(values);
            assert_eq!(got.continued(), want.is_some(), "{values:?}");
            assert_eq!(got.traceparent(), want.unwrap_or(NEW), "{values:?}");
        }
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let with = |flags: &str| format!("00-{id}-abababababababab-{flags}");
        let parent = "00f067aa0ba902b7";
        check(&[], None);
        check(&[&format!("00-{id}-{parent}-01")], Some(&with("01")));
        check(&[&format!("00-{id}-{parent}-00")], Some(&with("00")));
        check(&[&format!("00-{id}-{parent}-03")], Some(&with("01")));
        check(&[&format!("00-{id}-{parent}-02")], Some(&with("00")));
        check(&[&format!("01-{id}-{parent}-01")], Some(&with("01")));
        check(&[&format!("01-{id}-{parent}-01-more")], Some(&with("01")));
        check(&[&format!("01-{id}-{parent}-01more")], None);
        check(&[&format!("00-{id}-{parent}-01-more")], None);
        check(&[&format!("00-{id}-{parent}-01 ")], None);
        check(&[&format!("ff-{id}-{parent}-01")], None);
        check(&[&format!("00-{}-{parent}-01", id.to_uppercase())], None);
        check(&[&format!("00-{}-{parent}-01", "0".repeat(32))], None);
        check(&[&format!("00-{id}-{}-01", "0".repeat(16))], None);
        check(&[&format!("00-{id}-{parent}-0g")], None);
        check(&[&format!("00-{id}-{parent}-0")], None);
        check(&[&format!("00_{id}_{parent}_01")], None);
        check(&[&format!("00-{parent}-{id}-01")], None);
        let twice = format!("00-{id}-{parent}-01");
        check(&[&twice, &twice], None);
    }

    #[test]
    fn ids_are_never_zero() {
        let got = Trace::new(std::iter::empty(), [0; 24]);
        assert_eq!(got.traceparent(), format!("00-{:032x}-{:016x}-01", 1, 1));
    }
}
