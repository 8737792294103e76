//! `GET /events/{id}`: all about an event: its venue, its tiers, and what is left (CT-3).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::event::{RefundRule, Tier};
use domain::{Currency, EventId, Time, UserId};
use infra::auth::{Caller, MaybeCaller};
use infra::http::{Json, MinPosition, Path, Problem, ProblemDocument};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::types::{Json as Column, Uuid};
use utoipa::ToSchema;

use super::at_row;
use super::venues::VenueSummary;
use crate::QueryState;
use crate::browsing::EventStatus;
use crate::cache::{Of, Wanted};
use crate::freshness::View;
use crate::live::availability::{Availability, AvailabilityDocument, TierTerms};
use crate::problems::no_event;

/// All about an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Event<'a> {
    /// `evt_...`
    #[schema(value_type = String)]
    event_id: EventId,
    /// Where it stands.
    status: EventStatus,
    /// As people call it.
    name: String,
    /// What it is about.
    description: String,
    /// `concert`, `match`, ...
    event_type: String,
    /// `rock`, `football`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    genre: Option<String>,
    /// Language it is held in.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    /// Whom it is meant for.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_group: Option<String>,
    /// Where pictures or films of it are.
    #[serde(skip_serializing_if = "Option::is_none")]
    media_url: Option<String>,
    /// Free words to find it by.
    tags: Vec<String>,
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    starts_at: Time,
    /// When it is over.
    #[schema(value_type = String, format = DateTime)]
    ends_at: Time,
    /// How long a hold lasts.
    hold_ttl_seconds: i32,
    /// How long an offer to someone on the waitlist lasts.
    waitlist_offer_seconds: i32,
    /// Tickets one booking can have.
    max_tickets_per_booking: i32,
    /// Tickets one person can hold or own; no limit if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tickets_per_user: Option<i32>,
    /// What is paid back of a cancelled booking, from the earliest rule to the latest; after them
    /// nothing.
    refund_policy: Vec<Rule>,
    /// Where it takes place; its sections are at `/venues/{id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    venue: Option<VenueSummary>,
    /// What is sold, at what price.
    tiers: Vec<TierTerms<'a>>,
    /// What is left; absent while nothing is for sale, or if it cannot be told at the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AvailabilityDocument<'static>>)]
    availability: Option<Box<RawValue>>,
}

/// Until so long before the start, so much is paid back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RefundRule)]
pub(crate) struct Rule {
    /// Seconds before the event's start.
    until_seconds_before_start: u64,
    /// Of what was paid.
    percent: u8,
}

/// All about an event. A draft is found only by its organizer and admins; a cancelled event by
/// everybody if it was ever published.
#[utoipa::path(
    get,
    path = "/api/v1/events/{event_id}",
    tag = "events",
    params(
        ("event_id" = String, Path, description = "`evt_...`"),
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    responses(
        (status = 200, description = "All that is known of it", body = Event<'static>),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "EVENT_NOT_FOUND"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "DATABASE_UNAVAILABLE"),
    ),
)]
pub(crate) async fn get_event(
    State(state): State<QueryState>,
    Path(event): Path<EventId>,
    MaybeCaller(caller): MaybeCaller,
    MinPosition(min): MinPosition,
) -> Result<Response, Problem> {
    state.live.at_least(min).await?;
    let ready = async || state.views.at_least(View::Catalog, min).await;
    let read = async || {
        // Others may have found out meanwhile that the database is down.
        state.views.at_least(View::Catalog, None).await?;
        let row = read(&state, event).await?;
        let upto = row.as_ref().and_then(|row| row.upto);
        Ok((row, upto))
    };
    let wanted = Wanted { key: format!("event:{event}"), of: Of::Event(event), min };
    let (row, upto): (Option<Row>, _) = state.cache.get(&wanted, ready, read).await?;
    let row = row.ok_or_else(no_event)?;
    // A log that cannot be read must not hide what the view has.
    let stock = state.live.availability(event).await.ok();
    let status = EventStatus::named(&row.status);
    // A row that still says draft shows what was never published, whatever happened since.
    let was_published = match status {
        EventStatus::Draft => false,
        EventStatus::Published => true,
        EventStatus::Cancelled => stock.is_some(),
    };
    if !was_published && !owns(caller, row.organizer) {
        return Err(no_event());
    }
    let tiers = match stock {
        Some(_) => vec![],
        None => tiers_as_planned(&state, event).await?,
    };
    let upto = at_row(upto);
    Ok((upto, Json(document(event, status, row, stock.as_ref(), &tiers))).into_response())
}

fn owns(caller: Option<Caller>, organizer: Uuid) -> bool {
    let organizer = UserId::from_u128(organizer.as_u128());
    caller.is_some_and(|caller| caller.may_with(organizer))
}

