//! The running gateway: what is started, in which order, and how it stops.
//!
//! Start: everything is loaded and checked, the record is opened, the doors are bound, and only
//! then is anything served. Stop (SIGTERM): not ready, a pause for whoever routes to us, no more
//! connections, a deadline for those in flight, `log_close`, and the rest of the trail shipped.

mod expiry;
mod loads;
mod material;
mod stamps;
mod stop;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{Either, Full};
use ledger::event::Producer;
use ledger::keys::Issuer;
use ledger::{Ledger, Open, SpoolOptions};
use rustls::ServerConfig;
use shipper::{Shipper, Topics};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::admin::{self, Control, Health, Outcome, Reloads};
use crate::asked::now_ms;
use crate::config::{self, Config, Examined, Problem, Transport};
use crate::flood::Flushing;
use crate::forward::{Answer, Pools};
use crate::listen::{self, ConnectionSummary, Door, DoorOptions, Edge, Handler, Trusted};
use crate::metrics::Readings;
use crate::protocol::{h1, h2};
use crate::read::{BodyLimits, Limits, Raw, Tally};
use crate::snapshot::{Snapshot, Snapshots};
use crate::{Answered, Gateway};
use loads::Loads;
pub(crate) use loads::{Load, source};
pub(crate) use material::Ends;
use material::Served;
use stamps::{Stamps, stamps};
use stop::Stop;

/// Time between two looks at the files, where they are watched.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Time at the end for what runs beside: a load that hangs would be waited for without one.
const LEAVE_AFTER: Duration = Duration::from_secs(1);

/// Why a gateway does not start, or did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration, the policies, or the certificates and keys are wrong: every problem.
    #[error("the configuration is not valid")]
    Invalid {
        /// All that were found.
        problems: Vec<Problem>,
        /// What the configuration names was looked at as well: enough of it is right.
        named_too: bool,
    },
    /// The record cannot be opened.
    #[error("the record cannot be opened")]
    Ledger(#[from] ledger::StartError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] listen::BindError),
    /// The system refuses.
    #[error("{what}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The record was not closed.
    #[error("the record could not be closed")]
    Unclosed(#[source] ledger::Unavailable),
    /// The tail of the trail is still in the spool.
    #[error(
        "{events} events of `{origin}` and {epochs} earlier logs are not shipped; the next start ships them"
    )]
    Unshipped {
        /// The log.
        origin: String,
        /// Events of it.
        events: u64,
        /// Earlier logs.
        epochs: u64,
    },
}

/// Runs until SIGTERM or SIGINT.
pub fn run(path: &Path) -> Result<(), RunError> {
    let system = |what| move |source| RunError::System { what, source };
    let snapshot = Snapshot::load(path, None).map_err(|problems| invalid(problems, path))?;
    let config = snapshot.config();
    let started = Arc::clone(config);
    let workers = config
        .gateway
        .workers
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let (served, issuer) = material::load(config)
        .map_err(|problems| RunError::Invalid { problems, named_too: true })?;
    let certificates = Certificates::new(served);
    // Addresses first: a start that fails for one must not leave another log in the spool.
    let doors = doors(config, &certificates, workers)?;
    let health = config.health.as_ref().map(|health| bind("health", health.address)).transpose()?;
    let admin = config.admin.as_ref().map(|admin| bind("admin", admin.address)).transpose()?;
    let ledger = open_ledger(&snapshot, issuer).map_err(|error| match error {
        // Keys that may not sign this log are as wrong as keys that cannot be read.
        RunError::Ledger(ledger::StartError::Key(wrong)) => {
            let problem = format!("{:#}", anyhow::Error::from(wrong));
            let problems = vec![config.sites.keys.problem(problem)];
            RunError::Invalid { problems, named_too: true }
        }
        error => error,
    })?;
    snapshot.candidate().log();
    let load = Load::start(&snapshot);
    let background = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("background")
        .enable_all()
        .build()
        .map_err(system("the background runtime cannot be started"))?;
    let addresses: Vec<_> = doors.iter().map(Door::address).collect();
    let gateway = Arc::new(Gateway::new(Snapshots::new(snapshot), ledger.clone(), Arc::default()));
    let running = Running {
        path: path.to_owned(),
        gateway: Arc::clone(&gateway),
        ledger,
        started,
        loads: Loads::default(),
        tallies: doors.iter().map(Door::tally).collect(),
        certificates,
        ready: Arc::new(AtomicBool::new(false)),
    };
    let listening = listen::serve(doors, workers, {
        let gateway = Arc::clone(&gateway);
        move |_| Worker { gateway: Arc::clone(&gateway), pools: Pools::start() }
    })
    .map_err(system("the workers cannot be started"))?;
    for address in addresses {
        info!(%address, workers, "listening");
    }
    let ended = background.block_on(async {
        running.tell(&running.gateway.snapshots().current(), load).await;
        running.until_stopped(health, admin, listening).await
    });
    background.shutdown_timeout(LEAVE_AFTER);
    ended
}

