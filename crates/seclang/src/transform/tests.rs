//! Text in, text out; and what must hold of every transformation.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(name: &str, input: &[u8], want: &[u8]) {
    let got = Transform::named(name).unwrap().apply(input);
    let want = (want != input).then(|| want.to_vec());
    let show =
        |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| bytes.escape_ascii().to_string());
    assert_eq!(show(&got), show(&want), "{name} of {}", input.escape_ascii());
}

#[test]
fn case() {
    check("lowercase", b"AbC\xc4", b"abc\xc4");
    check("LOWERCASE", b"abc", b"abc");
    check("uppercase", b"aBc\xe4", b"ABC\xe4");
    assert_eq!(Transform::named("lower"), None);
    assert_eq!(Transform::named("none"), None);
}

#[test]
fn url() {
    check("urlDecode", b"a%20b+c%zz%4", b"a b c%zz%4");
    check("urlDecode", b"%253c%u003c", b"%3c%u003c");
    check("urlDecode", b"%", b"%");
    check("urlDecode", b"%%41%00", b"%A\0");
    check("urlDecodeUni", b"%u003cscript%3e%uff1c%u00", b"<script><%u00");
    check("urlDecodeUni", b"%U003C%u003%uzzzz", b"<%u003%uzzzz");
    check("urlDecodeUni", b"..%u2215%u2019%u2039%u201d%u4e41", b"../'<\"A");
    check("urlDecodeUni", b"%u00e9%u00C7%u00d7%u0142%u2032%u2122%u2000", b"eC\xd7l'T ");
    check("urlDecodeUni", b"%uff01%uff5e%uff5f%uff00", b"!~\x5f\0");
    check("urlEncode", b"a B*-_.~/\xff\0", b"a+B*%2d%5f%2e%7e%2f%ff%00");
}

