//! Regression tests of rule sets, in the format of the OWASP CRS's own (`go-ftw`): read from files,
//! made the bytes that a client sends, and judged by what is seen of them.
//!
//! Deliberately ignorant of what runs them: the engine in a process, or a gateway at a socket.

mod copy;
mod judge;
mod overrides;
pub mod reflect;
mod suite;
pub mod wire;
mod yaml;

pub use copy::Copy;
pub use judge::{Seen, Verdict, judge};
pub use overrides::{At, Override, read as read_overrides};
pub use suite::{Expected, FILE_BYTES_MAX, Input, Parts, Stage, read};

/// What the Core Rule Set's tests are run with, between its set-up and its rules.
pub const SETTINGS: &str = include_str!("settings.conf");

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct Wrong {
    /// The file, as it was named or found.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What.
    pub message: String,
}

type Result<T> = std::result::Result<T, Wrong>;

impl Wrong {
    /// Something on a line of the file that is being read.
    fn at(line: usize, message: impl Into<String>) -> Self {
        Self { file: String::new(), line, message: message.into() }
    }

    fn of(mut self, file: &std::path::Path) -> Self {
        self.file = file.display().to_string();
        self
    }
}
