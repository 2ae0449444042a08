//! The kinds of text a configuration holds: names, times, sizes, addresses. Each carries the
//! pattern by which our schema, and any editor, knows it.
//!
//! What a text refers to is looked at elsewhere.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text with a pattern: the type, its document, its pattern, what it is called, an example.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident $pattern:literal $noun:literal [$($example:literal),*])*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
        #[serde(transparent)]
        pub(super) struct $name(
            #[schemars(
                regex(pattern = $pattern),
                extend("x-noun" = $noun, "examples" = [$($example),*])
            )]
            pub(super) String,
        );

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

texts! {
    /// A name: lower-case letters, digits, `-` and `_`.
    Name r"^[a-z][a-z0-9_-]{0,62}$" "a name" ["orders", "read-order"]

    /// A DNS name in lower case.
    Domain r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$" "a DNS name in lower case" ["example.com"]

    /// An IP address and a port.
    Address r"^([0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$" "an IP address and a port" ["0.0.0.0:8443", "[::]:8443"]

    /// A host name or address and a port.
    HostPort r"^([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$" "a host and a port" ["kafka-1:9092"]

    /// An upstream's address: `http://host:port`, nothing after it.
    Endpoint r"^http://([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?$" "an address of the form `http://host:port`" ["http://10.0.0.7:8080"]

    /// A host as clients name it, in lower case and without a port; `*.` in front stands for exactly one label.
    Host r"^((\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*|\[[0-9a-f:.]+\])$" "a host in lower case, without a port" ["api.example.com", "*.example.com"]

    /// Where clients reach a host: `https://host` or `https://host:port`, nothing after it; `*.` in front of a host stands for exactly one label.
    OriginText r"^https?://((\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?$" "an origin" ["https://api.example.com", "https://*.example.com:8443"]

    /// A range of addresses.
    Cidr r"^([0-9.]+|[0-9a-fA-F:.]+)/[0-9]{1,3}$" "a range of addresses" ["10.0.0.0/8", "2001:db8::/32"]

    /// The origin of a page, as browsers write it, or `*` for every page.
    WebOrigin r"^(\*|https?://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?)$" "an origin of the form `https://host`, or `*`" ["https://app.example.com"]

    /// The name of a header field.
    FieldName r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$" "the name of a header field" ["Authorization", "Content-Type"]

    /// A method, in upper case (RFC 9110 §9). None implies another: `HEAD` and `OPTIONS` are listed like the rest.
    Method r"^[A-Z][A-Z-]{0,31}$" "a method in upper case" ["GET", "POST"]

    /// A path: `/orders`, `/orders/{id}` (one segment) or `/files/{*rest}` (one segment or more, at the end). Text stands for itself, decoded and case-sensitive.
    PathTemplate r"^/[!-~]*$" "a path" ["/orders/{id}", "/files/{*rest}"]

    /// A Cedar namespace.
    Namespace r"^[A-Z][A-Za-z0-9_]{0,62}(::[A-Z][A-Za-z0-9_]{0,62}){0,3}$" "a Cedar namespace" ["Orders"]

    /// A Cedar entity type; without `::` it is of the API's namespace.
    EntityType r"^[A-Z][A-Za-z0-9_]{0,62}(::[A-Z][A-Za-z0-9_]{0,62}){0,4}$" "a Cedar type" ["Order"]

    /// The name of a Cedar action, without its type.
    ActionName r"^[A-Za-z][A-Za-z0-9_-]{0,62}$" "the name of an action" ["read"]

    /// The name of a Cedar annotation.
    Annotation r"^[a-z_][a-z0-9_]{0,62}$" "the name of an annotation" ["owner"]

    /// A glob of files, relative to this one: `*` stands for any characters within the file's name.
    Glob r"^[^\x00-\x1f]+$" "a glob" ["routes/*.yaml"]

    /// A rule's tag, the whole of it.
    RuleTag r"^[!-~]{1,128}$" "a tag" ["attack-sqli", "paranoia-level/2"]

    /// What rules look at: a collection, `COLLECTION:name` or `COLLECTION:/pattern/`.
    RuleTarget r"^[A-Z][A-Z_]{0,62}(:[ -~]{1,255})?$" "a target" ["ARGS:comment", "REQUEST_COOKIES:/^ad_/"]

    /// A resource's id: text in which `{name}` stands for a parameter of the path, decoded.
    IdTemplate r"^[^\x00-\x1f]+$" "an id" ["{id}", "catalogue"]

    /// How much of a body is looked at: `none`, or a size.
    InspectText r"^(none|[1-9][0-9]{0,8}(B|KiB|MiB))$" "`none` or a size" ["none", "64KiB"]

    /// A percentage with decimals, in quotes.
    PercentText r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)$" "a quoted percentage of at most four decimals" ["0.5", "12.25"]

    /// The beginning of the topics' names.
    TopicPrefix r"^[a-z][a-z0-9.-]{0,62}$" "the beginning of a topic's name" ["audit"]
}

