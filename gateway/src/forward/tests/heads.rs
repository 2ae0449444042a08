//! What the upstream sees of a request, byte for byte.

use signals::{Principal, PrincipalKind};

use super::*;

const ADDED: &str = "x-forwarded-for: 192.0.2.7\r\n\
    x-forwarded-host: api.example.com\r\n\
    x-forwarded-port: 443\r\n\
    x-forwarded-proto: https\r\n";
const TRACE: &str = "traceparent: 00-07070707070707070707070707070707-0707070707070707-01\r\n";
const DECISION: &str = "portcullis-decision-id: 01930000-0000-7000-8000-000000000001\r\n\r\n";

/// Forwards and gives the head as the origin read it.
async fn sent(change: impl FnOnce(&mut Rig), request: signals::Request) -> String {
    let (origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], Limits::default());
    change(&mut rig);
    let serve = async {
        let mut wire = origin.accept().await;
        let head = wire.head().await;
        wire.write("HTTP/1.1 204 No Content\r\n\r\n").await;
        head
    };
    let (answered, head) = tokio::join!(soon(rig.forward(bodiless(request))), serve);
    let response = answered.map_err(|failed| failed.failure).expect("an answer");
    assert_eq!(fields(response.headers()), [DECISION.trim_end()]);
    drop(response);
    assert_eq!(rig.ending().await, ending(Outcome::Answered, Some(204), 0));
    head
}

#[tokio::test]
async fn the_head_is_the_exchange_and_what_we_add() {
    let fields = [
        ("accept", "*/*"),
        ("x-b", "1"),
        ("x-a", "2, 3"),
        ("authorization", "Bearer secret"),
        ("cookie", "a=b"),
    ];
    let got = sent(|_| {}, request("GET", "/orders/7%2a?q=%20&&", &fields, Framing::None)).await;
    let want = "GET /orders/7%2a?q=%20&& HTTP/1.1\r\n\
        host: api.example.com\r\n\
        accept: */*\r\nx-b: 1\r\nx-a: 2, 3\r\ncookie: a=b\r\n";
    assert_eq!(got, format!("{want}{ADDED}{TRACE}{DECISION}"));
}

#[tokio::test]
async fn targets_are_sent_as_they_are() {
    for target in ["/", "/a?", "/a??b", "/a/b;c=d", "/%E2%82%AC?%00", "/a?b=/../c'()*!$@:[]"] {
        let got = sent(|_| {}, request("GET", target, &[], Framing::None)).await;
        assert!(got.starts_with(&format!("GET {target} HTTP/1.1\r\nhost: ")), "{got}");
    }
}

#[tokio::test]
async fn methods_are_sent_as_they_are() {
    for method in ["OPTIONS", "DELETE", "PROPFIND", "get"] {
        let got = sent(|_| {}, request(method, "/", &[], Framing::None)).await;
        assert!(got.starts_with(&format!("{method} / HTTP/1.1\r\n")), "{got}");
        assert!(!got.contains("content-length") && !got.contains("transfer-encoding"), "{got}");
    }
}

#[tokio::test]
async fn framing_is_the_requests() {
    async fn check(method: &str, framing: Framing, want: &str) {
        let feed = match framing {
            Framing::Length(2) => Feed::of([data("ab")]),
            Framing::Length(_) | Framing::Chunked | Framing::None => Feed::of([]),
        };
        let sending = Sending { feed: Some(feed), ..bodiless(request(method, "/", &[], framing)) };
        let (origin, address) = Origin::start().await;
        let rig = Rig::to(&[address], Limits::default());
        let serve = async {
            let mut wire = origin.accept().await;
            let head = wire.head().await;
            wire.write("HTTP/1.1 204 No Content\r\n\r\n").await;
            head
        };
        let (answered, head) = tokio::join!(rig.forward(sending), serve);
        assert!(answered.is_ok());
        let got: Vec<_> = head
            .lines()
            .filter(|line| line.starts_with("content-") || line.starts_with("transfer-"))
            .collect();
        assert_eq!(got.join("\n"), want, "{method} {framing:?}");
    }
    check("POST", Framing::None, "").await;
    check("POST", Framing::Length(0), "content-length: 0").await;
    check("POST", Framing::Length(2), "content-length: 2").await;
    check("GET", Framing::Length(2), "content-length: 2").await;
    check("POST", Framing::Chunked, "transfer-encoding: chunked").await;
    check("GET", Framing::Chunked, "transfer-encoding: chunked").await;
}

#[tokio::test]
async fn the_principal_is_named() {
    async fn check(kind: PrincipalKind, id: &str, groups: &[&str], want: &str) {
        let principal = Principal {
            kind,
            id: id.to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            ..Principal::default()
        };
        let got =
            sent(|rig| rig.identity.principal = principal, request("GET", "/", &[], Framing::None))
                .await;
        let got: Vec<_> = got
            .lines()
            .filter(|line| line.starts_with("x-forwarded-user") || line.contains("groups"))
            .collect();
        assert_eq!(got.join("\n"), want);
    }
    check(PrincipalKind::Anonymous, "anonymous", &["idp|a"], "").await;
    check(PrincipalKind::User, "idp|alice", &[], "x-forwarded-user: idp|alice").await;
    check(
        PrincipalKind::Workload,
        "idp|ä b%,\r\nx-admin: 1",
        &["idp|ops", "idp|a,b"],
        "x-forwarded-user: idp|%C3%A4%20b%25%2C%0D%0Ax-admin:%201\n\
         x-forwarded-groups: idp|ops,idp|a%2Cb",
    )
    .await;
}