/// These problems, and those of certificates and keys.
fn invalid(mut problems: Vec<Problem>, path: &Path) -> RunError {
    let config = Examined::load(path).config;
    let material = config.as_ref().and_then(|config| material::load(config).err());
    problems.extend(material.unwrap_or_default());
    RunError::Invalid { problems, named_too: config.is_some() }
}

/// What one worker answers with: the gateway, and connections of its own.
struct Worker {
    gateway: Arc<Gateway>,
    pools: Pools,
}

impl Handler for Worker {
    type Body = Either<Answer<Open>, Full<Bytes>>;

    async fn handle(&self, raw: Raw) -> Answered {
        self.gateway.handle(&self.pools, raw).await
    }

    fn panicked(&self) -> Option<Answered> {
        Some(self.gateway.panicked())
    }

    async fn ended(&self, summary: ConnectionSummary) {
        self.gateway.ended(&summary).await;
    }
}

/// The trail on its way to Kafka.
struct Shipping {
    task: JoinHandle<Result<(), shipper::ShipError>>,
    status: Arc<shipper::Status>,
}

struct Running {
    path: PathBuf,
    gateway: Arc<Gateway>,
    ledger: Ledger,
    /// What it was started with: some of it holds until it ends.
    started: Arc<Config>,
    loads: Loads,
    tallies: Vec<Arc<Tally>>,
    certificates: Certificates,
    ready: Arc<AtomicBool>,
}

impl Running {
    async fn until_stopped(
        self,
        health: Option<std::net::TcpListener>,
        admin: Option<std::net::TcpListener>,
        listening: listen::Workers,
    ) -> Result<(), RunError> {
        let system = |what| move |source| RunError::System { what, source };
        let shipping = self.ship();
        let flushing = self.flush();
        if let Some(listener) = health {
            let listener = TcpListener::from_std(listener)
                .map_err(system("the health listener cannot listen"))?;
            let shipper = shipping.as_ref().map(|shipping| Arc::clone(&shipping.status));
            tokio::spawn(self.health(shipper).serve(listener));
        }
        let (reloads, mut asked) = mpsc::channel(1);
        if let Some(listener) = admin {
            let listener = TcpListener::from_std(listener)
                .map_err(system("the admin listener cannot listen"))?;
            tokio::spawn(self.control(listener, reloads));
        }
        let mut stop = Stop::listen().map_err(system("signals cannot be received"))?;
        let mut hup = signal(SignalKind::hangup()).map_err(system("signals cannot be received"))?;
        let mut keys = self.keep_keys_fresh();
        let mut seen = (self.stamps())();
        let mut watch = tokio::time::interval(WATCH_EVERY);
        self.ready.store(true, Ordering::Release);
        info!("ready");
        loop {
            let (trigger, reply) = tokio::select! {
                () = stop.asked() => break,
                _ = hup.recv() => ("signal", None),
                Some(reply) = asked.recv() => ("admin", Some(reply)),
                _ = watch.tick() => {
                    if !self.gateway.snapshots().current().config().reload.watch {
                        continue;
                    }
                    let look = tokio::task::spawn_blocking(self.stamps());
                    match stop.or("a look at the files", look).await {
                        None => break,
                        Some(Ok(now)) if now != seen => seen = now,
                        Some(Ok(_)) => continue,
                        // A change that cannot be seen may be one.
                        Some(Err(error)) => error!(%error, "the files were not looked at"),
                    }
                    ("watch", None)
                }
            };
            let Some(outcome) = self.reload(&mut keys, trigger, &mut stop).await else { break };
            if let Some(reply) = reply {
                // whoever asked may be gone
                let _ = reply.send(outcome);
            }
        }
        self.stop(listening, flushing, shipping).await
    }

    /// Looks at the files, wherever it is called.
    fn stamps(&self) -> impl FnOnce() -> Stamps + Send + use<> {
        let (snapshot, started) = (self.gateway.snapshots().current(), Arc::clone(&self.started));
        move || stamps(snapshot.config(), snapshot.ruleset().paths(), &started)
    }

