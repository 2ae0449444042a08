//! JSON objects, read strictly: an array never stands for an object, and `null` never for absence.
//!
//! Members that appear twice are refused by the types that are read into, not here.

use serde::{Deserialize, Deserializer, de::Error};

/// Reads one JSON object. Serde would read a struct from an array of its members' values too.
pub(crate) fn object<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, serde_json::Error> {
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(serde_json::Error::custom("not an object"));
    }
    serde_json::from_slice(text)
}

/// A member that is there, of its type. With `#[serde(default)]`, only absence gives `None`.
pub(crate) fn present<'de, T, D>(value: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Example {
        #[serde(default, deserialize_with = "present")]
        name: Option<String>,
    }

    #[track_caller]
    fn check(text: &str, want: Option<Option<&str>>) {
        let got = object::<Example>(text.as_bytes()).ok().map(|example| example.name);
        assert_eq!(got.as_ref().map(Option::as_deref), want, "{text}");
    }

    #[test]
    fn only_an_object_is_one_and_only_absence_is_none() {
        check(r#"{"name":"a"}"#, Some(Some("a")));
        check(" \n{}", Some(None));
        check(r#"{"name":null}"#, None);
        check(r#"{"name":"a","name":"b"}"#, None);
        check(r#"["a"]"#, None);
        check(r#""a""#, None);
        check("", None);
        check("{} {}", None);
    }
}
