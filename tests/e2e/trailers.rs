//! Trailers that are announced pass in both directions and both versions, but for names that only
//! the gateway says, and for those of requests that rules look at.

use fixtures::{
    h2,
    harness::{Setting, Setup},
    wire::{Field, Message},
};

const HOST: &str = "api.example.test";
/// What a client adds behind its body: its own word, and what would be an identity.
const TRAILERS: [(&str, &str); 4] = [
    ("x-sum", "1"),
    ("x-forwarded-user", "admin"),
    ("x-auth-request-groups", "admins"),
    ("portcullis-decision-id", "mine"),
];

fn over_http_1(setting: &Setting) -> [Message; 2] {
    let mut connection = setting.client_of(HOST).and_then(|c| c.connect()).expect("connect");
    let trailers: String =
        TRAILERS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let post = format!(
        "POST /upload HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
         3\r\nabc\r\n0\r\n{trailers}\r\n"
    );
    let get = format!("GET /stream?chunks=1 HTTP/1.1\r\nHost: {HOST}\r\nTE: trailers\r\n\r\n");
    [("POST", post), ("GET", get)].map(|(method, bytes)| {
        connection.send(bytes.as_bytes()).expect("send");
        connection.final_answer(method).expect("an answer")
    })
}

fn over_http_2(setting: &Setting) -> [Message; 2] {
    let mut connection = setting.client_of(HOST).and_then(|c| c.connect_h2()).expect("connect");
    let head = |method, path| {
        [(":method", method), (":scheme", "https"), (":authority", HOST), (":path", path)]
    };
    let announced = [&head("POST", "/upload")[..], &[("trailer", "x-sum")]].concat();
    let post = [
        h2::frame(h2::HEADERS, h2::END_HEADERS, 1, &h2::block(&announced)),
        h2::frame(h2::DATA, 0, 1, b"abc"),
        h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, 1, &h2::block(&TRAILERS)),
    ];
    connection.send(&post.concat()).expect("send");
    let fields = [&head("GET", "/stream?chunks=1")[..], &[("te", "trailers")]].concat();
    connection.send(&h2::request(3, &fields, None)).expect("send");
    [1, 3].map(|stream| connection.answer(stream).expect("an answer"))
}

/// The request that the upstream had, and the answer that the client had of a stream.
fn passed(setting: &Setting, over: fn(&Setting) -> [Message; 2]) -> [Message; 2] {
    setting.upstream.clear();
    let [posted, streamed] = over(setting);
    assert_eq!((posted.status(), streamed.status()), (404, 200), "the upstream's own");
    let mut received = setting.upstream.requests().into_iter().map(|one| one.message);
    let post = received.find(|one| one.method() == "POST").expect("a request");
    assert_eq!(post.body, b"abc");
    [post, streamed]
}

#[test]
fn trailers_of_requests_do_not_pass_by_rules() {
    let setting = Setting::start("trailers-waf", &Setup::open(HOST, true)).expect("the product");
    for over in [over_http_1, over_http_2] {
        let [post, streamed] = passed(&setting, over);
        assert_eq!((post.trailers.len(), streamed.trailers.len()), (0, 1));
    }
}

/// What becomes of a request with these trailers: the status and, if it is answered by the
/// upstream, the trailers that it had.
fn trailed(setting: &Setting, trailers: &[(&str, &str)], over_h2: bool) -> (u16, Vec<String>) {
    setting.upstream.clear();
    let client = setting.client_of(HOST).expect("a client");
    let names: Vec<&str> = trailers.iter().map(|(name, _)| *name).collect();
    let announced = names.join(", ");
    let status = if over_h2 {
        let mut connection = client.connect_h2().expect("connect");
        let fields = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", "/upload"),
            ("trailer", announced.as_str()),
        ];
        let frames = [
            h2::frame(h2::HEADERS, h2::END_HEADERS, 1, &h2::block(&fields)),
            h2::frame(h2::DATA, 0, 1, b"abc"),
            h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, 1, &h2::block(trailers)),
        ];
        connection.send(&frames.concat()).expect("send");
        connection.answer(1).expect("an answer").status()
    } else {
        let mut connection = client.connect().expect("connect");
        let lines: String =
            trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "POST /upload HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\
             Connection: x-hop\r\nTrailer: {announced}\r\n\r\n3\r\nabc\r\n0\r\n{lines}\r\n"
        );
        connection.send(request.as_bytes()).expect("send");
        connection.final_answer("POST").expect("an answer").status()
    };
    let received = setting.upstream.requests().into_iter().filter(|received| received.whole);
    let trailers = received.flat_map(|received| received.message.trailers);
    (status, trailers.map(|(name, _)| name.to_ascii_lowercase()).collect())
}

#[test]
fn trailers_say_no_more_over_http_2_than_over_http_1() {
    let setting = Setting::start("trailers-h2", &Setup::open(HOST, false)).expect("the product");
    let many: Vec<String> = (0..33).map(|n| format!("x-{n}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
    let long = "x".repeat(8 << 10);
    for over_h2 in [false, true] {
        let (status, names) = trailed(&setting, many.split_last().expect("some").1, over_h2);
        assert_eq!((status, names.len()), (404, 32), "the upstream's own");
        for trailers in [
            &many[..],
            &[("x-long", long.as_str())],
            &[("x_request_id", "b")],
            &[("content_type", "text/html")],
        ] {
            let (status, names) = trailed(&setting, trailers, over_h2);
            assert_eq!((status, names.len()), (400, 0), "{} trailers, {over_h2}", trailers.len());
        }
    }
    let (status, names) = trailed(&setting, &[("x-hop", "1"), ("x-sum", "1")], false);
    assert_eq!((status, names), (404, vec!["x-sum".to_owned()]));
}

#[test]
fn trailers_pass_unless_only_the_gateway_says_them() {
    let setting = Setting::start("trailers", &Setup::open(HOST, false)).expect("the product");
    let lower = |(name, value): &Field| (name.to_ascii_lowercase(), value.clone());
    for over in [over_http_1, over_http_2] {
        let [post, streamed] = passed(&setting, over);
        let got: Vec<Field> = post.trailers.iter().map(lower).collect();
        assert_eq!(got, [("x-sum".to_owned(), "1".to_owned())]);
        let got: Vec<Field> = streamed.trailers.iter().map(lower).collect();
        assert_eq!(got, [("stream-chunks".to_owned(), "1".to_owned())]);
    }
}
