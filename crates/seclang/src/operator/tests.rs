//! An operator, its argument, a text, and whether it matches.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(name: &str, argument: &str, text: &[u8], want: bool) {
    let read = Check::read(name, argument).expect("a known operator").expect("an argument");
    let got = read.holds(text, ByteSet::seen(text));
    assert_eq!(got, want, "@{name} {argument} on {}", text.escape_ascii());
}

#[track_caller]
fn refused(name: &str, argument: &str, want: &str) {
    let got = Check::read(name, argument).expect("a known operator").map(drop);
    assert_eq!(got, Err(want.to_owned()), "@{name} {argument}");
}

#[test]
fn texts() {
    check("contains", "A.b", b"xA.by", true);
    check("contains", "A.b", b"xa.by", false);
    check("contains", "", b"x", true);
    check("strmatch", "b c", b"ab cd", true);
    check("containsWord", "abc", b"abcd abc", true);
    check("containsWord", "abc", b"abcd _abc 1abc abc\xc3", true);
    check("containsWord", "abc", b"abcd _abc 1abc", false);
    check("containsWord", "abc", b"(abc)", true);
    check("containsWord", "", b"", true);
    check("beginsWith", "GET /", b"GET /x", true);
    check("beginsWith", "GET /", b"GET", false);
    check("endsWith", ".pdf", b"a.pdf", true);
    check("endsWith", ".pdf", b"a.PDF", false);
    check("streq", "POST", b"POST", true);
    check("STREQ", "POST", b"post", false);
    check("streq", "POST", b"POST ", false);
    check("within", "GET HEAD POST", b"HEAD", true);
    check("within", "GET HEAD POST", b"HEAD P", true);
    check("within", "GET HEAD POST", b"PUT", false);
    check("within", "GET", b"", true);
}

#[test]
fn numbers() {
    for (text, want) in [
        (&b"12"[..], 12),
        (b" -12x", -12),
        (b"+7", 7),
        (b"", 0),
        (b"x1", 0),
        (b"- 1", 0),
        (b"0x10", 0),
        (b"99999999999999999999", i64::MAX),
        (b"-99999999999999999999", i64::MIN),
    ] {
        assert_eq!(number(text), want, "{}", text.escape_ascii());
    }
    check("eq", "5", b"5", true);
    check("eq", "0", b"x", true);
    check("eq", "xxx", b"5", false);
    check("ge", "5", b"5", true);
    check("ge", "5", b"4", false);
    check("gt", "5", b"5", false);
    check("gt", "-1", b"x", true);
    check("le", "5", b"5", true);
    check("le", "5", b"6", false);
    check("lt", "5", b"4.9", true);
    check("lt", "5", b"5", false);
}

#[test]
fn phrases() {
    check("pm", "/etc/passwd cmd.exe", b"x CMD.EXE", true);
    check("pm", "/etc/passwd cmd.exe", b"cmdXexe", false);
    check("pm", "a|42 43|d |0D0a|", b"xABCD", true);
    check("pm", "a|42 43|d |0D0a|", b"x\r\ny", true);
    check("pm", "a|20|b", b"a b", true);
    check("pm", "a|20|b", b"ab", false);
    check("pm", "|7c|", b"a|b", true);
    check("pm", "\u{e9}", "\u{c9}\u{e9}".as_bytes(), true);
    refused("pm", "  ", "there is no phrase to look for");
    refused("pm", "a|4|", "`|4|` is no bytes in hexadecimal digits");
    refused("pm", "a||", "`||` is no bytes in hexadecimal digits");
    refused("pm", "a|zz|", "`|zz|` is no bytes in hexadecimal digits");
    refused(
        "pm",
        "a|42",
        "a `|` opens bytes in hexadecimal digits that no `|` closes: as itself it is `|7c|`",
    );
    let file = b"\xef\xbb\xbf# agents\r\nnikto\r\n\r\n  two words \n#no\nA|42|\n";
    let phrases = Phrases::of_file(file).unwrap();
    assert_eq!(phrases.len(), 3);
    assert_eq!(phrases.find(b"x Two Words"), Some(&b"Two Words"[..]));
    assert_eq!(phrases.find(b"x Nikto nikto"), Some(&b"Nikto"[..]));
    assert_eq!(phrases.find(b"a|42|"), Some(&b"a|42|"[..]));
    assert_eq!(phrases.find(b"agents #no"), None);
    assert!(Phrases::of_file(b"# nothing\n \n").is_err());
}

