//! What reading a head costs, of HTTP/1.1: finding its end, the canonical request with its
//! digest, and what hyper is given instead.

#![expect(clippy::expect_used, reason = "a bench stops if it cannot begin")]
#![allow(missing_docs, reason = "criterion's macros make functions")]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway::protocol::h1::{self, Limits, Scan};
use signals::Scheme;

const PLAIN: &str = "GET /orders/o-1001?view=full HTTP/1.1\r\n\
    Host: api.example.com\r\n\
    User-Agent: curl/8.5.0\r\n\
    Accept: */*\r\n\r\n";

const BROWSER: &str = "POST /orders/o-1001/notes?lang=de&tab=items HTTP/1.1\r\n\
    Host: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n\
    Accept: application/json, text/plain;q=0.9, */*;q=0.8\r\n\
    Accept-Language: de-DE,de;q=0.8,en-US;q=0.5,en;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://shop.example.com/orders/o-1001\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Cookie: theme=dark; consent=1; id=8f3c2a9e51d74b06\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 512\r\n\
    Authorization: Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIxIn0.c2ln\r\n\r\n";

fn read(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("read");
    for (name, head) in [("plain", PLAIN), ("browser", BROWSER)] {
        let head = Bytes::from_static(head.as_bytes());
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(name, |bencher| {
            let mut output = BytesMut::with_capacity(1 << 10);
            bencher.iter(|| {
                let end = Scan::default().find(black_box(&head), &limits).expect("a head");
                let whole = head.slice(..end.expect("a whole head"));
                let parsed = h1::parse(&whole, Scheme::Https, &limits).expect("accepted");
                output.clear();
                h1::for_hyper(&parsed, false, &mut output);
                (parsed.request.digest(), output.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
