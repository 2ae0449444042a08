//! `portcullis run`: serves until it is told to stop.

use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use super::{FAILED, INVALID, OK, check};
use crate::run::{RunError, run};

/// Serve
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// The main file
    #[arg(long, short, default_value = "portcullis.yaml")]
    config: PathBuf,
    /// How the operator's log is written, to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Run {
    pub(super) fn run(&self) -> u8 {
        self.log();
        match run(&self.config) {
            Ok(()) => OK,
            Err(RunError::Invalid { problems, named_too }) => {
                for problem in &problems {
                    eprintln!("{problem}");
                }
                eprintln!("{}", check::counted(problems.len(), named_too));
                INVALID
            }
            Err(error) => {
                eprintln!("portcullis: {:#}", anyhow::Error::from(error));
                FAILED
            }
        }
    }

    fn log(&self) {
        let filter =
            EnvFilter::try_from_env("PORTCULLIS_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        let builder =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // A second subscriber cannot be: this is the process's first act.
        let _ = match self.log_format {
            LogFormat::Text => builder.with_ansi(false).try_init(),
            LogFormat::Json => builder.json().try_init(),
        };
    }
}
