//! Path templates: `/orders`, `/orders/{id}`, `/files/{*rest}`.
//!
//! A parameter is a whole segment. Text is matched as it is, decoded and case-sensitive; there
//! are no patterns.

/// Segments of a template at most.
pub const SEGMENTS_MAX: usize = 32;

/// The first segment of the gateway's own paths.
pub const RESERVED: &str = ".portcullis";

/// A path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    pub(super) segments: Vec<Segment>,
}

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    Parameter(String),
    /// One segment or more, to the end.
    Rest(String),
}

/// A template that cannot be a route's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It does not begin with `/`.
    #[error("a path begins with `/`")]
    Relative,
    /// `//`, or a parameter without a name.
    #[error("an empty segment")]
    Empty,
    /// `.` or `..`.
    #[error("the segment `{0}` never reaches a route")]
    Dots(String),
    /// Text that cannot be matched or could be read in two ways.
    #[error("the character `{0}` cannot be in a path")]
    Character(char),
    /// Braces that are not those of a whole segment.
    #[error("`{0}`: a parameter is a whole segment, `{{name}}` or `{{*name}}`")]
    Braces(String),
    /// A parameter's name.
    #[error("`{0}` is not a parameter's name: lower-case letters, digits and `_`")]
    Name(String),
    /// Two parameters of one name.
    #[error("two parameters are named `{0}`")]
    Twice(String),
    /// `{*rest}` before the end.
    #[error("`{{*{0}}}` is not at the end")]
    RestWithin(String),
    /// The gateway's own paths.
    #[error("`/{RESERVED}/` is the gateway's own")]
    Reserved,
    /// Too many segments.
    #[error("more than {SEGMENTS_MAX} segments")]
    Long,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`] for what could never match, or could be read in two ways.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let path = text.strip_prefix('/').ok_or(TemplateError::Relative)?;
        let parts: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
        if parts.len() > SEGMENTS_MAX {
            return Err(TemplateError::Long);
        }
        let mut segments: Vec<Segment> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let last = index + 1 == parts.len();
            let segment = Segment::parse(part, last)?;
            let name = segment.name();
            if let Some(name) = name.filter(|name| segments.iter().any(|s| s.name() == Some(name)))
            {
                return Err(TemplateError::Twice(name.to_owned()));
            }
            segments.push(segment);
        }
        if segments.first() == Some(&Segment::Literal(RESERVED.to_owned())) {
            return Err(TemplateError::Reserved);
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its parameters' names, from the left.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }

    /// It ends with `{*rest}`.
    pub fn has_rest(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Rest(_)))
    }

    /// The parameter that each segment of a path belongs to, as far as the path goes the
    /// template's way: no further than the first other text.
    pub(super) fn parameter_of<'a>(
        &'a self,
        path: &'a [String],
    ) -> impl Iterator<Item = Option<&'a str>> {
        let rest = self.segments.last().filter(|segment| matches!(segment, Segment::Rest(_)));
        let segments = self.segments.iter().chain(rest.into_iter().cycle());
        let along = path.iter().zip(segments).take_while(|(text, segment)| match segment {
            Segment::Literal(literal) => literal == *text,
            Segment::Parameter(_) | Segment::Rest(_) => true,
        });
        along.map(|(_, segment)| segment.name())
    }

    /// What the parameters are in a path that matches.
    pub(super) fn bind(&self, path: &[String]) -> Vec<(String, String)> {
        let mut params = Vec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            let from = path.get(index..).unwrap_or_default();
            match segment {
                Segment::Literal(_) => {}
                Segment::Parameter(name) => {
                    params.push((name.clone(), from.first().cloned().unwrap_or_default()));
                }
                Segment::Rest(name) => params.push((name.clone(), from.join("/"))),
            }
        }
        params
    }
}

impl Segment {
    fn parse(part: &str, last: bool) -> Result<Self, TemplateError> {
        let within = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        let Some(within) = within else {
            return Self::literal(part, last);
        };
        let name = within.strip_prefix('*').unwrap_or(within);
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !begins || !name.chars().all(legal) {
            return Err(TemplateError::Name(name.to_owned()));
        }
        match (within.starts_with('*'), last) {
            (false, _) => Ok(Self::Parameter(name.to_owned())),
            (true, true) => Ok(Self::Rest(name.to_owned())),
            (true, false) => Err(TemplateError::RestWithin(name.to_owned())),
        }
    }

    /// Text of RFC 3986's `pchar`, without `%` (text is matched decoded) and `;`.
    fn literal(part: &str, last: bool) -> Result<Self, TemplateError> {
        if part.contains(['{', '}']) {
            return Err(TemplateError::Braces(part.to_owned()));
        }
        if part == "." || part == ".." {
            return Err(TemplateError::Dots(part.to_owned()));
        }
        if part.is_empty() && !last {
            return Err(TemplateError::Empty);
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,=:@".contains(c);
        match part.chars().find(|c| !legal(*c)) {
            Some(c) => Err(TemplateError::Character(c)),
            None => Ok(Self::Literal(part.to_owned())),
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Rest(name) => Some(name),
        }
    }
}
