//! What the rules look at: the parts of a request, already taken apart.

use seclang::Variable;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Collection {
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
    /// What the engine calls it. Where a parameter's name comes from makes no difference to rules.
    pub(super) fn variable(self) -> Variable {
        match self {
            Self::ArgsGet => Variable::ArgsGet,
            Self::ArgsPost => Variable::ArgsPost,
            Self::ArgsNames => Variable::ArgsPostNames,
            Self::RequestHeaders => Variable::RequestHeaders,
            Self::RequestHeadersNames => Variable::RequestHeadersNames,
            Self::RequestCookies => Variable::RequestCookies,
            Self::RequestCookiesNames => Variable::RequestCookiesNames,
            Self::RequestUri => Variable::RequestUri,
            Self::RequestFilename => Variable::RequestFilename,
            Self::RequestBasename => Variable::RequestBasename,
            Self::QueryString => Variable::QueryString,
            Self::RequestMethod => Variable::RequestMethod,
            Self::RequestBody => Variable::RequestBody,
        }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// Where it comes from.
    pub(super) collection: Collection,
    /// The parameter's, field's or cookie's name; empty where there is none.
    pub(super) name: String,
    /// The bytes, decoded once.
    pub(super) bytes: Vec<u8>,
}

impl Value {
    /// As the engine takes it.
    pub(super) fn as_seen(&self) -> seclang::Value<'_> {
        seclang::Value {
            variable: self.collection.variable(),
            name: self.name.as_bytes(),
            bytes: &self.bytes,
        }
    }
}

/// Everything a rule set looks at, of one request; no more values than it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    values: Vec<Value>,
    values_max: usize,
    full: bool,
}

impl Input {
    /// For at most so many values.
    pub(super) fn new(values_max: usize) -> Self {
        Self { values: Vec::new(), values_max, full: false }
    }

    /// Adds a value, if there is room.
    pub(super) fn push(
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
    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    /// There was no room for a value.
    pub(super) fn is_truncated(&self) -> bool {
        self.full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_that_is_one_too_many_is_left_out() {
        let mut input = Input::new(2);
        for (n, truncated) in [(1, false), (2, false), (3, true)] {
            input.push(Collection::ArgsGet, "n", n.to_string());
            assert_eq!((input.values().len(), input.is_truncated()), (n.min(2), truncated));
        }
    }
}
