//! An event as organizers write it, and as commands answer with it.

use domain::event::{
    Caller as Asker, Command, DEFAULT_HOLD_TTL_S, DEFAULT_MAX_PER_BOOKING, DEFAULT_OFFER_TTL_S,
    Event, Fact, RefundRule, Refusal, Status, Stock, Terms, Tier, default_refund_policy,
};
use domain::seating::{Section, SectionKind};
use domain::venue::Venue;
use domain::{Aggregate as _, Currency, EventId, Request, TierId, Time, UserId, VenueId};
use infra::http::Problem;
use infra::log::Position;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::in_bounds;
use crate::runtime::Failure;
use crate::state::{Asked, CommandState, Shared};
use crate::{followup, refusal};

/// Everything the organizer says about an event.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventBody {
    name: String,
    #[serde(default)]
    description: String,
    #[schema(value_type = String)]
    venue_id: VenueId,
    /// `concert`, `match`, ...
    event_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    genre: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_url: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    starts_at: Time,
    #[schema(value_type = String, format = DateTime)]
    ends_at: Time,
    tiers: Vec<TierBody>,
    /// How long a hold lasts; 300 if absent.
    hold_ttl_seconds: Option<i64>,
    /// How long an offer to someone on the waitlist lasts; 600 if absent.
    waitlist_offer_seconds: Option<i64>,
    /// 10 if absent.
    max_tickets_per_booking: Option<i64>,
    /// No limit if absent.
    max_tickets_per_user: Option<i64>,
    /// 100 % until 7 days before the start, 50 % until 24 hours before, if absent.
    refund_policy: Option<Vec<RefundRuleBody>>,
}

/// What is sold at one price.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TierBody {
    /// Which tier of the event is meant when it is changed. If absent: the one of this name, or a
    /// new one. Ids are given by the server; a new tier has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    tier_id: Option<TierId>,
    name: String,
    /// Minor units.
    price: i64,
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    /// Places; absent for the seats of a section, or for all of a standing section.
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<i64>,
    /// A section of the venue.
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    sale_starts_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    sale_ends_at: Option<Time>,
    /// The event's limit if absent, also if that changes. Answers show that of the event for a tier
    /// without one of its own; sent back like that, it stays without.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_per_booking: Option<i64>,
}

/// Until so long before the start, so many percent are paid back.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundRuleBody {
    until_seconds_before_start: i64,
    percent: i64,
}

/// An event as a command left it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventAnswer {
    #[schema(value_type = String)]
    event_id: EventId,
    /// `draft`, `published` or `cancelled`.
    status: &'static str,
    #[serde(flatten)]
    event: EventBody,
    /// Where in the log the command is; what is sold follows it at `Evently-Position`.
    position: u64,
}

impl EventBody {
    pub(super) fn venue_id(&self) -> VenueId {
        self.venue_id
    }

    /// The terms in the domain's words, in a venue divided like this. Tiers keep the ids they have
    /// in `before`, which the event had so far.
    pub(super) fn terms(
        &self,
        sections: &[Section],
        before: Option<&Terms>,
    ) -> Result<Terms, Problem> {
        let currency = self.tiers.first().map_or(Currency::EUR, |tier| tier.currency);
        let mut tiers = Vec::with_capacity(self.tiers.len());
        for (index, tier) in self.tiers.iter().enumerate() {
            if tier.currency != currency {
                let problem = format!("must be {currency}, as in the first tier");
                return Err(Problem::invalid(&format!("tiers[{index}].currency"), &problem));
            }
            let known = self.known(index, before)?;
            tiers.push(tier.read(index, sections, known)?);
        }
        let refund_policy = match &self.refund_policy {
            None => default_refund_policy(),
            Some(rules) => {
                let rules = rules.iter().enumerate().map(|(index, rule)| rule.read(index));
                rules.collect::<Result<_, _>>()?
            }
        };
        Ok(Terms {
            name: self.name.clone(),
            description: self.description.clone(),
            venue: self.venue_id,
            event_type: self.event_type.clone(),
            genre: self.genre.clone(),
            language: self.language.clone(),
            age_group: self.age_group.clone(),
            media_url: self.media_url.clone(),
            tags: self.tags.clone(),
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            currency,
            tiers,
            hold_ttl_s: self.hold_ttl_seconds.map_or(DEFAULT_HOLD_TTL_S, in_bounds),
            offer_ttl_s: self.waitlist_offer_seconds.map_or(DEFAULT_OFFER_TTL_S, in_bounds),
            max_per_booking: self
                .max_tickets_per_booking
                .map_or(DEFAULT_MAX_PER_BOOKING, in_bounds),
            max_per_user: self.max_tickets_per_user.map(in_bounds),
            refund_policy,
        })
    }

