//! Where the conditions of a policy stand in its text: each operand of the `&&` that a `when`
//! comes to, and each of the `||` in an `unless`.
//!
//! It knows as much of Cedar's syntax as that takes: strings, comments, brackets, the two
//! operators and how they bind, and that everything after `if` belongs to it. The text has been
//! parsed by Cedar before, so what it does not know cannot be there.

use std::ops::Range;

/// One condition as it stands in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Bytes of the text.
    pub(crate) range: Range<usize>,
    /// It is of an `unless`: the policy goes on where it is false.
    pub(crate) negated: bool,
}

/// A piece of the text that is no white space and no comment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    kind: Kind,
    range: Range<usize>,
    /// Brackets that are open around it.
    depth: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open,
    Close,
    And,
    Or,
    When,
    Unless,
    If,
    /// Anything else.
    Plain,
}

/// The conditions of a policy, in the order in which Cedar evaluates them.
pub(crate) fn conditions(text: &str) -> Vec<Place> {
    let tokens = tokens(text);
    let mut places = Vec::new();
    let mut clause = None;
    for (nth, token) in tokens.iter().enumerate() {
        if token.depth > 0 {
            continue;
        }
        match token.kind {
            Kind::When => clause = Some(false),
            Kind::Unless => clause = Some(true),
            Kind::Open => {
                let Some(negated) = clause.take() else { continue };
                let rest = tokens.get(nth + 1..).unwrap_or_default();
                let end = rest.iter().position(|inner| inner.depth == 0).unwrap_or(rest.len());
                let inner = rest.get(..end).unwrap_or_default();
                let parts = operands(inner, if negated { Kind::Or } else { Kind::And });
                places.extend(parts.into_iter().map(|range| Place { range, negated }));
            }
            Kind::Close | Kind::And | Kind::Or | Kind::If | Kind::Plain => {}
        }
    }
    places
}

/// Where a policy's effect and scope stand: between its annotations and its conditions.
pub(crate) fn head(text: &str) -> Range<usize> {
    let tokens = tokens(text);
    let effect = |token: &&Token| {
        token.depth == 0 && matches!(text.get(token.range.clone()), Some("permit" | "forbid"))
    };
    let start = tokens.iter().find(effect).map_or(0, |token| token.range.start);
    let closes =
        |token: &&Token| token.depth == 0 && token.kind == Kind::Close && token.range.start > start;
    start..tokens.iter().find(closes).map_or(text.len(), |token| token.range.end)
}

/// The attributes of principal, action, resource and context that an expression names, each once:
/// `context.waf.score`, but of `context.conn.ip.isLoopback()` what is before the call; and those
/// that it asks after, as in `resource has owner`.
pub(crate) fn attributes<'a>(text: &'a str) -> Vec<String> {
    let words = words(text);
    let word = |nth: usize| words.get(nth).copied();
    let mut found: Vec<String> = Vec::new();
    for nth in 0..words.len() {
        let is_root = matches!(word(nth), Some("principal" | "action" | "resource" | "context"));
        let is_attribute = nth.checked_sub(1).and_then(word) == Some(".");
        if !is_root || is_attribute || word(nth + 1) == Some(":") {
            continue;
        }
        let mut path = vec![word(nth).unwrap_or_default()];
        let mut next = nth + 1;
        let steps = |path: &mut Vec<&'a str>, next: &mut usize| {
            while word(*next) == Some(".") && word(*next + 2) != Some("(") {
                let Some(name) = words.get(*next + 1) else { return };
                path.push(name);
                *next += 2;
            }
        };
        steps(&mut path, &mut next);
        if let (Some("has"), Some(name)) = (word(next), words.get(next + 1))
            && !name.starts_with('"')
        {
            path.push(name);
            next += 2;
            steps(&mut path, &mut next);
        }
        let path = (path.len() > 1).then(|| path.join("."));
        found.extend(path.filter(|path| !found.contains(path)));
    }
    found
}

/// The tags that an expression asks for, each with whose it is: `principal.getTag("team")`.
pub(crate) fn tags(text: &str) -> Vec<(&str, String)> {
    let words = words(text);
    let each = words.windows(5).filter_map(|words| match words {
        [of, ".", "getTag" | "hasTag", "(", name] => Some((*of, unquoted(name)?)),
        _ => None,
    });
    each.collect()
}

/// Whether it adds or subtracts: then a number may matter that it does not name.
pub(crate) fn calculates(text: &str) -> bool {
    words(text).iter().any(|word| ["+", "-"].contains(word))
}

