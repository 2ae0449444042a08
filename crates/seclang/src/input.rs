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

/// Everything a rule set looks at, of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    values: Vec<Value>,
}

impl Input {
    /// Adds a value.
    pub fn push(
        &mut self,
        collection: Collection,
        name: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
    ) {
        self.values.push(Value { collection, name: name.into(), bytes: bytes.into() });
    }

    /// All values.
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}
