//! An event: what people attend (CT-2). Drafted, changed, published, cancelled.
//!
//! This stream is what the organizer wants; the inventory of the same event follows it and owns
//! what is sold.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::facts;
use crate::inventory::Plan;
use crate::money::MAX_PRICE_MINOR;
use crate::seating::{Invalid, MAX_CAPACITY, Row, Section, SectionKind, count_seats};
use crate::venue::check_text;
use crate::{Aggregate, Currency, EventId, Request, TierId, Time, UserId, VenueId};

/// The highest limit of tickets a booking can have.
pub const MAX_LIMIT: u32 = 1_000;
/// How long a hold lasts unless the event says otherwise (BK-1), in seconds.
pub const DEFAULT_HOLD_TTL_S: u32 = 300;
/// How long an offer to someone on the waitlist lasts unless the event says otherwise (WL-2).
pub const DEFAULT_OFFER_TTL_S: u32 = 600;
/// Tickets per booking unless the event says otherwise (BK-7).
pub const DEFAULT_MAX_PER_BOOKING: u32 = 10;
const MAX_TTL_S: u32 = 7 * 86_400;
const MAX_TIERS: usize = 200;
const DAY_S: u64 = 86_400;

// Facts

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

// State and evolve

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// Only its organizer sees it.
    #[default]
    Draft,
    /// Everybody sees it.
    Published,
    /// It will not take place.
    Cancelled,
}

/// An event as its facts tell it.
#[derive(Debug, Clone, Default)]
pub struct Event {
    /// Whose it is; `None` as long as it does not exist.
    pub organizer: Option<UserId>,
    /// All about it; present once it exists.
    pub terms: Option<Terms>,
    /// Where it stands.
    pub status: Status,
    /// How many facts there are; the inventory says by this how far it followed.
    pub version: u64,
    requests: Vec<(UserId, Request)>,
}

impl Event {
    /// What the inventory of this event sells from now on; `None` for a draft or a cancelled one.
    pub fn plan(&self) -> Option<Plan> {
        let terms = self.terms.as_ref().filter(|_| self.status == Status::Published)?;
        Some(Plan {
            starts_at: terms.starts_at,
            ends_at: terms.ends_at,
            currency: terms.currency,
            tiers: terms.tiers.clone(),
            hold_ttl_s: terms.hold_ttl_s,
            offer_ttl_s: terms.offer_ttl_s,
            max_per_booking: terms.max_per_booking,
            max_per_user: terms.max_per_user,
            refund_policy: terms.refund_policy.clone(),
        })
    }
}

// Commands and decide

/// Who asks, and with what right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The person.
    pub user: UserId,
    /// May act on what others own.
    pub as_admin: bool,
    /// The command's key.
    pub request: Option<Request>,
}

/// What can be asked of an event.
#[derive(Debug, Clone)]
pub enum Command {
    /// Set it up.
    Draft {
        /// The id it gets.
        event: EventId,
        /// Who asks.
        caller: Caller,
        /// All about it.
        terms: Box<Terms>,
        /// How the venue is divided at this moment.
        sections: Vec<Section>,
    },
    /// Change it.
    Change {
        /// Which one.
        event: EventId,
        /// Who asks.
        caller: Caller,
        /// All about it from now on.
        terms: Box<Terms>,
        /// How the venue is divided at this moment.
        sections: Vec<Section>,
    },
    /// Let everybody see it.
    Publish {
        /// Which one.
        event: EventId,
        /// Who asks.
        caller: Caller,
    },
    /// Call it off.
    Cancel {
        /// Which one.
        event: EventId,
        /// Who asks.
        caller: Caller,
    },
}