/// The texts of an expression, unescaped; those that name entities are not among them.
pub(crate) fn strings(text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let is_id = |nth: usize| {
        let before = nth.checked_sub(1).and_then(|nth| tokens.get(nth));
        before.and_then(|token| text.get(token.range.clone())) == Some(":")
    };
    let quoted = tokens.iter().enumerate().filter(|(nth, _)| !is_id(*nth));
    quoted.filter_map(|(_, token)| unquoted(text.get(token.range.clone())?)).collect()
}

/// The numbers of an expression.
pub(crate) fn numbers(text: &str) -> Vec<i64> {
    let number = |token: Token| text.get(token.range)?.parse().ok();
    tokens(text).into_iter().filter_map(number).collect()
}

/// The entities that an expression names, by type and id.
pub(crate) fn entities(text: &str) -> Vec<(String, String)> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut kind = String::new();
    for token in &tokens {
        let Some(word) = text.get(token.range.clone()) else { continue };
        match (unquoted(word), word) {
            (Some(id), _) => {
                if let Some(kind) = kind.strip_suffix("::") {
                    found.push((kind.to_owned(), id));
                }
                kind.clear();
            }
            (None, ":") => kind.push(':'),
            (None, word) => {
                if !kind.ends_with("::") {
                    kind.clear();
                }
                kind.push_str(word);
            }
        }
    }
    found
}

/// What a quoted text says; nothing, if it has escapes that JSON lacks.
fn unquoted(quoted: &str) -> Option<String> {
    quoted.strip_prefix('"')?;
    serde_json::from_str(quoted).ok()
}

/// The operands of `operator`, where that is what the expression comes to; else the expression.
fn operands(tokens: &[Token], operator: Kind) -> Vec<Range<usize>> {
    let inner = within_brackets(tokens);
    let Some(depth) = inner.first().map(|token| token.depth) else { return Vec::new() };
    // What follows an `if` is part of it.
    let is_if = |token: &Token| token.depth == depth && token.kind == Kind::If;
    let end = inner.iter().position(is_if).unwrap_or(inner.len());
    let here = |kind: Kind| {
        let before = inner.iter().take(end).enumerate();
        before.filter(move |(_, token)| token.depth == depth && token.kind == kind)
    };
    // `&&` binds tighter, so beside an `||` there is no conjunction.
    let splits = match operator {
        Kind::And if here(Kind::Or).next().is_some() => Vec::new(),
        _ => here(operator).map(|(nth, _)| nth).collect(),
    };
    if splits.is_empty() {
        return whole(tokens).into_iter().collect();
    }
    let starts = [0].into_iter().chain(splits.iter().map(|nth| nth + 1));
    let ends = splits.iter().copied().chain([inner.len()]);
    starts
        .zip(ends)
        .flat_map(|(start, end)| operands(inner.get(start..end).unwrap_or_default(), operator))
        .collect()
}

/// Without the pair of brackets that is around all of it.
fn within_brackets(tokens: &[Token]) -> &[Token] {
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return tokens };
    let is_pair = first.kind == Kind::Open && last.kind == Kind::Close && tokens.len() > 2;
    let inner = tokens.get(1..tokens.len().saturating_sub(1)).unwrap_or_default();
    if is_pair && inner.iter().all(|token| token.depth > first.depth) {
        return within_brackets(inner);
    }
    tokens
}

fn whole(tokens: &[Token]) -> Option<Range<usize>> {
    Some(tokens.first()?.range.start..tokens.last()?.range.end)
}

fn words(text: &str) -> Vec<&str> {
    tokens(text).into_iter().filter_map(|token| text.get(token.range)).collect()
}

fn tokens(text: &str) -> Vec<Token> {
    let (mut tokens, mut depth, mut at) = (Vec::new(), 0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (length, kind) = next(rest);
        if let Some(kind) = kind {
            if kind == Kind::Close {
                depth = depth.saturating_sub(1);
            }
            tokens.push(Token { kind, range: at..at + length, depth });
            if kind == Kind::Open {
                depth += 1;
            }
        }
        at += length;
    }
    tokens
}

/// Length and kind of what the text begins with; no kind, if it says nothing.
fn next(text: &str) -> (usize, Option<Kind>) {
    let first = text.chars().next().unwrap_or(' ');
    match first {
        _ if first.is_whitespace() => (first.len_utf8(), None),
        '/' if text.starts_with("//") => (text.find('\n').unwrap_or(text.len()), None),
        // An annotation may be called anything.
        '@' => (1 + text.get(1..).map_or(0, word), Some(Kind::Plain)),
        '"' => (string(text), Some(Kind::Plain)),
        '(' | '[' | '{' => (1, Some(Kind::Open)),
        ')' | ']' | '}' => (1, Some(Kind::Close)),
        '&' if text.starts_with("&&") => (2, Some(Kind::And)),
        '|' if text.starts_with("||") => (2, Some(Kind::Or)),
        _ if word(text) > 0 => {
            let length = word(text);
            let kind = match text.get(..length) {
                Some("when") => Kind::When,
                Some("unless") => Kind::Unless,
                Some("if") => Kind::If,
                Some(_) | None => Kind::Plain,
            };
            (length, Some(kind))
        }
        _ => (first.len_utf8(), Some(Kind::Plain)),
    }
}

