//! As much Markdown as our documents use: fenced blocks with a language, code in backticks, links.

use std::path::{Path, PathBuf};

/// A fenced block of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) language: String,
    pub(super) text: String,
}

/// A document, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) name: String,
    pub(super) blocks: Vec<Block>,
    /// What is in backticks.
    pub(super) spans: Vec<String>,
    /// Where links lead.
    pub(super) links: Vec<String>,
}

impl Document {
    pub(super) fn new(name: &str, text: &str) -> Self {
        let (mut blocks, mut prose): (Vec<Block>, String) = (Vec::new(), String::new());
        let mut open: Option<Block> = None;
        for line in text.lines() {
            match (line.strip_prefix("```"), open.take()) {
                (Some(_), Some(block)) => blocks.push(block),
                (Some(language), None) => {
                    open = Some(Block { language: language.to_owned(), text: String::new() });
                }
                (None, Some(mut block)) => {
                    block.text += line;
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) => {
                    prose += line;
                    prose.push('\n');
                }
            }
        }
        assert!(open.is_none(), "{name}: a block without an end");
        let spans: Vec<String> =
            prose.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")).collect();
        assert!(prose.matches('`').count().is_multiple_of(2), "{name}: a backtick alone");
        let after = prose.split("](").skip(1);
        let links = after.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect();
        Self { name: name.to_owned(), blocks, spans, links }
    }

    /// The text of each block in this language.
    pub(super) fn blocks_in<'a>(&'a self, language: &'a str) -> impl Iterator<Item = &'a str> {
        self.blocks
            .iter()
            .filter(move |block| block.language == language)
            .map(|block| block.text.as_str())
    }

    /// The directory it lies in.
    pub(super) fn directory(&self, root: &Path) -> PathBuf {
        root.join(&self.name).parent().unwrap_or(root).to_owned()
    }
}

#[test]
fn a_document_is_taken_apart() {
    let text = "A `b c` and [d](e.md#f).\n```sh\ng `h`\n```\n[i](j) `k`\n";
    let document = Document::new("dir/x.md", text);
    let block = Block { language: "sh".to_owned(), text: "g `h`\n".to_owned() };
    assert_eq!(document.blocks, [block]);
    assert_eq!(document.blocks_in("sh").collect::<Vec<_>>(), ["g `h`\n"]);
    assert_eq!(document.spans, ["b c", "k"]);
    assert_eq!(document.links, ["e.md#f", "j"]);
    assert_eq!(document.directory(Path::new("/r")), Path::new("/r/dir"));
}
