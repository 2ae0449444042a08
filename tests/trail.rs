//! The trail over real Apache Kafka: what was recorded is in the sink, whatever is killed.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use fixtures::{
    client::{Client, Request},
    harness::{Setting, Setup, Sink, Work, wait_for},
    kafka::{Kafka, VERSION},
    record::{Record, text},
    topic::{self, Entry},
};

const LIMIT: Duration = Duration::from_secs(300);
/// Clients that ask at once, so as many answers are in flight.
const CLIENTS: usize = 200;
const KILLS: usize = 20;
/// Answers between two kills, at least.
const BETWEEN: u64 = 300;
const OUTAGE: Duration = Duration::from_secs(20);

/// Dropped in this order: the sink and the gateway before their broker.
struct Bench {
    sink: Sink,
    setting: Setting,
    kafka: Kafka,
    _dir: Work,
}

fn bench(name: &str) -> Bench {
    println!("Apache Kafka {VERSION}");
    let setup = Setup::default()
        .change("    limits:\n", "    limits:\n      connections_per_source: 1000\n")
        .change("bytes_max: 256MiB", "bytes_max: 4GiB")
        .change("deadline: 5s", "deadline: 5m");
    let dir = Work::new("kafka").expect("a directory");
    let kafka = Kafka::start(dir.path(), 1).expect("kafka");
    let setup = Setup { kafka: Some(kafka.bootstrap()), ..setup };
    let setting = Setting::start(name, &setup).expect("the product");
    let sink =
        Sink::start(setting.dir(), &kafka.bootstrap(), &setting.keys.root_vkey).expect("the sink");
    Bench { sink, setting, kafka, _dir: dir }
}

/// Clients that ask without pause and note every answer that came whole.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    ids: Arc<Mutex<Vec<String>>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(setting: &Setting) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let ids = Arc::new(Mutex::new(Vec::new()));
        let clients = (0..CLIENTS).map(|_| {
            let client = setting.client().expect("a client").timeout(Duration::from_secs(10));
            let (stop, answered, ids) =
                (Arc::clone(&stop), Arc::clone(&answered), Arc::clone(&ids));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // A connection that broke with its gateway is made anew.
                    let _ = ask(&client, &stop, &answered, &ids);
                }
            })
        });
        let clients = clients.collect();
        Self { stop, answered, ids, clients }
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits for more answers.
    fn go_on(&self) {
        let until = self.answered() + BETWEEN;
        wait_for("answers", LIMIT, || Ok((self.answered() >= until).then_some(())))
            .expect("answers go on");
    }

    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client");
        }
        self.ids.lock().expect("ids").clone()
    }
}

fn ask(
    client: &Client,
    stop: &AtomicBool,
    answered: &AtomicU64,
    ids: &Mutex<Vec<String>>,
) -> anyhow::Result<()> {
    let request = Request::new("GET", "/public").bytes(client.host());
    let mut connection = client.connect()?;
    while !stop.load(Ordering::Relaxed) {
        connection.send(&request)?;
        let answer = connection.final_answer("GET")?;
        if answer.status() == 200 {
            let id = answer.field("portcullis-decision-id").unwrap_or_default().to_owned();
            ids.lock().expect("ids").push(id);
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Ends the load and the gateway, and waits until the sink has every log to its end.
fn settle(bench: &mut Bench, load: Load) -> Vec<String> {
    let ids = load.end();
    let status = bench.setting.gateway.stop().expect("the gateway's end");
    assert!(status.success(), "the tail was not shipped: {status}");
    let shipped = shipped(&bench.kafka.bootstrap());
    bench.sink.wait_for_events(shipped, LIMIT).expect("everything in the sink");
    assert!(bench.sink.stop().expect("the sink's end").success());
    ids
}

/// How many events there are in Kafka; one that was sent twice is one.
fn shipped(bootstrap: &str) -> usize {
    let mut found = BTreeSet::new();
    let index = |entry: &Entry| {
        let header = entry.headers.iter().find(|(name, _)| name == "audit-index");
        header.map(|(_, value)| value.clone())
    };
    topic::each(bootstrap, "audit.events.v1", |entry| {
        found.insert((entry.key.clone(), index(&entry)));
    })
    .expect("the topic");
    found.len()
}

/// Every answer has its event, once; every decision one completion; and all of it verifies.
/// Returns how many decisions there are.
fn examine(bench: &Bench, answered: &[String]) -> usize {
    let record = Record::new(bench.sink.events().expect("events"));
    let decisions = record.decisions().expect("each decision once");
    let completions = record.completions().expect("each completion once");
    let lost: Vec<&String> =
        answered.iter().filter(|id| !decisions.contains_key(id.as_str())).collect();
    assert!(lost.is_empty(), "{} answers without an event, such as {:?}", lost.len(), lost.first());
    let open: Vec<_> = decisions.keys().filter(|id| !completions.contains_key(**id)).collect();
    assert!(open.is_empty(), "{} decisions without a completion: {:?}", open.len(), open.first());
    assert_eq!(decisions.len(), completions.len());
    let uids: Vec<&str> = record.events().iter().map(|e| text(e, "/metadata/uid")).collect();
    assert_eq!(uids.iter().collect::<BTreeSet<_>>().len(), uids.len(), "an event twice");
    let verified = bench.sink.verify(&bench.sink.evidence()).expect("verify");
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
    println!("{}", verified.out.trim_end());
    decisions.len()
}

#[test]
fn what_is_recorded_is_in_the_sink() {
    let mut bench = bench("trail");
    let client = bench.setting.client().expect("a client");
    let mut ids = Vec::new();
    for target in ["/public", "/orders", "/nowhere", "/public/../orders", "/orders%2f1"] {
        let answer = client.get(target, &[]).expect("an answer");
        ids.push(answer.field("portcullis-decision-id").expect("an id").to_owned());
    }
    let load = Load {
        stop: Arc::default(),
        answered: Arc::default(),
        ids: Arc::new(Mutex::new(ids)),
        clients: Vec::new(),
    };
    let ids = settle(&mut bench, load);
    assert_eq!(examine(&bench, &ids), ids.len());
}

/// `cargo xtask kill`.
#[test]
fn no_answer_is_without_its_event_whatever_is_killed() {
    let mut bench = bench("kill");
    let load = Load::start(&bench.setting);
    for kill in 1..=KILLS {
        load.go_on();
        let before = load.answered();
        bench.setting.gateway.process().kill().expect("kill");
        println!("gateway kill {kill}: {before} answers before, {CLIENTS} clients asking");
        bench.setting.start_again().expect("start again");
    }
    for kill in 1..=KILLS {
        load.go_on();
        bench.sink.kill_and_restart().expect("kill the sink");
        println!("sink kill {kill}: {} answers before", load.answered());
    }
    bench.kafka.stop(1).expect("stop kafka");
    let (stopped, before) = (Instant::now(), load.answered());
    load.go_on();
    thread::sleep(OUTAGE.saturating_sub(stopped.elapsed()));
    println!(
        "kafka stopped for {:?}: {} answers meanwhile",
        stopped.elapsed(),
        load.answered() - before
    );
    bench.kafka.restart(1).expect("restart kafka");
    load.go_on();
    let ids = settle(&mut bench, load);
    let decisions = examine(&bench, &ids);
    println!(
        "kill: gateway_kills={KILLS} sink_kills={KILLS} kafka_outage_s={} clients={CLIENTS} answered={} decisions={decisions} lost=0 duplicates=0",
        OUTAGE.as_secs(),
        ids.len(),
    );
}
