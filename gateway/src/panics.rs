//! A panic is an error of ours. It is caught where something would else be left out of account:
//! what it was about is refused, and a record says so.
//!
//! What was under way is dropped and not used again. What is shared is behind locks that are held
//! for one change, which is whole or was not made.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// What was to be done panicked. The panic's message went where all of the process go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("panicked")]
pub struct Panicked;

/// What `work` comes to.
///
/// # Errors
/// It panicked.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// What `work` comes to, in its time.
///
/// # Errors
/// It panicked.
pub async fn caught_in<F: Future>(mut work: Pin<&mut F>) -> Result<F::Output, Panicked> {
    std::future::poll_fn(|context| match caught(|| work.as_mut().poll(context)) {
        Ok(poll) => poll.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_and_what_was_held_is_dropped() {
        let held = std::sync::Arc::new(());
        let given = std::sync::Arc::clone(&held);
        let panics = async move {
            tokio::task::yield_now().await;
            assert_eq!(std::sync::Arc::strong_count(&given), 0, "as intended by this test");
        };
        assert_eq!(caught_in(pin!(panics)).await, Err(Panicked));
        assert_eq!(std::sync::Arc::strong_count(&held), 1);
        assert_eq!(caught_in(pin!(std::future::ready(1))).await, Ok(1));
        assert_eq!(caught(|| 2), Ok(2));
    }
}
