//! Clients that ask without pause, whatever becomes of the gateway, and note every answer that
//! came whole. Deliberately closed: a client asks again when it was answered, so that as many
//! answers are in flight as there are clients, but for the moment between two requests.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use fixtures::{
    client::{Client, Request},
    harness::wait_for,
};

/// How long answers may take to go on, a start of the gateway included.
const GO_ON_MAX: Duration = Duration::from_secs(120);
/// A client whose connection was refused asks again after this time.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// The clients; they go on until [`Load::end`].
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    in_flight: AtomicU64,
    answered: AtomicU64,
    ids: Mutex<Vec<String>>,
}

impl Load {
    /// So many clients; each asks for one of the targets.
    pub(crate) fn start(client: &Client, clients: usize, targets: &[&str]) -> Self {
        let shared = Arc::new(Shared::default());
        let clients = targets.iter().cycle().take(clients).map(|target| {
            let request = Request::new("GET", target).bytes(client.host());
            let client = client.clone().timeout(Duration::from_secs(10));
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                while !shared.stop.load(Ordering::Relaxed) {
                    // A connection that broke with its gateway is made anew.
                    if shared.ask(&client, &request).is_err() {
                        thread::sleep(AGAIN_AFTER);
                    }
                }
            })
        });
        let clients = clients.collect();
        Self { shared, clients }
    }

    /// Answers so far.
    pub(crate) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Requests that were sent and are not answered.
    pub(crate) fn in_flight(&self) -> u64 {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    /// Waits for so many more answers, and then until so many are in flight; returns how many are.
    pub(crate) fn go_on(&self, answers: u64, in_flight: u64) -> u64 {
        let until = self.answered() + answers;
        let there = || {
            let flying = self.in_flight();
            Ok((self.answered() >= until && flying >= in_flight).then_some(flying))
        };
        wait_for("answers", GO_ON_MAX, there).expect("answers go on")
    }

    /// The decisions of the answers so far.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.shared.ids.lock().expect("ids").clone()
    }

    /// Ends it; the decisions of all answers.
    pub(crate) fn end(self) -> Vec<String> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client");
        }
        self.shared.ids.lock().expect("ids").clone()
    }
}

impl Shared {
    fn ask(&self, client: &Client, request: &[u8]) -> anyhow::Result<()> {
        let mut connection = client.connect()?;
        while !self.stop.load(Ordering::Relaxed) {
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            let answer = connection.send(request).and_then(|()| connection.final_answer("GET"));
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            let answer = answer?;
            if answer.status() == 200 {
                let id = answer.field("portcullis-decision-id").unwrap_or_default().to_owned();
                self.ids.lock().expect("ids").push(id);
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}
