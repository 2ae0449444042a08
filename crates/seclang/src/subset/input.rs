//! What a rule set looks at: the parts of a request, already taken apart.

/// Where a value comes from: the collections of SecLang that rules can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Collection {
    /// A parameter of the query.
    ArgsGet,
    /// A parameter of the body.
    ArgsPost,
    /// The name of a parameter.
    ArgsNames,
    /// A header field.
    RequestHeaders,
    /// The name of a header field.
    RequestHeadersNames,
    /// A cookie.
    RequestCookies,
    /// The name of a cookie.
    RequestCookiesNames,
    /// Path and query, as sent.
    RequestUri,
    /// The path, as sent.
    RequestFilename,
    /// The last segment of the path.
    RequestBasename,
    /// The query, as sent.
    QueryString,
    /// The method.
    RequestMethod,
    /// The body, where it is text that was not taken apart.
    RequestBody,
}

impl Collection {
    /// All of them, each at its own index.
    pub(crate) const ALL: [Self; 13] = [
        Self::ArgsGet,
        Self::ArgsPost,
        Self::ArgsNames,
        Self::RequestHeaders,
        Self::RequestHeadersNames,
        Self::RequestCookies,
        Self::RequestCookiesNames,
        Self::RequestUri,
        Self::RequestFilename,
        Self::RequestBasename,
        Self::QueryString,
        Self::RequestMethod,
        Self::RequestBody,
    ];

    const NAMES: [(&'static str, &'static [Self]); 14] = [
        ("ARGS", &[Self::ArgsGet, Self::ArgsPost]),
        ("ARGS_GET", &[Self::ArgsGet]),
        ("ARGS_POST", &[Self::ArgsPost]),
        ("ARGS_NAMES", &[Self::ArgsNames]),
        ("REQUEST_HEADERS", &[Self::RequestHeaders]),
        ("REQUEST_HEADERS_NAMES", &[Self::RequestHeadersNames]),
        ("REQUEST_COOKIES", &[Self::RequestCookies]),
        ("REQUEST_COOKIES_NAMES", &[Self::RequestCookiesNames]),
        ("REQUEST_URI", &[Self::RequestUri]),
        ("REQUEST_FILENAME", &[Self::RequestFilename]),
        ("REQUEST_BASENAME", &[Self::RequestBasename]),
        ("QUERY_STRING", &[Self::QueryString]),
        ("REQUEST_METHOD", &[Self::RequestMethod]),
        ("REQUEST_BODY", &[Self::RequestBody]),
    ];

    /// The collections a target names, or `None` for an unknown one.
    pub(crate) fn named(name: &str) -> Option<&'static [Self]> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, collections)| *collections)
    }

    /// The target that a hit names.
    pub(crate) fn target(self) -> &'static str {
        match self {
            // A hit names the collection that rules usually name.
            Self::ArgsGet | Self::ArgsPost => "ARGS",
            _ => Self::NAMES
                .iter()
                .find(|(_, collections)| *collections == [self])
                .map_or("", |(name, _)| *name),
        }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Where it comes from.
    pub collection: Collection,
    /// The parameter's, field's or cookie's name; empty where there is none.
    pub name: String,
    /// The bytes, decoded once.
    pub bytes: Vec<u8>,
}

/// Everything a rule set looks at, of one request; no more values than it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    values: Vec<Value>,
    values_max: usize,
    full: bool,
}

impl Input {
    /// For at most so many values.
    pub fn new(values_max: usize) -> Self {
        Self { values: Vec::new(), values_max, full: false }
    }

    /// Adds a value, if there is room.
    pub fn push(
        &mut self,
        collection: Collection,
        name: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
    ) {
        self.full |= self.values.len() >= self.values_max;
        if !self.full {
            self.values.push(Value { collection, name: name.into(), bytes: bytes.into() });
        }
    }

    /// All values.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// There was no room for a value.
    pub fn is_truncated(&self) -> bool {
        self.full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_collection_is_at_its_own_index() {
        for (index, collection) in Collection::ALL.into_iter().enumerate() {
            assert_eq!(collection as usize, index);
            assert!(!collection.target().is_empty());
        }
    }

    #[test]
    fn the_value_that_is_one_too_many_is_left_out() {
        let mut input = Input::new(2);
        for (n, truncated) in [(1, false), (2, false), (3, true)] {
            input.push(Collection::ArgsGet, "n", n.to_string());
            assert_eq!((input.values().len(), input.is_truncated()), (n.min(2), truncated));
        }
    }
}
