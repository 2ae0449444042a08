//! What is in the head of a request.

use std::{borrow::Cow, fmt::Write as _};

use crate::{body as bodies, variable::Variable};

use super::{Inspection, Request, store::Span};

/// Processors that the content type chooses; rules choose the others.
pub(super) const URLENCODED: &[u8] = b"URLENCODED";
pub(super) const MULTIPART: &[u8] = b"MULTIPART";
const JSON: &[u8] = b"JSON";
const XML: &[u8] = b"XML";

/// What all fields of a name say together (RFC 9110 §5.3): a list in several lines is one.
pub(super) fn list<'a>(fields: &[(&'a [u8], &'a [u8])], wanted: &[u8]) -> Cow<'a, [u8]> {
    let mut found = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let Some((_, first)) = found.next() else { return Cow::default() };
    found.fold(Cow::Borrowed(first), |list, (_, next)| {
        Cow::Owned([list.as_ref(), b", ", next].concat())
    })
}

impl Inspection<'_> {
    pub(super) fn head(&mut self, request: &Request<'_>) {
        self.line(request);
        self.connection(request);
        let is_type = |(name, _): &&(&[u8], &[u8])| name.eq_ignore_ascii_case(b"content-type");
        let kind = request.headers.iter().find(is_type).map_or(&b""[..], |(_, value)| value);
        self.body.processor = self.processor(kind);
        for (name, value) in request.headers {
            if name.eq_ignore_ascii_case(b"cookie") {
                self.cookies(value, Variable::RequestCookies, Part::Value);
            }
        }
        for (name, value) in request.headers {
            if name.eq_ignore_ascii_case(b"cookie") {
                self.cookies(value, Variable::RequestCookiesNames, Part::Name);
            }
        }
        self.fields(request.headers, Variable::RequestHeaders, Variable::RequestHeadersNames);
        self.query(request.target);
    }

    /// The processor for a content type, unless a rule chooses another. JSON and XML are read
    /// without a rule that says so: whoever leaves it out means no body to go by unseen.
    fn processor(&mut self, kind: &[u8]) -> Span {
        let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let essence = essence.to_ascii_lowercase();
        let begins = |prefix: &[u8]| essence.starts_with(prefix);
        let is_of = |format: &[u8], suffix: &[u8]| {
            essence.ends_with(suffix)
                || [&b"application/"[..], b"text/"]
                    .iter()
                    .any(|tree| essence.strip_prefix(*tree) == Some(format))
        };
        if begins(b"application/x-www-form-urlencoded") {
            self.store.put(URLENCODED)
        } else if begins(b"multipart/form-data") {
            self.store.put(MULTIPART)
        } else if is_of(b"json", b"+json") {
            self.store.put(JSON)
        } else if is_of(b"xml", b"+xml") {
            self.store.put(XML)
        } else {
            Span::default()
        }
    }

    fn line(&mut self, request: &Request<'_>) {
        let mut line = std::mem::take(&mut self.scratch);
        line.clear();
        line.extend_from_slice(request.method);
        line.push(b' ');
        line.extend_from_slice(request.target);
        if !request.protocol.is_empty() {
            line.push(b' ');
            line.extend_from_slice(request.protocol);
        }
        let span = self.store.put(&line);
        self.store.value(Variable::RequestLine, Span::default(), span);
        let method = span.part(0..request.method.len());
        let start = request.method.len() + 1;
        let raw = span.part(start..start + request.target.len());
        self.store.value(Variable::RequestMethod, Span::default(), method);
        self.store.value(Variable::RequestUriRaw, Span::default(), raw);
        let skipped = origin_length(request.target);
        let uri = span.part(start + skipped..start + request.target.len());
        self.store.value(Variable::RequestUri, Span::default(), uri);
        let relative = request.target.get(skipped..).unwrap_or_default();
        let (path, _) = split(relative);
        self.scratch = line;
        self.path(path, span.part(start + skipped..start + skipped + path.len()));
        self.store.scalar(Variable::RequestProtocol, request.protocol);
    }

    /// The path, as applications decode it once: rules decode it further.
    fn path(&mut self, path: &[u8], raw: Span) {
        let decoded = bodies::percent_decoded(path);
        let (path, span) = match &decoded {
            std::borrow::Cow::Borrowed(path) => (*path, raw),
            std::borrow::Cow::Owned(path) => (path.as_slice(), self.store.put(path)),
        };
        self.store.value(Variable::RequestFilename, Span::default(), span);
        let slash = path.iter().rposition(|byte| matches!(byte, b'/' | b'\\'));
        let basename = span.part(slash.map_or(0, |at| at + 1)..path.len());
        self.store.value(Variable::RequestBasename, Span::default(), basename);
    }

    fn connection(&mut self, request: &Request<'_>) {
        let mut text = String::new();
        for (variable, wanted) in [
            (Variable::RemoteAddr, request.client.to_canonical().to_string()),
            (Variable::RemoteHost, request.client.to_canonical().to_string()),
            (Variable::RemotePort, request.client_port.to_string()),
        ] {
            if self.rules.program.uses(variable) {
                text.clear();
                let _ = write!(text, "{wanted}");
                self.store.scalar(variable, text.as_bytes());
            }
        }
        if self.rules.program.uses(Variable::UniqueId) {
            self.store.scalar(Variable::UniqueId, request.id.as_bytes());
        }
    }

    /// Fields and their names.
    pub(super) fn fields(&mut self, fields: &[(&[u8], &[u8])], values: Variable, names: Variable) {
        for (name, value) in fields {
            let name = self.store.put(name);
            let value = self.store.put(value);
            self.store.value(values, name, value);
        }
        if self.rules.program.uses(names) {
            for (name, _) in fields {
                let name = self.store.put(name);
                self.store.value(names, name, name);
            }
        }
        let host = |(name, _): &&(&[u8], &[u8])| name.eq_ignore_ascii_case(b"host");
        if values == Variable::RequestHeaders
            && self.rules.program.uses(Variable::ServerName)
            && let Some((_, host)) = fields.iter().find(host)
        {
            self.store.scalar(Variable::ServerName, host);
        }
    }

    /// `a=1; b=2` (RFC 6265 §4.2), each as it stands.
    fn cookies(&mut self, field: &[u8], variable: Variable, part: Part) {
        for cookie in field.split(|byte| *byte == b';') {
            let cookie = cookie.trim_ascii_start();
            if cookie.is_empty() {
                continue;
            }
            let at = cookie.iter().position(|byte| *byte == b'=').unwrap_or(cookie.len());
            let (name, value) = cookie.split_at_checked(at).unwrap_or((cookie, b""));
            let name = self.store.put(name);
            let shown = match part {
                Part::Name => name,
                Part::Value => self.store.put(value.strip_prefix(b"=").unwrap_or(value)),
            };
            self.store.value(variable, name, shown);
        }
    }

    fn query(&mut self, target: &[u8]) {
        let (_, query) = split(target.get(origin_length(target)..).unwrap_or_default());
        self.store.scalar(Variable::QueryString, query);
        let separator = self.rules.program.engine.argument_separator;
        let parsed = bodies::urlencoded(query, separator, &self.body_limits());
        if parsed.truncated {
            self.truncated();
        }
        self.arguments(&parsed.args, Variable::ArgsGet, Variable::ArgsGetNames);
    }

    /// Parameters and their names.
    pub(super) fn arguments(
        &mut self,
        args: &[(Vec<u8>, Vec<u8>)],
        values: Variable,
        names: Variable,
    ) {
        let first = self.store.len();
        let mut size = 0;
        for (name, _) in args {
            let name = self.store.put(name);
            self.store.value(names, name, name);
        }
        for (index, (name, value)) in args.iter().enumerate() {
            size += name.len() + value.len();
            let entry = u32::try_from(first + index).ok().and_then(|at| self.store.get(at));
            let name = entry.filter(|entry| entry.variable == names).map(|entry| entry.name);
            let value = self.store.put(value);
            self.store.value(values, name.unwrap_or_default(), value);
        }
        self.args_bytes += size;
        if self.rules.program.uses(Variable::ArgsCombinedSize) {
            let size = self.args_bytes.to_string();
            self.store.scalar(Variable::ArgsCombinedSize, size.as_bytes());
        }
    }

    /// Limits of the body, with what rule files say of them.
    pub(super) fn body_limits(&self) -> bodies::Limits {
        let (mut limits, engine) = (self.limits.body, &self.rules.program.engine);
        let lower = |limit: &mut usize, said: Option<usize>| {
            *limit = said.unwrap_or(*limit).min(*limit);
        };
        lower(&mut limits.bytes_max, engine.request_body_bytes_max);
        lower(&mut limits.values_max, engine.arguments_max);
        lower(&mut limits.json_depth_max, engine.json_depth_max);
        limits
    }
}

#[derive(Clone, Copy)]
enum Part {
    Name,
    Value,
}

/// The length of the scheme and the authority of an absolute target.
fn origin_length(target: &[u8]) -> usize {
    let scheme = target.iter().position(|byte| !byte.is_ascii_alphanumeric());
    let Some(scheme) = scheme.filter(|at| *at > 0) else { return 0 };
    let rest = target.get(scheme..).unwrap_or_default();
    let Some(authority) = rest.strip_prefix(b"://") else { return 0 };
    let end = authority.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    scheme + 3 + end.unwrap_or(authority.len())
}

/// The path and the query of a target, without a fragment.
fn split(target: &[u8]) -> (&[u8], &[u8]) {
    let end = target.iter().position(|byte| *byte == b'#').unwrap_or(target.len());
    let target = target.get(..end).unwrap_or(target);
    match target.iter().position(|byte| *byte == b'?') {
        Some(at) => {
            (target.get(..at).unwrap_or_default(), target.get(at + 1..).unwrap_or_default())
        }
        None => (target, b""),
    }
}
