//! Clients that ask without pause, whatever becomes of the gateway, and note the decision of every
//! answer whose head came, whatever its status. Deliberately closed: a client asks again when it was answered, so that as many
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
    /// So many clients; each makes one of these requests, a method and a target, over and over.
    pub(crate) fn start(client: &Client, clients: usize, requests: &[(&str, &str)]) -> Self {
        let shared = Arc::new(Shared::default());
        let clients = requests.iter().cycle().take(clients).map(|(method, target)| {
            let request = Request::new(method, target);
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
    fn ask(&self, client: &Client, request: &Request) -> anyhow::Result<()> {
        let mut connection = client.connect()?;
        let bytes = request.bytes(client.host());
        while !self.stop.load(Ordering::Relaxed) {
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            let head = connection.send(&bytes).and_then(|()| connection.final_head());
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            let mut answer = head?;
            // One that is unavailable has none.
            if let Some(id) = answer.field("portcullis-decision-id") {
                self.ids.lock().expect("ids").push(id.to_owned());
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            connection.body(request.method(), &mut answer)?;
            if answer.field("connection") == Some("close") {
                connection = client.connect()?;
            }
        }
        Ok(())
    }
}
