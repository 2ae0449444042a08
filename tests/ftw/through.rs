//! A gateway that takes every host and method that the tests have, and what it makes of each stage.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::Write as _,
    net::{Ipv6Addr, SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use fixtures::{
    client::Client,
    harness::{Setting, Setup, wait_for},
    record::text,
    serve::{Server, bind},
    wire::{Message, Reader},
};
use ftw::{
    Copy, SETTINGS, Seen, Stage, reflect,
    wire::{self, Request},
};
use serde_json::Value;

/// How long an answer may take: longer than the gateway waits for what does not come.
const ANSWER: Duration = Duration::from_secs(10);
/// Why a request is turned away that can be read, but has no place here.
const TURNED: [&str; 5] =
    ["misdirected", "not_found", "method_not_allowed", "preflight", "preflight_refused"];
/// Rules that a decision's fact and a completion list, at most.
const RULES_MAX: usize = 64;
const RESPONSE_RULES_MAX: usize = 32;
/// Connections at a time.
const AT_ONCE: usize = 4;

/// A gateway, and the suite's back end behind it.
pub(super) struct Through {
    setting: Setting,
    _back: Server,
}

/// What a stage shows.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) seen: Seen,
    pub(super) came: Came,
}

/// How far a request came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Came {
    /// Nothing of it is recorded.
    Nowhere,
    /// It could not be read, and this is why.
    Refused(String),
    /// It was read, and turned away before rules looked.
    Turned(String),
    /// Rules looked at it, in this state of health, and at its answer, if the back end gave one.
    Rules { request: String, answer: Option<String> },
}

/// What a client got.
#[derive(Debug, Default)]
struct Got {
    status: Option<u16>,
    decision: Option<String>,
}

impl Through {
    /// Starts it with the rules of a copy of the CRS, for the hosts and methods of these stages.
    pub(super) fn start(name: &str, copy: &Copy, stages: &[Stage]) -> Result<Self> {
        let back = back_end()?;
        let settings = tempfile::tempdir()?;
        let ours = settings.path().join("setup.conf");
        fs::write(&ours, SETTINGS)?;
        let files = [copy.setup.clone(), ours, copy.rules.join("*.conf")];
        let files = files.map(|path| path.display().to_string());
        let setting = Setting::start(&format!("ftw-{name}"), &setup(&files, stages, back.addr()))?;
        Ok(Self { setting, _back: back })
    }

    /// Sends every stage, and looks up what the record has of it.
    pub(super) fn show(&self, stages: &[Stage]) -> Result<Vec<Shown>> {
        let got = ask(self.setting.door(), stages);
        // what rules find in an answer is recorded when it was sent
        let record = wait_for("every completion", ANSWER, || {
            let record = self.setting.record()?;
            let ended = record.completions()?.len() >= record.decisions()?.len();
            Ok(ended.then_some(record))
        })?;
        let (decisions, completions) = (record.decisions()?, record.completions()?);
        let shown = got.into_iter().map(|Got { status, decision }| {
            let Some(id) = decision else { return shown(status, None) };
            let of = |events: &BTreeMap<&str, &'_ Value>| {
                let event = events.get(id.as_str()).map(|event| (*event).clone());
                event.with_context(|| format!("no record of decision {id}"))
            };
            shown(status, Some((of(&decisions)?, of(&completions)?)))
        });
        shown.collect()
    }
}

/// What the record of a decision and of its end says.
fn shown(status: Option<u16>, events: Option<(Value, Value)>) -> Result<Shown> {
    let mut seen = Seen { status, ..Seen::default() };
    let Some((decision, completion)) = events else {
        return Ok(Shown { seen, came: Came::Nowhere });
    };
    let reason = text(&decision, "/unmapped/reason").to_owned();
    let Some(waf) = decision.pointer("/unmapped/facts/waf") else {
        let came = match TURNED.contains(&reason.as_str()) {
            true => Came::Turned(reason),
            false => Came::Refused(reason),
        };
        return Ok(Shown { seen, came });
    };
    let of_answer = completion.pointer("/unmapped/waf");
    for (waf, max) in [(Some(waf), RULES_MAX), (of_answer, RESPONSE_RULES_MAX)] {
        let Some(waf) = waf else { continue };
        let ids = waf.pointer("/rules").and_then(Value::as_array).context("no rules")?;
        // what is left out would look as if it had not matched
        ensure!(ids.len() < max, "more rules matched than an event lists: {waf}");
        for id in ids {
            seen.ids.insert(id.as_str().context("no text")?.parse()?);
        }
    }
    let answer = of_answer.map(|waf| text(waf, "/health").to_owned());
    Ok(Shown { seen, came: Came::Rules { request: text(waf, "/health").to_owned(), answer } })
}

/// Sends every stage on a connection of its own, a few at a time.
fn ask(door: SocketAddr, stages: &[Stage]) -> Vec<Got> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut got = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(stage) = stages.get(place) else { return got };
            got.push((place, send(door, &wire::raw(&stage.input))));
        }
    };
    let all: BTreeMap<usize, Got> = thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread's end")).collect()
    });
    all.into_values().collect()
}