    /// Records what is counted, and ends each window.
    fn flush(&self) -> Flushing {
        let window = self.gateway.snapshots().current().config().audit.flood.window;
        Flushing::start(Arc::clone(self.gateway.flood()), self.ledger.clone(), window)
    }

    /// Ships the trail, if it is to be shipped.
    fn ship(&self) -> Option<Shipping> {
        let snapshot = self.gateway.snapshots().current();
        let config = snapshot.config();
        let kafka = config.audit.kafka.as_ref()?;
        let trail = self.ledger.trail()?;
        let shipper = Shipper::new(shipper::Options {
            brokers: kafka.brokers.clone(),
            topics: Topics::new(&kafka.topic_prefix),
            client_id: format!("portcullis-{}", config.gateway.instance),
            properties: Vec::new(),
        });
        let status = shipper.status();
        let task = tokio::spawn(async move {
            let shipped = shipper.ship(trail).await;
            if let Err(error) = &shipped {
                error!(
                    error = error as &dyn std::error::Error,
                    "shipping ended; the spool keeps what is left"
                );
            }
            shipped
        });
        Some(Shipping { task, status })
    }

    fn keep_keys_fresh(&self) -> JoinHandle<()> {
        let issuers = Arc::clone(self.gateway.snapshots().current().issuers());
        tokio::spawn(async move { issuers.run().await })
    }

    fn health(
        &self,
        shipper: Option<Arc<shipper::Status>>,
    ) -> Health<
        impl Fn() -> Result<(), &'static str> + Send + Sync + use<>,
        impl Fn() -> String + Send + Sync + use<>,
    > {
        let (ready, ledger) = (Arc::clone(&self.ready), self.ledger.clone());
        let (gateway, tallies) = (Arc::clone(&self.gateway), self.tallies.clone());
        let metrics = self.ledger.clone();
        let loads = self.loads.clone();
        Health {
            ready: move || match (ready.load(Ordering::Acquire), ledger.status().health) {
                (false, _) => Err("starting or stopping"),
                (true, ledger::Health::Ok) => Ok(()),
                (true, _) => Err("the record takes nothing"),
            },
            metrics: move || {
                let snapshot = gateway.snapshots().current();
                let upstreams: Vec<_> = snapshot.upstreams().cloned().collect();
                let status = metrics.status();
                let tally = Tally::sum(&tallies);
                let (tally, shipper) = (&tally, shipper.as_deref());
                let readings = Readings {
                    ledger: &status,
                    shipper,
                    tally,
                    blocking: gateway.blocking(),
                    upstreams: &upstreams,
                    candidate: snapshot.candidate(),
                    policies: snapshot.policy_set(),
                    rules: snapshot.ruleset(),
                    kept: loads.last().kept,
                    now_ms: now_ms(),
                };
                gateway.metrics().text(&readings)
            },
        }
    }

    /// The admin listener.
    fn control(
        &self,
        listener: TcpListener,
        reloads: Reloads,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (ready, ledger) = (Arc::clone(&self.ready), self.ledger.clone());
        let (gateway, loads) = (Arc::clone(&self.gateway), self.loads.clone());
        let ends = Arc::clone(&self.certificates.ends);
        let status = move || {
            let snapshot = gateway.snapshots().current();
            let ready = ready.load(Ordering::Acquire);
            admin::status(ready, &ledger.status(), &snapshot, &loads.last(), &ends.load())
        };
        let control = Control { reloads, status };
        async move {
            let Err(error) = control.serve(listener).await;
            error!(%error, "the admin listener ended");
        }
    }

