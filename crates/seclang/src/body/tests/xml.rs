use super::*;

#[track_caller]
fn check(input: &str, text: &[&str], attributes: &[&str]) {
    let body = xml(input.as_bytes(), &Limits::default());
    assert_eq!(body.error, None, "{input}");
    let shown = |values: &[Vec<u8>]| values.iter().map(|value| show(value)).collect::<Vec<_>>();
    assert_eq!(shown(&body.xml_text), text, "{input}");
    assert_eq!(shown(&body.xml_attributes), attributes, "{input}");
}

#[track_caller]
fn refused(input: impl AsRef<[u8]>, reason: Reason) {
    let body = xml(input.as_ref(), &Limits::default());
    assert_eq!(body.error, Some(reason), "{}", show(input.as_ref()));
    assert_eq!(body.truncated, reason.is_limit());
}

#[test]
fn text_and_attributes() {
    check("", &[], &[]);
    check("<a/>", &[], &[]);
    check("<a>x</a>", &["x"], &[]);
    check(
        "<?xml version='1.0' encoding='UTF-8'?>\n<a b='1' c=\"2\"><d>x</d> <e f = '3'/>y</a>\n",
        &["x", "y"],
        &["1", "2", "3"],
    );
    check("\u{feff}<a>\u{e9}</a>", &["\\xc3\\xa9"], &[]);
    check("<a>x<b/>y</a >", &["x", "y"], &[]);
    check("<s:E xmlns:s='u'><s:B>1</s:B></s:E><!-- z --><?pi a?>", &["1"], &["u"]);
    check("<a> \n </a>", &[], &[]);
    check("<a b='' />", &[], &[""]);
    check("<a b='x>y'>x>y</a>", &["x>y"], &["x>y"]);
}

#[test]
fn references_and_cdata() {
    check("<a b='&lt;&#39;'>&lt;&gt;&amp;&quot;&apos;</a>", &["<>&\\\"\\'"], &["<\\'"]);
    check("<a>&#60;&#x3c;&#x3C;&#xe9;</a>", &["<<<\\xc3\\xa9"], &[]);
    check("<a>&amp;lt;</a>", &["&lt;"], &[]);
    check("<a>un<![CDATA[<ion>&lt;]]>s<!-- c -->elect</a>", &["un<ion>&lt;select"], &[]);
    check("<a><![CDATA[]]]]><![CDATA[>]]></a>", &["]]>"], &[]);
}

#[test]
fn what_is_dangerous_is_an_error() {
    refused("<!DOCTYPE a><a/>", Reason::Doctype);
    refused("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", Reason::Doctype);
    refused("<?xml version='1.0'?> <!doctype a><a/>", Reason::Doctype);
    refused("<a><!ENTITY x 'y'></a>", Reason::Doctype);
    refused("<a>&x;</a>", Reason::Entity);
    refused("<a b='&x;'/>", Reason::Entity);
    refused("<a>&nbsp;</a>", Reason::Entity);
    refused("<a>&LT;</a>", Reason::Entity);
    refused(b"\xff\xfe<\x00a\x00/\x00>\x00", Reason::Encoding);
    refused(b"\xfe\xff\x00<\x00a\x00/\x00>", Reason::Encoding);
    refused(b"\x00<\x00a\x00/\x00>", Reason::Xml);
    refused("<?xml version='1.0' encoding='UTF-7'?><a/>", Reason::Encoding);
    refused("<?xml version='1.0' encoding=\"utf-16\"?><a/>", Reason::Encoding);
    refused("<?xml version='1.0' encoding='cp037'?><a/>", Reason::Encoding);
}

#[test]
fn what_is_not_well_formed_is_an_error() {
    for input in [
        " ",
        "x",
        "<",
        "<a",
        "<a>",
        "</a>",
        "<a></b>",
        "<a><b></a></b>",
        "<a b/>",
        "<a b=1/>",
        "<a b='1/>",
        "<a b='<'/>",
        "<a b='1'c='2'/>",
        "<a b='1' b='2'/>",
        "<a>&lt</a>",
        "<a>&</a>",
        "<a>&#;</a>",
        "<a>&#x;</a>",
        "<a>&#0;</a>",
        "<a>&#xd800;</a>",
        "<a>&#99999999999;</a>",
        "<a>&#X3c;</a>",
        "<a>\0</a>",
        "<a>\x0b</a>",
        "<a>]]></a>",
        "<a><!-- -- --></a>",
        "<a><!-->",
        "<a><![CDATA[x</a>",
        "<a/>x",
        "x<a/>",
        "<![CDATA[x]]><a/>",
        "<a><?xml version='1.0'?></a>",
        "<a><?x</a>",
        "<1/>",
        "< a/>",
        "<a></ a>",
        "<a/ >",
        "<a b='\x01'/>",
        "<?xml encoding?><a/>",
    ] {
        refused(input, Reason::Xml);
    }
    refused("<a/><b/>", Reason::TrailingData);
    let body = xml(b"<a b='1'>x<c>y</d></a>", &Limits::default());
    assert_eq!((body.xml_text.len(), body.xml_attributes.len()), (2, 1));
}

#[test]
fn limits_at_their_edges() {
    let nested = |depth: usize| ["<a>".repeat(depth), "</a>".repeat(depth)].concat();
    assert_eq!(xml(nested(64).as_bytes(), &Limits::default()).error, None);
    refused(nested(65), Reason::Depth);
    refused("<a>".repeat(300_000), Reason::Depth);
    let many = |count: usize| format!("<a>{}</a>", "<b>x</b>".repeat(count));
    assert_eq!(xml(many(10_000).as_bytes(), &Limits::default()).error, None);
    refused(many(10_001), Reason::Values);
    let attributes: String = (0..10_001).map(|at| format!(" a{at}=''")).collect();
    refused(format!("<a{attributes}/>"), Reason::Values);
    let limits = Limits { bytes_max: 8, ..Limits::default() };
    assert_eq!(xml(b"<a>x</a>", &limits).error, None);
    assert_eq!(xml(b"<a>xx</a>", &limits).error, Some(Reason::Bytes));
}
