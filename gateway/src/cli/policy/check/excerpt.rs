//! A problem for people: what and where, the line, and what to do.
//!
//! Control characters are shown as escapes: a policy is somebody else's text, and this is a
//! terminal.

use std::io::{self, Write};

use super::Finding;

/// Characters of a line that are shown at most.
const SHOWN_CHARS_MAX: usize = 120;

/// Characters before the place, when the line is longer than is shown.
const BEFORE_CHARS: usize = 40;

pub(super) fn write(finding: &Finding, out: &mut impl Write) -> io::Result<()> {
    let Finding { severity, rule, file, line, column, message, hint, text } = finding;
    writeln!(out, "{}[{rule}]: {}", severity.as_str(), shown(message))?;
    match line {
        0 => writeln!(out, "  --> {}", shown(file))?,
        line => writeln!(out, "  --> {}:{line}:{column}", shown(file))?,
    }
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    if let Some(text) = text {
        let (excerpt, before, width) = window(text, *column);
        writeln!(out, " {margin} |")?;
        writeln!(out, " {number} | {excerpt}")?;
        writeln!(out, " {margin} | {}{}", " ".repeat(before), "^".repeat(width))?;
    }
    if let Some(hint) = hint {
        writeln!(out, " {margin} = hint: {}", shown(hint))?;
    }
    writeln!(out)
}

/// What is shown of a line, the columns before the place, and how many the place has.
fn window(text: &str, column: usize) -> (String, usize, usize) {
    let at = column.saturating_sub(1);
    let from = match text.chars().count() > SHOWN_CHARS_MAX {
        true => at.saturating_sub(BEFORE_CHARS),
        false => 0,
    };
    let part =
        |from: usize, chars: usize| shown(&text.chars().skip(from).take(chars).collect::<String>());
    let before = part(from, at.saturating_sub(from).min(SHOWN_CHARS_MAX)).chars().count();
    let room = SHOWN_CHARS_MAX.saturating_sub(at.saturating_sub(from));
    let width = part(at, word(text, at).min(room)).chars().count().max(1);
    (part(from, SHOWN_CHARS_MAX), before, width)
}

/// Characters of the word at the place: a name, with its `@` or its namespaces, or a text.
fn word(text: &str, at: usize) -> usize {
    let mut rest = text.chars().skip(at);
    match rest.next() {
        Some('"') => rest.position(|c| c == '"').map_or(1, |end| end + 2),
        Some(first) if first == '@' || first == '_' || first.is_alphanumeric() => {
            1 + rest.take_while(|c| *c == '_' || *c == ':' || c.is_alphanumeric()).count()
        }
        Some(_) | None => 1,
    }
}

/// The text, with control characters as escapes; a tab is a space.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push(' '),
            c if c.is_control() => shown.extend(c.escape_debug()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, column: usize, want: &str) {
        let finding = Finding {
            severity: super::super::Severity::Warning,
            rule: "unused",
            file: "policies/a.cedar".to_owned(),
            line: 12,
            column,
            message: "idle".to_owned(),
            hint: Some("remove it".to_owned()),
            text: Some(text.to_owned()),
        };
        let mut out = Vec::new();
        write(&finding, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], "warning[unused]: idle");
        assert_eq!(lines[1], format!("  --> policies/a.cedar:12:{column}"));
        assert_eq!(lines[2..5].join("\n"), want, "{out}");
        assert_eq!(lines[5], "    = hint: remove it");
    }

    #[test]
    fn the_place_is_marked_below_the_line() {
        check("  @id(\"a\")", 3, "    |\n 12 |   @id(\"a\")\n    |   ^^^");
        check("  @id(\"a\")", 7, "    |\n 12 |   @id(\"a\")\n    |       ^^^");
        check("in A::B::\"c\";", 4, "    |\n 12 | in A::B::\"c\";\n    |    ^^^^^^");
        check("a\t(b", 3, "    |\n 12 | a (b\n    |   ^");
        check("a", 5, "    |\n 12 | a\n    |  ^");
        check("a\u{1b}[1m b", 7, "    |\n 12 | a\\u{1b}[1m b\n    |            ^");
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let line = format!("{}here{}", "x".repeat(200), "y".repeat(200));
        let (excerpt, before, width) = window(&line, 201);
        assert_eq!(excerpt.chars().count(), SHOWN_CHARS_MAX);
        assert!(excerpt.starts_with(&format!("{}here", "x".repeat(40))), "{excerpt}");
        assert_eq!((before, width), (40, 80));
        let edge = "x".repeat(SHOWN_CHARS_MAX);
        assert_eq!(window(&edge, 1), (edge.clone(), 0, SHOWN_CHARS_MAX));
    }
}
