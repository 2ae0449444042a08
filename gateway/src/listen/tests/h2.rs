//! HTTP/2 connections: what is refused and counted, limits, and whole exchanges with hyper's own
//! client.

mod exchanges;
mod frames;
mod limits;

use hyper::rt::Executor;
use tokio::runtime::LocalRuntime;

use super::*;
use crate::listen::h2;

/// What a connection came to: what the client made of it, what was refused, what was abandoned,
/// what panicked.
struct Over<T> {
    client: T,
    refused: Vec<(&'static str, u64)>,
    abandoned: u64,
    panicked: u64,
}

/// One HTTP/2 connection in memory; `stage` may be set to drain it.
fn connect_h2<H: Handler, T>(
    handler: H,
    common: &Arc<Common>,
    pipe_bytes: usize,
    client: impl AsyncFnOnce(DuplexStream, watch::Sender<Stage>) -> T,
) -> Over<T> {
    let runtime = LocalRuntime::new().expect("a runtime");
    let all = async {
        let (ours, theirs) = tokio::io::duplex(pipe_bytes);
        let (stage, seen) = watch::channel(Stage::Serving);
        let abandoned = Abandoned::default();
        let connection = worker::Connection {
            common: Arc::clone(common),
            handler: Rc::new(handler),
            stage: seen,
            conn: Conn::default(),
            abandoned: abandoned.clone(),
        };
        let serving = h2::serve(Rc::new(connection), theirs);
        let both = async { tokio::join!(serving, client(ours, stage)) };
        let both = tokio::time::timeout(Duration::from_secs(20), both);
        let (refused, client) = both.await.expect("no deadlock");
        let (panicked, abandoned) = (abandoned.panicked(), abandoned.count());
        Over { client, refused, abandoned, panicked }
    };
    runtime.block_on(all)
}

/// Runs hyper's client.
#[derive(Clone)]
struct Local;

impl<F: Future<Output = ()> + 'static> Executor<F> for Local {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}
