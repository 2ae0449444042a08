//! Fields that name the client. Whatever a client writes into one, what a trusted proxy appends
//! is read, or nothing is.

use std::net::SocketAddr;

use gateway::network::{Network, Networks};
use gateway::protocol::forwarded::{Client, Field, client};
use http::{HeaderName, HeaderValue};
use signals::{Header, Headers};

/// The proxy that appends.
const PROXY: &str = "10.0.0.1:4711";

/// Takes the bytes as what the client wrote. Accepted is what a client can be found behind, in
/// each of the fields.
pub fn forwarded(data: &[u8]) -> bool {
    let found = [
        (Field::XForwardedFor, "x-forwarded-for", "203.0.113.9"),
        (Field::XForwardedFor, "x-forwarded-for", "[2001:db8::9]:51344"),
        (Field::Forwarded, "forwarded", "for=203.0.113.9"),
        (Field::Forwarded, "forwarded", "for=\"[2001:db8::9]:51344\";by=\"10.0.0.1:1\";proto=http"),
    ]
    .map(|(field, name, appended)| {
        let one_line = [data, b", ", appended.as_bytes()].concat();
        let one = told(field, name, &[&one_line]);
        let two = told(field, name, &[data, appended.as_bytes()]);
        let alone = told(field, name, &[appended.as_bytes()]).expect("what a proxy writes");
        assert_eq!(alone.proxies, [PROXY.parse::<SocketAddr>().unwrap().ip()]);
        for found in [&one, &two].into_iter().flatten() {
            assert_eq!(*found, alone);
        }
        let of_clients = told(field, name, &[data]);
        if let Some(Client { address, proxies }) = &of_clients {
            assert!(proxies.iter().all(|proxy| trusted().contain(*proxy)));
            assert_eq!(address.ip(), address.ip().to_canonical());
        }
        one.is_some()
    });
    found == [true; 4]
}

fn trusted() -> Networks {
    std::iter::once(Network::parse("10.0.0.0/8").unwrap()).collect()
}

/// `None` also where the lines are no field's values.
fn told(field: Field, name: &'static str, lines: &[&[u8]]) -> Option<Client> {
    let header = |line: &&[u8]| {
        let value = HeaderValue::from_bytes(line).ok()?;
        Some(Header { name: HeaderName::from_static(name), value })
    };
    let headers = Headers::new(lines.iter().map(header).collect::<Option<_>>()?).unwrap();
    client(field, &headers, PROXY.parse().unwrap(), &trusted()).ok()
}
