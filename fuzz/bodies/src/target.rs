//! Paths, queries and hosts: what is canonical is read again as itself, and never holds what it
//! was read to keep out.

use signals::{Host, Path, Query};

/// Reads the bytes as each of them. Accepted is a path or a host; almost everything is a query.
pub fn target(data: &[u8]) -> bool {
    query(data);
    [path(data), host(data)].contains(&true)
}

fn path(data: &[u8]) -> bool {
    let Ok(path) = Path::parse(data) else { return false };
    let text = path.as_str();
    assert_eq!(Path::parse(text.as_bytes()).as_ref(), Ok(&path));
    assert!(text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
    assert!(!text.contains("//") && !text.contains(['?', '#', '\\']), "{text}");
    for segment in path.segments() {
        let hides = |part: &str| [".", ".."].contains(&part.split(';').next().unwrap_or_default());
        assert!(!segment.split('/').any(hides), "{segment}");
        assert!(!segment.contains(|c: char| c.is_ascii_control() || c == '\\'), "{segment:?}");
    }
    let has = |c: char| path.segments().iter().any(|segment| segment.contains(c));
    assert_eq!((path.encoded_slash(), path.matrix_params()), (has('/'), has(';')));
    true
}

fn query(data: &[u8]) {
    let Ok(query) = Query::parse(data) else { return };
    let text = query.as_str();
    assert_eq!(Query::parse(text.as_bytes()).as_ref(), Ok(&query));
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "{text}");
}

fn host(data: &[u8]) -> bool {
    let Ok((host, port)) = Host::parse(data) else { return false };
    let text = host.as_str();
    assert_eq!(Host::parse(text.as_bytes()), Ok((host.clone(), None)));
    let authority = port.map_or_else(|| text.to_owned(), |port| format!("{text}:{port}"));
    assert_eq!(Host::parse(authority.as_bytes()), Ok((host.clone(), port)));
    assert!(!text.is_empty() && !text.ends_with('.') && !text.contains('@'), "{text}");
    assert_eq!(text, text.to_ascii_lowercase());
    true
}
