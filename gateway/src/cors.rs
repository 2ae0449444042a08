//! Cross-origin requests of browsers (the Fetch standard §3.3): which pages may read the answers
//! of a route is a matter of its configuration, and so is the answer to a preflight.
//!
//! Deliberately absent: any decision about a request. What a page may read is not who may ask:
//! a request of another origin is identified, decided and recorded as any other.

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use signals::Request;

/// What the pages of other origins may do with a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Whose pages.
    pub origins: Origins,
    /// Fields that their requests may have beyond those that any page may send; lower case.
    pub headers: Vec<String>,
    /// Time that a browser may keep the answer to a preflight.
    pub max_age: Duration,
    /// Their requests may come with cookies and other credentials that the browser adds.
    pub credentials: bool,
}

/// Origins of pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Anybody's, never with credentials.
    Any,
    /// These, as browsers write them.
    Listed(Vec<String>),
}

/// What a preflight asks (Fetch §3.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// The method that the request would have.
    pub method: Method,
}

/// What the answer to a request says to a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whose page may read it, if any.
    origin: Option<HeaderValue>,
    credentials: bool,
    /// It is not the same for every origin.
    varies: bool,
}

/// The answer to a preflight that is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    said: Said,
    methods: String,
    headers: String,
    max_age_s: u64,
}

impl Preflight {
    /// The preflight that a request is, if it is one: `OPTIONS` with one `Origin` and one method.
    pub fn of(request: &Request) -> Option<Self> {
        if request.method != Method::OPTIONS {
            return None;
        }
        only(request, "origin")?;
        let method = only(request, "access-control-request-method")?;
        Some(Self { method: Method::from_bytes(method.as_bytes()).ok()? })
    }
}

impl Cors {
    /// What the answer to `request` says.
    pub fn said(&self, request: &Request) -> Said {
        Said {
            origin: self.allowed(only(request, "origin")),
            credentials: self.credentials,
            varies: self.origins != Origins::Any,
        }
    }

    /// The answer to a preflight for a route with `methods`; `None` if it is refused.
    pub fn grant(&self, request: &Request, methods: &[Method]) -> Option<Granted> {
        let said = self.said(request);
        said.origin.as_ref()?;
        let mut asked = request.headers.get_all("access-control-request-headers");
        if !asked.all(|names| self.takes(names)) {
            return None;
        }
        let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
        Some(Granted {
            said,
            methods: methods.join(", "),
            headers: self.headers.join(", "),
            max_age_s: self.max_age.as_secs(),
        })
    }

    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::Listed(listed) => {
                let is = |origin: &&HeaderValue| listed.iter().any(|one| *origin == one.as_str());
                origin.filter(is).cloned()
            }
        }
    }

    /// Every name of this list is one of ours.
    fn takes(&self, names: &HeaderValue) -> bool {
        let known = |name: &str| {
            let name = name.trim();
            name.is_empty() || self.headers.iter().any(|ours| ours.eq_ignore_ascii_case(name))
        };
        names.to_str().is_ok_and(|names| names.split(',').all(known))
    }
}

impl Said {
    /// Says it in the answer, in place of what an upstream says of it.
    pub fn put(&self, headers: &mut HeaderMap) {
        for name in [
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ] {
            headers.remove(name);
        }
        if self.varies {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = &self.origin else {
            headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

impl Granted {
    /// Says it in the answer.
    pub fn put(&self, headers: &mut HeaderMap) {
        self.said.put(headers);
        let texts = [
            (ACCESS_CONTROL_ALLOW_METHODS, &self.methods),
            (ACCESS_CONTROL_ALLOW_HEADERS, &self.headers),
        ];
        for (name, text) in texts {
            insert(headers, name, text);
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(self.max_age_s));
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text)
        && !text.is_empty()
    {
        headers.insert(name, value);
    }
}

/// The value of a field that is there once.
fn only<'a>(request: &'a Request, name: &'a str) -> Option<&'a HeaderValue> {
    let mut values = request.headers.get_all(name);
    let (only, None) = (values.next()?, values.next()) else {
        return None;
    };
    Some(only)
}

#[cfg(test)]
mod tests;
