//! Lists in pages: `?limit=&cursor=` to `{"items": [...], "next_cursor": ...}`.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

use super::problem::Problem;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// What is on this page, in the list's order.
    pub items: Vec<T>,
    /// Asks for the next page; `null` on the last.
    #[schema(value_type = Option<String>)]
    pub next_cursor: Option<Cursor>,
}

/// Where a page ends, opaque to the client: base64url of a small value and a checksum that also
/// binds it to its list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct Cursor(String);

const CHECKSUM: usize = 4;

impl Cursor {
    /// A cursor in the list `list` ("events") that stands for `place`, what the next page needs.
    pub fn new(list: &str, place: &impl Serialize) -> Self {
        // What a place is made of, numbers, times and ids, always becomes JSON.
        let mut bytes = serde_json::to_vec(place).unwrap_or_default();
        let checksum = checksum(list, &bytes);
        bytes.extend(checksum);
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The place that this cursor of the list `list` stands for.
    ///
    /// # Errors
    /// 422 for a text that [`Cursor::new`] did not make, or made for another list.
    pub fn place<T: DeserializeOwned>(&self, list: &str) -> Result<T, Problem> {
        let place = || {
            let bytes = URL_SAFE_NO_PAD.decode(&self.0).ok()?;
            let (place, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
            (checksum(list, place) == sum).then(|| serde_json::from_slice(place).ok())?
        };
        place().ok_or_else(|| {
            Problem::invalid("cursor", "must be the next_cursor of a page of this list")
        })
    }
}

fn checksum(list: &str, place: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(list.as_bytes());
    hasher.update(&[0]);
    hasher.update(place);
    let mut sum = [0; CHECKSUM];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

/// How many items a page has at most: the query parameter `limit`, 1 to 100, 20 when absent
/// (`#[serde(default)]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = u64, minimum = 1, maximum = 100, default = 20)]
pub struct Limit(u64);

impl Limit {
    /// The most that may be asked for.
    pub const MAX: u64 = 100;

    /// How many items to give.
    ///
    /// # Errors
    /// 422 when it is not 1 to 100.
    pub fn items(self) -> Result<usize, Problem> {
        let sound = (1..=Self::MAX).contains(&self.0).then(|| usize::try_from(self.0).ok());
        sound.flatten().ok_or_else(|| Problem::invalid("limit", &format!("must be {}", expected())))
    }
}

fn expected() -> String {
    format!("a whole number from 1 to {}", Limit::MAX)
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let digits = text.strip_prefix('-').unwrap_or(&text);
        match text.parse() {
            Ok(number) => Ok(Self(number)),
            // A number still, and like 0 none of those that can be.
            Err(_) if !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit()) => {
                Ok(Self(0))
            }
            Err(_) => Err(D::Error::custom(format!("expected {}", expected()))),
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{EventId, Time};

    type Place = (Time, EventId);

    fn place() -> Place {
        (Time::from_ms(1_800_000_000_000), EventId::from_u128(7))
    }

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let cursor = Cursor::new("events", &place());
        assert_eq!(cursor.place::<Place>("events").unwrap(), place());
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let cursor = Cursor::new("venues", &place());
        assert_eq!(cursor.place::<Place>("events").unwrap_err().status(), 422);
    }

    #[test]
    fn a_garbled_cursor_is_refused() {
        let whole = Cursor::new("events", &place()).0;
        let mut garbled: Vec<String> = (0..whole.len())
            .map(|index| {
                let mut text = whole.clone().into_bytes();
                text[index] = if text[index] == b'A' { b'B' } else { b'A' };
                String::from_utf8(text).unwrap()
            })
            .collect();
        garbled.extend((0..whole.len()).map(|length| whole[..length].to_owned()));
        garbled.extend(["%", "==", "üöä", "null"].map(str::to_owned));
        for text in garbled {
            let problem = Cursor(text.clone()).place::<Place>("events").unwrap_err();
            assert_eq!(problem.status(), 422, "{text}");
        }
    }

    #[test]
    fn a_page_has_1_to_100_items() {
        assert_eq!(Limit::default().items().unwrap(), 20);
        assert_eq!(Limit(1).items().unwrap(), 1);
        assert_eq!(Limit(100).items().unwrap(), 100);
        for limit in [0, 101, u64::MAX] {
            assert_eq!(Limit(limit).items().unwrap_err().status(), 422, "{limit}");
        }
    }
}