#[tokio::test]
async fn authorization_goes_on_where_the_route_says_so() {
    let fields = [("authorization", "Bearer secret")];
    let got = sent(|rig| rig.authorization = true, request("GET", "/", &fields, Framing::None));
    assert!(got.await.contains("\r\nauthorization: Bearer secret\r\n"));
}

#[tokio::test]
async fn tracestate_goes_on_with_a_valid_traceparent() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let fields = [("traceparent", parent), ("tracestate", "a=1"), ("tracestate", "b=2")];
    let request = request("GET", "/", &fields, Framing::None);
    let continued = Trace::new(request.headers.get_all("traceparent"), [7; 24]);
    let got = sent(|rig| rig.trace = continued, request).await;
    let want = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0707070707070707-00\r\n\
        tracestate: a=1\r\ntracestate: b=2\r\n";
    assert!(got.contains(want), "{got}");
}

#[tokio::test]
async fn tracestate_ends_with_an_invalid_traceparent() {
    let fields = [("traceparent", "00-0-0-00"), ("tracestate", "a=1")];
    let got = sent(|_| {}, request("GET", "/", &fields, Framing::None)).await;
    assert!(got.contains(TRACE) && !got.contains("tracestate"), "{got}");
}

#[tokio::test]
async fn a_client_that_takes_trailers_is_announced() {
    let fields = [("te", "gzip, Trailers"), ("connection", "te")];
    let got = sent(|_| {}, request("GET", "/", &fields, Framing::None)).await;
    assert!(got.contains("\r\nte: trailers\r\nconnection: te\r\n"), "{got}");
}

#[tokio::test]
async fn a_tunnel_is_not_opened() {
    let (_origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], Limits::default());
    let failed = failed(rig.forward(bodiless(request("CONNECT", "/", &[], Framing::None))).await);
    assert_eq!((failed.failure, failed.failure.status()), (Failure::Unsendable, 500));
    drop(failed);
    assert_eq!(rig.ending().await.detail, Some("unsendable"));
}

#[tokio::test]
async fn the_origin_is_the_configured_one() {
    async fn check(scheme: signals::Scheme, port: u16, want: &str) {
        let origin = crate::route::Origin { scheme, port };
        let mut asked = request("GET", "/", &[], Framing::None);
        (asked.scheme, asked.port) = (signals::Scheme::Https, Some(9443));
        let got = sent(|rig| rig.origin = origin, asked).await;
        assert!(got.contains("\r\nhost: api.example.com:9443\r\n"), "{got}");
        let got: Vec<_> = got
            .lines()
            .filter(|line| line.starts_with("x-forwarded-") && !line.contains("-for:"))
            .collect();
        assert_eq!(got.join("\n"), want);
    }
    check(
        signals::Scheme::Https,
        8443,
        "x-forwarded-host: api.example.com:8443\nx-forwarded-port: 8443\nx-forwarded-proto: https",
    )
    .await;
    check(
        signals::Scheme::Http,
        80,
        "x-forwarded-host: api.example.com\nx-forwarded-port: 80\nx-forwarded-proto: http",
    )
    .await;
}

/// Every target that is canonical is one hyper writes unchanged.
#[test]
fn every_canonical_target_can_be_sent() {
    let mut sent = 0;
    for byte in 0..=255 {
        let around = [b"/a".as_slice(), &[byte], b"b"].concat();
        let path = signals::Path::parse(&around);
        let query = signals::Query::parse(&around);
        let mut request = request("GET", "/", &[], Framing::None);
        for changed in
            [path.map(|path| request.path = path), query.map(|query| request.query = Some(query))]
        {
            if changed.is_ok() {
                let uri = head::uri(&request).expect("it can be sent");
                assert_eq!(uri.to_string(), request.target());
                sent += 1;
            }
        }
    }
    assert!(sent > 150, "{sent}");
}

/// What the upstream gets, less what we add, is what the event's digest is of.
#[tokio::test]
async fn what_was_digested_is_what_was_sent() {
    let fields =
        [("accept", "*/*"), ("x-b", "1"), ("x-b", "2"), ("x-a", "\"3\""), ("x-request-id", "r")];
    let request = request("GET", "/a?b", &fields, Framing::None);
    let digest = request.digest();
    let got = sent(|_| {}, request).await;
    let ours = ["host", "traceparent", "portcullis-decision-id"];
    let (line, rest) = got.split_once("\r\n").expect("a request line");
    let mut text = line.replace(" HTTP/1.1", "\napi.example.com\n");
    for (name, value) in rest.lines().filter_map(|line| line.split_once(": ")) {
        if !name.starts_with("x-forwarded-") && !ours.contains(&name) {
            text.push_str(&format!("{name}:{value}\n"));
        }
    }
    assert_eq!(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref(), digest);
}