/// Why an event says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such event.
    NotFound,
    /// It exists already: the id was used before.
    Exists,
    /// It belongs to another organizer.
    NotYours,
    /// The key was used for something else (BK-6).
    KeyReused,
    /// It was cancelled before.
    AlreadyCancelled,
    /// It was published before.
    AlreadyPublished,
    /// It began before now.
    Started,
    /// A value cannot be accepted.
    Invalid(Invalid),
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl Aggregate for Event {
    const CATEGORY: &'static str = "event";
    type Id = EventId;
    type Fact = Fact;
    type Command = Command;
    type Refusal = Refusal;

    fn evolve(&mut self, _at: Time, fact: &Fact) {
        self.version += 1;
        let (by, request) = match fact {
            Fact::EventDrafted(fact) => {
                self.organizer = Some(fact.organizer);
                self.terms = Some(fact.terms.clone());
                (fact.organizer, &fact.request)
            }
            Fact::EventChanged(fact) => {
                self.terms = Some(fact.terms.clone());
                (fact.by, &fact.request)
            }
            Fact::EventPublished(fact) => {
                self.status = Status::Published;
                (fact.by, &fact.request)
            }
            Fact::EventCancelled(fact) => {
                self.status = Status::Cancelled;
                (fact.by, &fact.request)
            }
        };
        self.requests.extend(request.clone().map(|request| (by, request)));
    }

    fn decide(&self, command: &Command, now: Time) -> Result<Vec<Fact>, Refusal> {
        let (Command::Draft { caller, .. }
        | Command::Change { caller, .. }
        | Command::Publish { caller, .. }
        | Command::Cancel { caller, .. }) = command;
        match crate::request::find(&self.requests, caller.user, caller.request.as_ref()) {
            Some(true) => return Ok(vec![]),
            Some(false) => return Err(Refusal::KeyReused),
            None => {}
        }
        match command {
            Command::Draft { event, caller, terms, sections } => {
                self.draft(*event, caller, terms, sections, now)
            }
            Command::Change { event, caller, terms, sections } => {
                self.change(*event, caller, terms, sections, now)
            }
            Command::Publish { event, caller } => self.publish(*event, caller, now),
            Command::Cancel { event, caller } => self.cancel(*event, caller, now),
        }
    }
}

impl Event {
    /// The terms, if the caller may touch the event and it is not over.
    fn owned_by(&self, caller: &Caller) -> Result<&Terms, Refusal> {
        let terms = self.terms.as_ref().ok_or(Refusal::NotFound)?;
        if self.organizer != Some(caller.user) && !caller.as_admin {
            return Err(Refusal::NotYours);
        }
        if self.status == Status::Cancelled {
            return Err(Refusal::AlreadyCancelled);
        }
        Ok(terms)
    }

    fn draft(
        &self,
        event: EventId,
        caller: &Caller,
        terms: &Terms,
        sections: &[Section],
        now: Time,
    ) -> Result<Vec<Fact>, Refusal> {
        if self.organizer.is_some() {
            return Err(Refusal::Exists);
        }
        terms.check(sections, now)?;
        let (organizer, terms, request) = (caller.user, terms.clone(), caller.request.clone());
        Ok(vec![EventDrafted { event, organizer, terms, request }.into()])
    }

    fn change(
        &self,
        event: EventId,
        caller: &Caller,
        terms: &Terms,
        sections: &[Section],
        now: Time,
    ) -> Result<Vec<Fact>, Refusal> {
        let before = self.owned_by(caller)?;
        if before.starts_at <= now && self.status == Status::Published {
            return Err(Refusal::Started);
        }
        let mut terms = terms.clone();
        if self.status == Status::Published {
            terms.keep_seats_of(before);
            terms.check_change(before)?;
            let kept =
                |section: &&Section| terms.venue != before.venue || before.is_elsewhere(section);
            let sections: Vec<Section> =
                sections.iter().filter(kept).cloned().chain(before.seated_sections()).collect();
            terms.check(&sections, now)?;
        } else {
            terms.check(sections, now)?;
        }
        let (by, request) = (caller.user, caller.request.clone());
        Ok(vec![EventChanged { event, by, terms, request }.into()])
    }

    fn publish(&self, event: EventId, caller: &Caller, now: Time) -> Result<Vec<Fact>, Refusal> {
        let terms = self.owned_by(caller)?;
        if self.status == Status::Published {
            return Err(Refusal::AlreadyPublished);
        }
        if terms.starts_at <= now {
            return Err(Refusal::Started);
        }
        Ok(vec![EventPublished { event, by: caller.user, request: caller.request.clone() }.into()])
    }

    fn cancel(&self, event: EventId, caller: &Caller, now: Time) -> Result<Vec<Fact>, Refusal> {
        let terms = self.owned_by(caller)?;
        if self.status == Status::Published && terms.ends_at <= now {
            return Err(Refusal::Started);
        }
        Ok(vec![EventCancelled { event, by: caller.user, request: caller.request.clone() }.into()])
    }
}

