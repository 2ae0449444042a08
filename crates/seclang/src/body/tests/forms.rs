use super::*;

#[track_caller]
fn check(input: &[u8], want: &[&str]) {
    let body = urlencoded(input, b'&', &Limits::default());
    assert_eq!(args(&body), want, "{}", show(input));
    assert_eq!((body.error, body.truncated), (None, false));
}

#[test]
fn pairs() {
    check(b"", &[]);
    check(b"a=1&b=2", &["a=1", "b=2"]);
    check(b"a=1&a=2&A=3", &["a=1", "a=2", "A=3"]);
    check(b"a", &["a="]);
    check(b"a=", &["a="]);
    check(b"=b", &["=b"]);
    check(b"=", &["="]);
    check(b"&&a=1&", &["a=1"]);
    check(b"a=b=c", &["a=b=c"]);
    check(b"a;b=1", &["a;b=1"]);
    check(b"a=1;b=2", &["a=1;b=2"]);
    check(b"a[]=1&a[b]=2", &["a[]=1", "a[b]=2"]);
}

#[test]
fn escapes_are_decoded_once_and_what_is_none_stays() {
    check(b"%61+b=%3Cc%3e+d%2bx", &["a b=<c> d+x"]);
    check(b"a=%2541", &["a=%41"]);
    check(b"a=%&b=%4&c=%zz&d=%u0041", &["a=%", "b=%4", "c=%zz", "d=%u0041"]);
    check(b"a=%00%ff\xfe", &["a=\\x00\\xff\\xfe"]);
    check(b"a%3db=c%26d", &["a=b=c&d"]);
    check(b"a=%4%31", &["a=%41"]);
}

#[test]
fn limits() {
    let limits = Limits { values_max: 2, bytes_max: 9, ..Limits::default() };
    let read = |input: &[u8]| {
        let body = urlencoded(input, b';', &limits);
        (args(&body).join(" "), body.error, body.truncated)
    };
    assert_eq!(read(b"a=1;b=2"), ("a=1 b=2".to_owned(), None, false));
    assert_eq!(read(b"a=1;b=2;"), ("a=1 b=2".to_owned(), None, false));
    assert_eq!(read(b"a;b;c"), ("a= b=".to_owned(), Some(Reason::Values), true));
    assert_eq!(read(b"a=1;b=234"), ("a=1 b=234".to_owned(), None, false));
    assert_eq!(read(b"a=1;b=2345"), ("a=1 b=234".to_owned(), Some(Reason::Bytes), true));
}