#[test]
fn what_is_not_as_it_should_be() {
    check("validateByteRange", "9, 10,13,32-126,128-255", b"a\tb\xff", false);
    check("validateByteRange", "9,10,13,32-126,128-255", b"a\x7f", true);
    check("validateByteRange", "1-255", b"a\0", true);
    check("validateByteRange", "0-255", b"a\0\xff", false);
    check("validateByteRange", "1-255", b"", false);
    for argument in ["", "1-", "256", "5-4", "a", "1,,2", "1-2-3", "-1"] {
        assert!(Check::read("validateByteRange", argument).unwrap().is_err(), "{argument}");
    }
    for (text, want) in [
        (&b""[..], false),
        (b"a+b%20c%fF", false),
        (b"%", true),
        (b"%4", true),
        (b"%4g", true),
        (b"%%41", true),
        (b"%u0041", true),
        (b"%41%", true),
    ] {
        check("validateUrlEncoding", "", text, want);
    }
    for (text, want) in [
        (&b"abc"[..], false),
        ("\u{e9}\u{4e41}\u{10ffff}".as_bytes(), false),
        (b"\xc0\xaf", true),
        (b"\xe0\x80\xaf", true),
        (b"\xf0\x80\x80\xaf", true),
        (b"\xed\xa0\x80", true),
        (b"\xf4\x90\x80\x80", true),
        (b"\xf8\x88\x80\x80\x80", true),
        (b"a\x80", true),
        (b"\xe2\x82", true),
        (b"\xff", true),
    ] {
        check("validateUtf8Encoding", "", text, want);
    }
}

#[test]
fn addresses() {
    check("ipMatch", "127.0.0.1,::1", b"127.0.0.1", true);
    check("ipMatch", "127.0.0.1, ::1", b"::1", true);
    check("ipMatch", "127.0.0.1,::1", b"127.0.0.2", false);
    check("ipMatch", "10.10.10.0/21", b"10.10.8.1", true);
    check("ipMatch", "10.10.10.0/21", b"10.10.16.0", false);
    check("ipMatch", "10.10.10.0/21", b"10.10.7.255", false);
    check("ipMatch", "0.0.0.0/0", b"255.255.255.255", true);
    check("ipMatch", "0.0.0.0/0", b"::1", false);
    check("ipMatch", "::/0", b"10.0.0.1", false);
    check("ipMatch", "::/0", b"2001:db8::1", true);
    check("ipMatch", "2001:db8::/32", b"2001:DB8:ffff::", true);
    check("ipMatch", "2001:db8::/32", b"2001:db9::", false);
    check("ipMatch", "10.0.0.0/8", b"::ffff:10.1.2.3", true);
    check("ipMatch", "::ffff:10.0.0.0/104", b"10.1.2.3", true);
    check("ipMatch", "10.0.0.0/8,10.0.0.0/9,9.0.0.0/8", b"10.255.0.1", true);
    check("ipMatch", "10.0.0.0/8", b"10.1", false);
    check("ipMatch", "10.0.0.0/8", b"x", false);
    check("ipMatch", "10.0.0.0/8", b"10.0.0.1\xff", false);
    for argument in
        ["", "10.0.0.0/33", "::/129", "10.0.0", "a", "1.1.1.1,", "1.1.1.1/", "1.1.1.1/+8"]
    {
        assert!(Check::read("ipMatch", argument).unwrap().is_err(), "{argument}");
    }
    let file = Networks::of_file(b"# ours\n10.0.0.0/8 # lab\n\n2001:db8::/32\r\n").unwrap();
    assert!(file.have("10.9.8.7".parse().unwrap()) && file.have("2001:db8::7".parse().unwrap()));
    assert!(!file.have("11.0.0.0".parse().unwrap()));
    assert_eq!(
        Networks::of_file(b"10.0.0.1\nnope\n").unwrap_err(),
        "`nope` is no address and no network"
    );
}

