//! Trailers pass in both directions and both versions, but for names that only the gateway says.
//! Where rules look they look at them too, and what comes too late for them does not pass. What is
//! not announced passes if it is known before the head is sent.

use fixtures::{
    h2,
    harness::{Setting, Setup},
    record::text,
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
fn trailers_pass_unless_only_the_gateway_says_them() {
    let lower = |(name, value): &Field| (name.to_ascii_lowercase(), value.clone());
    for waf in [false, true] {
        let setting = Setting::start("trailers", &Setup::open(HOST, waf)).expect("the product");
        for over in [over_http_1, over_http_2] {
            let [post, streamed] = passed(&setting, over);
            let got: Vec<Field> = post.trailers.iter().map(lower).collect();
            assert_eq!(got, [("x-sum".to_owned(), "1".to_owned())]);
            let got: Vec<Field> = streamed.trailers.iter().map(lower).collect();
            assert_eq!(got, [("stream-chunks".to_owned(), "1".to_owned())]);
        }
    }
}

#[test]
fn trailers_that_come_too_late_for_rules_do_not_pass() {
    let setup =
        Setup::open(HOST, true).change("checks: [waf]\n", "checks: [waf]\n        inspect: none\n");
    let setting = Setting::start("trailers-late", &setup).expect("the product");
    for over in [over_http_1, over_http_2] {
        let [post, streamed] = passed(&setting, over);
        assert_eq!((post.trailers.len(), streamed.trailers.len()), (0, 1));
    }
}

#[test]
fn rules_look_at_trailers() {
    let setting = Setting::start("trailers-waf", &Setup::open(HOST, true)).expect("the product");
    let post = |trailers: &str| {
        let mut connection = setting.client_of(HOST).and_then(|c| c.connect()).expect("connect");
        let request = format!(
            "POST /upload HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n0\r\n{trailers}\r\n"
        );
        connection.send(request.as_bytes()).expect("send");
        connection.final_answer("POST").expect("an answer")
    };
    let refused = post("X-Sum: <script>alert(1)</script>\r\n");
    assert_eq!(refused.status(), 403, "{}", refused.text());
    let decision = setting.record().expect("events").decisions().expect("each once")
        [super::id(&refused).as_str()]
    .clone();
    assert_eq!(text(&decision, "/unmapped/reason"), "blocked");
    assert_eq!(setting.upstream.heads(), 0);

    // They were not announced, and are known.
    assert_eq!(post("X-Sum: 1\r\nX-Other: 2\r\n").status(), 404, "the upstream's own");
    let received = setting.upstream.requests().pop().expect("a request").message;
    let announced: Vec<&str> = received.fields_named("trailer").collect();
    assert_eq!((announced, received.trailers.len()), (vec!["x-sum", "x-other"], 2));
}
