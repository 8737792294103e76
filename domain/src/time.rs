//! Moments in UTC, to the millisecond. The domain never asks what time it is: it is told.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rfc3339;

/// A moment: milliseconds since 1970-01-01T00:00:00Z. Its text form is RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Time(i64);

/// The text is not an RFC 3339 moment between the years 1 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time like 2027-06-01T19:30:00Z (RFC 3339)")]
pub struct TimeError;

impl Time {
    const FIRST: i64 = -62_135_596_800_000;
    const LAST: i64 = 253_402_300_799_999;

    /// The last moment of the year 9999.
    pub const LATEST: Self = Self(Self::LAST);

    /// The moment this many milliseconds after 1970, held within the years 1 to 9999.
    pub fn from_ms(ms: i64) -> Self {
        Self(ms.clamp(Self::FIRST, Self::LAST))
    }

    /// Milliseconds since 1970.
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// This many seconds later.
    #[must_use]
    pub fn plus_s(self, seconds: u64) -> Self {
        self.plus_ms(seconds.saturating_mul(1000))
    }

    /// This many milliseconds later.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self::from_ms(self.0.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)))
    }

    /// Milliseconds from `earlier` to here; 0 when `earlier` is not earlier.
    pub fn ms_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// The same moment for SQL and for arithmetic on calendars.
    pub fn as_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

impl From<DateTime<Utc>> for Time {
    fn from(moment: DateTime<Utc>) -> Self {
        Self::from_ms(moment.timestamp_millis())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&rfc3339::write(self.0)).unwrap_or_default())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let ms = match rfc3339::read(text.as_bytes()) {
            Some(ms) => ms,
            // Of other zones, or of another precision.
            None => DateTime::parse_from_rfc3339(text).map_err(|_| TimeError)?.timestamp_millis(),
        };
        (Self::FIRST..=Self::LAST).contains(&ms).then_some(Self(ms)).ok_or(TimeError)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = rfc3339::write(self.0);
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl schemars::JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize(deserializer, "a time like 2027-06-01T19:30:00Z (RFC 3339)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_rfc_3339_in_utc() {
        let time: Time = "2027-06-01T21:30:00.5+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2027-06-01T19:30:00.500Z");
        assert_eq!(time.to_string().parse(), Ok(time));
    }

    #[test]
    fn arithmetic_stays_within_the_calendar() {
        assert_eq!(Time::from_ms(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Time::from_ms(i64::MAX).plus_s(u64::MAX), Time::from_ms(i64::MAX));
        assert_eq!(Time::from_ms(5).ms_since(Time::from_ms(9)), 0);
        assert_eq!(Time::from_ms(i64::MIN).to_string(), "0001-01-01T00:00:00.000Z");
        let before = "0000-12-31T23:59:59.999Z";
        for foreign in ["", "2027-06-01", "2027-06-01T19:30:00", "yesterday", before] {
            assert_eq!(foreign.parse::<Time>(), Err(TimeError), "{foreign}");
        }
    }
}
