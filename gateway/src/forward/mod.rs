//! From the recorded permit to the upstream and back.
//!
//! What is sent derives from the `Exchange` inside the permit and from nothing the client could
//! still change. Bodies stream both ways, one piece at a time: a slow reader slows the writer.
//! Connections are pooled per worker; where they lead, with health and load, is shared.
//!
//! Where rules look at responses, what they look at is copied on its way.
//!
//! Deliberately absent: retries of anything an upstream may have seen, buffering, rewriting of
//! bodies, caching, upgrades, and a shape for failures: [`Failed`] says what went wrong and
//! carries the account that the caller's answer closes.

mod account;
mod answer;
mod endpoint;
mod failure;
mod head;
mod look;
mod pool;
mod send;
#[cfg(test)]
#[expect(clippy::large_futures, reason = "tests join whole conversations")]
mod tests;
mod upload;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use http::{Request, Response};
use ledger::{Open, Receipt};
use signals::{Identity, Inspected};
use tokio::time::Instant;
use uuid::Uuid;
use verdict::Permit;

pub use self::account::{Account, Answer, Entry};
pub use self::endpoint::{BadEndpoint, Endpoint, Limits, Upstream};
pub use self::failure::{ClientBody, Failure, Fault};
pub use self::head::{DECISION_ID, decision_value};
pub use self::look::Look;
pub use self::pool::Pools;

use self::answer::Relay;
use self::head::Source;
use self::upload::{Progress, Upload};
use crate::read::Exchange;
use crate::route::Origin;
use crate::trace::Trace;

/// What forwarding needs to know beside the exchange.
#[derive(Debug, Clone, Copy)]
pub struct Onward<'a> {
    /// Where to.
    pub upstream: &'a Upstream,
    /// Where clients reach the host.
    pub origin: Origin,
    /// Who asked, by name also where the record has a pseudonym.
    pub identity: &'a Identity,
    /// The trace, as it was recorded.
    pub trace: &'a Trace,
    /// The route hands the client's `Authorization` on.
    pub authorization: bool,
    /// When the request's head was whole.
    pub started: Instant,
}

/// No answer of the upstream's goes to the client.
#[derive(Debug)]
pub struct Failed<E: Entry> {
    /// What went wrong.
    pub failure: Failure,
    /// The account, to be closed by [`Account::answer`] with the caller's answer.
    pub account: Account<E>,
}

impl Entry for Open {
    async fn synced(&mut self) -> bool {
        Self::synced(self).await.is_ok()
    }

    fn close(self, completion: ledger::event::Completion) {
        Self::close(self, completion);
    }
}

/// Sends what was permitted, and begins the answer. The answer's head, the caller's on failure
/// too, and any interim answer to `Expect` wait until the decision is as durable as its route
/// asks; the upstream is asked meanwhile. Rules `look` at the upstream's answer, if they are to.
///
/// # Errors
/// What went wrong, with the account: the caller shapes the answer.
pub async fn forward(
    pools: &Pools,
    permit: Receipt<Permit<Exchange>>,
    onward: Onward<'_>,
    look: Option<Look>,
) -> Result<Response<Answer<Open>>, Failed<Open>> {
    let decision_id = permit.uid();
    let (permit, open) = permit.split();
    relay(pools, permit.into_inner(), decision_id, onward, open, look).await
}

async fn relay<E: Entry>(
    pools: &Pools,
    exchange: Exchange,
    decision_id: Uuid,
    onward: Onward<'_>,
    entry: E,
    look: Option<Look>,
) -> Result<Response<Answer<E>>, Failed<E>> {
    let Onward { upstream, origin, identity, trace, authorization, started } = onward;
    // To take the first piece of a body that is expected is what sends `100 Continue`.
    let expected = exchange.awaits_continue();
    let Exchange { mut request, body, conn } = exchange;
    // Nobody looks at it any more, and an answer may be long in coming.
    request.inspected = Inspected::default();
    let (upload, progress) = Upload::new(body, request.framing, upstream.limits.idle_timeout);
    let mut account = Account::new(entry, &request.method, started);
    account.forwarded(&upstream.name, progress.clone());
    account.looked_at_by(look);
    // Pinned here: a future that is passed on by value is stored twice.
    let asked = pin!(async {
        let source = Source {
            request: &request,
            conn: &conn,
            origin,
            identity,
            trace,
            decision_id,
            authorization,
        };
        let head = source.head()?;
        ask(pools, upstream, head.map(|()| upload), progress).await
    });
    match gate(expected, asked, account.synced()).await {
        Ok((mut response, address)) => {
            account.connected(Some(address));
            account.look_at(&response);
            response.headers_mut().insert(DECISION_ID, decision_value(decision_id));
            Ok(account.relay(response))
        }
        Err(fault) => {
            tracing::debug!(upstream = %upstream.name, %decision_id, %fault, "not forwarded");
            account.connected(fault.address);
            let failure = fault.failure;
            account.failed(fault);
            Err(Failed { failure, account })
        }
    }
}

/// Sends the request; the answer as the client may have it, and where it is from.
async fn ask(
    pools: &Pools,
    upstream: &Upstream,
    request: Request<Upload>,
    progress: Option<Arc<Progress>>,
) -> Result<(Response<Relay>, SocketAddr), Fault> {
    let method = request.method().clone();
    let (response, lease) = send::send(pools, upstream, request, progress.as_deref()).await?;
    let address = lease.address();
    let (mut parts, incoming) = response.into_parts();
    answer::clean(&mut parts.headers, parts.status, &method).map_err(|fault| fault.at(address))?;
    let relay = Relay::new(incoming, lease, &method, progress, upstream.limits.idle_timeout);
    // A new response: hyper's own has the upstream's version and reason phrase.
    let mut response = Response::new(relay);
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    Ok((response, address))
}

/// What was asked, once the decision is as durable as it must be; `first`, it is not asked
/// before.
async fn gate<T>(
    first: bool,
    asked: impl Future<Output = Result<T, Fault>>,
    synced: impl Future<Output = bool>,
) -> Result<T, Fault> {
    let durable = async {
        match synced.await {
            true => Ok(()),
            false => Err(Fault::new(Failure::LedgerUnavailable, "the sync failed")),
        }
    };
    if first {
        durable.await?;
        return asked.await;
    }
    let (answer, ()) = tokio::try_join!(async { Ok(asked.await) }, durable)?;
    answer
}
