//! Times and counts of an HTTP/2 connection, each at its edge.

use std::sync::atomic::Ordering;

use super::frames::*;
use super::*;
use crate::protocol::h2 as protocol;

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(10);

/// All that the server sends of resets and ends, once the client has sent `frames`, and waits.
struct Ending {
    log: Vec<Saw>,
    /// Codes of `RST_STREAM`.
    resets: Vec<u32>,
    /// Codes of `GOAWAY`.
    go_away: Vec<u32>,
    refused: Vec<(&'static str, u64)>,
    heads: (u64, u64),
}

fn wait(limits: Limits, frames: &[u8]) -> Ending {
    let (log, common) = (Log::default(), common(limits));
    let client = async |io: DuplexStream, _stage| {
        let (mut resets, mut go_away) = (Vec::new(), Vec::new());
        let bytes = [&hello()[..], frames].concat();
        let (mut from, mut to) = tokio::io::split(io);
        let (went, gone) = tokio::sync::oneshot::channel::<()>();
        let mut went = Some(went);
        let send = async {
            // The server may have closed before the end.
            let _ = to.write_all(&bytes).await;
            let _ = gone.await;
            let _ = to.shutdown().await;
        };
        let receive = async {
            while let Some(got) = next(&mut from).await {
                match got.kind {
                    RESET => resets.push(got.code),
                    GO_AWAY => {
                        go_away.push(got.code);
                        went = None;
                    }
                    _ => {}
                }
            }
            went = None;
        };
        tokio::join!(send, receive);
        (resets, go_away)
    };
    let over = connect_h2(recorder(Rc::clone(&log)), &common, 1 << 16, client);
    let (resets, go_away) = over.client;
    let tally = &common.tally;
    let heads =
        (tally.heads_begun.load(Ordering::Relaxed), tally.heads_taken.load(Ordering::Relaxed));
    Ending { log: log.take(), resets, go_away, refused: over.refused, heads }
}

fn limits(change: impl FnOnce(&mut protocol::Limits)) -> Limits {
    let mut limits = Limits { idle_timeout: SHORT, ..Limits::default() };
    change(&mut limits.h2);
    limits
}

#[test]
fn an_idle_connection_is_told_and_closed() {
    let ending = wait(limits(|_| {}), &[]);
    assert_eq!((ending.refused, ending.heads), (Vec::new(), (0, 0)));
    assert_eq!(ending.go_away.first(), Some(&0));
    let ending = wait(limits(|_| {}), &get(1, &[]));
    assert_eq!((ending.log.len(), ending.heads), (1, (1, 1)));
    assert_eq!(ending.go_away.first(), Some(&0));
}

#[test]
fn a_head_has_a_time() {
    let limits = Limits { head_timeout: SHORT, idle_timeout: LONG, ..Limits::default() };
    let open = frame(HEADERS, 0, 1, &block(&GET));
    let ending = wait(limits, &open);
    assert_eq!(ending.refused, [("head_timeout", 1)]);
    assert_eq!((ending.log, ending.heads), (Vec::new(), (1, 0)));
    assert_eq!(ending.go_away, [0]);
    // More of it is no excuse.
    let ending = wait(limits, &[&open[..], &frame(CONTINUATION, 0, 1, &[])].concat());
    assert_eq!(ending.refused, [("head_timeout", 1)]);
    let ending = wait(limits, &[&get(1, &[])[..], &get(3, &[])[..12]].concat());
    assert_eq!(ending.refused, [("head_timeout", 1)]);
    assert_eq!(ending.heads, (2, 1));
}

#[test]
fn a_preface_has_a_time() {
    let limits = Limits { head_timeout: SHORT, idle_timeout: LONG, ..Limits::default() };
    let common = common(limits);
    let client = async |mut io: DuplexStream, _stage| {
        io.write_all(&hello()[..10]).await.expect("room");
        end(&mut io).await;
    };
    let over = connect_h2(recorder(Log::default()), &common, 1 << 16, client);
    assert_eq!(over.refused, [("head_timeout", 1)]);
}

#[test]
fn the_last_request_of_a_connection() {
    let limits = Limits { requests: 2, ..limits(|_| {}) };
    let ending = wait(limits, &[get(1, &[]), get(3, &[])].concat());
    assert_eq!((ending.log.len(), ending.refused), (2, Vec::new()));
    assert_eq!(ending.go_away.first(), Some(&0));
}

#[test]
fn a_client_that_goes_on_after_its_last_request_is_cut_off() {
    let limits = Limits { requests: 2, idle_timeout: LONG, ..limits(|h2| h2.streams = 2) };
    let all: Vec<u8> = (0..100).flat_map(|n| get(2 * n + 1, &[])).collect();
    let ending = wait(limits, &all);
    assert!(ending.heads.1 <= 4, "{:?}", ending.heads);
    let refused: u64 = ending.refused.iter().map(|(_, count)| count).sum();
    assert_eq!(refused + ending.heads.1, ending.heads.0);
}

#[test]
fn streams_that_are_open_at_once() {
    let post = |stream| {
        let [_, scheme, authority, path] = GET;
        frame(HEADERS, END_HEADERS, stream, &block(&[(":method", "POST"), scheme, authority, path]))
    };
    let end = |stream| frame(DATA, END_STREAM, stream, &[]);
    let limits = limits(|h2| h2.streams = 2);
    let two = [post(1), post(3), end(1), end(3)].concat();
    let ending = wait(limits, &two);
    assert_eq!((ending.resets, ending.heads, ending.refused), (vec![], (2, 2), vec![]));
    let three = [post(1), post(3), post(5), end(1), end(3)].concat();
    let ending = wait(limits, &three);
    assert_eq!((ending.resets, ending.heads), (vec![7], (3, 2)));
    assert_eq!(ending.refused, [("refused_stream", 1)]);
}

#[test]
fn streams_that_the_client_makes_us_reset() {
    let bad = |n: u32| get(2 * n + 1, &[("connection", "close")]);
    let limits = limits(|h2| h2.errors = 3);
    let storm = |count| (0..count).flat_map(bad).collect::<Vec<u8>>();
    let ending = wait(limits, &storm(3));
    assert_eq!((ending.resets.len(), ending.refused), (3, vec![("protocol_error", 3)]));
    assert_eq!(ending.go_away.first(), Some(&0));
    let ending = wait(limits, &storm(4));
    assert_eq!(ending.go_away, [11], "enhance your calm");
    let refused: u64 = ending.refused.iter().map(|(_, count)| count).sum();
    assert_eq!((refused, ending.heads), (4, (4, 0)));
}

/// Requests that are reset at once (CVE-2023-44487).
fn storm(count: u32) -> Vec<u8> {
    let one = |n: u32| [get(2 * n + 1, &[]), frame(RESET, 0, 2 * n + 1, &[0, 0, 0, 8])].concat();
    (0..count).flat_map(one).collect()
}

#[test]
fn streams_that_were_reset_before_they_were_looked_at() {
    let limits = limits(|h2| (h2.resets_unseen, h2.resets) = (3, 10_000));
    let ending = wait(limits, &storm(3));
    assert_eq!((ending.heads, ending.refused), ((3, 3), Vec::new()));
    for count in [4, 1000] {
        let ending = wait(limits, &storm(count));
        assert_eq!(ending.go_away, [11]);
        let (begun, taken) = ending.heads;
        assert!(taken <= 4, "{taken} of {count}");
        // Those that were not taken, or once what broke the connection.
        assert_eq!(ending.refused, [("enhance_your_calm", (begun - taken).max(1))]);
    }
}

#[test]
fn a_storm_of_resets_that_takes_its_time() {
    // Each is looked at before it is reset.
    let storm = |count: u32, resets: u64| {
        let common = common(limits(|h2| h2.resets = resets));
        let handler = |_: Raw| std::future::pending::<Response<Full<Bytes>>>();
        let client = async |mut io: DuplexStream, _stage| {
            io.write_all(&hello()).await.expect("room");
            for n in 0..count {
                let ping = frame(PING, 0, 0, &[0; 8]);
                let _ = io.write_all(&[get(2 * n + 1, &[]), ping].concat()).await;
                while next(&mut io).await.is_some_and(|got| got.kind != PING) {}
                let _ = io.write_all(&frame(RESET, 0, 2 * n + 1, &[0, 0, 0, 8])).await;
            }
            end(&mut io).await;
        };
        let over = connect_h2(handler, &common, 1 << 16, client);
        let taken = common.tally.heads_taken.load(Ordering::Relaxed);
        assert_eq!(over.abandoned, taken, "each was handed on, and none was recorded");
        (taken, over.refused)
    };
    assert_eq!(storm(3, 3), (3, Vec::new()));
    assert_eq!(storm(4, 3), (4, vec![("too_many_resets", 1)]));
}

#[test]
fn answers_make_up_for_resets() {
    let limits = limits(|h2| (h2.resets, h2.resets_unseen) = (1, 100));
    // What is answered first may be reset as often again.
    let asked: Vec<u8> = (0..5).flat_map(|n| get(2 * n + 1, &[])).collect();
    let common = common(limits);
    let client = async |mut io: DuplexStream, _stage| {
        io.write_all(&[hello(), asked].concat()).await.expect("room");
        for _ in 0..5 {
            assert!(matches!(took(&mut io).await, Took::Answered(_)));
        }
        let resets = |n: u32| frame(RESET, 0, 2 * n + 1, &[0, 0, 0, 8]);
        io.write_all(&(0..5).flat_map(resets).collect::<Vec<u8>>()).await.expect("room");
        end(&mut io).await;
    };
    let over = connect_h2(recorder(Log::default()), &common, 1 << 16, client);
    assert_eq!(over.refused, []);
}

#[test]
fn a_head_in_too_many_pieces() {
    // RUSTSEC-2024-0332: the pieces may be empty, and never end.
    let more = frame(CONTINUATION, 0, 1, &[]);
    let flood = [frame(HEADERS, 0, 1, &block(&GET)), more.repeat(1000)].concat();
    let ending = wait(limits(|_| {}), &flood);
    assert_eq!((ending.heads, ending.go_away), ((1, 0), vec![11]));
    assert_eq!(ending.refused, [("enhance_your_calm", 1)]);
}

#[test]
fn a_head_list_that_is_too_long() {
    let limits = limits(|_| {});
    let room = protocol::list_bytes(&limits.head) as usize;
    let value = "v".repeat(7500);
    let list = |count: usize| {
        let mut fields = GET.to_vec();
        fields.extend(std::iter::repeat_n(("x", value.as_str()), count));
        let block = block(&fields);
        let pieces = block.chunks(16 << 10).enumerate();
        let mut frames: Vec<Vec<u8>> = pieces
            .map(|(at, piece)| {
                let (kind, flags) = if at == 0 { (HEADERS, END_STREAM) } else { (CONTINUATION, 0) };
                frame(kind, flags, 1, piece)
            })
            .collect();
        if let Some(last) = frames.last_mut() {
            last[4] |= END_HEADERS;
        }
        frames.concat()
    };
    let check = |count: usize, log: &[Saw], refused: u64, go_away: u32| {
        let ending = wait(limits, &list(count));
        let sum: u64 = ending.refused.iter().map(|(_, count)| count).sum();
        assert_eq!((&ending.log[..], sum), (log, refused), "{count} fields");
        assert_eq!(ending.go_away.first(), Some(&go_away), "{count} fields");
    };
    // The longest, a little too long: we say so, too long: the h2 crate does, and far too long.
    assert!((4 * 7505..limits.head.head_bytes).contains(&(4 * 7505 + 100)));
    assert!(5 * 7505 > limits.head.head_bytes && 5 * 7533 + 200 < room && 6 * 7533 > room);
    check(4, &[Saw::Request("/a".to_owned())], 0, 0);
    check(5, &[Saw::Refused("head_too_long")], 0, 0);
    check(6, &[], 1, 0);
    check(36, &[], 1, 11);
}

#[test]
fn control_frames_in_a_row() {
    let limits = limits(|h2| h2.control_frames = 10);
    let pings = |count| frame(PING, 0, 0, &[0; 8]).repeat(count);
    // The settings of the client and its word on ours are two of them.
    let ending = wait(limits, &pings(9));
    assert_eq!(ending.refused, []);
    let ending = wait(limits, &[pings(9), get(1, &[]), pings(10)].concat());
    assert_eq!((ending.log.len(), ending.refused), (1, Vec::new()));
    let ending = wait(limits, &pings(10));
    assert_eq!(ending.refused, [("too_many_control_frames", 1)]);
    for (kind, payload) in
        [(SETTINGS, &[][..]), (WINDOW_UPDATE, &[0, 0, 0, 1]), (2, &[0, 0, 0, 0, 1]), (99, b"x")]
    {
        let stream = u32::from(kind == 2);
        let flood = frame(kind, 0, stream, payload).repeat(10);
        assert_eq!(wait(limits, &flood).refused, [("too_many_control_frames", 1)], "{kind}");
    }
}

#[test]
fn a_peer_that_is_not_there_any_more() {
    let mut limits = limits(|h2| (h2.ping_interval, h2.ping_timeout) = (SHORT, SHORT));
    limits.idle_timeout = LONG;
    let handler = |_: Raw| std::future::pending::<Response<Full<Bytes>>>();
    let client = async |mut io: DuplexStream, _stage| {
        io.write_all(&[hello(), get(1, &[])].concat()).await.expect("room");
        // It takes all, and answers no ping.
        while next(&mut io).await.is_some() {}
    };
    let over = connect_h2(handler, &common(limits), 1 << 16, client);
    assert_eq!(over.abandoned, 1);
}

#[test]
fn a_client_that_takes_no_answer_is_cut_off() {
    let client = async |mut io: DuplexStream, _stage| {
        io.write_all(&[hello(), get(1, &[])].concat()).await.expect("room");
        io
    };
    // It returns while the client is still connected, and its pipe is full.
    drop(connect_h2(recorder(Log::default()), &common(limits(|_| {})), 60, client));
}

#[test]
fn a_stream_whose_client_opens_no_window_is_reset_and_others_go_on() {
    let body = Bytes::from(vec![0; 100_000]);
    let handler = move |raw: Raw| {
        let path = raw.head.map(|request| request.path.as_str().to_owned());
        let body = if path.as_deref() == Ok("/a") { body.clone() } else { Bytes::new() };
        std::future::ready(Response::new(Full::new(body)))
    };
    let client = async |mut io: DuplexStream, _stage| {
        let [method, scheme, authority, _] = GET;
        let small = [method, scheme, authority, (":path", "/small")];
        io.write_all(&[hello(), get(1, &[])].concat()).await.expect("room");
        let first = took(&mut io).await;
        let again = frame(HEADERS, WHOLE, 3, &block(&small));
        io.write_all(&again).await.expect("room");
        (first, took(&mut io).await)
    };
    let over = connect_h2(handler, &common(limits(|_| {})), 1 << 20, client);
    assert_eq!(over.client, (Took::Reset(1, 8), Took::Answered(3)));
}

/// What comes of `bytes` of body in each of so many streams, of which nobody reads any: how the
/// server takes it, and whether it answers a ping that follows.
fn unread(change: impl FnOnce(&mut protocol::Limits), streams: &[usize]) -> (Vec<(u8, u32)>, bool) {
    let handler = |raw: Raw| async move {
        let _unread = raw.body;
        std::future::pending::<Response<Full<Bytes>>>().await
    };
    let post = [("content-length", "1000000")];
    let [_, scheme, authority, path] = GET;
    let head = block(&[&[(":method", "POST"), scheme, authority, path][..], &post].concat());
    let mut frames = Vec::new();
    for (nth, bytes) in (0..).zip(streams) {
        let stream = 2 * nth + 1;
        frames.extend(frame(HEADERS, END_HEADERS, stream, &head));
        for piece in vec![0; *bytes].chunks(16_000) {
            frames.extend(frame(DATA, 0, stream, piece));
        }
    }
    frames.extend(frame(PING, 0, 0, &[1; 8]));
    let client = async |mut io: DuplexStream, _stage| {
        io.write_all(&hello()).await.expect("room");
        // Our windows count from the client's word on our settings.
        while next(&mut io).await.is_some_and(|got| got.kind != SETTINGS) {}
        let acknowledged = frame(SETTINGS, 1, 0, &[]);
        io.write_all(&[acknowledged, frames].concat()).await.expect("room");
        let (mut ends, mut pings) = (Vec::new(), 0);
        while let Some(Got { kind, flags, code, .. }) = next(&mut io).await {
            match kind {
                PING if flags == 1 && pings == 1 => return (ends, true),
                // Its answer goes before a reset that is older.
                PING if flags == 1 => {
                    pings += 1;
                    io.write_all(&frame(PING, 0, 0, &[2; 8])).await.expect("room");
                }
                RESET => ends.push((RESET, code)),
                GO_AWAY => {
                    ends.push((GO_AWAY, code));
                    return (ends, false);
                }
                _ => {}
            }
        }
        (ends, false)
    };
    connect_h2(handler, &common(limits(change)), 1 << 22, client).client
}

/// RFC 9113 §5.2: what exceeds a window is a `FLOW_CONTROL_ERROR`, 3, of the stream or of the
/// connection.
#[test]
fn a_body_that_nobody_reads_fills_its_window_and_no_more() {
    let narrow = |h2: &mut protocol::Limits| h2.stream_bytes = 1000;
    assert_eq!(unread(narrow, &[1000]), (Vec::new(), true));
    assert_eq!(unread(narrow, &[1001]), (vec![(RESET, 3)], true));
}

#[test]
fn bodies_that_nobody_reads_fill_the_window_of_the_connection_and_no_more() {
    // No connection has less (RFC 9113 §6.9.2).
    let narrow =
        |h2: &mut protocol::Limits| (h2.stream_bytes, h2.connection_bytes) = (50_000, 65_535);
    assert_eq!(unread(narrow, &[50_000, 15_535]), (Vec::new(), true));
    assert_eq!(unread(narrow, &[50_000, 15_536]), (vec![(GO_AWAY, 3)], false));
}
