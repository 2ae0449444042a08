//! Requests that are made to take long: each of about so many bytes, none more than an inspected
//! body may be.

use crate::{random::Random, requests::Request};

const FORM: &str = "application/x-www-form-urlencoded";

/// Text that patterns begin to match again and again, repeated in one field of a form.
const REPEATED: [(&str, &str); 15] = [
    ("substitutions", "$("),
    ("angles", "<"),
    ("quotes", "'"),
    ("spaces", " "),
    ("letters", "a"),
    ("comments", "/*"),
    ("dashes", "--"),
    ("dots", "../"),
    ("entities", "&#x3c;"),
    ("percents", "%2525"),
    ("escapes", "\\u003c\\x3c"),
    ("selects", "select (select "),
    ("handlers", "<a on"),
    ("calls", "a(b[c]);"),
    ("pipes", ";|`&"),
];

/// All of them, of about `size` bytes each.
pub(crate) fn all(size: usize) -> Vec<Request> {
    let mut all: Vec<Request> = REPEATED
        .into_iter()
        .map(|(name, text)| post(name, FORM, in_form(text.repeat(size / text.len()), size)))
        .collect();
    let mut random = Random::new(1);
    let text = (0..size).map(|_| printable(random.below(95))).collect();
    all.push(post("printable", FORM, in_form(text, size)));
    let bytes: Vec<u8> = (0..size).map(|_| byte(random.below(256))).collect();
    all.push(of("bytes", "application/octet-stream", bytes));
    all.push(post("arguments", FORM, numbered(size, |n| format!("a{n}=<{n}&"))));
    all.push(post("nested", "application/json", nested(size)));
    let leaves = numbered(size - 10, |n| format!("\"'{n} or\","));
    all.push(post("leaves", "application/json", format!("[{leaves}0]")));
    let elements = numbered(size - 10, |n| format!("<b a='{n}'>$(</b>"));
    all.push(post("elements", "text/xml", format!("<a>{elements}</a>")));
    let part = |n| format!("--x\r\nContent-Disposition: form-data; name=\"f{n}\"\r\n\r\n<{n}>\r\n");
    let parts = numbered(size - 10, part);
    all.push(post("parts", "multipart/form-data; boundary=x", format!("{parts}--x--\r\n")));
    let mut cookie = post("cookie", FORM, "a=1".to_owned());
    cookie.headers.push(("Cookie", numbered(size, |n| format!("c{n}='{n}<; "))));
    all.push(cookie);
    all
}

fn post(name: &'static str, kind: &str, body: String) -> Request {
    of(name, kind, body.into_bytes())
}

fn of(name: &'static str, kind: &str, body: Vec<u8>) -> Request {
    let headers = vec![
        ("Host", "shop.example.com".to_owned()),
        ("User-Agent", "Mozilla/5.0".to_owned()),
        ("Accept", "*/*".to_owned()),
        ("Content-Type", kind.to_owned()),
        ("Content-Length", body.len().to_string()),
    ];
    Request { name, method: "POST", target: "/a".to_owned(), headers, body }
}

/// One field; only what would end it, or be decoded, is escaped.
fn in_form(text: String, size: usize) -> String {
    let mut body = "a=".to_owned();
    for character in text.chars() {
        match character {
            '%' | '&' | '+' | '#' => body += &format!("%{:02x}", u32::from(character)),
            ' ' => body.push('+'),
            _ => body.push(character),
        }
        if body.len() >= size {
            break;
        }
    }
    body
}

fn numbered(size: usize, piece: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    let mut n = 0;
    while text.len() < size {
        text += &piece(n);
        n += 1;
    }
    text
}

/// Arrays as deep as is usually let in, again and again.
fn nested(size: usize) -> String {
    let one = format!("{}\"<a\"{}", "[".repeat(30), "]".repeat(30));
    format!("[{}]", vec![one.as_str(); size / (one.len() + 1)].join(","))
}

fn printable(nth: usize) -> char {
    char::from(b' ' + byte(nth))
}

fn byte(nth: usize) -> u8 {
    u8::try_from(nth).unwrap_or_default()
}
