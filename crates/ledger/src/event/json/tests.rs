use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::printable_json;
use super::*;

/// The one way and the other give the same bytes.
fn check<T: Serialize + ?Sized>(value: &T) {
    let want = printable_json(serde_json::to_string(value).unwrap());
    assert_eq!(text(value, 0).unwrap(), want);
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Newtype(u8);

#[derive(Serialize)]
struct Pair(i64, &'static str);

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Variants {
    Plain,
    One(i32),
    Two(bool, Option<u16>),
    Named { ip: IpAddr, none: Option<()> },
}

#[derive(Serialize)]
struct Flat {
    before: f64,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u8>,
}

#[test]
fn every_shape_is_as_serde_json_has_it() {
    check(&json!(null));
    check(&(i8::MIN, i16::MIN, i32::MIN, i64::MIN, u64::MAX));
    check(&(0.1_f32, -2.5e300_f64, f64::NAN, f64::INFINITY, 1.0));
    check(&('x', '"', '\u{202e}', "", b"by".as_slice()));
    check(&Unit);
    check(&Newtype(7));
    check(&Pair(-1, "a\nb"));
    let named = Variants::Named { ip: IpAddr::from([192, 0, 2, 1]), none: None };
    check(&[Variants::Plain, Variants::One(1), Variants::Two(true, None), named]);
    check(&BTreeMap::<String, ()>::new());
    let more = BTreeMap::from([("k\u{7f}\"".to_owned(), json!([{}, [], [1, {"a": "b"}]]))]);
    check(&Flat { before: 1.5, more, skipped: None });
    check(&format_args!("{}:{}", 1, "\\"));
}

#[test]
fn what_is_json_goes_in_as_it_is() {
    let inner = Json::of(&json!({"a": "\u{1b}\"", "b": [1]})).unwrap();
    let want = r#"{"inner":{"a":"\u001b\"","b":[1]},"after":"\""}"#;
    let outer = BTreeMap::from([("inner", &inner)]);
    assert_eq!(text(&outer, 0).unwrap(), r#"{"inner":{"a":"\u001b\"","b":[1]}}"#);
    #[derive(Serialize)]
    struct Outer<'a> {
        inner: Option<&'a Json>,
        after: &'a str,
    }
    assert_eq!(text(&Outer { inner: Some(&inner), after: "\"" }, 0).unwrap(), want);
    let again = Json::of(&inner).unwrap();
    assert_eq!(again, inner);
}

#[test]
fn each_byte_at_each_place_is_escaped_or_is_not() {
    for byte in 0..=u8::MAX {
        let plain = (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
        for at in 0..17 {
            for length in at + 1..=17 {
                let mut text = [b'a'; 17];
                text[at] = byte;
                assert_eq!(is_plain(&text[..length]), plain, "{byte} at {at} of {length}");
            }
        }
    }
}

#[test]
fn a_key_is_text() {
    assert!(text(&BTreeMap::from([([1], 2)]), 0).is_err());
    assert!(text(&BTreeMap::from([((), 2)]), 0).is_err());
}

#[test]
fn what_only_serde_json_knows_to_be_json_is_refused() {
    let raw = serde_json::value::to_raw_value(&1).unwrap();
    assert!(text(&raw, 0).is_err());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~\u{80}-\u{a0}\u{2028}-\u{202f}\t\"\\\\]{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_is_as_serde_json_has_it(value in value()) {
        check(&value);
    }
}
