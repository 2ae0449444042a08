//! What rules look at of an upstream's response: its head, and the first bytes of its body, copied
//! as they pass. The client gets it as it came, and waits for nothing.
//!
//! The rules run when the response is over, however it ended, and what they find is in the
//! completion. Deliberately absent: any way to change the response or to hold it up.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use ledger::event::{Completion, Outcome, ResponseWaf};
use signals::{AwaitedResponse, Health, RuleResponse, Waf, WafMode};

use super::account::Entry;
use crate::record;
use crate::responses::{KEPT_AT_ONCE_BYTES_MAX, Responses};
use crate::shares::Share;

/// The least that is copied of a body before more room is asked for.
const STEP_BYTES: usize = 4 << 10;

/// One response that rules are to look at.
pub struct Look {
    shared: Arc<Responses>,
    /// Without it there was no room for what is kept of the request.
    rules: Option<AwaitedResponse>,
    mode: WafMode,
    room: Option<Share>,
    head: Option<Head>,
    body: Vec<u8>,
    /// There was more of the body.
    cut: bool,
    /// And no room for it.
    crowded: bool,
}

struct Head {
    status: StatusCode,
    headers: HeaderMap,
    /// Rules look at bodies of its type.
    reads: bool,
    coded: bool,
}

impl Look {
    /// Takes room for what is kept of the request.
    pub(crate) fn new(shared: &Arc<Responses>, client: IpAddr, rules: AwaitedResponse) -> Self {
        let (shared, mode) = (Arc::clone(shared), rules.mode());
        let room = shared.take(client, rules.held_bytes());
        let rules = room.is_some().then_some(rules);
        Self { shared, rules, mode, room, head: None, body: Vec::new(), cut: false, crowded: false }
    }

    /// The response's head, without what is of its connection.
    pub(super) fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        let Some(rules) = &self.rules else { return };
        let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        let reads = rules.reads(content_type);
        let coded = headers.contains_key(CONTENT_ENCODING);
        self.head = Some(Head { status, headers: headers.clone(), reads, coded });
    }

    /// A piece of the body passes.
    pub(super) fn piece(&mut self, piece: &[u8]) {
        let reads = self.head.as_ref().is_some_and(|head| head.reads);
        let Some(rules) = self.rules.as_ref().filter(|_| reads && !self.cut) else { return };
        let left = rules.bytes_max().saturating_sub(self.body.len());
        let part = piece.get(..left).unwrap_or(piece);
        let fits = self.make_room(part.len());
        self.crowded = !fits;
        self.cut = !fits || part.len() < piece.len();
        let room = self.body.capacity() - self.body.len();
        self.body.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    /// Lets so many more bytes be copied; false if there is no room for them.
    fn make_room(&mut self, more: usize) -> bool {
        let (len, before) = (self.body.len(), self.body.capacity());
        if more <= before - len {
            return true;
        }
        let most = self.rules.as_ref().map_or(0, AwaitedResponse::bytes_max);
        let capacity = (len + more).max(2 * before).max(STEP_BYTES).min(most.max(len + more));
        let Some(room) = &mut self.room else { return false };
        if room.add(capacity - before).is_err() {
            return false;
        }
        self.body.reserve_exact(capacity - len);
        true
    }

    /// The response is over, and its request ends with this completion.
    pub(super) fn end<E: Entry>(self, entry: E, completion: Completion) {
        if self.rules.is_some() && self.head.is_none() {
            // The upstream gave no response.
            return entry.close(completion);
        }
        let shared = Arc::clone(&self.shared);
        let coded = self.head.as_ref().is_some_and(|head| head.coded);
        // What is in a coded body may be many times as long.
        let is_long = coded && !self.body.is_empty()
            || self.rules.as_ref().is_some_and(|kept| kept.held_bytes() > KEPT_AT_ONCE_BYTES_MAX);
        let bytes = if is_long { usize::MAX } else { self.body.len() };
        shared.look(bytes, move || {
            let waf = Some(self.found(completion.outcome));
            entry.close(Completion { waf, ..completion });
        });
    }

    fn found(self, outcome: Outcome) -> ResponseWaf {
        let unseen = Waf { health: Health::Unavailable, mode: self.mode, ..Waf::default() };
        let told = |waf: Waf| {
            let told = record::response(waf);
            self.shared.count(&told);
            told
        };
        let (Some(rules), Some(head), false) = (self.rules, self.head, self.shared.is_hurried())
        else {
            return told(unseen);
        };
        let headers: Vec<(&[u8], &[u8])> = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
            .collect();
        let protocol = rules.protocol().as_bytes();
        let waf = rules.look(&RuleResponse {
            status: head.status.as_u16(),
            protocol,
            headers: &headers,
            body: &self.body,
            whole: !head.reads || (outcome == Outcome::Answered && !self.cut),
        });
        // What was there is looked at all the same.
        let crowded = self.crowded && waf.health == Health::Truncated;
        let health = if crowded { Health::Unavailable } else { waf.health };
        told(Waf { health, ..waf })
    }
}

impl fmt::Debug for Look {
    /// Nothing of the response.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc;

    use http::HeaderValue;
    use signals::{Checks, Conn, Framing, RuleFile, RuleSettings, Rules};

    use super::*;
    use crate::metrics::Metrics;
    use crate::shares::Shares;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    const RULES: &str = "SecAction \"id:1,phase:1,pass,nolog,\
        setvar:tx.inbound_anomaly_score_threshold=5,setvar:tx.outbound_anomaly_score_threshold=4\"\n\
        SecRule RESPONSE_BODY \"@rx ab\" \"id:2,phase:4,setvar:tx.outbound_anomaly_score=+4\"\n";