    /// Loads everything anew, and serves it if it is right. What cannot change while it runs
    /// (listeners, the spool, Kafka) is reported and stays. Nothing comes of it if a stop is asked
    /// for before all is read.
    async fn reload(
        &self,
        keys: &mut JoinHandle<()>,
        trigger: &str,
        stop: &mut Stop,
    ) -> Option<Outcome> {
        let before = self.gateway.snapshots().current();
        let (path, base) = (self.path.clone(), Arc::clone(&before));
        let (started, last) = (Arc::clone(&self.started), self.loads.last());
        let asked = trigger.to_owned();
        // Parsing takes its time, and so does the disk: no worker waits for either.
        let load = move || {
            let next = Snapshot::load(&path, Some(&base))?;
            let served = material::certificates(&started)?;
            let load = Load::taken(asked, &next, &base, &last);
            Ok((next, served, load))
        };
        let load = tokio::task::spawn_blocking(load);
        let (next, served, load) = match stop.or("a load", load).await? {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(problems)) => {
                let problems: Vec<Problem> = problems;
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                return Some(self.refused(&before, trigger, problems).await);
            }
            Err(error) => {
                error!(%error, "reload");
                let problems = vec!["the load did not end".to_owned()];
                return Some(self.refused(&before, trigger, problems).await);
            }
        };
        let kept = self.unchanged(next.config());
        // New connections see the certificates that are in the files now.
        self.certificates.replace(served);
        let next = self.gateway.snapshots().replace(next);
        next.candidate().log();
        self.tell(&next, load).await;
        let candidate = next.candidate().problems().iter().map(ToString::to_string).collect();
        let outcome = Outcome { problems: Vec::new(), kept, candidate };
        let same_keys = Arc::ptr_eq(before.issuers(), next.issuers());
        loads::retire(before);
        if !same_keys {
            keys.abort();
            *keys = self.keep_keys_fresh();
        }
        Some(outcome)
    }

    /// The sections that a reload cannot change and that are others now, held each time against
    /// what was started.
    fn unchanged(&self, new: &Config) -> Vec<&'static str> {
        let old = &self.started;
        let mut kept = Vec::new();
        for (what, same) in [
            ("gateway", old.gateway == new.gateway),
            ("listeners", old.listeners == new.listeners),
            ("health", old.health == new.health),
            ("admin", old.admin == new.admin),
            ("audit", old.audit.is_kept(&new.audit)),
        ] {
            if !same {
                kept.push(what);
                warn!(
                    section = what,
                    "reload: this section cannot change while the gateway runs; the old one stays"
                );
            }
        }
        kept
    }

    /// Nothing of it is taken: what there was stays.
    async fn refused(&self, snapshot: &Snapshot, trigger: &str, problems: Vec<String>) -> Outcome {
        let load = Load::refused(trigger.to_owned(), problems.clone(), &self.loads.last());
        self.tell(snapshot, load).await;
        Outcome { problems, kept: Vec::new(), candidate: Vec::new() }
    }

    /// Tells of a load everywhere: in the log, the metrics, `/status` and the record.
    async fn tell(&self, snapshot: &Snapshot, load: Load) {
        let metrics = self.gateway.metrics();
        match load.is_start() {
            true => metrics.started(load.accepted),
            false => metrics.reloaded(load.accepted),
        }
        load.log(snapshot);
        match load.event(snapshot, Uuid::now_v7(), now_ms(), self.ledger.producer()) {
            Ok(record) => {
                if let Err(error) = self.ledger.note(record).await {
                    error!(%error, "a load is not in the record");
                }
            }
            Err(error) => error!(%error, "a load is not in the record"),
        }
        self.loads.put(load);
    }

    async fn stop(
        self,
        listening: listen::Workers,
        flushing: Flushing,
        shipping: Option<Shipping>,
    ) -> Result<(), RunError> {
        let drain = self.gateway.snapshots().current().config().drain;
        self.ready.store(false, Ordering::Release);
        info!(delay_ms = drain.delay.as_millis(), "stopping");
        tokio::time::sleep(drain.delay).await;
        listening.drain(Instant::now() + drain.deadline);
        let joined = tokio::task::spawn_blocking(|| listening.join()).await;
        if let Ok(Err(error)) | Err(error) = joined.map_err(io::Error::other) {
            error!(%error, "a worker did not end as it should");
        }
        // No request is left: what is still to be found out about decisions ends with it.
        let gateway = Arc::clone(&self.gateway);
        let tried = tokio::task::spawn_blocking(move || gateway.end_trials(drain.deadline)).await;
        tried.unwrap_or_else(
            |error| error!(%error, "what is found out after decisions was not waited for"),
        );
        flushing.end().await;
        self.ledger.close().await.map_err(RunError::Unclosed)?;
        let Some(shipping) = shipping else { return Ok(()) };
        // The same time again for the tail; what is left is named, and the next start ships it.
        let ended = tokio::time::timeout(drain.deadline, shipping.task).await;
        if matches!(ended, Ok(Ok(Ok(())))) {
            info!("stopped; everything is shipped");
            return Ok(());
        }
        let status = self.ledger.status();
        Err(RunError::Unshipped {
            events: status.size.saturating_sub(status.shipped),
            origin: status.origin,
            epochs: status.unshipped_epochs,
        })
    }
}

