//! The guard, and answers that are none.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use fixtures::serve::{Answer, Reply, Server, bind};

use super::*;

/// Nothing that these tests wait for takes as long.
const SHORT: Duration = Duration::from_millis(200);

fn open() -> Fetcher {
    let guard =
        Guard { allow_private_addresses: true, allow_plain_http: true, trust_anchors_pem: None };
    Fetcher::new(guard).unwrap()
}

async fn get(fetcher: &Fetcher, server: &Server) -> Result<Bytes, FetchError> {
    fetcher.get(&format!("http://{}/jwks", server.addr())).await
}

#[track_caller]
fn check(got: Result<Bytes, FetchError>, want: Result<usize, &str>) {
    let got = got.map(|body| body.len()).map_err(|error| error.to_string());
    assert_eq!(got, want.map_err(str::to_owned));
}

#[tokio::test]
async fn only_a_whole_answer_of_200_counts() {
    let answer =
        |status, bytes| Reply::Answer(Answer::text(status, "text/plain", vec![b'x'; bytes]));
    let too_long = "body could not be read, or is longer than 1048576 bytes";
    for (reply, want) in [
        (answer(200, 0), Ok(0)),
        (answer(200, BODY_BYTES_MAX), Ok(BODY_BYTES_MAX)),
        (answer(200, BODY_BYTES_MAX + 1), Err(too_long)),
        (answer(201, 2), Err("status 201 Created")),
        (answer(404, 2), Err("status 404 Not Found")),
        (answer(500, 2), Err("status 500 Internal Server Error")),
        (Reply::Close, Err("http exchange failed")),
    ] {
        let server = Server::replying(bind(0).unwrap(), move |_| reply.clone()).unwrap();
        check(get(&open(), &server).await, want);
    }
}

#[tokio::test]
async fn an_answer_that_stops_short_is_none() {
    for (bytes, want) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", Some(2)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}", None),
        ("HTTP/1.1 200 OK\r\nContent-Le", None),
        ("SSH-2.0-OpenSSH_9.2\r\n", None),
    ] {
        let server = Server::connections(bind(0).unwrap(), move |mut stream| {
            // An answer before the request would be none.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(bytes.as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        match get(&open(), &server.unwrap()).await {
            Ok(body) => assert_eq!(Some(body.len()), want, "{bytes}"),
            // An end that comes with the head may be seen with it, or with the body.
            Err(FetchError::Http(_) | FetchError::Body) => assert_eq!(None, want, "{bytes}"),
            Err(error) => panic!("{bytes}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let elsewhere = Server::replying(bind(0).unwrap(), move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        Reply::Answer(Answer::text(200, "application/json", "{}"))
    });
    let elsewhere = elsewhere.unwrap();
    let to = format!("http://{}/", elsewhere.addr());
    let redirect = move |_: &_| Reply::Answer(Answer::redirect(to.clone()));
    let server = Server::replying(bind(0).unwrap(), redirect).unwrap();
    check(get(&open(), &server).await, Err("status 302 Found"));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    check(get(&open(), &elsewhere).await, Ok(2));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up() {
    let fetcher = Fetcher { deadline: SHORT, ..open() };
    let late = "no answer within 200ms";
    let silent = Server::replying(bind(0).unwrap(), |_| Reply::Hang).unwrap();
    check(get(&fetcher, &silent).await, Err(late));
    let half = Server::connections(bind(0).unwrap(), |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{");
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    check(get(&fetcher, &half.unwrap()).await, Err(late));
    // A stopped process: the kernel accepts, and nobody reads.
    let stopped = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", stopped.local_addr().unwrap());
    check(fetcher.get(&url).await, Err(late));
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_resolves_to() {
    let server = Server::replying(bind(0).unwrap(), |_| Reply::Close).unwrap();
    let url = format!("http://localhost:{}/", server.addr().port());
    let plain = Fetcher::new(Guard { allow_plain_http: true, ..Guard::default() }).unwrap();
    assert!(matches!(plain.get(&url).await, Err(FetchError::PrivateAddress { .. })));
    assert!(matches!(open().get(&url).await, Err(FetchError::Http(_))));
    let nowhere = open().get("http://nowhere.invalid/").await;
    assert!(matches!(nowhere, Err(FetchError::Unresolved(_))));
}

#[test]
fn trust_anchors_must_be_there() {
    for pem in [&b""[..], b"nonsense"] {
        let guard = Guard { trust_anchors_pem: Some(pem.to_vec()), ..Guard::default() };
        let error = Fetcher::new(guard).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("trust anchors: no certificate in the file"));
    }
}

#[test]
fn addresses_reach_the_public_somebody_here_or_nobody() {
    let check = |address: &str, want: Reach| {
        assert_eq!(reach(address.parse().unwrap()), want, "{address}");
    };
    for nobodys in [
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "100.100.100.200",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::ffff:0.0.0.0",
        "::ffff:169.254.169.254",
        "fe80::1",
        "febf::1",
        "fd00:ec2::254",
        "ff02::1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::6464:64c8",
        "64:ff9b:1::a9fe:a9fe",
        "::a9fe:a9fe",
        "::7f00:1",
        "::ffff:0:a9fe:a9fe",
        "168.63.129.16",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
    ] {
        check(nobodys, Reach::Nobody);
    }
    for private in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "fc00::1",
        "fd12::1",
        "2001:1ff::1",
        "2001:db8::1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "3fff::1",
    ] {
        check(private, Reach::Private);
    }
    for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "198.20.0.1", "2606:4700::1111"] {
        check(public, Reach::Public);
    }
}

#[tokio::test]
async fn an_operator_cannot_allow_what_is_nobodys() {
    for url in ["http://169.254.169.254/latest", "http://[fe80::1]/", "http://0.0.0.0:1/"] {
        let refused = open().get(url).await;
        assert!(matches!(refused, Err(FetchError::NobodysAddress { .. })), "{url}: {refused:?}");
    }
}

#[tokio::test]
async fn the_guard_holds_for_every_url() {
    let closed = Fetcher::new(Guard::default()).unwrap();
    let plain = Fetcher::new(Guard { allow_plain_http: true, ..Guard::default() }).unwrap();
    for (fetcher, url, want) in [
        (&closed, "http://example.test/", "`http://example.test/` is not `https`"),
        (
            &closed,
            "file:///etc/passwd",
            "`file:///etc/passwd` is no absolute URL, or has a user in it",
        ),
        (
            &plain,
            "http://user@127.0.0.1/",
            "`http://user@127.0.0.1/` is no absolute URL, or has a user in it",
        ),
        (&closed, "/relative", "`/relative` is no absolute URL, or has a user in it"),
        (
            &closed,
            "https://127.0.0.1:1/",
            "`127.0.0.1` resolves to `127.0.0.1`, which is not a public address: \
             an issuer that is there needs `allow_private_addresses: true`",
        ),
        (
            &closed,
            "https://[::1]:1/",
            "`[::1]` resolves to `::1`, which is not a public address: \
             an issuer that is there needs `allow_private_addresses: true`",
        ),
        (
            &plain,
            "http://169.254.169.254/latest",
            "`169.254.169.254` resolves to `169.254.169.254`, where no issuer can be",
        ),
    ] {
        assert_eq!(fetcher.get(url).await.unwrap_err().to_string(), want);
    }
}