#[test]
fn escapes() {
    check("jsDecode", br"\u003ca\x41\101\n\q\", b"<aAA\nq\\");
    check("jsDecode", br"\uff1c\u2019\u00\xg\377\400\8\\u003c", b"<'u00xg\xff\x20\x308\\u003c");
    check("cssDecode", br"ja\vascript\3a al\65rt\", b"javascript:alert");
    check("cssDecode", b"\\\\41\\\n\\00003cx\\3C\tx\\ff1c", b"\\41<x<x<");
    check("cssDecode", br"\1234567", b"\x567");
    check(
        "escapeSeqDecode",
        br#"\a\b\f\n\r\t\v\?\'\"\\\0\12\123"#,
        b"\x07\x08\x0c\n\r\t\x0b?'\"\\\0\nS",
    );
    check("escapeSeqDecode", br"\x41\X4a\xag\8\q\666\1234\", b"AJ\\xag8q\xb6S4\\");
}

#[test]
fn entities() {
    check("htmlEntityDecode", b"&lt;a&#60;&#x3C;&#x3c &gt&amp;&bogus;&", b"<a<<< >&&bogus;&");
    check("htmlEntityDecode", b"&table&Tab;;&colon&colon;&ltx&#60;;", b"&table\t;&colon:<x<;");
    check("htmlEntityDecode", b"&#0000000000060;&#x000000000003c", b"<<");
    check("htmlEntityDecode", b"&#&#x&#xg&#;&;", b"&#&#x&#xg&#;&;");
    check("htmlEntityDecode", b"&#99999999999999999999;&nbsp;", b"\xff\xa0");
    check("htmlEntityDecode", b"&amp;lt;&lpar;&RSQB;", b"&lt;(]");
}

#[test]
fn white_space_and_nulls() {
    check("cmdLine", b"C^at  'x' ;/etc", b"cat x/etc");
    check("cmdLine", b"\"wh\\oami\",\t( x", b"whoami( x");
    check("cmdLine", b" ^ ^ ", b" ");
    check("removeNulls", b"a\0b\0", b"ab");
    check("replaceNulls", b"a\0b\0", b"a b ");
    check("compressWhitespace", b"a \t\n b\xa0", b"a b ");
    check("compressWhitespace", b"a\xc2\xa0\xc2\xa0b\xc2", b"a b\xc2");
    check("compressWhitespace", b" a b ", b" a b ");
    check("removeWhitespace", b"a \t\n\x0b\x0c\r b\xa0", b"ab");
    check("removeWhitespace", b"sel\xc2\xa0ect", b"select");
    check("trim", b" \ta b\n\0 ", b"a b\n\0");
    check("trimLeft", b"\n a ", b"a ");
    check("trimRight", b" a \x0b", b" a");
    check("trim", b"  ", b"");
}

#[test]
fn comments() {
    check("replaceComments", b"UN/**/ION/*x*/S/*", b"UN ION S ");
    check("replaceComments", b"a/*/b*/c*/ /", b"a c*/ /");
    check("removeComments", b"a/* b */c<!-- d -->e", b"ace");
    check("removeComments", b"a - b -- c", b"a - b ");
    check("removeComments", b"a#b", b"a");
    check("removeComments", b"a/*b", b"a ");
    check("removeComments", b"a<!-b</", b"a<!-b</");
    check("removeCommentsChar", b"/*a*/b<!--c-->d--e#f", b"abcdef");
    check("removeCommentsChar", b"/ * < ! - > -", b"/ * < ! - > -");
    check("removeCommentsChar", b"---", b"-");
}

#[test]
fn paths() {
    check("normalizePath", b"/a/./b//../c/..", b"/a");
    check("normalizePath", b"/a/./b//../c/../", b"/a/");
    check("normalizePath", b"../../a", b"../../a");
    check("normalizePath", b"a/../../../b", b"../../b");
    check("normalizePath", b"/../../a", b"/a");
    check("normalizePath", b"./", b"");
    check("normalizePath", b"..", b"..");
    check("normalizePath", b"//", b"/");
    check("normalisePath", b"a...b/..c/.d", b"a...b/..c/.d");
    check("normalizePathWin", br"\a\..\b", b"/b");
    check("normalisePathWin", br"..\x/..\y\", b"../y/");
}

#[test]
fn codes() {
    check("base64Decode", b"PHNjcmlwdD4=", b"<script>");
    check("base64Decode", b"PHNjcmlwdD4", b"<script>");
    check("base64Decode", b"PHNj\r\ncmlwdD4=", b"<script>");
    check("base64Decode", b"PHNjcmlwdD4.", b"<script>");
    check("base64Decode", b"PHNjcmlwdD4= and more", b"<script>");
    check("base64Decode", b"!not base64", b"!not base64");
    check("base64Decode", b"a", b"a");
    check("base64Decode", b"abcde", b"i\xb7\x1d");
    check("base64DecodeExt", b"P.HNj=cmlw dD4=", b"<script>");
    check("base64DecodeExt", b"abcde", b"i\xb7\x1d");
    check("base64Encode", b"<script>", b"PHNjcmlwdD4=");
    check("hexEncode", b"a\0\xff", b"6100ff");
    check("hexDecode", b"6100fF", b"a\0\xff");
    check("hexDecode", b"616", b"a");
    check("hexDecode", b"61 62", b"61 62");
    check("sqlHexDecode", b"select 0x414243,0X61 62", b"select ABC,a 62");
    check("sqlHexDecode", b"0x4 x41 0x 0x30x41", b"0x4 x41 0x 0x41");
    check("sqlHexDecode", b"0x414", b"A4");
    check(
        "utf8toUnicode",
        "a\u{e9}\u{4e41}\u{1f600}\u{10fffe}".as_bytes(),
        b"a%u00e9%u4e41%u1f600%u10fffe",
    );
    check("utf8toUnicode", b"\xc0\xbc\xed\xa0\x80\xff\x80\xc3", b"%u003c%ud800\xff\x80\xc3");
    check(
        "utf8toUnicode",
        b"\xe2\x28\xa1\xf8\x88\x80\x80\x80",
        b"\xe2\x28\xa1\xf8\x88\x80\x80\x80",
    );
    check("length", b"", b"0");
    check("length", b"0123456789\0", b"11");
    check("length", b"1", b"1");
}

#[test]
fn digests() {
    let hex = |name: &str, input: &[u8]| {
        let digest = Transform::named(name).unwrap().apply(input).unwrap();
        String::from_utf8(Transform::HexEncode.apply(&digest).unwrap()).unwrap()
    };
    assert_eq!(hex("sha1", b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(hex("sha1", b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_eq!(hex("md5", b"abc"), "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(hex("md5", b""), "d41d8cd98f00b204e9800998ecf8427e");
}

/// Bytes that transformations act on, among others.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => prop::sample::select(b"%u+&#;x\\/.*'\"<>=-()!0aAfF1 \t\n\0^,\xc2\xa0".to_vec()),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..64)
}

fn transform() -> impl Strategy<Value = Transform> {
    prop::sample::select(Transform::NAMES.map(|(_, transform)| transform).to_vec())
}

/// Twice is as once.
const IDEMPOTENT: [Transform; 15] = [
    Transform::CmdLine,
    Transform::CompressWhitespace,
    Transform::Lowercase,
    Transform::NormalizePath,
    Transform::NormalizePathWin,
    Transform::RemoveNulls,
    Transform::RemoveWhitespace,
    Transform::ReplaceComments,
    Transform::ReplaceNulls,
    Transform::Trim,
    Transform::TrimLeft,
    Transform::TrimRight,
    Transform::Uppercase,
    Transform::RemoveComments,
    Transform::Utf8ToUnicode,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_text_without_the_bytes_it_acts_on_is_left_as_it_is(
        transform in transform(),
        text in prop_oneof![bytes(), prop::collection::vec(any::<u8>(), 0..64)],
    ) {
        let text: Vec<u8> =
            text.into_iter().filter(|byte| !transform.acts_on().has(*byte)).collect();
        prop_assert!(!ByteSet::seen(&text).meets(transform.acts_on()));
        if transform.acts_on() != ByteSet::ALL {
            prop_assert_eq!(transform.apply(&text), None);
        }
    }

    #[test]
    fn a_change_is_one(transform in transform(), text in bytes()) {
        prop_assert_ne!(transform.apply(&text), Some(text));
    }

    #[test]
    fn twice_is_as_once(transform in prop::sample::select(IDEMPOTENT.to_vec()), text in bytes()) {
        let once = transform.apply(&text).unwrap_or(text);
        let twice = transform.apply(&once);
        prop_assert_eq!(twice, None, "{:?}", transform);
    }

    #[test]
    fn what_was_encoded_is_decoded(text in prop::collection::vec(any::<u8>(), 1..64)) {
        for (encode, decode) in [
            (Transform::Base64Encode, Transform::Base64Decode),
            (Transform::Base64Encode, Transform::Base64DecodeExt),
            (Transform::HexEncode, Transform::HexDecode),
            (Transform::UrlEncode, Transform::UrlDecode),
            (Transform::UrlEncode, Transform::UrlDecodeUni),
        ] {
            let encoded = encode.apply(&text).unwrap_or_else(|| text.clone());
            prop_assert_eq!(decode.apply(&encoded).unwrap_or(encoded), text.clone());
        }
    }
}
