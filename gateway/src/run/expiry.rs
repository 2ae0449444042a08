//! When a certificate ends: the one field of X.509 (RFC 5280 §4.1.2.5) that operators ask for.
//!
//! It trusts nothing of it and checks nothing of it: TLS does.

/// `notAfter` of a certificate in DER as `2026-11-22T00:00:00Z`; `None` if it is none.
pub(super) fn not_after(certificate: &[u8]) -> Option<String> {
    let mut tbs = Der(Der(Der(certificate).sequence()?).sequence()?);
    // the version is optional, the serial number is not
    if tbs.element()?.0 == VERSION {
        tbs.element()?;
    }
    let (_signature, _issuer) = (tbs.sequence()?, tbs.sequence()?);
    let mut validity = Der(tbs.sequence()?);
    validity.element()?;
    let (tag, time) = validity.element()?;
    let time = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    if !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match (tag, time.len()) {
        // the two digits of a year are those of 1950 to 2049
        (UTC_TIME, 12) if time >= "50" => written(&format!("19{time}")),
        (UTC_TIME, 12) => written(&format!("20{time}")),
        (GENERALIZED_TIME, 14) => written(time),
        _ => None,
    }
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

fn written(time: &str) -> Option<String> {
    let part = |from: usize, to: usize| time.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    Some(format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

/// What is left of a series of elements.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element's tag and content.
    fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let mut length = usize::from(*first);
        if let Some(bytes) = first.checked_sub(0x80) {
            let (digits, after) = rest.split_at_checked(usize::from(bytes))?;
            if digits.is_empty() || digits.len() > 4 {
                return None;
            }
            length = digits.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            rest = after;
        }
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((*tag, content))
    }

    fn sequence(&mut self) -> Option<&'a [u8]> {
        self.element().filter(|(tag, _)| *tag == SEQUENCE).map(|(_, content)| content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(year: i32, want: &str) {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 11, 22);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let der = certificate.der();
        assert_eq!(not_after(der).as_deref(), Some(want), "{year}");
        for length in 0..der.len().min(80) {
            assert_eq!(not_after(&der[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn a_certificate_ends_when_it_says() {
        check(2026, "2026-11-22T00:00:00Z");
        check(2049, "2049-11-22T00:00:00Z");
        check(2050, "2050-11-22T00:00:00Z");
        check(1999, "1999-11-22T00:00:00Z");
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        for der in [&b""[..], b"\x30", b"\x30\x80", b"\x30\x85\0\0\0\0\0", b"\x30\x02\x30\x00"] {
            assert_eq!(not_after(der), None, "{der:?}");
        }
    }
}
