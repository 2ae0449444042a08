//! Where the rules look at a request: on the worker that has it, if that is little work, and else
//! among the [`Blocking`](crate::blocking::Blocking) work, where each source has a share.
//!
//! Nobody could look is a fact as any other: policy says what follows of it.

use std::sync::Arc;

use signals::{Observed, Rules};

use crate::Gateway;
use crate::blocking::Ended;
use crate::panics::{Panicked, caught};
use crate::read::Exchange;
use crate::route::Route;

impl Gateway {
    /// What the rules find, and what they keep for the response.
    pub(crate) async fn inspect(
        &self,
        rules: &Rules,
        route: &Route,
        exchange: &Exchange,
    ) -> Observed {
        let Exchange { request, conn, .. } = exchange;
        match caught(|| rules.observe_inline(&route.checks, request, conn)) {
            Ok(Some(observed)) => return observed,
            Ok(None) => {}
            Err(Panicked) => {
                tracing::error!(route = %route.name, "the rules panicked");
                return (rules.unavailable(&route.checks, Ended::Panicked.as_str()), None);
            }
        }
        let (checks, request, conn) = (route.checks.clone(), request.clone(), Arc::clone(conn));
        let (client, these) = (conn.ip, rules.clone());
        let look = move || these.observe_and_keep(&checks, &request, &conn);
        let looked = self.blocking.run(client, look).await;
        looked.unwrap_or_else(|ended| (rules.unavailable(&route.checks, ended.as_str()), None))
    }
}