    /// The tier of `before` that one of these is, by its id or else by its name; and its terms.
    fn known<'a>(
        &self,
        index: usize,
        before: Option<&'a Terms>,
    ) -> Result<Option<(&'a Tier, &'a Terms)>, Problem> {
        let tier = &self.tiers[index];
        let is_named = |old: &Tier| self.tiers.iter().any(|tier| tier.tier_id == Some(old.tier));
        let is_meant = |old: &&Tier| match tier.tier_id {
            Some(id) => old.tier == id,
            None => old.name == tier.name && !is_named(old),
        };
        let find = |before: &'a Terms| Some((before.tiers.iter().find(is_meant)?, before));
        let known = before.and_then(find);
        if known.is_none() && tier.tier_id.is_some() {
            let problem = "is no tier of this event; leave it out for a new one";
            return Err(Problem::invalid(&format!("tiers[{index}].tier_id"), problem));
        }
        Ok(known)
    }

    fn of(terms: &Terms) -> Self {
        let rule = |rule: &RefundRule| RefundRuleBody {
            until_seconds_before_start: i64::try_from(rule.until_s_before_start)
                .unwrap_or(i64::MAX),
            percent: i64::from(rule.percent),
        };
        Self {
            name: terms.name.clone(),
            description: terms.description.clone(),
            venue_id: terms.venue,
            event_type: terms.event_type.clone(),
            genre: terms.genre.clone(),
            language: terms.language.clone(),
            age_group: terms.age_group.clone(),
            media_url: terms.media_url.clone(),
            tags: terms.tags.clone(),
            starts_at: terms.starts_at,
            ends_at: terms.ends_at,
            tiers: terms.tiers.iter().map(|tier| TierBody::of(tier, terms)).collect(),
            hold_ttl_seconds: Some(i64::from(terms.hold_ttl_s)),
            waitlist_offer_seconds: Some(i64::from(terms.offer_ttl_s)),
            max_tickets_per_booking: Some(i64::from(terms.max_per_booking)),
            max_tickets_per_user: terms.max_per_user.map(i64::from),
            refund_policy: Some(terms.refund_policy.iter().map(rule).collect()),
        }
    }
}

impl RefundRuleBody {
    fn read(&self, index: usize) -> Result<RefundRule, Problem> {
        let until_s_before_start = u64::try_from(self.until_seconds_before_start);
        let until_s_before_start = until_s_before_start.map_err(|_| {
            let field = format!("refund_policy[{index}].until_seconds_before_start");
            Problem::invalid(&field, "must be a whole number from 0 up")
        })?;
        Ok(RefundRule { until_s_before_start, percent: in_bounds(self.percent) })
    }
}

impl TierBody {
    fn read(
        &self,
        index: usize,
        sections: &[Section],
        known: Option<(&Tier, &Terms)>,
    ) -> Result<Tier, Problem> {
        let new = || TierId::from_u128(infra::ids::random_u128());
        let limit = self.max_per_booking.map(in_bounds);
        // What `of` showed of the event's limit is no limit of the tier's own.
        let is_shown = |(tier, event): (&Tier, &Terms)| {
            tier.max_per_booking.is_none() && limit == Some(event.max_per_booking)
        };
        Ok(Tier {
            tier: known.map_or_else(new, |(tier, _)| tier.tier),
            name: self.name.clone(),
            price_minor: self.price,
            stock: self.stock(index, sections)?,
            sale_starts_at: self.sale_starts_at,
            sale_ends_at: self.sale_ends_at,
            max_per_booking: limit.filter(|_| !known.is_some_and(is_shown)),
        })
    }

    fn stock(&self, index: usize, sections: &[Section]) -> Result<Stock, Problem> {
        let field = |name: &str| format!("tiers[{index}].{name}");
        let capacity = self.capacity.map(in_bounds);
        let Some(name) = &self.section else {
            let missing = || Problem::invalid(&field("capacity"), "must be given, or a section");
            return Ok(Stock::Counted { capacity: capacity.ok_or_else(missing)?, section: None });
        };
        let section = sections.iter().find(|section| section.name == *name).ok_or_else(|| {
            Problem::invalid(&field("section"), "must be the name of a section of the venue")
        })?;
        match &section.kind {
            SectionKind::Seated { rows } => {
                if capacity.is_some_and(|capacity| capacity != section.capacity()) {
                    let problem = "must be absent: the section sells all its seats";
                    return Err(Problem::invalid(&field("capacity"), problem));
                }
                Ok(Stock::Seated { section: name.clone(), rows: rows.clone() })
            }
            SectionKind::Standing { .. } | SectionKind::Box { .. } => Ok(Stock::Counted {
                capacity: capacity.unwrap_or(section.capacity()),
                section: Some(name.clone()),
            }),
        }
    }

