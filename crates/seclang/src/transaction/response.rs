//! What is in an answer: phases 3 and 4.

use std::borrow::Cow;

use crate::{
    body as bodies,
    program::{Engine, RuleSet},
    variable::Variable,
};

use super::{Health, Inspection, head::list};

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

const CODING: &[u8] = b"content-encoding";

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
        let coding = list(response.headers, CODING);
        let reads = self.rules.program.engine.reads(essence);
        let body = reads.then(|| self.response_body(response, &coding));
        // Rules leave a coded body alone. One that was decoded is as if it had come so.
        let decoded = body.as_ref().is_some_and(|(_, decoded)| *decoded);
        let is_told = |(name, _): &&(&[u8], &[u8])| !(decoded && name.eq_ignore_ascii_case(CODING));
        let fields: Vec<_> = response.headers.iter().filter(is_told).copied().collect();
        self.fields(&fields, Variable::ResponseHeaders, Variable::ResponseHeadersNames);
        self.phase(3);
        if let Some((bytes, _)) = body.filter(|(bytes, _)| !bytes.is_empty()) {
            self.store.scalar(Variable::ResponseBody, &bytes);
        }
        self.phase(4);
    }

    /// The body as rules see it, and whether it is decoded. What is cut is looked at as far as it
    /// goes; what cannot be decoded, as the bytes it is.
    fn response_body<'a>(
        &mut self,
        response: &Response<'a>,
        coding: &[u8],
    ) -> (Cow<'a, [u8]>, bool) {
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
        let is_coded = decoded.is_empty() && reason.is_some();
        let bytes = if is_coded { Cow::Borrowed(response.body) } else { decoded };
        if !response.whole || bytes.len() > max {
            self.truncated();
        }
        let bytes = match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..max).unwrap_or(bytes)),
            Cow::Owned(mut bytes) => {
                bytes.truncate(max);
                Cow::Owned(bytes)
            }
        };
        (bytes, !is_coded)
    }
}
