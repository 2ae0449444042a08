//! Transformations and operators. A text without the bytes that a transformation acts on is left as
//! it is, and what it makes is a change and no longer than it may be; an operator that filters says
//! what it would say without.

use std::sync::OnceLock;

use seclang::{
    ByteSet,
    operator::{Check, is_sqli, sqli_fingerprint},
    transform::Transform,
};

/// Operators, and arguments for them.
const OPERATORS: [(&str, &str); 12] = [
    ("pm", "select union |27 3b|"),
    ("contains", "select"),
    ("containsWord", "select"),
    ("within", "select union"),
    ("eq", "1"),
    ("ipMatch", "10.0.0.0/8,2001:db8::/32"),
    ("validateByteRange", "9,10,13,32-126"),
    ("validateUrlEncoding", ""),
    ("validateUtf8Encoding", ""),
    ("verifyCC", "[0-9]{13,16}"),
    ("detectSQLi", ""),
    ("detectXSS", ""),
];

/// Applies every transformation, and every operator to what comes of it. Accepted is a text that
/// URL decoding changes.
pub fn seclang_transform(data: &[u8]) -> bool {
    let seen = ByteSet::seen(data);
    for (name, transform) in Transform::NAMES {
        let after = transform.apply(data);
        assert_eq!(after, transform.apply(data), "{name}");
        let Some(after) = after else { continue };
        assert!(seen.meets(transform.acts_on()) || data.is_empty(), "{name}");
        assert_ne!(after, data, "{name}");
        // six characters for one of two bytes, three for one byte, digests, and lengths
        assert!(after.len() <= data.len() * 3 + 20, "{name}");
        look(&after);
    }
    look(data);
    Transform::UrlDecodeUni.apply(data).is_some()
}

fn look(text: &[u8]) {
    static CHECKS: OnceLock<Vec<Check>> = OnceLock::new();
    let read = |(name, argument): (&str, &str)| {
        Check::read(name, argument).expect("an operator").expect("an argument")
    };
    let seen = ByteSet::seen(text);
    for check in CHECKS.get_or_init(|| OPERATORS.map(read).into()) {
        assert_eq!(check.holds(text, seen), check.holds(text, seen), "{check:?}");
    }
    assert_eq!(is_sqli(text, seen), sqli_fingerprint(text).is_some());
}