fn open_ledger(snapshot: &Snapshot, issuer: Issuer) -> Result<Ledger, RunError> {
    let config = snapshot.config();
    let config::Gateway { domain, cluster, instance, .. } = &config.gateway;
    let audit = &config.audit;
    let producer = Producer {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        log: format!("audit.{domain}/{cluster}/{instance}"),
        instance: instance.clone(),
    };
    let spool = SpoolOptions {
        segment_bytes: audit.spool.segment_bytes,
        volatile: audit.spool.volatile,
        ..SpoolOptions::new(&audit.spool.directory, audit.spool.bytes_max)
    };
    let mut options = ledger::Options::new(producer, issuer, spool, now_ms);
    let digests = snapshot.policies().digests();
    options.binary = binary_digest();
    options.digests = ledger::Digests {
        config: config.digest.clone(),
        policies: digests.policies.clone(),
        schema: digests.schema.clone(),
        entities: digests.entities.clone(),
        rules: snapshot.ruleset().digest().to_owned(),
    };
    options.heartbeat = audit.heartbeat;
    Ok(Ledger::start(options)?)
}

/// SHA-256 of the running binary, hex; empty if it cannot be read.
fn binary_digest() -> String {
    let bytes = std::env::current_exe().and_then(std::fs::read).unwrap_or_default();
    if bytes.is_empty() {
        return String::new();
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What each listener shows, if it speaks TLS, and when that ends.
struct Certificates {
    tls: Vec<Option<Arc<ArcSwap<ServerConfig>>>>,
    ends: Arc<ArcSwap<Vec<Ends>>>,
}

impl Certificates {
    fn new(Served { tls, ends }: Served) -> Self {
        let shared = |tls: Option<_>| tls.map(|tls| Arc::new(ArcSwap::from_pointee(tls)));
        Self {
            tls: tls.into_iter().map(shared).collect(),
            ends: Arc::new(ArcSwap::from_pointee(ends)),
        }
    }

    fn replace(&self, Served { tls, ends }: Served) {
        for (shown, new) in self.tls.iter().zip(tls) {
            if let (Some(shown), Some(new)) = (shown, new) {
                shown.store(Arc::new(new));
            }
        }
        self.ends.store(Arc::new(ends));
    }
}

fn bind(name: &str, address: SocketAddr) -> Result<std::net::TcpListener, RunError> {
    let bound = std::net::TcpListener::bind(address);
    let bound = bound.and_then(|bound| bound.set_nonblocking(true).map(|()| bound));
    let failed = |source| listen::BindError { name: name.to_owned(), address, source };
    Ok(bound.map_err(failed)?)
}

fn doors(
    config: &Config,
    certificates: &Certificates,
    workers: usize,
) -> Result<Vec<Door>, RunError> {
    let mut doors = Vec::with_capacity(config.listeners.len());
    for (listener, tls) in config.listeners.iter().zip(&certificates.tls) {
        let options = DoorOptions {
            name: listener.name.clone(),
            address: listener.address,
            tls: tls.clone(),
            edge: edge(listener),
            limits: limits(&listener.limits),
            handshake_timeout: listener.limits.handshake_timeout,
            connections: listener.limits.connections,
            connections_per_source: listener.limits.connections_per_source,
        };
        doors.push(Door::bind(options, workers)?);
    }
    Ok(doors)
}

fn edge(listener: &config::Listener) -> Edge {
    Edge {
        proxy_protocol: listener.proxy_protocol.clone(),
        trusted: listener
            .trusted_proxies
            .as_ref()
            .map(|trusted| Trusted { from: trusted.from.clone(), field: trusted.field }),
        only: match &listener.transport {
            Transport::Tls(_) => None,
            Transport::Plain { from } => Some(from.clone()),
        },
    }
}

fn limits(limits: &config::Limits) -> Limits {
    Limits {
        head: h1::Limits {
            head_bytes: limits.head_bytes,
            line_bytes: limits.line_bytes,
            target_bytes: limits.target_bytes,
            headers: limits.headers,
            body_bytes: limits.body_bytes,
        },
        head_timeout: limits.head_timeout,
        idle_timeout: limits.idle_timeout,
        requests: limits.requests_per_connection,
        body: BodyLimits {
            bytes: limits.body_bytes,
            bytes_per_s_min: limits.body_rate_min,
            idle: limits.body_idle_timeout,
        },
        h2: h2::Limits::default(),
    }
}
