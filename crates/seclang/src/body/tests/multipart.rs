use super::*;

const TYPE: &str = "multipart/form-data; boundary=B";

/// Lines with CR LF; a part's content, its name and its file are shown in one line.
fn read(content_type: &str, input: &str, limits: &Limits) -> (Vec<String>, Body) {
    let body = multipart(content_type.as_bytes(), input.replace('\n', "\r\n").as_bytes(), limits);
    let mut shown = args(&body);
    let file = |file: &File| format!("{}<{}:{}", show(&file.name), show(&file.filename), file.size);
    shown.extend(body.files.iter().map(file));
    (shown, body)
}

#[track_caller]
fn check(input: &str, want: &[&str]) {
    check_type(TYPE, input, want);
}

#[track_caller]
fn check_type(content_type: &str, input: &str, want: &[&str]) {
    let (shown, body) = read(content_type, input, &Limits::default());
    assert_eq!(shown, want, "{input}");
    assert_eq!((body.error, body.strict), (None, Strict::default()), "{input}");
}

/// What is found, and the one flag or those flags that are up.
#[track_caller]
fn doubtful(content_type: &str, input: &str, want: &[&str], flags: impl FnOnce(&mut Strict)) {
    let (shown, body) = read(content_type, input, &Limits::default());
    let mut strict = Strict::default();
    flags(&mut strict);
    assert_eq!(shown, want, "{input}");
    assert_eq!(body.strict, strict, "{input}");
    assert!(body.strict.any());
}

fn part(disposition: &str) -> String {
    format!("--B\nContent-Disposition: {disposition}\n\nx\n--B--\n")
}

#[test]
fn parts() {
    check(
        "--B\nContent-Disposition: form-data; name=\"a\"\n\nx\n--B\ncontent-disposition:form-data;name=b\n\n\n--B--\n",
        &["a=x", "b="],
    );
    check(
        "--B\nContent-Disposition: form-data; name=\"a\"\n\nx\ny\n\n--B--",
        &["a=x\\r\\ny\\r\\n"],
    );
    check("\n--B\nContent-Disposition: form-data; name=\"a\"\n\nx\n--B-- \t\n", &["a=x"]);
    check(&part("form-data; name=\"a\"; filename=\"f.txt\""), &["a<f.txt:1"]);
    check(&part("form-data; name=\"a\"; filename=\"\""), &["a=x", "a<:1"]);
    check(&part("FORM-DATA; NAME=\"a\"; FileName=f"), &["a<f:1"]);
    check("--B--\n", &[]);
    check("--B--\n\n", &[]);
    check(
        "--B\nContent-Disposition: form-data; name=a\n\n-- \n-\n--\n--C\n--B--\n",
        &["a=-- \\r\\n-\\r\\n--\\r\\n--C"],
    );
}

