//! What can have happened to an event. The stored contract: frozen once written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::facts;
use crate::seating::{Row, count_seats};
use crate::{Currency, EventId, Request, TierId, Time, UserId, VenueId};

const DAY_S: u64 = 86_400;

/// Everything the organizer says about an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// As people call it.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Where it takes place.
    pub venue: VenueId,
    /// `concert`, `match`, ...
    pub event_type: String,
    /// `rock`, `football`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genre: Option<String>,
    /// Language it is held in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whom it is meant for, e.g. `18+`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_group: Option<String>,
    /// Where pictures or films of it are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_url: Option<String>,
    /// Free words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// When it begins. No sale from then on.
    pub starts_at: Time,
    /// When it is over. No cancellation from then on.
    pub ends_at: Time,
    /// The currency of all its prices.
    pub currency: Currency,
    /// What is sold, at what price.
    pub tiers: Vec<Tier>,
    /// How long a hold lasts, in seconds.
    pub hold_ttl_s: u32,
    /// How long an offer to someone on the waitlist lasts, in seconds.
    pub offer_ttl_s: u32,
    /// Tickets one booking can have.
    pub max_per_booking: u32,
    /// Tickets one person can hold or own; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_user: Option<u32>,
    /// What is paid back when a confirmed booking is cancelled (BK-9).
    pub refund_policy: Vec<RefundRule>,
}

/// A price tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tier {
    /// Which one.
    pub tier: TierId,
    /// As people call it, unique within the event.
    pub name: String,
    /// Price of one ticket in minor units.
    pub price_minor: i64,
    /// What it sells.
    pub stock: Stock,
    /// When its sale opens; at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale_starts_at: Option<Time>,
    /// When its sale closes; when the event starts if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale_ends_at: Option<Time>,
    /// Tickets of this tier one booking can have, if fewer than the event's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_booking: Option<u32>,
}

impl Tier {
    /// The tier without the rows of its seats, for those who keep the seats elsewhere.
    pub(crate) fn without_rows(&self) -> Self {
        let mut tier =
            Self { stock: Stock::Counted { capacity: 0, section: None }, ..self.clone() };
        tier.stock = match &self.stock {
            Stock::Seated { section, .. } => {
                Stock::Seated { section: section.clone(), rows: vec![] }
            }
            counted @ Stock::Counted { .. } => counted.clone(),
        };
        tier
    }
}

/// What a tier sells: a number of places, or the seats of a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Stock {
    /// So many places, all alike.
    Counted {
        /// Places.
        capacity: u32,
        /// The standing section or box they are in, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        section: Option<String>,
    },
    /// The seats of a section as it was when the tier was set up.
    Seated {
        /// The section's name.
        section: String,
        /// Its rows.
        rows: Vec<Row>,
    },
}

impl Stock {
    /// How many tickets there are.
    pub fn capacity(&self) -> u32 {
        match self {
            Self::Counted { capacity, .. } => *capacity,
            Self::Seated { rows, .. } => count_seats(rows),
        }
    }

    /// The section the tier is in, if any.
    pub fn section(&self) -> Option<&str> {
        match self {
            Self::Counted { section, .. } => section.as_deref(),
            Self::Seated { section, .. } => Some(section),
        }
    }
}

/// Until `until_s_before_start` seconds before the start, `percent` of what was paid is paid back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundRule {
    /// Seconds before the event's start.
    pub until_s_before_start: u64,
    /// 0 to 100.
    pub percent: u8,
}

/// 100 % until 7 days before, 50 % until 24 hours before, then nothing (BK-9).
pub fn default_refund_policy() -> Vec<RefundRule> {
    vec![
        RefundRule { until_s_before_start: 7 * DAY_S, percent: 100 },
        RefundRule { until_s_before_start: DAY_S, percent: 50 },
    ]
}

/// An organizer set an event up. Nobody sees it yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventDrafted {
    /// The new event.
    pub event: EventId,
    /// Whose it is.
    pub organizer: UserId,
    /// All about it.
    pub terms: Terms,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// The organizer changed an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventChanged {
    /// Which one.
    pub event: EventId,
    /// Who changed it.
    pub by: UserId,
    /// All about it from now on.
    pub terms: Terms,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// The event can be seen, and bought once its sale opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventPublished {
    /// Which one.
    pub event: EventId,
    /// Who published it.
    pub by: UserId,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// The event will not take place. Everybody is refunded in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventCancelled {
    /// Which one.
    pub event: EventId,
    /// Who cancelled it.
    pub by: UserId,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

facts! {
    /// What can have happened to an event.
    Fact { EventDrafted = 1, EventChanged = 1, EventPublished = 1, EventCancelled = 1 }
}
