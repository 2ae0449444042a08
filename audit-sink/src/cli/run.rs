//! `audit-sink run`: takes the trail in until SIGTERM or SIGINT, which end the batch in hand.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use tracing_subscriber::EnvFilter;

use super::{Invalid, OK};
use crate::consume::{self, SinkError};

/// Take the trail from Kafka, verify it and keep it
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// `host:port` of brokers to begin with
    #[arg(long, required = true, value_delimiter = ',')]
    brokers: Vec<String>,
    /// The topics are `<prefix>.events.v1` and so on
    #[arg(long, default_value = "audit")]
    topic_prefix: String,
    /// The file with the audit root's public key
    #[arg(long)]
    root: PathBuf,
    /// The directory where the evidence is kept
    #[arg(long)]
    evidence: PathBuf,
    /// A librdkafka property, as for timeouts and sizes
    #[arg(long, value_name = "NAME=VALUE", value_parser = property)]
    property: Vec<(String, String)>,
    /// How the operator's log is written, to standard error; AUDIT_SINK_LOG filters it
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// How properties begin that nobody may set: a broker of librdkafka's own, with which a trail that
/// was never sent would look whole; code from elsewhere; and other names of what is fixed.
const TAKEN_BY_NONE: [&str; 5] =
    ["test.", "plugin.", "topic.", "metadata.broker.list", "auto.commit.enable"];

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if TAKEN_BY_NONE.iter().any(|prefix| name.trim_start().starts_with(prefix)) {
        return Err(format!("`{name}` is not taken"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl Run {
    pub(super) fn run(&self) -> anyhow::Result<u8> {
        self.log();
        let options = consume::Options {
            brokers: self.brokers.clone(),
            topic_prefix: self.topic_prefix.clone(),
            root: super::root(&self.root)?,
            evidence: self.evidence.clone(),
            properties: self.property.clone(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("signals cannot be received")?;
        runtime.block_on(stop_by_signal(&stop)).context("signals cannot be received")?;
        match consume::run(&options, &stop) {
            Ok(()) => {
                info!("stopped; what was taken in is committed");
                Ok(OK)
            }
            Err(error @ SinkError::Consumer(_)) => {
                Err(Invalid(format!("{:#}", anyhow::Error::from(error))).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn log(&self) {
        let filter =
            EnvFilter::try_from_env("AUDIT_SINK_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        let builder =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // A second subscriber cannot be: this is the process's first act.
        let _ = match self.log_format {
            LogFormat::Text => builder.with_ansi(false).try_init(),
            LogFormat::Json => builder.json().try_init(),
        };
    }
}

/// Returns once the signals are listened for.
async fn stop_by_signal(stop: &Arc<AtomicBool>) -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        info!("stopping");
        stop.store(true, Ordering::Relaxed);
    });
    Ok(())
}
