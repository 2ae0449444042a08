//! What is in an answer: phases 3 and 4.

use crate::variable::Variable;

use super::Inspection;

/// An answer, as it is sent.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// `HTTP/1.1`.
    pub protocol: &'a [u8],
    /// Fields in their order.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// As much of the content as is there.
    pub body: &'a [u8],
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
        let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
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
        self.response_body(response.body, essence);
        self.phase(4);
    }

    fn response_body(&mut self, body: &[u8], essence: &[u8]) {
        let engine = &self.rules.program.engine;
        let known = |kind: &String| kind.as_bytes().eq_ignore_ascii_case(essence);
        if body.is_empty() || !engine.response_body || !engine.response_types.iter().any(known) {
            return;
        }
        let said = engine.response_body_bytes_max.unwrap_or(usize::MAX);
        let max = self.limits.response_bytes_max.min(said);
        if body.len() > max {
            self.truncated();
        }
        self.store.scalar(Variable::ResponseBody, body.get(..max).unwrap_or(body));
    }
}
