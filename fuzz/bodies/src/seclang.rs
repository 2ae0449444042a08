//! Rule files. A file loads or every problem has a place in it; what loads, looks at a request
//! without trouble and says the same each time.

use seclang::{File, Limits, Overlay, Request, RuleSet};

/// Loads a rule file.
pub fn seclang(data: &[u8]) -> bool {
    let file = File { name: "f.conf".to_owned(), text: data.to_vec() };
    let nothing = |_: seclang::Wanted<'_>| Err("no other file".to_owned());
    let text = String::from_utf8_lossy(data);
    let set = match RuleSet::load(&[file], &nothing) {
        Ok(loaded) => loaded.rules,
        Err(problems) => {
            let lines = text.matches('\n').count() + 1;
            assert!(!problems.is_empty() && problems.is_sorted());
            for problem in problems {
                assert!((1..=lines).contains(&problem.line) && problem.column > 0, "{problem}");
                assert!(!problem.message.is_empty());
            }
            return false;
        }
    };
    let headers = [(&b"Content-Type"[..], &b"application/x-www-form-urlencoded"[..])];
    let request = Request {
        method: b"POST",
        target: b"/a/b?c=%27&d=1'+or+'1'='1",
        protocol: b"HTTP/1.1",
        headers: &headers,
        body: data,
        client: std::net::IpAddr::from([192, 0, 2, 1]),
        client_port: 1,
        id: "1",
    };
    let (overlay, limits) = (Overlay::default(), Limits::default());
    let look = || {
        let mut inspection = set.inspect(&request, &overlay, &limits);
        inspection.finish();
        inspection.outcome()
    };
    assert_eq!(look(), look());
    true
}
