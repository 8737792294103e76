//! What browsing compares.

use std::str::FromStr;

use domain::Time;
use serde::{Deserialize, Deserializer, Serialize};
use sqlx::types::chrono::NaiveDate;
use utoipa::ToSchema;

const DAY_MS: u64 = 86_400_000;

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventStatus {
    /// Only its organizer sees it.
    Draft,
    /// Everybody sees it.
    #[default]
    Published,
    /// It will not take place.
    Cancelled,
}

impl EventStatus {
    /// As the view has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status that the view calls `name`; it has no others.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "published" => Self::Published,
            "cancelled" => Self::Cancelled,
            _ => Self::Draft,
        }
    }
}

/// What the columns ending in `_key` hold of a text: the form in which it is compared.
pub(crate) fn browsing_key(text: &str) -> String {
    text.trim().to_lowercase()
}

/// An end of a range of time: a moment, or a whole day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    first: Time,
    last: Time,
}

impl Bound {
    /// The first moment of it.
    pub(crate) fn first(self) -> Time {
        self.first
    }

    /// The last moment of it.
    pub(crate) fn last(self) -> Time {
        self.last
    }
}

/// The text is neither a time nor a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time like 2027-06-01T19:30:00Z (RFC 3339) or a day like 2027-06-01")]
pub(crate) struct BoundError;

impl FromStr for Bound {
    type Err = BoundError;

    fn from_str(text: &str) -> Result<Self, BoundError> {
        if let Ok(moment) = text.parse() {
            return Ok(Self { first: moment, last: moment });
        }
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| BoundError)?;
        let first = day.and_hms_opt(0, 0, 0).ok_or(BoundError)?.and_utc();
        let ms = first.timestamp_millis();
        let first = Time::from_ms(ms);
        if first.as_ms() != ms {
            return Err(BoundError);
        }
        Ok(Self { first, last: first.plus_ms(DAY_MS - 1) })
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_range_and_a_time_is_not() {
        let day: Bound = "2027-06-01".parse().unwrap();
        assert_eq!(day.first().to_string(), "2027-06-01T00:00:00.000Z");
        assert_eq!(day.last().to_string(), "2027-06-01T23:59:59.999Z");
        let time: Bound = "2027-06-01T19:30:00Z".parse().unwrap();
        assert_eq!(time.first(), time.last());
        for foreign in ["", "2027-13-01", "tomorrow", "2027-06-01T19:30", "+262143-01-01"] {
            assert_eq!(foreign.parse::<Bound>(), Err(BoundError), "{foreign}");
        }
    }

    #[test]
    fn every_status_has_its_name() {
        for status in [EventStatus::Draft, EventStatus::Published, EventStatus::Cancelled] {
            assert_eq!(EventStatus::named(status.name()), status);
            assert_eq!(serde_json::to_value(status).unwrap(), status.name());
        }
    }
}