/// A time above zero: `500ms`, `2s`, `1m` or `24h`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(!try_from, !into)]
pub(super) struct Time(
    #[schemars(
        with = "String",
        regex(pattern = r"^[1-9][0-9]{0,8}(ms|s|m|h)$"),
        extend("x-noun" = "a time", "examples" = ["500ms", "2s", "1m"])
    )]
    pub(super) Duration,
);

const MILLIS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("ms", 1), ("s", 1_000)];

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        number_and_unit(&text, &MILLIS)
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| format!("`{text}` is not a time"))
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        in_largest_unit(f, millis, &MILLIS)
    }
}

/// A size above zero: `512B`, `64KiB`, `1MiB` or `2GiB`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(!try_from, !into)]
pub(super) struct Size(
    #[schemars(
        with = "String",
        regex(pattern = r"^[1-9][0-9]{0,8}(B|KiB|MiB|GiB)$"),
        extend("x-noun" = "a size", "examples" = ["512B", "64KiB", "1MiB"])
    )]
    pub(super) u64,
);

const BYTES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        number_and_unit(&text, &BYTES).map(Self).ok_or_else(|| format!("`{text}` is not a size"))
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        in_largest_unit(f, self.0, &BYTES)
    }
}

/// The first unit the text ends with; `ms` is listed before `s` and after `m`, which no
/// millisecond ends with.
fn number_and_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = plain.then(|| digits.parse().ok()).flatten()?;
    number.checked_mul(*factor).filter(|total| *total > 0)
}

fn in_largest_unit(f: &mut fmt::Formatter<'_>, total: u64, units: &[(&str, u64)]) -> fmt::Result {
    let fits = units.iter().filter(|(_, factor)| total.is_multiple_of(*factor));
    match fits.max_by_key(|(_, factor)| *factor) {
        Some((unit, factor)) => write!(f, "{}{unit}", total / factor),
        None => write!(f, "{total}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_time(text: &str, want: Option<u64>) {
        let got = Time::try_from(text.to_owned()).ok().map(|time| time.0.as_millis() as u64);
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn times_have_a_unit_and_are_above_zero() {
        check_time("500ms", Some(500));
        check_time("2s", Some(2_000));
        check_time("1m", Some(60_000));
        check_time("24h", Some(86_400_000));
        for wrong in
            ["0s", "2", "s", "-1s", "+1s", "1.5s", "2 s", "1d", "99999999999999999999s", ""]
        {
            check_time(wrong, None);
        }
    }

    #[test]
    fn sizes_have_a_unit_and_are_above_zero() {
        let size = |text: &str| Size::try_from(text.to_owned()).ok().map(|size| size.0);
        assert_eq!(size("512B"), Some(512));
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("1MiB"), Some(1_048_576));
        assert_eq!(size("999999999GiB"), Some(999_999_999 << 30));
        for wrong in ["0B", "64", "64KB", "64kib", "1.5MiB", "99999999999GiB", "KiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_shown() {
        for text in ["500ms", "2s", "1500ms", "1m", "90s", "24h"] {
            assert_eq!(Time::try_from(text.to_owned()).unwrap().to_string(), text);
        }
        for text in ["512B", "1KiB", "1025B", "64KiB", "3MiB", "2GiB"] {
            assert_eq!(Size::try_from(text.to_owned()).unwrap().to_string(), text);
        }
        assert_eq!(Time::try_from("120s".to_owned()).unwrap().to_string(), "2m");
    }
}
