//! What a candidate set of policies would have answered: a part of the completion, since it is
//! found out after the decision. Nothing follows from it.
//!
//! It names policies and no message of theirs: whoever has the candidate can ask it again, with
//! the question that the decision holds.

use std::sync::Arc;

use serde::Serialize;

use super::cut::Cutter;
use super::record::whole;
use super::{Refusal, limit};

/// What became of asking the candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What was to be asked.
    pub digests: Arc<CandidateDigests>,
    /// What it said.
    pub heard: Result<Opinion, Unheard>,
}

/// SHA-256 digests (lower-case hex) of the candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CandidateDigests {
    /// Its policies.
    pub policies: String,
    /// Its schema.
    pub schema: String,
    /// Its entities.
    pub entities: String,
}

/// What the candidate would have answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// Beside what was answered.
    pub agreement: Agreement,
    /// The class that it would refuse with, if it would.
    pub refusal: Option<Refusal>,
    /// The policies that determine it.
    pub determining: Vec<String>,
    /// The policies that erred.
    pub errors: Vec<String>,
}

/// The candidate's answer beside the enforced one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// Both allow, or both refuse with the same class.
    Same,
    /// Both refuse, with different classes.
    OtherRefusal,
    /// It would allow what was refused.
    WouldAllow,
    /// It would refuse what was allowed.
    WouldRefuse,
}

/// Why the candidate gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unheard {
    /// Asking it panicked.
    Panicked,
    /// The question cannot be put to it.
    Erred,
    /// It was its turn too late.
    Late,
    /// Too many were waiting, or the gateway was stopping.
    Dropped,
}

impl Agreement {
    /// Every one.
    pub const ALL: [Self; 4] =
        [Self::Same, Self::OtherRefusal, Self::WouldAllow, Self::WouldRefuse];

    /// Of what was answered and what would be: the class of a refusal, or nothing.
    pub fn between<T: PartialEq>(enforced: Option<T>, candidate: Option<T>) -> Self {
        match (enforced, candidate) {
            (None, None) => Self::Same,
            (None, Some(_)) => Self::WouldRefuse,
            (Some(_), None) => Self::WouldAllow,
            (Some(enforced), Some(candidate)) if enforced == candidate => Self::Same,
            (Some(_), Some(_)) => Self::OtherRefusal,
        }
    }

    /// The word that events use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::OtherRefusal => "other_refusal",
            Self::WouldAllow => "would_allow",
            Self::WouldRefuse => "would_refuse",
        }
    }
}

impl Unheard {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Panicked, Self::Erred, Self::Late, Self::Dropped];

    /// The word that events use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::Erred => "erred",
            Self::Late => "late",
            Self::Dropped => "dropped",
        }
    }
}

/// The candidate after a reload: loaded, or left out for its problems.
#[derive(Debug, Clone, Copy)]
pub struct CandidateLoad<'a> {
    /// What was loaded.
    pub digests: Option<&'a CandidateDigests>,
    /// Why nothing was. All are counted, the first [`limit::PROBLEMS_MAX`] are named.
    pub problems: &'a [String],
}

/// `unmapped.candidate` of a reload.
#[derive(Debug, Serialize)]
pub(super) struct ToldLoad<'a> {
    loaded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    digests: Option<&'a CandidateDigests>,
    problem_count: usize,
    problems: Vec<&'a str>,
}

impl<'a> CandidateLoad<'a> {
    pub(super) fn told(self, cutter: &mut Cutter) -> ToldLoad<'a> {
        let problems = self.problems.iter().take(limit::PROBLEMS_MAX);
        ToldLoad {
            loaded: self.digests.is_some(),
            digests: self.digests,
            problem_count: self.problems.len(),
            problems: problems.map(|text| cutter.text(text, limit::PROBLEM_BYTES_MAX)).collect(),
        }
    }
}

