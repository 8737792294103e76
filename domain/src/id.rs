//! Typed ids in the TypeID style: a prefix, an underscore, Crockford base32 in lower case
//! (`evt_01jd...`). 128 bits take 26 characters, 64 bits take 13.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base32::{decode, encode};

const LEN_128: usize = 26;
const LEN_64: usize = 13;
const LEN_TICKET_INDEX: usize = 4;

/// Why a text is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id like {expected}")]
pub struct IdError {
    /// A sample of the form that would have been accepted.
    pub expected: &'static str,
}

/// A fixed buffer holding an id's text, so that writing an id allocates nothing.
struct Text<const N: usize>([u8; N]);

impl<const N: usize> Text<N> {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Text form, parsing and serde for an id type that has `text()` and `parse()`.
macro_rules! text_form {
    ($name:ident, $sample:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.text().as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text().as_str())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text.as_bytes()).ok_or(IdError { expected: $sample })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.text().as_str())
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "examples": [$sample]})
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::text::deserialize(deserializer, concat!("an id like ", $sample))
            }
        }
    };
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $sample:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);

        impl $name {
            /// What the text form begins with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// The id with these 128 bits.
            pub const fn from_u128(bits: u128) -> Self {
                Self(bits)
            }

            /// The 128 bits of the id.
            pub const fn as_u128(self) -> u128 {
                self.0
            }

            /// The same bits as a UUID, the form SQL columns use.
            pub const fn as_uuid(self) -> uuid::Uuid {
                uuid::Uuid::from_u128(self.0)
            }

            fn text(self) -> Text<{ $prefix.len() + 1 + LEN_128 }> {
                let mut text = [b'_'; $prefix.len() + 1 + LEN_128];
                text[..$prefix.len()].copy_from_slice($prefix.as_bytes());
                encode(self.0, &mut text[$prefix.len() + 1..]);
                Text(text)
            }

            fn parse(text: &[u8]) -> Option<Self> {
                let digits = text.strip_prefix(concat!($prefix, "_").as_bytes())?;
                (digits.len() == LEN_128).then_some(())?;
                decode(digits, 128).map(Self)
            }
        }

        text_form!($name, $sample);
    };
}

id!(
    /// An event: what people attend.
    EventId, "evt", "evt_01jd2yc5f9e7kbg4v1rm0n8wq3"
);
id!(
    /// A venue.
    VenueId, "ven", "ven_01jd2yc5f9e7kbg4v1rm0n8wq3"
);
id!(
    /// A person with an account.
    UserId, "usr", "usr_01jd2yc5f9e7kbg4v1rm0n8wq3"
);
id!(
    /// A payment; also the key under which a provider charges at most once.
    PaymentId, "pay", "pay_01jd2yc5f9e7kbg4v1rm0n8wq3"
);
id!(
    /// A log-in or a registration that came to nothing.
    AttemptId, "try", "try_01jd2yc5f9e7kbg4v1rm0n8wq3"
);
id!(
    /// A price tier of one event.
    TierId, "tier", "tier_01jd2yc5f9e7kbg4v1rm0n8wq3"
);
id!(
    /// A key of a service: of another program of the operator.
    ServiceKeyId, "svc", "svc_01jd2yc5f9e7kbg4v1rm0n8wq3"
);
id!(
    /// A place in an event's waitlist.
    WaitlistId, "wl", "wl_01jd2yc5f9e7kbg4v1rm0n8wq3"
);

/// A booking. It names its event, so that any node finds the stream without a look-up:
/// `bkg_`, the event's 26 characters, and 13 characters of a random 64-bit number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BookingId {
    /// The event whose inventory owns the booking.
    pub event: EventId,
    /// Random, unique within the event.
    pub number: u64,
}

const BOOKING_DIGITS: usize = LEN_128 + LEN_64;

impl BookingId {
    /// What the text form begins with, before the underscore.
    pub const PREFIX: &'static str = "bkg";

    fn text(self) -> Text<{ 4 + BOOKING_DIGITS }> {
        let mut text = [0; 4 + BOOKING_DIGITS];
        text[..4].copy_from_slice(b"bkg_");
        self.digits(&mut text[4..]);
        Text(text)
    }