#[test]
fn card_numbers() {
    const PATTERN: &str = r"(?:^|[^\d])(\d{13,16})(?:[^\d]|$)";
    check("verifyCC", PATTERN, b"no 4111111111111111, yes", true);
    check("verifyCC", PATTERN, b"4111111111111112", false);
    check("verifyCC", PATTERN, b"4111111111111112 4111111111111111", true);
    check("verifyCC", PATTERN, b"41111111111111111", false);
    check("verifyCC", r"\d*", b"", false);
    check("verifyCC", "x", b"x", false);
    refused("verifyCC", "(", "the pattern does not compile: unclosed group");
}

#[test]
fn injections() {
    check("detectSQLi", "", b"1' OR '1'='1", true);
    check("detectSQLi", "", b"O'Reilly", false);
    check("detectXSS", "", b"<script>a</script>", true);
    check("detectXSS", "", b"1 < 2", false);
    assert_eq!(sqli_fingerprint(b"1' OR '1'='1").as_deref(), Some("s&sos"));
    assert_eq!(sqli_fingerprint(b"hello"), None);
    refused("detectSQLi", "x", "`@detectSQLi` takes no argument");
}

#[test]
fn names() {
    check("unconditionalMatch", "", b"", true);
    check("noMatch", "", b"x", false);
    for name in Check::NAMES {
        assert!(Check::read(name, "1").is_some(), "{name}");
        assert!(Check::read(&name.to_ascii_uppercase(), "1").is_some(), "{name}");
    }
    assert!(Check::read("rx", "a").is_none() && Check::read("geoLookup", "").is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The filters before libinjection leave out nothing it would find.
    #[test]
    fn no_word_is_an_injection(
        text in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 1..5)
    ) {
        let text = text.concat();
        prop_assert!(ByteSet::seen(text.as_bytes()).within(ByteSet::WORD));
        prop_assert!(!detect_sqli(text.as_bytes()).is_injection(), "{text}");
    }

    #[test]
    fn no_markup_is_without_its_marks(text in prop::collection::vec(any::<u8>(), 0..40), word in prop::sample::select(MARKUP.to_vec())) {
        let text = [&text[..], word.as_bytes(), &text[..]].concat();
        let text: Vec<u8> = text.into_iter().filter(|byte| !matches!(byte, b'<' | b'=')).collect();
        prop_assert!(!detect_xss(&text).is_injection());
    }

    #[test]
    fn a_network_has_what_its_bits_say(net: u32, bits in 0..=32_u32, near in any::<u32>(), flip in 0..32_u32) {
        let networks = Networks::new(&format!("{}/{bits}", IpAddr::from(net.to_be_bytes()))).unwrap();
        let mask = if bits == 0 { 0 } else { u32::MAX << (32 - bits) };
        for address in [near, net ^ (1 << flip)] {
            let want = address & mask == net & mask;
            prop_assert_eq!(networks.have(IpAddr::from(address.to_be_bytes())), want);
        }
    }
}

const WORDS: [&str; 24] = [
    "1",
    "0",
    "0x1f",
    "0b1",
    "1e5",
    "union",
    "select",
    "or",
    "and",
    "like",
    "null",
    "sleep",
    "_",
    "a",
    "x",
    "n",
    "u",
    "true",
    "between",
    "version",
    "user",
    "drop",
    "table",
    "benchmark",
];

const MARKUP: [&str; 6] =
    [" onload ", "javascript:alert(1)", "\" onerror \"", "!--", "!DOCTYPE x>", "/script>"];
