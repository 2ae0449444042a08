//! One request, sent: a connection is found, the head of the answer awaited.
//!
//! A request is sent again only if a *pooled* connection died before a byte of it was written,
//! and then once, on a new connection. A connect that failed is tried on one other endpoint.
//! Nothing else is retried: what an upstream has seen, it may have done.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};

use super::endpoint::{Endpoint, Limits, Upstream};
use super::failure::{Failure, Fault, chain};
use super::pool::{Lease, Pools, Sent};
use super::upload::{Progress, Turn, Upload};

/// Sends the request to one of the upstream's endpoints and waits for the answer's head.
pub(super) async fn send(
    pools: &Pools,
    upstream: &Upstream,
    request: Request<Upload>,
    progress: Option<&Progress>,
) -> Result<(Response<Incoming>, Lease), Fault> {
    let limits = &upstream.limits;
    let mut lease = lease(pools, upstream).await?;
    let mut sent = answer(&mut lease, request, progress, limits).await?;
    if lease.reused()
        && let Err(error) = &mut sent
        && let Some(unsent) = error.take_message()
    {
        lease = Box::pin(pools.open(lease.endpoint(), limits)).await?;
        sent = answer(&mut lease, unsent, progress, limits).await?;
    }
    match sent {
        Ok(response) => Ok((response, lease)),
        Err(error) => Err(match progress.and_then(Progress::failure) {
            Some(why) => {
                Fault::new(Failure::ClientBody(why), "while it was forwarded").at(lease.address())
            }
            None => broken(error.error(), &lease),
        }),
    }
}

/// A connection to an endpoint of the upstream, pooled or new; where the first endpoint cannot
/// be connected, to another.
async fn lease(pools: &Pools, upstream: &Upstream) -> Result<Lease, Fault> {
    let choose = |not: Option<&Endpoint>| upstream.choose(Instant::now(), not);
    let Some(first) = choose(None) else {
        return Err(Fault::new(Failure::NoHealthyEndpoint, format!("`{}`", upstream.name)));
    };
    let fault = match reuse_or_open(pools, first, &upstream.limits).await {
        Ok(lease) => return Ok(lease),
        Err(fault) => fault,
    };
    match choose(Some(first)) {
        Some(second) => reuse_or_open(pools, second, &upstream.limits).await,
        None => Err(fault),
    }
}

/// What hyper's error says of the upstream.
fn broken(error: &hyper::Error, lease: &Lease) -> Fault {
    let failure = if error.is_parse() { Failure::BadResponse } else { Failure::Reset };
    Fault::new(failure, chain(error)).at(lease.address())
}

async fn reuse_or_open(
    pools: &Pools,
    endpoint: &Arc<Endpoint>,
    limits: &Limits,
) -> Result<Lease, Fault> {
    match pools.reuse(endpoint, limits) {
        Some(lease) => Ok(lease),
        // Boxed: most requests find an idle connection, and connecting is a large future.
        None => Box::pin(pools.open(endpoint, limits)).await,
    }
}

async fn answer(
    lease: &mut Lease,
    request: Request<Upload>,
    progress: Option<&Progress>,
    limits: &Limits,
) -> Result<Sent, Fault> {
    let sent = pin!(lease.send(request));
    in_time(sent, progress, limits).await.ok_or_else(|| {
        let what = match progress.map(Progress::turn) {
            None | Some(Turn::Done) => "no answer",
            Some(Turn::Upstream | Turn::Client) => "the request's body was not taken",
        };
        Fault::new(Failure::ResponseTimeout, what).at(lease.address())
    })
}

/// Awaits the answer's head. `response_timeout` runs from the end of the request's body; while
/// the body is sent, each piece of it must be taken within `idle_timeout`.
async fn in_time<T>(
    mut answer: Pin<&mut impl Future<Output = T>>,
    progress: Option<&Progress>,
    limits: &Limits,
) -> Option<T> {
    let started = Instant::now();
    let mut alarm = pin!(sleep_until(match progress {
        None => started + limits.response_timeout,
        Some(_) => started + limits.response_timeout.min(limits.idle_timeout),
    }));
    loop {
        tokio::select! {
            biased;
            got = &mut answer => return Some(got),
            () = &mut alarm => {
                let now = Instant::now();
                let next = deadline(now, progress?, limits);
                if next <= now {
                    return None;
                }
                alarm.as_mut().reset(next);
            }
        }
    }
}

/// When the next thing must have happened. A client that pauses has its own alarm in the upload.
fn deadline(now: Instant, progress: &Progress, limits: &Limits) -> Instant {
    match progress.turn() {
        Turn::Done => progress.moved() + limits.response_timeout,
        Turn::Upstream => progress.moved() + limits.idle_timeout,
        Turn::Client => now + limits.response_timeout.min(limits.idle_timeout),
    }
}
