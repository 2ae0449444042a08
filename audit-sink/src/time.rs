//! Times as people write them: RFC 3339 in UTC, and Unix milliseconds.

const DAY_MS: i64 = 86_400_000;

/// Unix milliseconds as RFC 3339 in UTC; the calendar is the proleptic Gregorian one.
pub(crate) fn format(time_ms: i64) -> String {
    let (days, ms) = (time_ms.div_euclid(DAY_MS), time_ms.rem_euclid(DAY_MS));
    let (year, month, day) = date(days);
    let (s, ms) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (s / 3600, s / 60 % 60, s % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Reads `2026-11-21`, `2026-11-21T12:09:11Z`, the same with milliseconds, or Unix milliseconds.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let problem = || {
        format!("`{text}` is no time: expected 2026-11-21T12:09:11Z, 2026-11-21 or milliseconds")
    };
    if let Ok(time_ms) = text.parse() {
        return Ok(time_ms);
    }
    let whole = match text.len() {
        10 => format!("{text}T00:00:00.000Z"),
        20 => text.replace('Z', ".000Z"),
        _ => text.to_owned(),
    };
    let number = |from: usize, to: usize| whole.get(from..to)?.parse::<i64>().ok();
    let time_ms = || {
        let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let s = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
        Some(days * DAY_MS + s * 1000 + number(20, 23)?)
    };
    // Whatever is not written the one way it is read back is none.
    time_ms().filter(|time_ms| format(*time_ms) == whole).ok_or_else(problem)
}

/// The date of a day since 1970-01-01. Days are counted from 0000-03-01 in eras of 400 years; a
/// year starts in March, so that the leap day is its last.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`date`], of dates that there are.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        for (time_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_795_262_951_123, "2026-11-21T12:09:11.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(format(time_ms), text);
            assert_eq!(parse(text), Ok(time_ms));
        }
        assert_eq!(parse("2026-11-21"), parse("2026-11-21T00:00:00.000Z"));
        assert_eq!(parse("2026-11-21T12:09:11Z"), Ok(1_795_262_951_000));
        assert_eq!(parse("1795262951123"), Ok(1_795_262_951_123));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "today",
            "2026-11-31",
            "2100-02-29",
            "2026-13-01",
            "2026-11-21 12:09:11Z",
            "2026-11-21T12:09:11+01:00",
            "2026-11-21T25:00:00Z",
            "2026-11-21T12:09:11.1Z",
            "2026-1--21",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