#[test]
fn names_of_files() {
    check(&part(r#"form-data; name="a"; filename="a\"b\\c.txt""#), &[r#"a<a\"b\\c.txt:1"#]);
    check(&part(r#"form-data; name="a"; filename="C:\dir\f.txt""#), &[r"a<C:\\dir\\f.txt:1"]);
    check(&part(r#"form-data; name="a"; filename="x;y=z""#), &["a<x;y=z:1"]);
    check(
        &part("form-data; name=a; filename*=UTF-8''na%C3%AFve.php"),
        &["a=x", r"a<na\xc3\xafve.php:1"],
    );
    check(
        &part("form-data; name=a; filename=\"a.txt\"; filename*=utf-8'en'b%2Ephp"),
        &["a<a.txt:1", "a<b.php:0"],
    );
    doubtful(TYPE, &part("form-data; name=a; filename*=b.php"), &["a=x", "a<b.php:1"], |s| {
        s.invalid_quoting = true
    });
    doubtful(TYPE, &part("form-data; name=a; filename*=x''b"), &["a=x", "a<b:1"], |s| {
        s.invalid_quoting = true
    });
}

#[test]
fn heads_are_listed_by_part() {
    let input = "--B\nContent-Disposition: form-data; name=\"a\"\nContent-Type: text/plain;\n charset=utf-7\n\nx\n--B--\n";
    let (_, body) = read(TYPE, input, &Limits::default());
    let lines: Vec<String> = body
        .part_headers
        .iter()
        .map(|(name, line)| format!("{}|{}", show(name), show(line)))
        .collect();
    assert_eq!(
        lines,
        [
            "a|Content-Disposition: form-data; name=\\\"a\\\"",
            "a|Content-Type: text/plain; charset=utf-7"
        ]
    );
    assert!(body.strict.header_folding && !body.strict.invalid_header_folding);
}

#[test]
fn boundaries_in_the_content_type() {
    let one = |boundary: &str| {
        format!("--{boundary}\nContent-Disposition: form-data; name=a\n\nx\n--{boundary}--\n")
    };
    check_type("Multipart/Form-Data; charset=utf-8; BOUNDARY=B", &one("B"), &["a=x"]);
    check_type("multipart/form-data; x=\"; boundary=C\"; boundary=B", &one("B"), &["a=x"]);
    check_type("multipart/mixed;boundary=----a'()+_-./:=?", &one("----a'()+_-./:=?"), &["a=x"]);
    let quoted = |s: &mut Strict| s.boundary_quoted = true;
    doubtful("multipart/form-data; boundary=\"B\"", &one("B"), &["a=x"], quoted);
    let blank = |s: &mut Strict| s.boundary_whitespace = true;
    doubtful("multipart/form-data; boundary =B", &one("B"), &["a=x"], blank);
    doubtful("multipart/form-data; boundary= B", &one("B"), &["a=x"], blank);
    doubtful("multipart/form-data; boundary=B ; a=b", &one("B"), &["a=x"], blank);
    doubtful("multipart/form-data; boundary=B C", &one("B C"), &["a=x"], blank);
    for refused in [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=B; boundary=C",
        "multipart/form-data; boundary=B; Boundary=B",
        "multipart/form-data; boundary=\"B",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=a,b",
        "multipart/form-data; boundary=\"B \"",
        "multipart/form-data; boundary=B\u{e9}",
        "text/plain; boundary=B",
        "multipart/form-data, boundary=B",
        "multipart/form-data; boundary*=utf-8''B",
    ] {
        let (shown, body) = read(refused, &one("B"), &Limits::default());
        assert_eq!((shown.len(), body.error), (0, Some(Reason::Boundary)), "{refused}");
    }
    let long = |length: usize| format!("multipart/form-data; boundary={}", "b".repeat(length));
    check_type(&long(70), &one(&"b".repeat(70)), &["a=x"]);
    assert_eq!(read(&long(71), "", &Limits::default()).1.error, Some(Reason::Boundary));
}

#[test]
fn lines_that_are_nearly_boundaries() {
    let near = |s: &mut Strict| s.unmatched_boundary = true;
    for line in
        ["--Bx", "--B-", "--B--x", "----B", " --B", "-- B", "--\"B\"", "-B", "x\r--B", "y --B"]
    {
        let input = format!("--B\nContent-Disposition: form-data; name=a\n\n{line}\n--B--\n");
        doubtful(TYPE, &input, &[&format!("a={}", show(line.as_bytes()))], near);
    }
    let input = "--B\nContent-Disposition: form-data; name=a\nX: --B\n\nx\n--B--\n";
    doubtful(TYPE, input, &["a=x"], near);
}

#[test]
fn data_where_none_belongs() {
    doubtful(TYPE, &format!("pre\n{}", part("form-data; name=a")), &["a=x"], |s| {
        s.data_before = true
    });
    doubtful(TYPE, &format!("{}post", part("form-data; name=a")), &["a=x"], |s| {
        s.data_after = true
    });
    doubtful(TYPE, &format!("{}\n\n", part("form-data; name=a")), &["a=x"], |s| {
        s.data_after = true
    });
    let second = format!("{}{}", part("form-data; name=a"), part("form-data; name=b"));
    doubtful(TYPE, &second, &["a=x"], |s| s.data_after = true);
}

#[test]
fn ends_of_lines() {
    let read = |input: &str| multipart(TYPE.as_bytes(), input.as_bytes(), &Limits::default());
    let all = "--B\nContent-Disposition: form-data; name=a\n\nx\ny\n--B--\n";
    let body = read(all);
    assert_eq!(args(&body), ["a=x\\ny"]);
    assert_eq!(body.strict, Strict { lf_line: true, ..Strict::default() });
    let mixed = "--B\r\nContent-Disposition: form-data; name=a\n\r\nx\r\n--B--\r\n";
    let body = read(mixed);
    assert_eq!(body.strict, Strict { lf_line: true, crlf_lf_lines: true, ..Strict::default() });
    let within = "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\ny\n\r\n--B--\r\n";
    let body = read(within);
    assert_eq!((args(&body), body.strict), (vec!["a=x\\ny\\n".to_owned()], Strict::default()));
    let before = "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\n--B--\r\n";
    let body = read(before);
    assert_eq!(args(&body), ["a=x"]);
    assert_eq!(body.strict, Strict { lf_line: true, crlf_lf_lines: true, ..Strict::default() });
    // CR alone ends no line
    let bare = "--B\r\nContent-Disposition: form-data; name=a\r\rx\r\n--B--\r\n";
    assert!(read(bare).strict.invalid_part);
}

#[test]
fn heads_that_are_doubtful() {
    let invalid = |s: &mut Strict| s.invalid_part = true;
    doubtful(TYPE, "--B\n\nx\n--B--\n", &["=x"], invalid);
    doubtful(TYPE, "--B\nContent-Type: text/plain\n\nx\n--B--\n", &["=x"], invalid);
    doubtful(TYPE, "--B\nContent-Disposition: form-data; name=a\n--B--\n", &["a="], invalid);
    doubtful(
        TYPE,
        "--B\nno colon\nContent-Disposition: form-data; name=a\n\nx\n--B--\n",
        &["a=x"],
        invalid,
    );
    doubtful(TYPE, "--B\nContent-Disposition : form-data; name=a\n\nx\n--B--\n", &["a=x"], invalid);
    doubtful(
        TYPE,
        "--B\n: y\nContent-Disposition: form-data; name=a\n\nx\n--B--\n",
        &["a=x"],
        invalid,
    );
    doubtful(TYPE, &part("attachment; name=a"), &["a=x"], invalid);
    doubtful(TYPE, &part("form-data"), &["=x"], invalid);
    doubtful(TYPE, &part("form-data; filename=f"), &["<f:1"], invalid);
    doubtful(TYPE, &part("form-data; name*=utf-8''a"), &["a=x"], invalid);
    doubtful(TYPE, "--B\n Content-Disposition: form-data; name=a\n\nx\n--B--\n", &["a=x"], |s| {
        (s.header_folding, s.invalid_header_folding, s.invalid_part) = (true, true, true);
    });
    doubtful(
        TYPE,
        "--B\nContent-Disposition: form-data;\n\x0bname=a\n\nx\n--B--\n",
        &["a=x"],
        |s| {
            (s.header_folding, s.invalid_header_folding) = (true, true);
        },
    );
    doubtful(TYPE, "--B\nContent-Disposition: form-data;\n\tname=a\n\nx\n--B--\n", &["a=x"], |s| {
        s.header_folding = true;
    });
}

#[test]
fn parameters_that_are_doubtful() {
    let twice = |s: &mut Strict| s.duplicate_name = true;
    doubtful(TYPE, &part("form-data; name=a; name=b"), &["a=x", "b=x"], twice);
    doubtful(TYPE, &part("form-data; name=a; name=a"), &["a=x"], twice);
    doubtful(TYPE, &part("form-data; name=a; filename=f; filename=g"), &["a<f:1", "a<g:0"], twice);
    let dispositions = "--B\nContent-Disposition: form-data; name=a\ncontent-disposition: form-data; name=b; filename=f\n\nx\n--B--\n";
    doubtful(TYPE, dispositions, &["a=x", "b=x", "a<f:1", "b<f:0"], twice);
    let five = part("form-data; name=a; name=b; name=c; name=d; name=e");
    doubtful(TYPE, &five, &["a=x", "b=x", "c=x", "d=x"], twice);
    let semicolon = |s: &mut Strict| s.missing_semicolon = true;
    doubtful(TYPE, &part("form-data; name=\"a\" filename=\"f\""), &["a<f:1"], semicolon);
    doubtful(TYPE, &part("form-data; name=\"a\"filename=\"f\""), &["a<f:1"], semicolon);
    let quoting = |s: &mut Strict| s.invalid_quoting = true;
    doubtful(TYPE, &part("form-data; name='a'"), &["a=x"], quoting);
    doubtful(TYPE, &part("form-data; name=a'b"), &["a\\'b=x"], quoting);
    doubtful(TYPE, &part("form-data; name=\"a"), &["a=x"], quoting);
    doubtful(TYPE, &part("form-data; name=a\"b\""), &["a\\\"b\\\"=x"], quoting);
    doubtful(TYPE, &part("form-data; name=a; filename"), &["a=x", "a<:1"], quoting);
    doubtful(TYPE, &part("form-data; name=a; filename=; b=c"), &["a=x", "a<:1"], quoting);
    doubtful(TYPE, &part("form-data; name=a; =b"), &["a=x"], quoting);
    check(&part("form-data; name=a;;"), &["a=x"]);
}

#[test]
fn forms_that_are_cut() {
    for (input, want) in [
        ("", vec![]),
        ("x", vec![]),
        ("--B", vec!["="]),
        ("--B\n", vec!["="]),
        ("--B\nContent-Disposition: form-data; name=a", vec!["a="]),
        ("--B\nContent-Disposition: form-data; name=a\n\n", vec!["a="]),
        ("--B\nContent-Disposition: form-data; name=a\n\nx\n--B", vec!["a=x", "="]),
        ("--B\nContent-Disposition: form-data; name=a\n\nx\n--", vec!["a=x\\r\\n--"]),
    ] {
        let (shown, body) = read(TYPE, input, &Limits::default());
        assert_eq!((body.error, body.truncated), (Some(Reason::Multipart), false), "{input}");
        assert!(body.strict.final_boundary_missing, "{input}");
        assert_eq!(shown, want, "{input}");
    }
}

#[test]
fn limits_at_their_edges() {
    let many = |parts: usize, disposition: &str| {
        format!(
            "{}--B--\n",
            format!("--B\nContent-Disposition: {disposition}\n\nx\n").repeat(parts)
        )
    };
    let error = |input: &str, limits: &Limits| read(TYPE, input, limits).1.error;
    let limits = Limits::default();
    assert_eq!(error(&many(128, "form-data; name=a"), &limits), None);
    assert_eq!(error(&many(129, "form-data; name=a"), &limits), Some(Reason::Parts));
    assert_eq!(error(&many(64, "form-data; name=a; filename=f"), &limits), None);
    let (shown, body) = read(TYPE, &many(65, "form-data; name=a; filename=f"), &limits);
    assert_eq!((shown.len(), body.error), (64, Some(Reason::Values)));
    assert!(body.strict.file_limit_exceeded);
    let few = Limits { values_max: 2, ..limits };
    assert_eq!(error(&many(2, "form-data; name=a"), &few), None);
    assert_eq!(error(&many(3, "form-data; name=a"), &few), Some(Reason::Values));
    let lines = |count: usize| {
        format!(
            "--B\nContent-Disposition: form-data; name=a\n{}\nx\n--B--\n",
            "a: b\n".repeat(count - 1)
        )
    };
    assert_eq!(error(&lines(16), &limits), None);
    assert_eq!(error(&lines(17), &limits), Some(Reason::PartHead));
    let long = |bytes: usize| {
        format!(
            "--B\nContent-Disposition: form-data; name=a\nx: {}\n\nx\n--B--\n",
            "y".repeat(bytes)
        )
    };
    assert_eq!(error(&long(8_000), &limits), None);
    assert_eq!(error(&long(8_192), &limits), Some(Reason::PartHead));
    let cut = Limits { bytes_max: 60, ..limits };
    let (shown, body) = read(TYPE, &many(2, "form-data; name=a"), &cut);
    assert_eq!((shown, body.error), (vec!["a=x".to_owned(), "=".to_owned()], Some(Reason::Bytes)));
}
