//! Condition coverage as a page: the policies' text, each condition coloured by what the cases
//! saw of it. One file, without scripts and without anything from elsewhere.

use std::fmt::Write;

use verdict::{Coverage, Covered, Source};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;\
color:#1c1c1c;background:#fff}pre{background:#f6f6f4;padding:1em;overflow-x:auto;\
font:13px/1.5 ui-monospace,monospace}.both{background:#bfe8c5}.true,.false{background:#ffe49c}\
.none{background:#ffb9b0}h2{font-size:1em;margin:1.5em 0 .3em}span[title]{border-radius:3px}";

/// The page.
pub(super) fn page(coverage: &Coverage, source: &Source) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>Condition coverage</title><style>{STYLE}</style></head><body>\n\
         <h1>Condition coverage</h1>\n<p>{} of {} scopes and conditions were seen both true and \
         false ({:.1} %). <span class=\"both\">Both</span>, <span class=\"true\">only one</span>, \
         <span class=\"none\">neither</span>.</p>\n",
        coverage.covered(),
        coverage.parts.len(),
        coverage.percent(),
    );
    let mut files: Vec<&str> = coverage.parts.iter().map(|part| part.file.as_str()).collect();
    files.dedup();
    for file in files {
        let text = source.files.get(file).map_or("", String::as_str);
        let parts = coverage.parts.iter().filter(|part| part.file == file);
        let _ = writeln!(page, "<h2>{}</h2>\n<pre>{}</pre>", escaped(file), coloured(text, parts));
    }
    page + "</body></html>\n"
}

/// A file's text with its parts coloured; parts do not overlap.
fn coloured<'a>(text: &str, parts: impl Iterator<Item = &'a Covered>) -> String {
    let mut parts: Vec<&Covered> = parts.collect();
    parts.sort_by_key(|part| part.place.start);
    let (mut page, mut at) = (String::new(), 0);
    let piece = |range| escaped(text.get(range).unwrap_or_default());
    for part in parts {
        let (class, title) = match (part.seen_true, part.seen_false) {
            (true, true) => ("both", "seen true and false"),
            (true, false) => ("true", "never seen false"),
            (false, true) => ("false", "never seen true"),
            (false, false) => ("none", "never reached"),
        };
        page += &piece(at..part.place.start.max(at));
        let part_text = piece(part.place.start.max(at)..part.place.end.max(at));
        let _ = write!(page, "<span class=\"{class}\" title=\"{title}\">{part_text}</span>");
        at = part.place.end.max(at);
    }
    page + &piece(at..text.len())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(text: &str, part: &str, seen_true: bool, seen_false: bool) -> Covered {
        let start = text.find(part).unwrap();
        Covered {
            policy: "p".to_owned(),
            file: "a/<b>.cedar".to_owned(),
            line: 1,
            column: 1,
            place: start..start + part.len(),
            text: part.to_owned(),
            seen_true,
            seen_false,
        }
    }

    #[test]
    fn the_page_is_the_text_in_colours_and_nothing_of_it_is_markup() {
        let text = "permit (x) when { a < 1 && b == \"<script>\" && c };";
        let parts = vec![
            covered(text, "c }", false, false),
            covered(text, "a < 1", true, true),
            covered(text, "b == \"<script>\"", true, false),
        ];
        let files = [("a/<b>.cedar".to_owned(), text.to_owned())].into();
        let page = page(&Coverage { parts }, &Source { files, ..Source::default() });
        assert!(page.contains("<h2>a/&lt;b&gt;.cedar</h2>"), "{page}");
        assert!(page.contains(
            "permit (x) when { <span class=\"both\" title=\"seen true and false\">a &lt; 1</span> \
             &amp;&amp; <span class=\"true\" title=\"never seen false\">b == \
             &quot;&lt;script&gt;&quot;</span> &amp;&amp; <span class=\"none\" title=\"never \
             reached\">c }</span>;"
        ), "{page}");
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("1 of 3 scopes and conditions"), "{page}");
    }
}