/// Bytes of the name or key word that the text begins with.
fn word(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// Bytes of the string that the text begins with, quotes included.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(clauses: &str, want: &[&str]) {
        let text = format!("@id(\"when {{a}}\") permit (principal, action, resource) {clauses};");
        let got: Vec<String> = conditions(&text)
            .into_iter()
            .map(|place| {
                let part = text.get(place.range).unwrap();
                format!("{}{part}", if place.negated { "!" } else { "" })
            })
            .collect();
        assert_eq!(got, want, "{clauses}");
    }

    #[test]
    fn conjuncts_stand_apart() {
        check("", &[]);
        check("when { a }", &["a"]);
        check(
            "when { a && b.c == \"x && y\" && [d && e].contains(f) }",
            &["a", "b.c == \"x && y\"", "[d && e].contains(f)"],
        );
        check("when { (a && b) && ((c)) }", &["a", "b", "((c))"]);
        check("when { (a) == (b) && c }", &["(a) == (b)", "c"]);
        check("when { a && b || c }", &["a && b || c"]);
        check("when { a && (b || c) }", &["a", "(b || c)"]);
        check("when { a && if b then c && d else e || f }", &["a", "if b then c && d else e || f"]);
        check("when { (if a then b else c) && d }", &["(if a then b else c)", "d"]);
        check("when { a // && b\n && c }", &["a", "c"]);
        check("when { \"\\\"&&\" == a && b }", &["\"\\\"&&\" == a", "b"]);
        check("when { {when: 1, b: 2} == a && c }", &["{when: 1, b: 2} == a", "c"]);
        check("when { a } when { b && c }", &["a", "b", "c"]);
        check("when { a.unless && b }", &["a.unless", "b"]);
        let annotated =
            "@permit(\"(\") forbid (principal, action in [A::\"x)\"], resource) when {a};";
        let scope = "forbid (principal, action in [A::\"x)\"], resource)";
        assert_eq!(annotated.get(head(annotated)), Some(scope));
        assert_eq!(conditions("@when(\"x\") permit (principal, action, resource);"), []);
        check("when { é == \"ü\" && b }", &["é == \"ü\"", "b"]);
    }

    #[test]
    fn literals_are_found() {
        let text =
            "principal in A::B::\"x\" && c.d == \"e \\\"f\\\"\" && 5 < g.h - 12 || i is J::K";
        assert_eq!(strings(text), ["e \"f\""]);
        assert_eq!(numbers(text), [5, 12]);
        assert_eq!(entities(text), [("A::B".to_owned(), "x".to_owned())]);
        assert_eq!(entities("[A::\"x\", A::\"y\"].contains(b)").len(), 2);
    }

    #[test]
    fn attributes_are_named_up_to_a_call() {
        let check = |text: &str, want: &[&str]| assert_eq!(attributes(text), want, "{text}");
        check("context.waf.score > 1 && 2 < context.waf.score", &["context.waf.score"]);
        check("context.conn.ip.isLoopback()", &["context.conn.ip"]);
        check("principal.getTag(\"a\").contains(context.token.acr)", &["context.token.acr"]);
        check("resource has owner && resource.owner == principal", &["resource.owner"]);
        check("{context: 1}.context == a.context.b && \"context.a\" == \"\"", &[]);
        check("principal in resource.readers", &["resource.readers"]);
        check("context.", &[]);
        check("resource has owner", &["resource.owner"]);
        check("context.waf has score && resource has a.b", &["context.waf.score", "resource.a.b"]);
        check("resource has", &[]);
    }

    #[test]
    fn tags_are_named_with_whose_they_are() {
        let text = "principal.hasTag(\"team\") && resource.getTag(\"of\") == principal.getTag(n)";
        assert_eq!(tags(text), [("principal", "team".to_owned()), ("resource", "of".to_owned())]);
        assert!(calculates("a - 1 < b") && !calculates("a < \"-\""));
    }

    #[test]
    fn an_unless_goes_on_where_all_its_disjuncts_are_false() {
        check("unless { a || b && c }", &["!a", "!b && c"]);
        check("unless { a && b }", &["!a && b"]);
        check("when { a } unless { (b || c) || d }", &["a", "!b", "!c", "!d"]);
    }
}
