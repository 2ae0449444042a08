//! What came of a transaction.

use crate::{body::Reason, program::Piece, variable::Variable};

use super::{Inspection, Record, expand::Expanded};

/// Whether all of it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It was.
    Ok,
    /// A limit was reached.
    Truncated,
    /// The body is not what it says it is.
    Malformed(Reason),
}

/// What a rule's author would have done first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interruption {
    /// The rule.
    pub id: u32,
    /// The status it would have answered with.
    pub status: u16,
}

/// How what matched is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatchedData {
    /// Not at all.
    #[default]
    Omit,
    /// Its first and last characters, if it is long.
    Masked,
    /// As it is: it may be somebody's secret.
    Plain,
}

/// What a rule set makes of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<'r> {
    /// The score of the request. Where a rule refuses it by itself, it is the threshold at least:
    /// the rules' author would have refused it, whatever others count.
    pub score: i64,
    /// From where on the rules' author would refuse the request.
    pub threshold: i64,
    /// As `score`, of the answer.
    pub outbound_score: i64,
    /// As `threshold`, for the answer.
    pub outbound_threshold: i64,
    /// Scores by category, as far as they are not zero.
    pub categories: Vec<(&'static str, i64)>,
    /// Scores by paranoia level, as far as they are not zero.
    pub levels: Vec<(u8, i64)>,
    /// Rules that matched and are to be told, in order.
    pub hits: Vec<Hit<'r>>,
    /// The ids of all rules that matched, in order, also of those that say nothing.
    pub matched: Vec<u32>,
    /// What the rules' author would have done with the request.
    pub interrupted_by: Option<Interruption>,
    /// And with the answer.
    pub outbound_interrupted_by: Option<Interruption>,
    /// Whether all was looked at.
    pub health: Health,
}

/// A rule that matched, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit<'r> {
    /// The rule's id.
    pub id: u32,
    /// Its message. A macro in it that stands for what a client sent is left as it is, or is
    /// told as matched data is.
    pub message: String,
    /// Its severity, from 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    /// Its tags.
    pub tags: Vec<&'r str>,
    /// The last target that matched: `ARGS:q`. Empty if the rule looks at nothing.
    pub target: String,
    /// What matched there, if that is asked for.
    pub data: Option<String>,
    /// What the rule's author would have logged of it, if matched data is told as it is.
    pub log: Option<String>,
    /// Which file the rule is from, by number, and its line.
    pub place: (u32, u32),
}

/// Characters of matched data that are told.
const DATA_CHARS_MAX: usize = 256;

impl<'r> Inspection<'r> {
    /// What came of it so far. Nothing that matched is told.
    pub fn outcome(&self) -> Outcome<'r> {
        self.outcome_with(MatchedData::Omit)
    }

    /// What came of it so far.
    pub fn outcome_with(&self, data: MatchedData) -> Outcome<'r> {
        let scores = &self.rules.scores;
        let number = |slot: u32| self.tx.number(slot, &self.store);
        let read = |slot: Option<u32>| slot.map_or(0, number);
        let categories = scores.categories.iter().map(|(name, slot)| (*name, number(*slot)));
        let levels = scores.levels.iter().map(|(level, slot)| (*level, number(*slot)));
        let [interrupted_by, outbound_interrupted_by] = self.interruptions;
        let (threshold, outbound_threshold) =
            (read(scores.inbound_threshold), read(scores.outbound_threshold));
        let refused = |score: i64, by: Option<Interruption>, threshold: i64| {
            by.map_or(score, |_| score.max(threshold))
        };
        Outcome {
            score: refused(read(scores.inbound), interrupted_by, threshold),
            threshold,
            outbound_score: refused(
                read(scores.outbound),
                outbound_interrupted_by,
                outbound_threshold,
            ),
            outbound_threshold,
            categories: categories.filter(|(_, score)| *score != 0).collect(),
            levels: levels.filter(|(_, score)| *score != 0).collect(),
            hits: self.records.iter().filter_map(|record| self.hit(record, data)).collect(),
            matched: self.ids.clone(),
            interrupted_by,
            outbound_interrupted_by,
            health: self.health,
        }
    }

    fn hit(&self, record: &Record<'r>, data: MatchedData) -> Option<Hit<'r>> {
        let (rules, store) = (self.rules, &self.store);
        let rule = rules.program.rules.get(record.rule as usize)?;
        let mut target = Vec::new();
        let mut value = Vec::new();
        if let Some(found) = &record.found {
            found.write_place(store, &rules.program, &mut target);
            found.write_value(store, &rules.program, &mut value);
        }
        let plain = data == MatchedData::Plain;
        let message = match rule.message.constant() {
            Some(message) => told(message),
            None => {
                let pieces = rule.message.pieces.iter().zip(&record.message);
                pieces.map(|(piece, made)| self.piece(piece, made, data)).collect()
            }
        };
        Some(Hit {
            id: rule.id,
            message,
            severity: rule.severity,
            tags: rules.program.tags_of(rule).collect(),
            target: told(&target),
            data: match data {
                MatchedData::Omit => None,
                MatchedData::Masked => Some(masked(&told(&value))),
                MatchedData::Plain => Some(told(&value).chars().take(DATA_CHARS_MAX).collect()),
            },
            log: match (record.data, rule.data.constant()) {
                (Some(log), _) if plain => Some(told(store.bytes(log))),
                (None, Some(log)) if plain && !log.is_empty() => Some(told(log)),
                _ => None,
            },
            place: (rule.file, rule.line),
        })
    }

    /// A piece of a message. What a client sent is told as matched data is.
    fn piece(&self, piece: &Piece, made: &Expanded, data: MatchedData) -> String {
        let text = told(self.store.bytes(made.text));
        // The target of a hit is told, too.
        let is_name = matches!(piece, Piece::Variable(Variable::MatchedVarName, _));
        match data {
            _ if made.harmless => text,
            MatchedData::Plain => text,
            MatchedData::Masked if is_name => text,
            MatchedData::Masked => masked(&text),
            MatchedData::Omit => self.rules.program.piece(piece),
        }
    }
}

/// A text on one line.
fn told(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if !text.contains(char::is_control) {
        return text.into_owned();
    }
    let escaped = |char: char| match char.is_control() {
        true => char.escape_default().to_string(),
        false => char.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// A few characters of a long text, and its length.
fn masked(text: &str) -> String {
    let count = text.chars().count();
    let kept = (count / 8).min(4);
    let start: String = text.chars().take(kept).collect();
    let end: String = text.chars().skip(count - kept).collect();
    format!("{start}…{end} ({count})")
}
