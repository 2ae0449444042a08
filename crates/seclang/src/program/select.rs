//! Targets: which values of which variables.

use regex::bytes::Regex;

use crate::{
    problem::Fault,
    syntax,
    variable::{Source, Variable},
};

use super::{Pattern, build::Building, template::unknown, written::selector_text};

/// What a link looks at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Targets {
    /// Numbers of selectors.
    pub(crate) included: Vec<u32>,
    pub(crate) excluded: Vec<u32>,
    /// The same by its number: many rules exclude alike.
    pub(crate) exclusion: u32,
    /// Rules change them while they run.
    pub(crate) dynamic: bool,
}

/// A variable, or some of its members.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    pub(crate) variable: Variable,
    pub(crate) key: Key,
    /// How many there are, not what they are.
    pub(crate) count: bool,
    /// Of `tx`, the slots that the pattern selects.
    pub(crate) slots: Vec<u32>,
}

/// Which members.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    All,
    /// In whatever case.
    Name(Vec<u8>),
    Pattern(Regex),
    /// A `tx` variable that rules name.
    Slot(u32),
}

impl Selector {
    /// The member of that name is selected.
    pub(crate) fn selects(&self, name: &[u8]) -> bool {
        match &self.key {
            Key::All | Key::Slot(_) => true,
            Key::Name(wanted) => wanted.eq_ignore_ascii_case(name),
            Key::Pattern(regex) => regex.is_match(name),
        }
    }

    /// The value, of that variable and name, is selected.
    pub(crate) fn takes(&self, variable: Variable, name: &[u8], tx_names: &[Vec<u8>]) -> bool {
        let is_of = self.variable == variable || self.variable.parts().contains(&variable);
        is_of
            && match self.key {
                Key::Slot(slot) => {
                    tx_names.get(slot as usize).is_some_and(|own| own.eq_ignore_ascii_case(name))
                }
                _ => self.selects(name),
            }
    }
}

impl Building<'_> {
    /// The targets of a rule, or `None` if none of them is evaluated here.
    pub(crate) fn select(
        &mut self,
        written: &[syntax::Target],
        faults: &mut Vec<Fault>,
    ) -> Targets {
        let mut targets = Targets::default();
        for target in written {
            match self.selector(target) {
                Ok(Some(number)) => {
                    let source =
                        self.selector_at(number).map(|selector| selector.variable.source());
                    let counts = self.selector_at(number).is_some_and(|selector| selector.count);
                    targets.dynamic |=
                        !target.excluded && (counts || source == Some(Source::Rules));
                    let list =
                        if target.excluded { &mut targets.excluded } else { &mut targets.included };
                    if !list.contains(&number) {
                        list.push(number);
                    }
                }
                Ok(None) => {}
                Err(fault) => faults.push(fault),
            }
        }
        targets
    }

    /// The number of the selector, which is added; `None` if it is not evaluated here.
    pub(crate) fn selector(&mut self, target: &syntax::Target) -> Result<Option<u32>, Fault> {
        let name = target.variable.text.as_str();
        let at = target.variable.at;
        let mut selector = target.selector.as_ref();
        let variable = if name.eq_ignore_ascii_case("xml") {
            xml(at, selector.take())?
        } else {
            Variable::named(name).ok_or_else(|| unknown(at, name))?
        };
        if variable.source() == Source::Elsewhere {
            self.notice(at, format!("`{name}` is not evaluated here"));
            return Ok(None);
        }
        if selector.is_some() && !variable.is_collection() {
            return Err(Fault::new(at, format!("`{name}` has no members to choose from")));
        }
        let (key, written) = match selector {
            None => (Key::All, String::new()),
            Some(syntax::Selector::Name(piece)) if variable == Variable::Tx => {
                let slot = self.tx(&piece.text);
                (Key::Slot(slot), format!(":{}", piece.text.to_ascii_lowercase()))
            }
            Some(syntax::Selector::Name(piece)) => {
                let name = piece.text.to_ascii_lowercase();
                (Key::Name(name.as_bytes().to_vec()), format!(":{name}"))
            }
            Some(syntax::Selector::Pattern(piece)) => {
                // Names are matched in whatever case.
                let pattern = Pattern::new(&format!("(?i){}", piece.text))
                    .map_err(|error| Fault::new(piece.at, error))?;
                (Key::Pattern(pattern.regex), format!(":/{}/", piece.text))
            }
        };
        let written = selector_text(variable, target.count, &written);
        Ok(Some(self.intern_selector(
            written,
            Selector { variable, key, count: target.count, slots: Vec::new() },
        )))
    }
}

/// `XML:/*` is the text, `XML://@*` the attributes' values.
fn xml(at: usize, selector: Option<&syntax::Selector>) -> Result<Variable, Fault> {
    match selector {
        Some(syntax::Selector::Name(path)) if path.text == "/*" => Ok(Variable::XmlText),
        Some(syntax::Selector::Name(path)) if path.text == "//@*" => Ok(Variable::XmlAttributes),
        None => Ok(Variable::XmlText),
        Some(_) => Err(Fault::new(at, "of `XML`, `/*` and `//@*` are known")),
    }
}
