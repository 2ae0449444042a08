//! A decision as its event holds it, to be asked again: of the set that made it, which must give
//! the same answer, or of another, to see what would come out ([`would_answer`]).
//!
//! It reads the three values of `unmapped`, not the event: that is the ledger's format.
//!
//! [`would_answer`]: crate::Policies::would_answer

use serde::Deserialize;
use signals::Facts;

use crate::decide::AskAgainError;
use crate::outcome::Basis;
use crate::question::RecordedQuestion;
use crate::source::Digests;

/// A recorded decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// `unmapped.question`.
    pub question: RecordedQuestion,
    /// `unmapped.facts`.
    pub facts: Facts,
    /// The answer: `unmapped.cedar`, without the digests.
    pub basis: Basis,
    /// Of the set that gave it.
    pub digests: Digests,
}

impl Recorded {
    /// Reads the JSON of `unmapped.question`, `unmapped.facts` and `unmapped.cedar`.
    ///
    /// # Errors
    /// One of them is not what this version writes.
    pub fn read(question: &str, facts: &str, cedar: &str) -> Result<Self, AskAgainError> {
        #[derive(Deserialize)]
        struct Labelled {
            digests: Digests,
        }
        let basis = |text| serde_json::from_str(text).map_err(AskAgainError::Basis);
        let labelled: Labelled = serde_json::from_str(cedar).map_err(AskAgainError::Basis)?;
        Ok(Self {
            question: serde_json::from_str(question).map_err(AskAgainError::Question)?,
            facts: serde_json::from_str(facts).map_err(AskAgainError::Facts)?,
            basis: basis(cedar)?,
            digests: labelled.digests,
        })
    }
}