    /// Where a completion comes to.
    struct Ended(mpsc::Sender<Completion>);

    impl Entry for Ended {
        async fn synced(&mut self) -> bool {
            true
        }

        fn close(self, completion: Completion) {
            self.0.send(completion).expect("it is awaited");
        }
    }

    /// Rules that look at so many bytes of a response.
    fn awaited(bytes: usize) -> AwaitedResponse {
        let file = RuleFile { name: "a.conf".to_owned(), text: RULES.as_bytes().to_vec() };
        let rules = Rules::load(&[file], &|_| Err(String::new())).expect("rules");
        let settings = RuleSettings { responses: Some(bytes), ..RuleSettings::default() };
        let rules = rules.viewed(&[settings]).expect("a view");
        let checks = Checks { waf: signals::Inspect::Head, ..Checks::default() };
        let request = super::super::tests::request("GET", "/", &[], Framing::None);
        rules
            .observe_and_keep(&checks, &request, &Conn::default())
            .1
            .expect("a response is awaited")
    }

    fn responses(room: usize) -> Arc<Responses> {
        Arc::new(Responses::with_room(Arc::new(Metrics::default()), Shares::new(room, room)))
    }

    /// What comes of a response of these pieces.
    fn found(look: Look, kind: &'static str, pieces: &[&[u8]], outcome: Outcome) -> ResponseWaf {
        let mut look = look;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        look.head(StatusCode::OK, &headers);
        pieces.iter().for_each(|piece| look.piece(piece));
        let (told, ended) = mpsc::channel();
        look.end(Ended(told), Completion::new(outcome, 0));
        ended.recv().expect("a completion").waf.expect("rules looked")
    }

    #[test]
    fn a_body_is_looked_at_to_the_bound_and_no_further() {
        let check = |kind, pieces: &[&[u8]], health: &str, rules: &[&str], inspected: u64| {
            let look = Look::new(&responses(1 << 20), CLIENT, awaited(4));
            let waf = found(look, kind, pieces, Outcome::Answered);
            let told = (waf.health, waf.rules.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(told, (health, rules.to_vec()), "{pieces:?}");
            assert_eq!((waf.inspected_bytes, waf.finding), (inspected, !rules.is_empty()));
        };
        check("text/html", &[b"xxab"], "ok", &["2"], 4);
        check("text/html", &[b"x", b"xa", b"b"], "ok", &["2"], 4);
        check("text/html", &[b"xxabx"], "truncated", &["2"], 4);
        check("text/html", &[b"xxxab"], "truncated", &[], 4);
        check("text/html", &[b"xxxx", b"ab"], "truncated", &[], 4);
        check("text/html", &[], "ok", &[], 0);
        check("image/png", &[b"xxab", b"xxab"], "ok", &[], 0);
    }

    #[test]
    fn what_did_not_come_is_said_to_be_missing() {
        let look = || Look::new(&responses(1 << 20), CLIENT, awaited(1 << 20));
        for outcome in [Outcome::ClientGone, Outcome::UpstreamFailed, Outcome::TimedOut] {
            let waf = found(look(), "text/html", &[b"ab"], outcome);
            assert_eq!((waf.health, waf.rules), ("truncated", vec!["2".to_owned()]));
        }
        let (told, ended) = mpsc::channel();
        look().end(Ended(told), Completion::new(Outcome::UpstreamFailed, 0));
        assert_eq!(ended.recv().expect("a completion").waf, None, "there was no response");
    }

    #[test]
    fn without_room_a_response_passes_and_is_not_looked_at() {
        let check = |room: usize, health: &str, inspected: u64| {
            let shared = responses(room);
            let look = Look::new(&shared, CLIENT, awaited(1 << 20));
            let waf = found(look, "text/html", &[&[b'x'; STEP_BYTES], b"ab"], Outcome::Answered);
            let told = (waf.health, waf.inspected_bytes);
            assert_eq!(told, (health, inspected), "{room}");
            assert!(shared.take(CLIENT, room).is_some(), "what was held is given back");
        };
        let held = awaited(1 << 20).held_bytes();
        check(0, "unavailable", 0);
        check(held - 1, "unavailable", 0);
        check(held, "unavailable", 0);
        check(held + STEP_BYTES, "unavailable", STEP_BYTES as u64);
        check(held + 2 * STEP_BYTES, "ok", STEP_BYTES as u64 + 2);
    }

    #[test]
    fn one_source_has_no_more_than_its_share_of_the_room() {
        let held = awaited(1 << 20).held_bytes();
        let room = Shares::new(4 * held, 2 * held);
        let shared = Arc::new(Responses::with_room(Arc::default(), room));
        let look = |client| Look::new(&shared, client, awaited(1 << 20));
        let kept = [look(CLIENT), look(CLIENT)];
        let of = |client| found(look(client), "text/html", &[], Outcome::Answered).health;
        assert_eq!((of(CLIENT), of(OTHER)), ("unavailable", "ok"));
        drop(kept);
        assert_eq!(of(CLIENT), "ok");
    }

    #[test]
    fn long_bodies_are_counted_once_they_were_looked_at() {
        let metrics = Arc::new(Metrics::default());
        let room = Shares::new(1 << 20, 1 << 20);
        let shared = Arc::new(Responses::with_room(Arc::clone(&metrics), room));
        let look = Look::new(&shared, CLIENT, awaited(1 << 20));
        let long = vec![b'x'; 100_000];
        let waf = found(look, "text/html", &[&long, b"ab"], Outcome::Answered);
        assert_eq!((waf.health, waf.score, waf.finding), ("ok", 4, true));
    }
}
