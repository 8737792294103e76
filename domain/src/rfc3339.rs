//! The one form in which moments are written, `2027-06-01T19:30:00.000Z`, without an allocation.
//!
//! Days are counted in years that begin in March, so that a leap day is the last of its year, and
//! in eras of 400 years, after which the calendar repeats.

/// How many characters it has.
pub(crate) const LENGTH: usize = 24;

const DAY_MS: i64 = 86_400_000;
const DAYS_OF_ERA: i64 = 146_097;
/// Days from the first of March of the year 0 to the first of January 1970.
const EPOCH: i64 = 719_468;

/// Writes the moment so many milliseconds after 1970, of the years 0 to 9999.
pub(crate) fn write(ms: i64) -> [u8; LENGTH] {
    let (days, rest) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = date(days);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    digits(&mut text[..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], rest / 3_600_000);
    digits(&mut text[14..16], rest / 60_000 % 60);
    digits(&mut text[17..19], rest / 1_000 % 60);
    digits(&mut text[20..23], rest % 1_000);
    text
}

fn digits(out: &mut [u8], mut number: i64) {
    for place in out.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Reads what [`write`] writes; `None` for any other form.
pub(crate) fn read(text: &[u8]) -> Option<i64> {
    let text: &[u8; LENGTH] = text.try_into().ok()?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    marks.iter().all(|(at, mark)| text[*at] == *mark).then_some(())?;
    let (year, month, day) = (number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?);
    let (hour, minute) = (number(&text[11..13])?, number(&text[14..16])?);
    let (second, ms) = (number(&text[17..19])?, number(&text[20..23])?);
    let days = days(year, month, day);
    // A day that the month does not have is another day of the calendar.
    let sound = date(days) == (year, month, day) && hour < 24 && minute < 60 && second < 60;
    sound.then_some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + ms)
}

fn number(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// Year, month and day of the day so many days after 1970.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let (era, day) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months from March on have 153 days.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + later, month, day)
}

/// Days from 1970 to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = (153 * month + 2) / 5 + day - 1;
    era * DAYS_OF_ERA + year * 365 + year / 4 - year / 100 + day - EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, SecondsFormat};
    use proptest::prelude::*;

    /// The years 1 to 9999.
    const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

    fn by_chrono(ms: i64) -> String {
        let moment = DateTime::from_timestamp_millis(ms).unwrap();
        moment.to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    #[test]
    fn every_day_of_eight_centuries_is_the_calendars() {
        for day in -146_097..146_097 {
            let ms = day * DAY_MS;
            let text = write(ms);
            assert_eq!(std::str::from_utf8(&text).unwrap(), by_chrono(ms));
            assert_eq!(read(&text), Some(ms));
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_written_as_the_calendar_has_it(ms in RANGE) {
            let text = write(ms);
            prop_assert_eq!(std::str::from_utf8(&text).unwrap(), by_chrono(ms));
            prop_assert_eq!(read(&text), Some(ms));
        }

        #[test]
        fn what_is_read_is_what_the_calendar_reads(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z",
        ) {
            let right = DateTime::parse_from_rfc3339(&text).ok().map(|it| it.timestamp_millis());
            prop_assert_eq!(read(text.as_bytes()), right);
        }

        #[test]
        fn another_form_is_not_read(text in "[0-9TZ:.+-]{0,30}") {
            if let Some(ms) = read(text.as_bytes()) {
                prop_assert_eq!(by_chrono(ms), text);
            }
        }
    }
}