impl Terms {
    /// The seated sections that its tiers sell, as they were when the tiers were set up.
    fn seated_sections(&self) -> Vec<Section> {
        let seated = |tier: &Tier| match &tier.stock {
            Stock::Seated { section, rows } => {
                let kind = SectionKind::Seated { rows: rows.clone() };
                Some(Section { name: section.clone(), kind })
            }
            Stock::Counted { .. } => None,
        };
        self.tiers.iter().filter_map(seated).collect()
    }

    /// Whether none of the seated tiers sells this section.
    fn is_elsewhere(&self, section: &Section) -> bool {
        let sold = |tier: &Tier| match &tier.stock {
            Stock::Seated { section: sold, .. } => *sold == section.name,
            Stock::Counted { .. } => false,
        };
        !self.tiers.iter().any(sold)
    }

    /// A published tier keeps the seats it was set up with, whatever became of the venue (CT-2).
    fn keep_seats_of(&mut self, before: &Self) {
        for tier in &mut self.tiers {
            let known = before.tiers.iter().find(|old| old.tier == tier.tier);
            if let Some(Tier { stock: kept @ Stock::Seated { section: old, .. }, .. }) = known
                && let Stock::Seated { section, .. } = &tier.stock
                && section == old
            {
                tier.stock = kept.clone();
            }
        }
    }

    /// What was published cannot be taken back: tiers, their sections, the venue of seats.
    fn check_change(&self, before: &Self) -> Result<(), Invalid> {
        let seated = before.tiers.iter().any(|tier| matches!(tier.stock, Stock::Seated { .. }));
        let problem = "seats are on sale in the venue; it cannot be changed any more";
        Invalid::unless(self.venue == before.venue || !seated, || "venue_id".into(), problem)?;
        let problem = "tickets are on sale in another currency";
        Invalid::unless(self.currency == before.currency, || "tiers".into(), problem)?;
        for old in &before.tiers {
            let new = self.tiers.iter().position(|tier| tier.tier == old.tier);
            let Some(index) = new else {
                let problem = format!(
                    "the published tier {} ({}) cannot be removed; lower its capacity instead",
                    old.tier, old.name
                );
                return Err(Invalid::new("tiers", problem));
            };
            let seats = |tier: &Tier| matches!(tier.stock, Stock::Seated { .. });
            let new = &self.tiers[index];
            let same = seats(old) == seats(new) && (!seats(old) || old.stock == new.stock);
            let problem = "a published tier cannot change between seats and places, nor its seats";
            Invalid::unless(same, || format!("tiers[{index}].section"), problem)?;
        }
        Ok(())
    }

    fn check(&self, sections: &[Section], now: Time) -> Result<(), Invalid> {
        check_text("name", &self.name, 200)?;
        check_text("event_type", &self.event_type, 50)?;
        let fits = self.description.len() <= 20_000;
        Invalid::unless(fits, || "description".into(), "a text of at most 20000 bytes")?;
        for (field, text, most) in [
            ("genre", &self.genre, 50),
            ("language", &self.language, 50),
            ("age_group", &self.age_group, 50),
            ("media_url", &self.media_url, 2_000),
        ] {
            text.as_ref().map_or(Ok(()), |text| check_text(field, text, most))?;
        }
        let few = self.tags.len() <= 50;
        Invalid::unless(few, || "tags".into(), "at most 50 tags")?;
        self.tags.iter().try_for_each(|tag| check_text("tags", tag, 50))?;
        Invalid::unless(self.starts_at > now, || "starts_at".into(), "a time in the future")?;
        let later = self.ends_at > self.starts_at;
        Invalid::unless(later, || "ends_at".into(), "a time after starts_at")?;
        self.check_limits()?;
        self.check_tiers(sections)
    }