/// A row of the catalog, with its venue.
#[derive(Serialize, Deserialize)]
struct Row {
    organizer: Uuid,
    status: String,
    name: String,
    description: String,
    event_type: String,
    genre: Option<String>,
    language: Option<String>,
    age_group: Option<String>,
    media_url: Option<String>,
    tags: Vec<String>,
    starts_at: sqlx::types::chrono::DateTime<sqlx::types::chrono::Utc>,
    ends_at: sqlx::types::chrono::DateTime<sqlx::types::chrono::Utc>,
    currency: String,
    hold_ttl_s: i32,
    offer_ttl_s: i32,
    max_per_booking: i32,
    max_per_user: Option<i32>,
    refund_policy: Column<Vec<RefundRule>>,
    venue_id: Uuid,
    venue_name: Option<String>,
    address: Option<String>,
    city: Option<String>,
    state: Option<String>,
    country: Option<String>,
    postal_code: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    upto: Option<i64>,
}

async fn read(state: &QueryState, event: EventId) -> Result<Option<Row>, Problem> {
    // Without the tiers: they may name every seat, and are seldom needed.
    let row = sqlx::query_as!(
        Row,
        r#"SELECT event.organizer, event.status, event.name, event.description, event.event_type,
              event.genre, event.language, event.age_group, event.media_url, event.tags,
              event.starts_at, event.ends_at, event.currency, event.hold_ttl_s, event.offer_ttl_s,
              event.max_per_booking, event.max_per_user,
              event.refund_policy AS "refund_policy: Column<Vec<RefundRule>>",
              event.venue_id, venue.name AS "venue_name?", venue.address AS "address?",
              venue.city AS "city?", venue.state, venue.country AS "country?",
              venue.postal_code, venue.latitude, venue.longitude,
              (SELECT position FROM projection.checkpoint WHERE name = 'catalog') AS upto
           FROM catalog.event LEFT JOIN catalog.venue ON venue.venue_id = event.venue_id
           WHERE event.event_id = $1"#,
        event.as_uuid(),
    );
    row.fetch_optional(&state.sources.pool).await.map_err(|error| state.views.failure(error))
}

/// The tiers as the organizer planned them: of an event that sells nothing yet.
async fn tiers_as_planned(state: &QueryState, event: EventId) -> Result<Vec<Tier>, Problem> {
    let tiers = sqlx::query_scalar!(
        r#"SELECT tiers AS "tiers: Column<Vec<Tier>>" FROM catalog.event WHERE event_id = $1"#,
        event.as_uuid(),
    );
    let tiers = tiers
        .fetch_optional(&state.sources.pool)
        .await
        .map_err(|error| state.views.failure(error))?;
    Ok(tiers.map(|tiers| tiers.0).unwrap_or_default())
}

fn document<'a>(
    event: EventId,
    status: EventStatus,
    row: Row,
    stock: Option<&'a Arc<Availability>>,
    planned: &'a [Tier],
) -> Event<'a> {
    let venue = row.venue();
    let most = row.max_per_booking.cast_unsigned();
    // What the view has as a currency was one when it was written.
    let currency = row.currency.parse().unwrap_or(Currency::EUR);
    let as_planned = |tier: &'a Tier| TierTerms::new(tier, currency, tier.stock.capacity(), most);
    let rule = |rule: RefundRule| Rule {
        until_seconds_before_start: rule.until_s_before_start,
        percent: rule.percent,
    };
    Event {
        event_id: event,
        status,
        name: row.name,
        description: row.description,
        event_type: row.event_type,
        genre: row.genre,
        language: row.language,
        age_group: row.age_group,
        media_url: row.media_url,
        tags: row.tags,
        starts_at: row.starts_at.into(),
        ends_at: row.ends_at.into(),
        hold_ttl_seconds: row.hold_ttl_s,
        waitlist_offer_seconds: row.offer_ttl_s,
        max_tickets_per_booking: row.max_per_booking,
        max_tickets_per_user: row.max_per_user,
        refund_policy: row.refund_policy.0.into_iter().map(rule).collect(),
        venue,
        tiers: stock
            .map_or_else(|| planned.iter().map(as_planned).collect(), |stock| stock.tiers()),
        availability: stock.and_then(|stock| raw(&stock.json())),
    }
}

impl Row {
    /// The venue, if the view knows it.
    fn venue(&self) -> Option<VenueSummary> {
        Some(VenueSummary {
            venue_id: domain::VenueId::from_u128(self.venue_id.as_u128()),
            name: self.venue_name.clone()?,
            address: self.address.clone()?,
            city: self.city.clone()?,
            state: self.state.clone(),
            country: self.country.clone()?,
            postal_code: self.postal_code.clone(),
            latitude: self.latitude,
            longitude: self.longitude,
        })
    }
}

fn raw(json: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice(json).ok()
}
