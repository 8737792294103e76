//! What becomes of events and of their stock.

use domain::event::{Terms, Tier};
use domain::inventory::{InventoryClosed, InventoryOpened, InventoryRevised, Plan};
use domain::{Currency, EventId, TierId, Time, VenueId};
use schemars::JsonSchema;
use serde::Serialize;

/// A price tier, as the organizer wants it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TierOffer {
    /// Which one.
    pub tier_id: TierId,
    /// As people call it, unique within the event.
    pub name: String,
    /// Price of one ticket, in minor units.
    pub price: i64,
    /// How many tickets there are.
    pub capacity: u32,
    /// The section of the venue it is in, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// When its sale opens; at once if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sale_starts_at: Option<Time>,
    /// When its sale closes; when the event starts if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sale_ends_at: Option<Time>,
}

impl From<Tier> for TierOffer {
    fn from(tier: Tier) -> Self {
        Self {
            tier_id: tier.tier,
            name: tier.name,
            price: tier.price_minor,
            capacity: tier.stock.capacity(),
            section: tier.stock.section().map(str::to_owned),
            sale_starts_at: tier.sale_starts_at,
            sale_ends_at: tier.sale_ends_at,
        }
    }
}

/// What everybody may know of an event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Details {
    /// As people call it.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Where it takes place.
    pub venue_id: VenueId,
    /// `concert`, `match`, ...
    pub event_type: String,
    /// `rock`, `football`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub genre: Option<String>,
    /// Language it is held in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whom it is meant for, e.g. `18+`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_group: Option<String>,
    /// Where pictures or films of it are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_url: Option<String>,
    /// Free words to find it by.
    pub tags: Vec<String>,
    /// When it begins.
    pub starts_at: Time,
    /// When it is over.
    pub ends_at: Time,
    /// The currency of all its prices.
    pub currency: Currency,
    /// What is sold, at what price.
    pub tiers: Vec<TierOffer>,
}

impl From<Terms> for Details {
    fn from(terms: Terms) -> Self {
        Self {
            name: terms.name,
            description: terms.description,
            venue_id: terms.venue,
            event_type: terms.event_type,
            genre: terms.genre,
            language: terms.language,
            age_group: terms.age_group,
            media_url: terms.media_url,
            tags: terms.tags,
            starts_at: terms.starts_at,
            ends_at: terms.ends_at,
            currency: terms.currency,
            tiers: terms.tiers.into_iter().map(TierOffer::from).collect(),
        }
    }
}

/// The event can be seen, and bought once its sale opens.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EventPublished {
    /// Which one.
    pub event_id: EventId,
    /// All about it.
    #[serde(flatten)]
    pub details: Details,
}

/// The organizer changed an event that can be seen.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EventChanged {
    /// Which one.
    pub event_id: EventId,
    /// All about it from now on.
    #[serde(flatten)]
    pub details: Details,
}

/// An event that could be seen will not take place. Everybody is refunded in full.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EventCancelled {
    /// Which one.
    pub event_id: EventId,
}

/// What a tier really sells: never less than was sold or held when that was decided, even if the
/// organizer wished so.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TierStock {
    /// Which tier.
    pub tier_id: TierId,
    /// How many tickets there are.
    pub capacity: u32,
    /// Price of one ticket, in minor units.
    pub price: i64,
}

impl TierStock {
    fn all(plan: &Plan) -> Vec<Self> {
        let stock = |tier: &Tier| Self {
            tier_id: tier.tier,
            capacity: tier.stock.capacity(),
            price: tier.price_minor,
        };
        plan.tiers.iter().map(stock).collect()
    }
}

/// The event's stock is for sale.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StockOpened {
    /// Whose stock.
    pub event_id: EventId,
    /// Currency of the prices.
    pub currency: Currency,
    /// What is sold.
    pub tiers: Vec<TierStock>,
}

impl From<InventoryOpened> for StockOpened {
    fn from(fact: InventoryOpened) -> Self {
        let InventoryOpened { event, plan, .. } = fact;
        Self { event_id: event, currency: plan.currency, tiers: TierStock::all(&plan) }
    }
}

/// The event's stock followed a change of the event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StockRevised {
    /// Whose stock.
    pub event_id: EventId,
    /// Currency of the prices.
    pub currency: Currency,
    /// What is sold from now on.
    pub tiers: Vec<TierStock>,
}

impl From<InventoryRevised> for StockRevised {
    fn from(fact: InventoryRevised) -> Self {
        let InventoryRevised { event, plan, .. } = fact;
        Self { event_id: event, currency: plan.currency, tiers: TierStock::all(&plan) }
    }
}

/// The event was cancelled: nothing is sold any more, every booking is being cancelled.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StockClosed {
    /// Whose stock.
    pub event_id: EventId,
}

impl From<InventoryClosed> for StockClosed {
    fn from(fact: InventoryClosed) -> Self {
        Self { event_id: fact.event }
    }
}
