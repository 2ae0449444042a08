//! The requests that are measured: what browsers and programs send, none an attack; and one that is.

/// A request, with the name that its figure has.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// `get`: three headers. `get10`: 0.9 KB of headers and ten arguments. `form`: ten fields. `json`:
/// 10 KB, 362 leaves. `prose`: 10 KB in one field.
pub(crate) fn benign() -> Vec<Request> {
    vec![get("get", "/index.html"), get10(), form(), json(), prose()]
}

/// Every engine must find it, or it is not measuring what it should.
pub(crate) fn attack() -> Request {
    get("attack", "/?id=1%27%20UNION%20SELECT%20password%20FROM%20users--%20-")
}

fn get(name: &'static str, target: &str) -> Request {
    let headers = [("Host", "shop.example.com"), ("User-Agent", BROWSER), ("Accept", ACCEPT)];
    Request {
        name,
        method: "GET",
        target: target.to_owned(),
        headers: headers.map(|(name, value)| (name, value.to_owned())).to_vec(),
        body: Vec::new(),
    }
}

fn get10() -> Request {
    let mut request = get(
        "get10",
        "/catalog/search?q=winter+jacket&page=2&size=48&sort=price&order=asc&color=dark+blue\
         &brand=fjallnord&min=40&max=180&lang=en",
    );
    let cookies = [
        "session=5f3a9c1be07d4c2f8a61d9e4b7c03f12",
        "theme=dark",
        "consent=necessary.statistics.marketing.2026-05-01.v3.en-GB.8f14e45fceea167a5a36dedd",
        "cart=b1946ac92492d2347c6235b4d2611184",
        "locale=en-GB",
        "visit=1763810000.1763813333.7",
    ];
    let more = [
        ("Accept-Language", "en-GB,en;q=0.8,de;q=0.5"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Referer", "https://shop.example.com/catalog/search?q=winter+jacket&page=1&size=48"),
        ("Connection", "keep-alive"),
        ("Upgrade-Insecure-Requests", "1"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-User", "?1"),
        ("If-Modified-Since", "Wed, 18 Nov 2026 07:28:00 GMT"),
        ("If-None-Match", "W/\"9c2f6e0b7d1a4853-3f1c\""),
        ("Priority", "u=0, i"),
        ("DNT", "1"),
        ("X-Request-Id", "0193c1f2-7d44-7a36-9f21-5b8c7a3e1d90"),
    ];
    request.headers.push(("Cookie", cookies.join("; ")));
    request.headers.extend(more.map(|(name, value)| (name, value.to_owned())));
    request
}

fn post(name: &'static str, kind: &str, body: String) -> Request {
    let mut request = get(name, "/api/orders");
    request.method = "POST";
    request.headers.push(("Content-Type", kind.to_owned()));
    request.headers.push(("Content-Length", body.len().to_string()));
    request.body = body.into_bytes();
    request
}

const FORM: &str = "application/x-www-form-urlencoded";

fn form() -> Request {
    let body = "first_name=Maria&last_name=Lindqvist&email=maria.lindqvist%40example.com\
                &phone=%2B46+70+555+01+23&street=Storgatan+14&city=Uppsala&postcode=75331\
                &country=SE&newsletter=on&comment=Please+ring+the+bell+twice%2C+thank+you";
    post("form", FORM, body.to_owned())
}

/// Two leaves, and sixty orders of six.
fn json() -> Request {
    let colors = ["dark blue", "moss green", "light grey", "off white"];
    let order = |n: usize| {
        let color = colors.get(n % colors.len()).unwrap_or(&"black");
        format!(
            "{{\"id\":{},\"sku\":\"NW-{:05}-{}\",\"name\":\"Winter jacket, model {n}\",\"color\":\"{color}\",\
             \"price\":{}.95,\"note\":\"Leave the parcel with neighbour number {} please, \
             thanks\"}}",
            100_000 + n * 37,
            n * 911 % 100_000,
            n % 9,
            40 + n * 7 % 140,
            n % 30,
        )
    };
    let orders: Vec<String> = (0..60).map(order).collect();
    let body =
        format!("{{\"customer\":48213,\"currency\":\"SEK\",\"orders\":[{}]}}", orders.join(","));
    post("json", "application/json", body)
}

const SENTENCES: [&str; 10] = [
    "The ferry leaves the harbour at seven in the morning and reaches the island before noon.",
    "Most of the houses near the water were built by fishermen more than a century ago.",
    "In late summer the meadows turn yellow, and the nights grow long and clear.",
    "My grandmother kept a small garden with beans, carrots, dill and two old apple trees.",
    "Nobody in the village remembered a winter as cold as that one.",
    "They walked along the shore for an hour without saying a word.",
    "A letter arrived on Tuesday, written in blue ink and folded twice.",
    "The museum is open every day except Monday, and children enter free of charge.",
    "Bread, butter and a pot of coffee stood on the table when we came home.",
    "She read the last page again, closed the book and looked out over the bay.",
];

fn prose() -> Request {
    let mut body = "text=".to_owned();
    let mut n = 0_usize;
    while body.len() < 10_240 {
        let sentence = SENTENCES.get(n * 7 % SENTENCES.len()).unwrap_or(&"");
        body += &sentence.replace(',', "%2C").replace(' ', "+");
        body += "+";
        n += 1;
    }
    post("prose", FORM, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_are_as_large_as_is_said() {
        let all = benign();
        let of = |name: &str| all.iter().find(|request| request.name == name).unwrap();
        let bytes = |request: &Request| -> usize {
            request.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum()
        };
        assert_eq!(of("get").headers.len(), 3);
        assert!((850..1_000).contains(&bytes(of("get10"))), "{}", bytes(of("get10")));
        assert_eq!(of("get10").target.split('&').count(), 10);
        assert_eq!(of("form").body.split(|byte| *byte == b'&').count(), 10);
        let json = String::from_utf8(of("json").body.clone()).unwrap();
        let leaves = json.matches(':').count() - json.matches(":[").count();
        assert_eq!(leaves, 362);
        for name in ["json", "prose"] {
            let bytes = of(name).body.len();
            assert!((10_000..10_700).contains(&bytes), "{name}: {bytes}");
        }
    }
}
