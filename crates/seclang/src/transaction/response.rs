//! What is in an answer: phases 3 and 4.

use std::borrow::Cow;

use crate::{
    body as bodies,
    program::{Engine, RuleSet},
    variable::Variable,
};

use super::{Health, Inspection};

/// An answer, as it is sent.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// `HTTP/1.1`.
    pub protocol: &'a [u8],
    /// Fields in their order.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// As much of the content as is there, perhaps coded as `Content-Encoding` says.
    pub body: &'a [u8],
    /// It is all of the content.
    pub whole: bool,
}

impl RuleSet {
    /// The types of which rules look at the bodies of answers; none if they look at no bodies.
    pub fn response_types(&self) -> &[String] {
        let engine = &self.program.engine;
        if engine.response_body { &engine.response_types } else { &[] }
    }

    /// Whether rules look at the bodies of answers of this `Content-Type`.
    pub fn reads_responses_of(&self, content_type: &[u8]) -> bool {
        self.program.engine.reads(essence(content_type))
    }
}

impl Engine {
    fn reads(&self, essence: &[u8]) -> bool {
        let known = |kind: &String| kind.as_bytes().eq_ignore_ascii_case(essence);
        self.response_body && self.response_types.iter().any(known)
    }
}

/// A type without its parameters.
fn essence(content_type: &[u8]) -> &[u8] {
    content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

impl Inspection<'_> {
    /// Looks at the answer.
    pub fn response(&mut self, response: &Response<'_>) {
        let field = |wanted: &[u8]| {
            let mut fields = response.headers.iter();
            let found = fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map_or(&b""[..], |(_, value)| *value)
        };
        let status = response.status.to_string();
        let line = [response.protocol, b" ", status.as_bytes()].concat();
        let kind = field(b"content-type");
        let essence = essence(kind);
        for (variable, value) in [
            (Variable::ResponseStatus, status.as_bytes()),
            (Variable::ResponseProtocol, response.protocol),
            (Variable::StatusLine, &line),
            (Variable::ResponseContentType, essence),
            (Variable::ResponseContentLength, field(b"content-length")),
        ] {
            if self.rules.program.uses(variable) {
                self.store.scalar(variable, value);
            }
        }
        self.fields(response.headers, Variable::ResponseHeaders, Variable::ResponseHeadersNames);
        self.phase(3);
        if self.rules.program.engine.reads(essence) {
            self.response_body(response, field(b"content-encoding"));
        }
        self.phase(4);
    }

    /// What is cut is looked at as far as it goes; what cannot be decoded, as the bytes it is.
    fn response_body(&mut self, response: &Response<'_>, coding: &[u8]) {
        let said = self.rules.program.engine.response_body_bytes_max.unwrap_or(usize::MAX);
        let max = self.limits.response_bytes_max.min(said);
        let limits = bodies::Limits { decoded_bytes_max: max, ..self.limits.body };
        let (decoded, reason) = bodies::decoded_prefix(coding, response.body, &limits);
        match reason {
            Some(reason) if response.whole && !reason.is_limit() => {
                self.health = Health::Malformed(reason);
            }
            Some(_) => self.truncated(),
            None => {}
        }
        let bytes = match decoded {
            bytes if bytes.is_empty() && reason.is_some() => Cow::Borrowed(response.body),
            bytes => bytes,
        };
        if !response.whole || bytes.len() > max {
            self.truncated();
        }
        if !bytes.is_empty() {
            self.store.scalar(Variable::ResponseBody, bytes.get(..max).unwrap_or(&bytes));
        }
    }
}
