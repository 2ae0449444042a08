//! Another engine, in a process of its own that is told requests and says what they cost.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::requests::Request;

/// An engine that has loaded its rules.
pub(crate) struct Peer {
    child: Child,
    says: BufReader<ChildStdout>,
    told: ChildStdin,
    /// How long it took to load them.
    pub(crate) load_ms: u64,
}

impl Peer {
    /// Starts a program with its arguments, which loads its rules.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let told = child.stdin.take().context("its input")?;
        let says = BufReader::new(child.stdout.take().context("its output")?);
        let mut peer = Self { child, says, told, load_ms: 0 };
        peer.load_ms = number(&peer.hear()?, "load_ms")?;
        Ok(peer)
    }

    /// CPU time of so many runs in µs, and the rules that match.
    pub(crate) fn run(&mut self, request: &Request, times: usize) -> Result<(f64, Vec<u64>)> {
        let ask = json!({
            "Method": request.method,
            "Target": request.target,
            "Protocol": "HTTP/1.1",
            "Headers": request.headers,
            "Body": STANDARD.encode(&request.body),
            "Times": times,
        });
        writeln!(self.told, "{ask}")?;
        let said = self.hear()?;
        let ids = said.get("ids").and_then(Value::as_array).context("no `ids`")?;
        let ids = ids.iter().filter_map(Value::as_u64).collect();
        Ok((number(&said, "cpu_us")? as f64, ids))
    }

    /// Resident memory, MB.
    pub(crate) fn resident_mb(&self) -> Result<f64> {
        crate::process::resident_mb(&self.child.id().to_string())
    }

    fn hear(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        serde_json::from_str(&line).context("a peer ended, or does not answer")
    }
}

fn number(said: &Value, name: &str) -> Result<u64> {
    said.get(name).and_then(Value::as_u64).with_context(|| format!("no `{name}`"))
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