    fn digits(self, out: &mut [u8]) {
        encode(self.event.0, &mut out[..LEN_128]);
        encode(u128::from(self.number), &mut out[LEN_128..]);
    }

    fn from_digits(digits: &[u8]) -> Option<Self> {
        (digits.len() == BOOKING_DIGITS).then_some(())?;
        let event = EventId(decode(&digits[..LEN_128], 128)?);
        let number = u64::try_from(decode(&digits[LEN_128..], 64)?).ok()?;
        Some(Self { event, number })
    }

    fn parse(text: &[u8]) -> Option<Self> {
        Self::from_digits(text.strip_prefix(b"bkg_")?)
    }

    /// What a person reads out at a counter: eight characters, e.g. `K7QF-2M9D` (BK-1). Unique
    /// enough beside the event's name; the id is what identifies.
    pub fn reference(self) -> String {
        let mut text = [0; 8];
        encode(u128::from(self.number >> 24), &mut text);
        let text = String::from_utf8_lossy(&text).to_uppercase();
        format!("{}-{}", &text[..4], &text[4..])
    }
}

text_form!(BookingId, "bkg_01jd2yc5f9e7kbg4v1rm0n8wq30c7m2p9wz4h1k");

/// A ticket: the n-th ever issued for a booking. A transfer kills one and issues the next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TicketId {
    /// The booking that paid for it.
    pub booking: BookingId,
    /// Counts the tickets ever issued for the booking, from 0.
    pub index: u16,
}

impl TicketId {
    /// What the text form begins with, before the underscore.
    pub const PREFIX: &'static str = "tkt";

    fn text(self) -> Text<{ 4 + BOOKING_DIGITS + LEN_TICKET_INDEX }> {
        let mut text = [0; 4 + BOOKING_DIGITS + LEN_TICKET_INDEX];
        text[..4].copy_from_slice(b"tkt_");
        self.booking.digits(&mut text[4..4 + BOOKING_DIGITS]);
        encode(u128::from(self.index), &mut text[4 + BOOKING_DIGITS..]);
        Text(text)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.strip_prefix(b"tkt_")?;
        (digits.len() == BOOKING_DIGITS + LEN_TICKET_INDEX).then_some(())?;
        let booking = BookingId::from_digits(&digits[..BOOKING_DIGITS])?;
        let index = u16::try_from(decode(&digits[BOOKING_DIGITS..], 16)?).ok()?;
        Some(Self { booking, index })
    }
}

text_form!(TicketId, "tkt_01jd2yc5f9e7kbg4v1rm0n8wq30c7m2p9wz4h1k0000");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_id_survives_its_text_form(bits: u128, number: u64, index: u16) {
            let event = EventId(bits);
            let booking = BookingId { event, number };
            let ticket = TicketId { booking, index };
            prop_assert_eq!(event.to_string().parse(), Ok(event));
            prop_assert_eq!(booking.to_string().parse(), Ok(booking));
            prop_assert_eq!(ticket.to_string().parse(), Ok(ticket));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<EventId>();
            let _ = text.parse::<BookingId>();
            let _ = text.parse::<TicketId>();
        }
    }

    #[test]
    fn an_id_has_one_text_form_only() {
        let id = EventId::from_u128(u128::MAX);
        assert_eq!(id.to_string(), "evt_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        for foreign in [
            "evt_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "evt_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "evt_7zzzzzzzzzzzzzzzzzzzzzzzzzz",
            "evt_7zzzzzzzzzzzzzzzzzzzzzzzz",
            "ven_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "evt_7zzzzzzzzzzzzzzzzzzzzzzzzu",
            "",
        ] {
            assert!(foreign.parse::<EventId>().is_err(), "{foreign}");
        }
    }

    #[test]
    fn a_reference_is_what_a_person_can_read_out() {
        let booking = BookingId { event: EventId::from_u128(1), number: u64::MAX };
        assert_eq!(booking.reference(), "ZZZZ-ZZZZ");
    }
}
