//! Plain scalars: what a text without quotes is by YAML's core schema (1.2.2 §10.3.2).
//!
//! The words and numbers of YAML 1.1 (`yes`, `1_000`, `12:30`) are text.

use super::tree::Value;

/// The value of a plain scalar.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match integer(text) {
            Some(Some(number)) => Value::Integer(number),
            Some(None) => Value::Fraction,
            None if fraction(text) => Value::Fraction,
            None => Value::Text(text.to_owned()),
        },
    }
}

/// `Some` if the text is an integer, `Some(None)` if it is one that does not fit.
pub(super) fn integer(text: &str) -> Option<Option<i64>> {
    let (digits, radix) = match text {
        _ if text.starts_with("0o") => (text.strip_prefix("0o")?, 8),
        _ if text.starts_with("0x") => (text.strip_prefix("0x")?, 16),
        _ => (text.strip_prefix(['-', '+']).unwrap_or(text), 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let signed = if radix == 10 { text } else { digits };
    Some(i64::from_str_radix(signed, radix).ok())
}

/// The text is a number with a fraction or exponent, infinite, or none.
fn fraction(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", after)) => !after.is_empty() && digits(after),
        Some((before, after)) => digits(before) && digits(after),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_ok = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    mantissa_ok && exponent_ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_of_the_core_schema() {
        let text = |t: &str| Value::Text(t.to_owned());
        for (scalar, want) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("FALSE", Value::Bool(false)),
            ("yes", text("yes")),
            ("on", text("on")),
            ("No", text("No")),
            ("12", Value::Integer(12)),
            ("010", Value::Integer(10)),
            ("+7", Value::Integer(7)),
            ("-7", Value::Integer(-7)),
            ("0o17", Value::Integer(15)),
            ("0x1F", Value::Integer(31)),
            ("-0x1F", text("-0x1F")),
            ("9223372036854775807", Value::Integer(i64::MAX)),
            ("1.5", Value::Fraction),
            (".5", Value::Fraction),
            ("1.", Value::Fraction),
            ("1e9", Value::Fraction),
            ("-.inf", Value::Fraction),
            (".nan", Value::Fraction),
            (".", text(".")),
            ("1e", text("1e")),
            ("12:30:45", text("12:30:45")),
            ("1_000", text("1_000")),
            ("0.0.0.0", text("0.0.0.0")),
        ] {
            assert_eq!(plain(scalar), want, "{scalar}");
        }
    }
}
