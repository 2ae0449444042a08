//! What is in the body of a request, by the processor that its type or a rule chose.

use crate::{body as bodies, program::EngineState, variable::Variable};

use super::{
    Health, Inspection, Request,
    head::{MULTIPART, URLENCODED, list},
    store::Span,
};

impl Inspection<'_> {
    pub(super) fn body(&mut self, request: &Request<'_>) {
        if self.state == EngineState::Off || self.allowed_below > 2 {
            return;
        }
        if !self.body.read || request.body.is_empty() {
            self.error(None);
            return;
        }
        let field = |wanted: &[u8]| {
            let mut fields = request.headers.iter();
            let found = fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map_or(&b""[..], |(_, value)| *value)
        };
        let limits = self.body_limits();
        let coding = list(request.headers, b"content-encoding");
        match bodies::decoded(&coding, request.body, &limits) {
            Ok(bytes) => self.decoded(&bytes, field(b"content-type"), &limits),
            Err(reason) => {
                // What cannot be decoded is looked at as the bytes it is.
                let bytes = within(request.body, limits.bytes_max);
                self.store.scalar(Variable::RequestBody, bytes);
                self.error(Some(reason));
            }
        }
        if self.rules.program.uses(Variable::FullRequest)
            || self.rules.program.uses(Variable::FullRequestLength)
        {
            self.full_request(request);
        }
    }

    fn decoded(&mut self, bytes: &[u8], kind: &[u8], limits: &bodies::Limits) {
        let processor = self.store.bytes(self.body.processor).to_ascii_uppercase();
        let separator = self.rules.program.engine.argument_separator;
        let body = match processor.as_slice() {
            b"URLENCODED" => Some(bodies::urlencoded(bytes, separator, limits)),
            b"MULTIPART" => Some(bodies::multipart(kind, bytes, limits)),
            b"JSON" => Some(bodies::json(bytes, limits)),
            b"XML" => Some(bodies::xml(bytes, limits)),
            _ => None,
        };
        self.store.work += bytes.len() as u64;
        let raw = processor == URLENCODED || self.body.forced || body.is_none();
        let broken =
            body.as_ref().is_some_and(|body| body.error.is_some()) && processor != MULTIPART;
        if raw || broken {
            self.store.scalar(Variable::RequestBody, within(bytes, limits.bytes_max));
        }
        if self.rules.program.uses(Variable::RequestBodyLength) {
            self.store.scalar(Variable::RequestBodyLength, bytes.len().to_string().as_bytes());
        }
        if let Some(body) = &body {
            self.arguments(&body.args, Variable::ArgsPost, Variable::ArgsPostNames);
            self.files(body);
            self.xml(body);
            if processor == MULTIPART {
                self.strict(&body.strict);
            }
        }
        let error = body.as_ref().and_then(|body| body.error);
        let too_long = (bytes.len() > limits.bytes_max).then_some(bodies::Reason::Bytes);
        self.error(error.or(too_long));
        if self.health == Health::Ok && body.is_some_and(|body| body.duplicate_key) {
            // It was read, so that the rules see no error; but what it means is in doubt.
            self.health = Health::Malformed(bodies::Reason::DuplicateKey);
        }
    }

    /// `REQBODY_ERROR` and its like, and the health of what is looked at.
    fn error(&mut self, reason: Option<bodies::Reason>) {
        match reason {
            Some(reason) if reason.is_limit() => self.truncated(),
            Some(reason) => self.health = Health::Malformed(reason),
            None => {}
        }
        let flag: &[u8] = if reason.is_some() { b"1" } else { b"0" };
        let message = reason.map_or("", bodies::Reason::as_str).as_bytes();
        for (variable, value) in [
            (Variable::ReqbodyError, flag),
            (Variable::ReqbodyErrorMsg, message),
            (Variable::ReqbodyProcessorError, flag),
            (Variable::ReqbodyProcessorErrorMsg, message),
        ] {
            if self.rules.program.uses(variable) {
                self.store.scalar(variable, value);
            }
        }
    }

    fn files(&mut self, body: &bodies::Body) {
        let total: usize = body.files.iter().map(|file| file.size).sum();
        if self.rules.program.uses(Variable::FilesCombinedSize) {
            self.store.scalar(Variable::FilesCombinedSize, total.to_string().as_bytes());
        }
        for (variable, value) in [
            (Variable::Files, (|file| file.filename.clone()) as fn(&bodies::File) -> Vec<u8>),
            (Variable::FilesNames, |file| file.name.clone()),
            (Variable::FilesSizes, |file| file.size.to_string().into_bytes()),
        ] {
            for file in &body.files {
                let name = self.store.put(&file.name);
                let value = self.store.put(&value(file));
                self.store.value(variable, name, value);
            }
        }
        for (name, line) in &body.part_headers {
            let name = self.store.put(name);
            let line = self.store.put(line);
            self.store.value(Variable::MultipartPartHeaders, name, line);
        }
    }

    fn xml(&mut self, body: &bodies::Body) {
        for (variable, texts) in
            [(Variable::XmlText, &body.xml_text), (Variable::XmlAttributes, &body.xml_attributes)]
        {
            for text in texts {
                self.store.scalar(variable, text);
            }
        }
    }

    fn strict(&mut self, strict: &bodies::Strict) {
        use Variable as V;
        let flags = [
            (V::MultipartStrictError, strict.any()),
            (V::MultipartBoundaryQuoted, strict.boundary_quoted),
            (V::MultipartBoundaryWhitespace, strict.boundary_whitespace),
            (V::MultipartDataBefore, strict.data_before),
            (V::MultipartDataAfter, strict.data_after),
            (V::MultipartHeaderFolding, strict.header_folding),
            (V::MultipartInvalidHeaderFolding, strict.invalid_header_folding),
            (V::MultipartLfLine, strict.lf_line),
            (V::MultipartCrlfLfLines, strict.crlf_lf_lines),
            (V::MultipartMissingSemicolon, strict.missing_semicolon),
            (V::MultipartInvalidQuoting, strict.invalid_quoting),
            (V::MultipartInvalidPart, strict.invalid_part),
            (V::MultipartFileLimitExceeded, strict.file_limit_exceeded),
            (V::MultipartUnmatchedBoundary, strict.unmatched_boundary),
        ];
        for (variable, flag) in flags {
            if self.rules.program.uses(variable) {
                self.store.scalar(variable, if flag { b"1" } else { b"0" });
            }
        }
    }

    fn full_request(&mut self, request: &Request<'_>) {
        let mut all = Vec::new();
        for part in [request.method, b" ", request.target, b" ", request.protocol, b"\r\n"] {
            all.extend_from_slice(part);
        }
        for (name, value) in request.headers {
            for part in [name, &b": "[..], value, b"\r\n"] {
                all.extend_from_slice(part);
            }
        }
        all.extend_from_slice(b"\r\n");
        all.extend_from_slice(within(request.body, self.limits.body.bytes_max));
        self.store.scalar(Variable::FullRequestLength, all.len().to_string().as_bytes());
        let span: Span = self.store.put(&all);
        self.store.value(Variable::FullRequest, Span::default(), span);
    }
}

fn within(bytes: &[u8], max: usize) -> &[u8] {
    bytes.get(..max).unwrap_or(bytes)
}