    fn check_limits(&self) -> Result<(), Invalid> {
        for (field, seconds) in
            [("hold_ttl_seconds", self.hold_ttl_s), ("waitlist_offer_seconds", self.offer_ttl_s)]
        {
            let sane = (1..=MAX_TTL_S).contains(&seconds);
            Invalid::unless(sane, || field.into(), "a number of seconds from 1 to 604800")?;
        }
        for (field, limit) in [
            ("max_tickets_per_booking", Some(self.max_per_booking)),
            ("max_tickets_per_user", self.max_per_user),
        ] {
            let sane = limit.is_none_or(|limit| (1..=MAX_LIMIT).contains(&limit));
            Invalid::unless(sane, || field.into(), "a number from 1 to 1000")?;
        }
        let few = self.refund_policy.len() <= 20;
        Invalid::unless(few, || "refund_policy".into(), "at most 20 rules")?;
        let mut before = u64::MAX;
        for (index, rule) in self.refund_policy.iter().enumerate() {
            let field = || format!("refund_policy[{index}]");
            Invalid::unless(rule.percent <= 100, field, "a percentage from 0 to 100")?;
            let problem = "rules go from the earliest to the latest, each nearer to the start";
            Invalid::unless(rule.until_s_before_start < before, field, problem)?;
            before = rule.until_s_before_start;
        }
        Ok(())
    }

    fn check_tiers(&self, sections: &[Section]) -> Result<(), Invalid> {
        let some = (1..=MAX_TIERS).contains(&self.tiers.len());
        Invalid::unless(some, || "tiers".into(), "an event has 1 to 200 tiers")?;
        let mut seats: u32 = 0;
        for (index, tier) in self.tiers.iter().enumerate() {
            let at = |field: &str| format!("tiers[{index}].{field}");
            check_text(&at("name"), &tier.name, 100)?;
            let earlier = &self.tiers[..index];
            let new = earlier.iter().all(|other| other.name != tier.name);
            Invalid::unless(new, || at("name"), "another tier has this name")?;
            let new = earlier.iter().all(|other| other.tier != tier.tier);
            Invalid::unless(new, || at("tier_id"), "another tier has this id")?;
            let sane = (0..=MAX_PRICE_MINOR).contains(&tier.price_minor);
            Invalid::unless(sane, || at("price"), "minor units from 0 to 100000000000")?;
            let sane = tier.max_per_booking.is_none_or(|limit| (1..=MAX_LIMIT).contains(&limit));
            Invalid::unless(sane, || at("max_per_booking"), "a number from 1 to 1000")?;
            let opens = tier.sale_starts_at.is_none_or(|opens| opens < self.starts_at);
            Invalid::unless(opens, || at("sale_starts_at"), "a time before the event starts")?;
            let closes = tier.sale_ends_at.is_none_or(|ends| Some(ends) > tier.sale_starts_at);
            Invalid::unless(closes, || at("sale_ends_at"), "a time after sale_starts_at")?;
            let known = tier
                .stock
                .section()
                .is_none_or(|name| sections.iter().any(|section| section.name == name));
            Invalid::unless(known, || at("section"), "the venue has no such section")?;
            match &tier.stock {
                Stock::Counted { capacity, .. } => {
                    let sane = *capacity <= MAX_CAPACITY;
                    Invalid::unless(sane, || at("capacity"), "a number from 0 to 10000000")?;
                }
                Stock::Seated { section, rows } => {
                    let once = earlier.iter().all(|other| other.stock.section() != Some(section));
                    Invalid::unless(once, || at("section"), "another tier sells this section")?;
                    seats = seats.saturating_add(count_seats(rows));
                }
            }
        }
        let few = seats <= crate::seating::MAX_SEATS;
        Invalid::unless(few, || "tiers".into(), "an event sells at most 500000 seats")?;
        self.check_sections(sections)
    }

    /// Places of tiers that share a standing section or box fit into it (BK-5).
    fn check_sections(&self, sections: &[Section]) -> Result<(), Invalid> {
        for section in sections {
            let sold = |tier: &Tier| match &tier.stock {
                Stock::Counted { capacity, section: Some(name) } if *name == section.name => {
                    *capacity
                }
                _ => 0,
            };
            let sum = self.tiers.iter().map(sold).fold(0, u32::saturating_add);
            let holds = section.capacity();
            if sum > holds {
                let problem = format!(
                    "the tiers of section {} sell {sum} places, but it holds {holds}",
                    section.name
                );
                return Err(Invalid::new("tiers", problem));
            }
        }
        Ok(())
    }
}