/// `unmapped.candidate` of a completion.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Unheard>,
    #[serde(flatten)]
    opinion: Option<ToldOpinion<'a>>,
    digests: &'a CandidateDigests,
}

#[derive(Debug, Serialize)]
struct ToldOpinion<'a> {
    agreement: Agreement,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'static str>,
    determining_count: usize,
    determining: Vec<&'a str>,
    error_count: usize,
    errors: Vec<&'a str>,
}

impl Candidate {
    pub(super) fn told(&self) -> Told<'_> {
        let (health, problem) = match &self.heard {
            Ok(_) => ("ok", None),
            Err(unheard) => ("unavailable", Some(*unheard)),
        };
        let opinion = self.heard.as_ref().ok().map(|opinion| ToldOpinion {
            agreement: opinion.agreement,
            refusal: opinion.refusal.map(Refusal::as_str),
            determining_count: opinion.determining.len(),
            determining: named(&opinion.determining),
            error_count: opinion.errors.len(),
            errors: named(&opinion.errors),
        });
        Told { health, problem, opinion, digests: &self.digests }
    }
}

/// The first policies, as many as a completion has room for; all are counted. What is longer than
/// an `@id` can be is none.
fn named(policies: &[String]) -> Vec<&str> {
    let fits = |id: &&String| whole("candidate", id, limit::CANDIDATE_ID_JSON_BYTES_MAX).is_ok();
    policies.iter().filter(fits).take(limit::CANDIDATE_POLICIES_MAX).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreements() {
        let check = |enforced, candidate, want: &str| {
            assert_eq!(Agreement::between(enforced, candidate).as_str(), want);
        };
        check(None, None, "same");
        check(Some(1), Some(1), "same");
        check(Some(1), Some(2), "other_refusal");
        check(Some(1), None, "would_allow");
        check(None, Some(1), "would_refuse");
    }

    #[test]
    fn words_are_those_of_the_json() {
        for agreement in Agreement::ALL {
            assert_eq!(serde_json::to_value(agreement).unwrap(), agreement.as_str());
        }
        for unheard in Unheard::ALL {
            assert_eq!(serde_json::to_value(unheard).unwrap(), unheard.as_str());
        }
    }

    fn told(heard: Result<Opinion, Unheard>) -> serde_json::Value {
        let digest = |digit: &str| digit.repeat(64);
        let digests =
            CandidateDigests { policies: digest("a"), schema: digest("b"), entities: digest("c") };
        let candidate = Candidate { digests: Arc::new(digests), heard };
        serde_json::to_value(candidate.told()).unwrap()
    }

    #[test]
    fn what_was_not_heard_says_why_and_no_more() {
        let mut told = told(Err(Unheard::Late));
        told.as_object_mut().unwrap().remove("digests").unwrap();
        assert_eq!(told, serde_json::json!({"health": "unavailable", "problem": "late"}));
    }

    #[test]
    fn as_many_policies_are_named_as_fit_and_all_are_counted() {
        let ids = |count: usize| (0..count).map(|n| format!("p-{n}")).collect::<Vec<_>>();
        for (count, named) in [(0, 0), (8, 8), (9, 8)] {
            let opinion = Opinion {
                agreement: Agreement::WouldRefuse,
                refusal: Some(Refusal::Blocked),
                determining: ids(count),
                errors: ids(count),
            };
            let told = told(Ok(opinion));
            assert_eq!((&told["health"], &told["refusal"]), (&"ok".into(), &"blocked".into()));
            assert_eq!(told["determining_count"], count);
            assert_eq!(told["determining"].as_array().unwrap().len(), named);
            assert_eq!(told["error_count"], count);
            assert_eq!(told["errors"].as_array().unwrap().len(), named);
        }
        let max = limit::CANDIDATE_ID_JSON_BYTES_MAX;
        let long = ["x".repeat(max + 1), "x".repeat(max), "\u{1}".repeat(max / 6 + 1)];
        assert_eq!(named(&long), [long[1].as_str()]);
    }
}
