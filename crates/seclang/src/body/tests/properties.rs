use proptest::prelude::*;

use super::*;

/// Small limits are reached often.
const LIMITS: Limits = Limits {
    bytes_max: 200,
    values_max: 5,
    json_values_max: 5,
    json_depth_max: 4,
    json_name_bytes_max: 30,
    xml_values_max: 5,
    xml_depth_max: 4,
    parts_max: 4,
    files_max: 3,
    part_headers_max: 3,
    part_head_bytes_max: 100,
    decoded_bytes_max: 300,
    ratio_max: 10,
    ratio_from_bytes: 100,
};

/// Pieces of bodies of all kinds, put together in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\\",
        "\\u00e9",
        "\\ud83d",
        "\\ude00",
        "1",
        "-",
        ".5",
        "e1",
        "true",
        "null",
        "\"a\"",
        "{\"a\":",
        "<",
        ">",
        "</",
        "/>",
        "<a>",
        "</a>",
        "<a b='",
        "'",
        "=",
        "&lt;",
        "&#60;",
        "&",
        ";",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "<!",
        "--B",
        "--B--",
        "--",
        "B",
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        "Content-Disposition: form-data; name=\"a\"\r\n",
        "; filename=\"f\"",
        "filename*=utf-8''x",
        "\r\n\r\n",
        "%41",
        "%",
        "+",
        "&a=b",
        "\0",
        "\u{e9}",
    ]);
    let piece = prop_oneof![
        8 => piece.prop_map(|piece| piece.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|it| it.to_string()),
        any::<i64>().prop_map(|it| it.to_string()),
        "[a-z<>é ]{0,8}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|all| format!("[{}]", all.join(" ,"))),
            prop::collection::vec(("[a-c]{0,3}", inner), 0..5).prop_map(|all| {
                let all: Vec<String> =
                    all.iter().map(|(key, it)| format!("\"{key}\": {it}")).collect();
                format!("{{{}}}", all.join(","))
            }),
        ]
    })
}

fn bounded(body: &Body, bytes: &[u8]) {
    assert_eq!(body.truncated, body.error.is_some_and(Reason::is_limit));
    if bytes.len() > LIMITS.bytes_max {
        assert_eq!(body.error, Some(Reason::Bytes));
    }
    assert!(body.args.len() <= 5 && body.files.len() <= 3);
    assert!(body.xml_text.len() + body.xml_attributes.len() <= 5);
    assert!(body.args.iter().all(|(name, _)| name.len() <= 200));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn whatever_the_bytes_there_is_an_answer_within_the_limits(bytes in pieces()) {
        for body in [
            urlencoded(&bytes, b'&', &LIMITS),
            multipart(b"multipart/form-data; boundary=B", &bytes, &LIMITS),
            multipart(&bytes, &bytes, &LIMITS),
            json(&bytes, &LIMITS),
            xml(&bytes, &LIMITS),
        ] {
            bounded(&body, &bytes);
        }
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let decoded = decoded(coding.as_bytes(), &bytes, &LIMITS);
            prop_assert!(decoded.is_ok_and(|it| it.len() <= 300) || !bytes.is_empty());
        }
    }

    #[test]
    fn what_is_json_is_read_and_cut_anywhere_is_not(text in json_text(), at in any::<prop::sample::Index>()) {
        let limits = Limits::default();
        let body = json(text.as_bytes(), &limits);
        prop_assert_eq!(body.error, None, "{}", text);
        let mut spaced = text.replace(',', " \n,\t").replace(':', " : ");
        spaced.insert(0, ' ');
        prop_assert_eq!(args(&json(spaced.as_bytes(), &limits)), args(&body));
        let at = at.index(text.len());
        if (text.starts_with(['[', '{', '"'])) && at > 0 {
            let cut = json(&text.as_bytes()[..at], &limits);
            prop_assert_eq!(cut.error, Some(Reason::Json), "{}", &text);
        }
    }

    #[test]
    fn a_form_reads_as_it_was_written(pairs in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..6), prop::collection::vec(any::<u8>(), 0..6)), 0..6)) {
        let escaped = |bytes: &[u8]| bytes.iter().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let text: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        let body = urlencoded(text.join("&").as_bytes(), b'&', &Limits::default());
        prop_assert_eq!(&body.args, &pairs);
        let form: Vec<u8> = pairs
            .iter()
            .flat_map(|(name, value)| {
                let name = escaped(name);
                let head = format!("--BOUND\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
                [head.into_bytes(), value.clone(), b"\r\n".to_vec()].concat()
            })
            .chain(b"--BOUND--\r\n".iter().copied())
            .collect();
        let body = multipart(b"multipart/form-data; boundary=BOUND", &form, &Limits::default());
        prop_assert_eq!((body.error, body.strict.any()), (None, false));
        let values: Vec<&Vec<u8>> = body.args.iter().map(|(_, value)| value).collect();
        prop_assert_eq!(values, pairs.iter().map(|(_, value)| value).collect::<Vec<_>>());
    }
}
