//! How much of an event is left, at one moment.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use domain::event::Tier;
use domain::{Currency, EventId, TierId, Time};
use infra::log::Position;
use serde::Serialize;
use utoipa::ToSchema;

/// Whether an event's stock is for sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StockStatus {
    /// It is.
    Published,
    /// The event will not take place; nothing is available.
    Cancelled,
}

/// How much of an event is left.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Availability)]
pub(crate) struct AvailabilityDocument<'a> {
    /// Which event.
    #[schema(value_type = String)]
    event_id: EventId,
    /// Whether its stock is for sale.
    status: StockStatus,
    /// Places there are, over all tiers; so are the next three.
    capacity: u64,
    /// Places that can be bought.
    available: u64,
    /// Places that someone is about to pay for.
    held: u64,
    /// Places sold.
    sold: u64,
    /// Entries of the waitlist that wait.
    waitlisted: u32,
    /// In the order of the event's plan. In an event stream, after the first message: those that
    /// changed.
    tiers: Vec<TierDocument<'a>>,
    /// Where in the log the event's stock changed last.
    #[schema(value_type = u64)]
    position: Position,
}

/// How much of a tier is left.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TierAvailability)]
pub(crate) struct TierDocument<'a> {
    /// What it sells, at what price.
    #[serde(flatten)]
    terms: TierTerms<'a>,
    /// Places that can be bought.
    available: u32,
    /// Places that someone is about to pay for.
    held: u32,
    /// Places sold.
    sold: u32,
}

/// What a tier sells, at what price.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tier)]
pub(crate) struct TierTerms<'a> {
    /// Which tier.
    #[schema(value_type = String)]
    tier_id: TierId,
    /// As people call it.
    name: &'a str,
    /// Of one ticket, in minor units.
    price: i64,
    /// ISO 4217.
    #[schema(value_type = String)]
    currency: Currency,
    /// Places there are.
    capacity: u32,
    /// The section of the venue it is in, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<&'a str>,
    /// When its sale opens; absent: at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    sale_starts_at: Option<Time>,
    /// When its sale closes; absent: when the event starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    sale_ends_at: Option<Time>,
    /// Tickets one booking can have.
    max_per_booking: u32,
}

impl<'a> TierTerms<'a> {
    /// The terms of `tier`, which has so many places, in an event that allows `most` tickets a
    /// booking.
    pub(crate) fn new(tier: &'a Tier, currency: Currency, capacity: u32, most: u32) -> Self {
        Self {
            tier_id: tier.tier,
            name: &tier.name,
            price: tier.price_minor,
            currency,
            capacity,
            section: tier.stock.section(),
            sale_starts_at: tier.sale_starts_at,
            sale_ends_at: tier.sale_ends_at,
            max_per_booking: tier.max_per_booking.map_or(most, |limit| limit.min(most)),
        }
    }
}

/// What does not change when somebody buys.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) tiers: Vec<Tier>,
    pub(super) currency: Currency,
    /// Tickets one booking can have, unless its tier says fewer.
    pub(super) max_per_booking: u32,
    /// Tickets one person can have.
    pub(super) max_per_user: Option<u32>,
    pub(super) starts_at: Time,
    pub(super) ends_at: Time,
}

impl Terms {
    /// Before the inventory was opened.
    pub(super) fn unknown() -> Self {
        let never = Time::default();
        Self {
            tiers: vec![],
            currency: Currency::EUR,
            max_per_booking: 0,
            max_per_user: None,
            starts_at: never,
            ends_at: never,
        }
    }
}

/// A tier's places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub(crate) capacity: u32,
    pub(crate) held: u32,
    pub(crate) sold: u32,
}

impl Count {
    fn available(self) -> u32 {
        self.capacity.saturating_sub(self.held.saturating_add(self.sold))
    }
}

/// How much of an event is left, at one moment. Written as JSON once, by whoever asks first.
#[derive(Debug)]
pub(crate) struct Availability {
    pub(super) event: EventId,
    pub(super) terms: Arc<Terms>,
    /// Of each tier, and where in the log they changed last.
    pub(super) counts: Vec<(Count, Position)>,
    pub(super) waiting: u32,
    pub(super) closed: bool,
    pub(super) position: Position,
    /// Where in the log a seat changed last; zero for an event without seats.
    pub(super) seats_version: Position,
    pub(super) whole: OnceLock<Bytes>,
}

impl Availability {
    /// [`AvailabilityDocument`] as JSON.
    pub(crate) fn json(&self) -> Bytes {
        if let Some(whole) = self.whole.get() {
            return whole.clone();
        }
        // Two who come at once may both write it: cheaper than to wait for one another.
        let whole = Bytes::from(self.render(Position(0)));
        let _ = self.whole.set(whole.clone());
        whole
    }

    /// About how many bytes it takes, with its answer.
    pub(super) fn bytes(&self) -> usize {
        const BASE: usize = 1 << 10;
        const TIER: usize = 1 << 10;
        BASE + self.counts.len() * TIER
    }

    /// Where in the log the event's stock changed last.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Where in the log a seat changed last; zero for an event without seats.
    pub(crate) fn seats_version(&self) -> Position {
        self.seats_version
    }

    /// Places that can be bought of a tier, or of all together; `None` if there is no such tier.
    pub(crate) fn available(&self, tier: Option<TierId>) -> Option<u64> {
        let Some(tier) = tier else {
            return Some((0..self.counts.len()).map(|tier| u64::from(self.left(tier))).sum());
        };
        let index = self.terms.tiers.iter().position(|terms| terms.tier == tier)?;
        Some(u64::from(self.left(index)))
    }

    /// Places of a tier that can be bought.
    pub(super) fn left(&self, tier: usize) -> u32 {
        if self.closed { 0 } else { self.counts[tier].0.available() }
    }

    /// The answer as JSON, with those tiers that changed after `since`.
    pub(super) fn render(&self, since: Position) -> Vec<u8> {
        let sum = |places: fn(Count) -> u32| {
            self.counts.iter().map(|(count, _)| u64::from(places(*count))).sum()
        };
        let changed = (0..self.counts.len()).filter(|&tier| self.counts[tier].1 > since);
        let document = AvailabilityDocument {
            event_id: self.event,
            status: if self.closed { StockStatus::Cancelled } else { StockStatus::Published },
            capacity: sum(|count| count.capacity),
            available: self.available(None).unwrap_or(0),
            held: sum(|count| count.held),
            sold: sum(|count| count.sold),
            waitlisted: self.waiting,
            tiers: changed.map(|tier| self.tier(tier)).collect(),
            position: self.position,
        };
        // Texts and numbers always become JSON.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// What each tier sells, at what price.
    pub(crate) fn tiers(&self) -> Vec<TierTerms<'_>> {
        (0..self.counts.len()).map(|tier| self.tier_terms(tier)).collect()
    }

    fn tier_terms(&self, index: usize) -> TierTerms<'_> {
        let (tier, capacity) = (&self.terms.tiers[index], self.counts[index].0.capacity);
        TierTerms::new(tier, self.terms.currency, capacity, self.terms.max_per_booking)
    }

    fn tier(&self, index: usize) -> TierDocument<'_> {
        let count = self.counts[index].0;
        TierDocument {
            terms: self.tier_terms(index),
            available: self.left(index),
            held: count.held,
            sold: count.sold,
        }
    }
}
