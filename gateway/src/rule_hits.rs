//! How often each rule matched, for the metrics. A rule set has so many rules, so there are so many
//! labels; what is beyond the most that are told apart is counted together.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};

/// Rules that are told apart.
const RULES_MAX: usize = 1024;
/// What the others are called.
const OTHER: &str = "other";

/// The counts. Requests in which no rule matches leave them alone.
#[derive(Debug, Default)]
pub(crate) struct RuleHits(Mutex<BTreeMap<String, u64>>);

impl RuleHits {
    /// These rules matched in one request.
    pub(crate) fn count(&self, rules: &[String]) {
        if rules.is_empty() {
            return;
        }
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for rule in rules {
            let full = counts.len() >= RULES_MAX && !counts.contains_key(rule);
            let name = if full { OTHER } else { rule };
            match counts.get_mut(name) {
                Some(count) => *count += 1,
                None => drop(counts.insert(name.to_owned(), 1)),
            }
        }
    }

    /// A line for each, as Prometheus reads them.
    pub(crate) fn write(&self, to: &mut String) -> fmt::Result {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (rule, count) in counts {
            writeln!(to, "portcullis_waf_rule_hits_total{{rule=\"{rule}\"}} {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_beyond_the_most_are_counted_together() {
        let hits = RuleHits::default();
        let all: Vec<String> = (0..RULES_MAX + 3).map(|rule| rule.to_string()).collect();
        hits.count(&all);
        hits.count(&["7".to_owned(), (RULES_MAX + 1).to_string()]);
        hits.count(&[]);
        let mut text = String::new();
        hits.write(&mut text).unwrap();
        for line in ["{rule=\"0\"} 1\n", "{rule=\"7\"} 2\n", "{rule=\"other\"} 4\n"] {
            assert!(text.contains(line), "{line}");
        }
        assert_eq!(text.lines().count(), RULES_MAX + 1);
    }
}
