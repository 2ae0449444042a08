//! How a route names the thing a request is about.
//!
//! It makes an id out of a path's parameters, nothing else: what a resource's attributes are is
//! known elsewhere.

use super::Template;

/// How a request's Cedar resource is made.
///
/// Two requests that differ in a parameter never get one id: where an id has several parameters,
/// they are kept apart by punctuation, which is percent-encoded within a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRule {
    /// The Cedar type, with its namespace.
    pub kind: String,
    pieces: Vec<Piece>,
    /// Characters percent-encoded within a parameter; empty where there is one parameter at most.
    separators: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Parameter(String),
}

/// An id that cannot be a resource's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// A brace without its other.
    #[error("a brace without its other")]
    Brace,
    /// A parameter the path does not have.
    #[error("the path has no parameter `{0}`")]
    Unknown(String),
    /// Two parameters that could run into each other.
    #[error("between two parameters there is punctuation only, such as `/` or `:`")]
    Separator,
}

impl ResourceRule {
    /// Reads the id of a resource on a path. `kind` is the Cedar type with its namespace.
    ///
    /// # Errors
    /// [`ResourceError`] for an unknown parameter, or parameters that are not kept apart.
    pub fn parse(kind: String, id: &str, path: &Template) -> Result<Self, ResourceError> {
        let pieces = pieces(id)?;
        for piece in &pieces {
            if let Piece::Parameter(name) = piece
                && path.parameters().all(|known| known != name)
            {
                return Err(ResourceError::Unknown(name.clone()));
            }
        }
        let separators = separators(&pieces)?;
        Ok(Self { kind, pieces, separators })
    }

    /// The parameters that the id is made of.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Parameter(name) => Some(name.as_str()),
        })
    }

    pub(super) fn id(&self, params: &[(String, String)]) -> String {
        let mut id = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => id.push_str(text),
                Piece::Parameter(name) => {
                    let value = params.iter().find(|(known, _)| known == name);
                    self.push(&mut id, value.map_or("", |(_, value)| value));
                }
            }
        }
        id
    }

    fn push(&self, id: &mut String, value: &str) {
        for c in value.chars() {
            match self.separators.contains(c) {
                true => id.push_str(&format!("%{:02X}", u32::from(c))),
                false => id.push(c),
            }
        }
    }
}

fn pieces(id: &str) -> Result<Vec<Piece>, ResourceError> {
    let mut pieces = Vec::new();
    let mut rest = id;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or(ResourceError::Brace)?;
        if text.contains('}') || name.contains('{') {
            return Err(ResourceError::Brace);
        }
        pieces.push(Piece::Text(text.to_owned()));
        pieces.push(Piece::Parameter(name.to_owned()));
        rest = after;
    }
    if rest.contains('}') {
        return Err(ResourceError::Brace);
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

/// The punctuation between parameters and the `%` that encodes it.
fn separators(pieces: &[Piece]) -> Result<String, ResourceError> {
    let is_parameter = |piece: &Piece| matches!(piece, Piece::Parameter(_));
    let first = pieces.iter().position(is_parameter).unwrap_or(0);
    let last = pieces.iter().rposition(is_parameter).unwrap_or(0);
    let mut separators = String::new();
    for piece in pieces.get(first..last).unwrap_or_default() {
        let Piece::Text(text) = piece else { continue };
        let punctuation = |c: char| c.is_ascii_punctuation() && c != '%';
        if text.is_empty() || !text.chars().all(punctuation) {
            return Err(ResourceError::Separator);
        }
        separators.push_str(text);
    }
    if !separators.is_empty() {
        separators.push('%');
    }
    Ok(separators)
}