    fn of(tier: &Tier, terms: &Terms) -> Self {
        Self {
            tier_id: Some(tier.tier),
            name: tier.name.clone(),
            price: tier.price_minor,
            currency: terms.currency,
            capacity: Some(i64::from(tier.stock.capacity())),
            section: tier.stock.section().map(str::to_owned),
            sale_starts_at: tier.sale_starts_at,
            sale_ends_at: tier.sale_ends_at,
            max_per_booking: Some(i64::from(tier.max_per_booking.unwrap_or(terms.max_per_booking))),
        }
    }
}

/// Who asked for a fact of an event, and under which key.
fn asked_by(fact: &Fact) -> (UserId, Option<&Request>) {
    match fact {
        Fact::EventDrafted(fact) => (fact.organizer, fact.request.as_ref()),
        Fact::EventChanged(fact) => (fact.by, fact.request.as_ref()),
        Fact::EventPublished(fact) => (fact.by, fact.request.as_ref()),
        Fact::EventCancelled(fact) => (fact.by, fact.request.as_ref()),
    }
}

impl Asked {
    /// The same in the domain's words.
    pub(super) fn asker(&self) -> Asker {
        let (user, as_admin) = (self.user(), self.with_anothers());
        Asker { user, as_admin, request: self.request.clone() }
    }
}

impl CommandState {
    /// How a venue is divided at this moment.
    pub(super) async fn sections(&self, venue: VenueId) -> Result<Vec<Section>, Problem> {
        let mut unit = self.unit::<Venue>(Venue::stream(venue));
        let state = unit.look().await.map_err(|unread| refusal::venue(unread.into()))?;
        if state.owner.is_none() {
            return Err(Problem::invalid("venue_id", "must be the id of a venue; there is none"));
        }
        Ok(state.profile.sections.clone())
    }

    /// The event as it is now.
    pub(super) async fn event_now(&self, event: EventId) -> Result<Event, Problem> {
        let mut unit = self.unit::<Event>(Event::stream(event));
        let state = unit.look().await;
        state.cloned().map_err(|unread| refusal::event(unread.into()))
    }

    /// The first answer, if the request was carried out before (BK-6). Asked for before anything
    /// that may have changed since is looked at: venue, stock.
    pub(super) async fn event_before(
        &self,
        event_id: EventId,
        asked: &Asked,
    ) -> Result<Option<(Position, EventAnswer)>, Problem> {
        let Some(request) = &asked.request else { return Ok(None) };
        let mut is_reused = false;
        let first = self.right_after::<Event>(event_id, |fact| match asked_by(fact) {
            (user, Some(before)) if user == asked.user() && request.has_key_of(user, before) => {
                is_reused = before.body != request.body;
                true
            }
            _ => false,
        });
        match first.await.map_err(|_| refusal::event(Failure::Unavailable))? {
            None => Ok(None),
            Some(_) if is_reused => Err(refusal::event(Failure::Refused(Refusal::KeyReused))),
            Some((event, position)) => {
                self.event_answer(event_id, &event, position, asked).await.map(Some)
            }
        }
    }

    /// Executes a command on an event, has its inventory follow, and answers with the event as the
    /// command left it.
    pub(super) async fn event(
        &self,
        event_id: EventId,
        command: Command,
        asked: Asked,
    ) -> Result<(Position, EventAnswer), Problem> {
        let (user, request) = (asked.user(), asked.request.as_ref());
        let (event, position) = self
            .handle::<Event>(event_id, command, asked.origin.clone(), |fact| {
                let (by, before) = asked_by(fact);
                let both = request.zip(before);
                by == user && both.is_some_and(|(request, before)| request.repeats(user, before))
            })
            .await
            .map_err(refusal::event)?;
        self.event_answer(event_id, &event, position, &asked).await
    }

    /// Has the inventory follow, so that who reads at the returned position finds it so. The answer
    /// itself is the same whenever it is given: it names the position of the event's own fact.
    async fn event_answer(
        &self,
        event_id: EventId,
        event: &Event,
        position: Position,
        asked: &Asked,
    ) -> Result<(Position, EventAnswer), Problem> {
        let at = position.0;
        let mut position = position;
        if event.status != Status::Draft {
            let Shared { log, clock, inventories, .. } = &*self.0;
            let origin = &asked.origin;
            let followed = followup::follow(log, clock, inventories, event_id, origin).await;
            position = position.max(followed.map_err(refusal::inventory)?.position);
        }
        let terms = event.terms.as_ref().ok_or_else(crate::booking::unexpected)?;
        let status = match event.status {
            Status::Draft => "draft",
            Status::Published => "published",
            Status::Cancelled => "cancelled",
        };
        let event = EventBody::of(terms);
        Ok((position, EventAnswer { event_id, status, event, position: at }))
    }
}
