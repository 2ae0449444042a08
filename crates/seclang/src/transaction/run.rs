//! Phases, rules and their chains, in order.

use crate::program::{Allow, EngineState, Flow, Rule, Template, Verdict};

use super::{Health, Inspection, Interruption, Record};

impl<'r> Inspection<'r> {
    /// Runs the rules of a phase.
    pub(super) fn phase(&mut self, phase: u8) {
        if self.state == EngineState::Off || phase < self.allowed_below {
            return;
        }
        self.memo.refresh(&self.store);
        if self.store.full {
            self.truncated();
        }
        let rules = self.rules;
        let plan = rules.program.phases.get(usize::from(phase) - 1).map(Vec::as_slice);
        let plan = plan.unwrap_or_default();
        let mut at = 0;
        while let Some(number) = plan.get(at) {
            at += 1;
            if self.removed.contains(*number) {
                continue;
            }
            let Some(rule) = rules.program.rules.get(*number as usize) else { continue };
            if self.store.work > self.limits.work_bytes_max {
                self.truncated();
                return;
            }
            if !self.matches(*number, rule) {
                continue;
            }
            self.ids.push(rule.id);
            self.record(*number, rule);
            if self.state == EngineState::Off || self.decided(phase, rule) {
                return;
            }
            if let Flow::Jump(to) = rule.flow {
                at = at.max(to as usize);
            }
        }
    }

    pub(super) fn truncated(&mut self) {
        if self.health == Health::Ok {
            self.health = Health::Truncated;
        }
    }

    /// All links of the rule match.
    fn matches(&mut self, number: u32, rule: &'r Rule) -> bool {
        self.running = number;
        self.matched.clear();
        let rules = self.rules;
        let links = rules.program.links.get(rule.links.start as usize..rule.links.end as usize);
        links.unwrap_or_default().iter().all(|link| self.look(link))
    }

    /// Notes a rule that matched.
    fn record(&mut self, number: u32, rule: &'r Rule) {
        if !rule.log {
            return;
        }
        let made = |template: &Template| template.constant().is_none();
        let message = match made(&rule.message) {
            true => self.put_pieces(&rule.message),
            false => Vec::new(),
        };
        let data = made(&rule.data).then(|| self.put_expanded(&rule.data));
        let found = self.matched.last().copied();
        self.records.push(Record { rule: number, found, message, data });
    }

    /// What the rule decides; whether the phase ends with it.
    fn decided(&mut self, phase: u8, rule: &Rule) -> bool {
        match rule.verdict {
            Verdict::Pass => false,
            Verdict::Deny | Verdict::Drop | Verdict::Redirect => {
                let (id, status) = (rule.id, rule.status);
                let [request, response] = &mut self.interruptions;
                let of = match phase {
                    1 | 2 => Some(request),
                    3 | 4 => Some(response),
                    _ => None,
                };
                if let (EngineState::On, Some(of)) = (self.state, of) {
                    of.get_or_insert(Interruption { id, status });
                }
                false
            }
            Verdict::Allow(allow) => {
                self.allowed_below = match allow {
                    Allow::Phase => self.allowed_below,
                    Allow::Request => self.allowed_below.max(3),
                    Allow::Transaction => 5,
                };
                true
            }
        }
    }
}