/// Sends bytes. The gateway may answer and close before the last of them; or never answer.
fn send(door: SocketAddr, bytes: &[u8]) -> Got {
    let mut connection = Client::plain(door).timeout(ANSWER).connect().expect("a connection");
    let _ = connection.send(bytes);
    let method = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
    let Ok(answer) = connection.final_answer(&String::from_utf8_lossy(method)) else {
        return Got::default();
    };
    let decision = answer.field("portcullis-decision-id").map(str::to_owned);
    Got { status: Some(answer.status()), decision }
}

/// The demo's configuration, for the tests.
fn setup(files: &[String], stages: &[Stage], back: SocketAddr) -> Setup {
    let (mut methods, mut hosts) = (BTreeSet::new(), BTreeMap::<String, Option<String>>::new());
    for request in stages.iter().filter_map(|stage| wire::read(&wire::raw(&stage.input))) {
        methods.extend(method(&request));
        if let Some((host, port)) = host(&request) {
            let known = hosts.entry(host).or_default();
            *known = known.take().or(port);
        }
    }
    let quoted = |texts: Vec<String>| format!("{texts:?}");
    let methods = Vec::from_iter(methods).join(", ");
    let route = |name: &str, path: &str| {
        format!(
            "      - name: {name}
        methods: [{methods}]
        path: {path}
        action: view
        resource: {{type: Page, id: home}}
        upstream: crs
        inspect: 1MiB
        matrix_params: opaque\n"
        )
    };
    let routes = route("root", "/") + &route("anything", "/{*rest}");
    let origins =
        hosts.iter().filter_map(|(host, port)| Some(format!("http://{host}:{}", port.as_ref()?)));
    let origins = quoted(origins.collect());
    let hosts = quoted(hosts.keys().cloned().collect());
    Setup::default()
        .change(
            "    tls:\n      certificate: tls.crt\n      key: {file: tls.key}\n",
            "    plain: {from: [127.0.0.1/32]}\n",
        )
        .change("head_timeout: 2s", "head_timeout: 2s\n      body_idle_timeout: 2s")
        .change(
            "policies:\n  directory",
            &format!(
                "waf:\n  rules: {}\n  mode: shadow\n  responses: 1MiB\npolicies:\n  directory",
                quoted(files.to_vec())
            ),
        )
        .change(
            "upstreams:\n",
            &format!("upstreams:\n  crs:\n    endpoints: [\"http://{back}\"]\n"),
        )
        .change("  orders:\n    hosts: [localhost]", "  orders:\n    hosts: [orders.test]")
        .change("path: /reflect", "path: /limited")
        .change("    hosts: [localhost]", &format!("    hosts: {hosts}"))
        .change(
            "    routes:\n      - name: page\n",
            &format!("    routes:\n{routes}      - name: page\n"),
        )
        .change("drain:\n", &format!("origins: {origins}\ndrain:\n"))
}

/// The method, if a route can have it.
fn method(request: &Request) -> Option<String> {
    let method = String::from_utf8(request.method.clone()).ok()?;
    let can = !method.is_empty()
        && method.bytes().all(|byte| byte.is_ascii_uppercase())
        && !["CONNECT", "TRACE"].contains(&method.as_str());
    can.then_some(method)
}

/// The host, if an API can have it, and the port that is named with it.
fn host(request: &Request) -> Option<(String, Option<String>)> {
    let (_, value) = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"host"))?;
    let value = String::from_utf8(value.clone()).ok()?.to_ascii_lowercase();
    if let Some((address, after)) = value.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let address: Ipv6Addr = address.parse().ok()?;
        return Some((format!("[{address}]"), after.strip_prefix(':').map(str::to_owned)));
    }
    let (host, port) = match value.split_once(':') {
        Some((host, port)) => (host, Some(port.to_owned())),
        None => (value.as_str(), None),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then(|| (host.to_owned(), port))
}

/// What the suite has behind the product.
fn back_end() -> Result<Server> {
    Server::connections(bind(0)?, |stream| {
        let mut reader = Reader::new(stream);
        while let Ok(Some(mut message)) = reader.request_head() {
            if reader.request_body(&mut message).is_err() {
                return;
            }
            if answer(&message, reader.stream_mut()).is_err() {
                return;
            }
        }
    })
}

fn answer(message: &Message, stream: &mut TcpStream) -> Result<()> {
    let request = Request {
        method: message.method().as_bytes().to_vec(),
        target: message.target().as_bytes().to_vec(),
        protocol: Vec::new(),
        headers: Vec::new(),
        body: message.body.clone(),
    };
    let answer = reflect::answer(&request);
    let mut head = format!("HTTP/1.1 {} Answer\r\n", answer.status);
    for (name, value) in &answer.headers {
        if !name.eq_ignore_ascii_case(b"Content-Length") {
            let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    let _ = write!(head, "Content-Length: {}\r\n\r\n", answer.body.len());
    stream.write_all(head.as_bytes())?;
    if message.method() != "HEAD" {
        stream.write_all(&answer.body)?;
    }
    Ok(())
}
