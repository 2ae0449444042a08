//! Operators with their arguments.

use crate::{
    nearest::nearest,
    operator::{Check, Comparison, Networks, Phrases, TextTest, number},
    problem::Fault,
    syntax::Test,
};

use super::{Needs, Piece, Template, build::Building};

/// What a link looks for.
#[derive(Debug)]
pub(crate) enum Operator {
    /// `@rx`, by the pattern's number.
    Pattern(u32),
    /// `@rx` with macros in it.
    MadePattern(Template),
    /// Everything whose argument is known when the rules load.
    Check(Check),
    Number(Comparison, Comparand),
    Text(TextTest, Template),
    Always,
    /// It needs what is not here: a network, a database.
    Never,
}

/// What a number is compared with.
#[derive(Debug)]
pub(crate) enum Comparand {
    Constant(i64),
    Tx(u32),
    Made(Template),
}

/// Operators that exist and need what is not here.
const ELSEWHERE: [&str; 3] = ["rbl", "geoLookup", "gsbLookup"];

/// Operators whose argument is the name of a file.
const OF_FILES: [&str; 4] = ["pmFromFile", "pmf", "ipMatchFromFile", "ipMatchF"];

impl Building<'_> {
    /// Reads an operator; what it needs of a text comes with it.
    pub(crate) fn operator(&mut self, test: &Test) -> Result<(Operator, Needs), Fault> {
        let name = test.operator.text.as_str();
        let argument = &test.argument;
        let template = Template::new(argument.at, &argument.text, self)?;
        if name.eq_ignore_ascii_case("rx") {
            return self.rx(test, template);
        }
        if let Some(file) = OF_FILES.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            return self.of_file(file, test);
        }
        if ELSEWHERE.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            self.notice(test.operator.at, format!("`@{name}` is not evaluated here"));
            return Ok((Operator::Never, Needs::default()));
        }
        let find = |(known, _): &&(&str, _)| known.eq_ignore_ascii_case(name);
        if let Some((_, comparison)) = Comparison::NAMES.iter().find(find) {
            let comparand = match (template.constant(), template.pieces.as_slice()) {
                (Some(text), _) => Comparand::Constant(number(text)),
                (None, [Piece::Tx(slot)]) => Comparand::Tx(*slot),
                _ => Comparand::Made(template),
            };
            return Ok((Operator::Number(*comparison, comparand), Needs::default()));
        }
        let find = |(known, _): &&(&str, _)| known.eq_ignore_ascii_case(name);
        if let (Some((_, text)), None) = (TextTest::NAMES.iter().find(find), template.constant()) {
            return Ok((Operator::Text(*text, template), Needs::default()));
        }
        match Check::read(name, &argument.text) {
            Some(Ok(Check::Always)) => Ok((Operator::Always, Needs::default())),
            Some(Ok(check)) => {
                let mut needs = needs(&check, &argument.text);
                if let (Check::Phrases(_), false) = (&check, argument.text.contains('|')) {
                    let phrases = argument.text.split_ascii_whitespace().map(str::as_bytes);
                    needs.words = self.words.add(phrases);
                }
                Ok((Operator::Check(check), needs))
            }
            Some(Err(error)) => Err(Fault::new(argument.at, error)),
            None => Err(unknown(test)),
        }
    }

    fn rx(&mut self, test: &Test, made: Template) -> Result<(Operator, Needs), Fault> {
        let (at, text) = (test.argument.at, test.argument.text.as_str());
        if text.is_empty() {
            return Err(Fault::new(test.operator.at, "`@rx` needs an argument"));
        }
        if made.pieces.iter().any(|piece| !matches!(piece, Piece::Text(_))) {
            return Ok((Operator::MadePattern(made), Needs::default()));
        }
        match self.pattern(text) {
            Ok((number, needs)) => Ok((Operator::Pattern(number), needs)),
            Err(error) => {
                let fault = Fault::new(at, error);
                self.pattern_fault = Some(fault.hint("`SecRuleRemoveById` leaves a rule out"));
                Ok((Operator::Never, Needs::default()))
            }
        }
    }

    fn of_file(&mut self, operator: &str, test: &Test) -> Result<(Operator, Needs), Fault> {
        let fault = |error: String| Fault::new(test.argument.at, error);
        let mut check = None;
        let mut needs = Needs::default();
        let mut all = Vec::new();
        for name in test.argument.text.split_whitespace() {
            all.extend(self.data(name).map_err(fault)?);
            all.push(b'\n');
        }
        if operator.starts_with("pm") {
            let phrases = Phrases::of_file(&all).map_err(fault)?;
            needs = Needs::of_phrases(phrase_lines(&all));
            needs.words = self.words.add(phrase_lines(&all));
            check = Some(Check::Phrases(phrases));
        }
        let check = match check {
            Some(check) => check,
            None => Check::Networks(Networks::of_file(&all).map_err(fault)?),
        };
        Ok((Operator::Check(check), needs))
    }
}

fn phrase_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

fn needs(check: &Check, argument: &str) -> Needs {
    match check {
        Check::Contains(_) => Needs::of_text(argument.as_bytes()),
        Check::Text(
            TextTest::BeginsWith | TextTest::EndsWith | TextTest::ContainsWord | TextTest::StrEq,
            text,
        ) => Needs::of_text(text),
        // Bytes in hexadecimal digits are not read twice.
        Check::Phrases(_) if !argument.contains('|') => {
            Needs::of_phrases(argument.split_ascii_whitespace().map(str::as_bytes))
        }
        _ => Needs::default(),
    }
}

fn unknown(test: &Test) -> Fault {
    let name = test.operator.text.as_str();
    let fault = Fault::new(test.operator.at, format!("unknown operator `@{name}`"));
    let texts = TextTest::NAMES.iter().map(|(name, _)| *name);
    let numbers = Comparison::NAMES.iter().map(|(name, _)| *name);
    let all = Check::NAMES.into_iter().chain(texts).chain(numbers).chain(OF_FILES).chain(ELSEWHERE);
    match nearest(name, all.chain(["rx"])) {
        Some(known) => fault.hint(format!("`@{known}` is known")),
        None => fault,
    }
}
