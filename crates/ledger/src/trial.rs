//! What is found out about a decision after it was made, for its completion: what a candidate
//! set of policies would have answered.
//!
//! Whoever finds it out and whoever ends the request come in any order, and neither waits: the
//! one that comes second writes the completion. Until then the open decision is kept here, and it
//! ends in any case: a [`Trial`] that is dropped has found out that it was dropped. Nothing is
//! asked here, and no time is kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::{Candidate, CandidateDigests, Completion, Opinion, Unheard};
use crate::receipt::Open;

/// A decision that a candidate is asked about.
#[derive(Debug)]
#[must_use = "a trial that is dropped is recorded as dropped"]
pub struct Trial {
    meeting: Arc<Mutex<Meeting>>,
    digests: Arc<CandidateDigests>,
    found: bool,
}

/// The other side of a [`Trial`]: the open decision's.
#[derive(Debug)]
pub(crate) struct Awaited(Arc<Mutex<Meeting>>);

/// Who came first, and with what.
#[derive(Debug)]
enum Meeting {
    Nobody,
    Found(Candidate),
    Ended(Box<(Open, Completion)>),
    Over,
}

/// A trial of the candidate with these digests, and the side that awaits it.
pub(crate) fn pair(digests: Arc<CandidateDigests>) -> (Trial, Awaited) {
    let meeting = Arc::new(Mutex::new(Meeting::Nobody));
    let trial = Trial { meeting: Arc::clone(&meeting), digests, found: false };
    (trial, Awaited(meeting))
}

impl Trial {
    /// Says what the candidate would have answered. If the request has ended, its completion is
    /// written now.
    pub fn found(mut self, heard: Result<Opinion, Unheard>) {
        self.say(heard);
    }

    fn say(&mut self, heard: Result<Opinion, Unheard>) {
        self.found = true;
        let candidate = Candidate { digests: Arc::clone(&self.digests), heard };
        let mut meeting = lock(&self.meeting);
        match std::mem::replace(&mut *meeting, Meeting::Over) {
            Meeting::Nobody => *meeting = Meeting::Found(candidate),
            Meeting::Ended(ended) => {
                drop(meeting);
                let (open, completion) = *ended;
                open.write(Completion { candidate: Some(candidate), ..completion });
            }
            Meeting::Found(_) | Meeting::Over => {}
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if !self.found {
            self.say(Err(Unheard::Dropped));
        }
    }
}

impl Awaited {
    /// The request ended: its completion is written now, or when the candidate has been asked.
    pub(crate) fn end(self, open: Open, completion: Completion) {
        let mut meeting = lock(&self.0);
        match std::mem::replace(&mut *meeting, Meeting::Over) {
            Meeting::Nobody => *meeting = Meeting::Ended(Box::new((open, completion))),
            Meeting::Found(candidate) => {
                drop(meeting);
                open.write(Completion { candidate: Some(candidate), ..completion });
            }
            Meeting::Ended(_) | Meeting::Over => open.write(completion),
        }
    }
}

fn lock(meeting: &Mutex<Meeting>) -> MutexGuard<'_, Meeting> {
    meeting.lock().unwrap_or_else(PoisonError::into_inner)
}
