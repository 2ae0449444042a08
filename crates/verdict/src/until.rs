//! Until when a link holds: a day, a moment or `never`.

/// The end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    /// The first moment at which it holds no more, in milliseconds since 1970 (UTC).
    Ms(i64),
    /// It has none; later than all others.
    Never,
}

const DAY_MS: i64 = 86_400_000;

impl Until {
    /// `never`; a day, which is meant to its end in UTC; or a date and time with an offset
    /// (RFC 3339), without fractions of a second.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "never" {
            return Some(Self::Never);
        }
        match text.split_once(['T', 't']) {
            None => Some(Self::Ms(day_ms(text)?.checked_add(DAY_MS)?)),
            Some((day, time)) => Some(Self::Ms(day_ms(day)?.checked_add(time_ms(time)?)?)),
        }
    }

    /// Whether it is over at that moment.
    pub(crate) fn is_over(self, at_ms: i64) -> bool {
        match self {
            Self::Never => false,
            Self::Ms(end) => at_ms >= end,
        }
    }
}

/// `2026-12-31`: the day's first millisecond since 1970.
fn day_ms(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    days_before(year).checked_add(months + day - 1)?.checked_mul(DAY_MS)
}

/// `17:00:00Z`, `17:00:00+01:00`: milliseconds since the day began in UTC.
fn time_ms(text: &str) -> Option<i64> {
    let (time, offset) = match text.strip_suffix(['Z', 'z']) {
        Some(time) => (time, 0),
        None => {
            let (time, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
            (time, offset_minutes(offset)?)
        }
    };
    let mut parts = time.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    let is_time = hour < 24 && minute < 60 && second < 60;
    is_time.then(|| ((hour * 60 + minute - offset) * 60 + second) * 1000)
}

/// `+01:00`
fn offset_minutes(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('+') {
        Some(text) => (1, text),
        None => (-1, text.strip_prefix('-')?),
    };
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to the beginning of a year of four digits.
fn days_before(year: i64) -> i64 {
    let leaps = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let last = year - 1;
    (year - 1970) * 365 + leaps(last) - leaps(1969)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments() {
        let check = |text: &str, want: Option<i64>| {
            assert_eq!(Until::parse(text), want.map(Until::Ms), "{text}");
        };
        check("1970-01-01", Some(DAY_MS));
        check("1970-01-01T00:00:00Z", Some(0));
        check("1969-12-31T23:59:59Z", Some(-1000));
        check("2026-12-31", Some(1_798_761_600_000));
        check("2027-01-01T00:00:00Z", Some(1_798_761_600_000));
        check("2027-01-01t01:30:00+01:30", Some(1_798_761_600_000));
        check("2026-12-31T22:00:00-02:00", Some(1_798_761_600_000));
        check("2024-02-29", Some(1_709_251_200_000));
        check("2000-02-29T12:34:56Z", Some(951_827_696_000));
        check("0000-01-01T00:00:00Z", Some(-62_167_219_200_000));
        for wrong in [
            "",
            "tomorrow",
            "Never",
            "2026-2-3",
            "2026-02-29",
            "2100-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-01-32",
            "26-01-01",
            "2026-01-01-01",
            "2026-01-01T",
            "2026-01-01T10:00:00",
            "2026-01-01T10:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T10:60:00Z",
            "2026-01-01T10:00:60Z",
            "2026-01-01T10:00:00.5Z",
            "2026-01-01 10:00:00Z",
            "2026-01-01T10:00:00+1:00",
            "2026-01-01T10:00:00+24:00",
            "2026-01-01T10:00:00é01:00",
            "+026-01-01",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn the_end_is_the_first_moment_without() {
        let until = Until::parse("2026-12-31T17:00:00Z").unwrap();
        let Until::Ms(end) = until else { panic!("{until:?}") };
        assert_eq!((until.is_over(end - 1), until.is_over(end)), (false, true));
        assert_eq!(Until::parse("never"), Some(Until::Never));
        assert!(!Until::Never.is_over(i64::MAX));
    }
}
