//! `GET /events`: browsing (CT-3).

use axum::extract::State;
use axum::response::IntoResponse;
use domain::{EventId, Time, UserId, VenueId};
use infra::auth::{Caller, MaybeCaller};
use infra::http::{Cursor, Json, Limit, MinPosition, Page, Problem, ProblemDocument, Query};
use serde::{Deserialize, Serialize};
use sqlx::types::chrono::{DateTime, Utc};
use utoipa::{IntoParams, ToSchema};

use super::at_row;
use crate::QueryState;
use crate::browsing::{Bound, EventStatus, browsing_key};
use crate::cache::{Of, Wanted};
use crate::freshness::View;

const LIST: &str = "events";

/// What to find. Texts are compared without regard to capitals.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEvents {
    /// City of the venue.
    city: Option<String>,
    /// `concert`, `match`, ...
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// `rock`, `football`, ...
    genre: Option<String>,
    /// Begins then or later: a time (RFC 3339) or a day (UTC). Absent: from now on, for published
    /// events.
    #[param(value_type = Option<String>, example = "2027-06-01")]
    date_from: Option<Bound>,
    /// Begins then or earlier; a day is included whole.
    #[param(value_type = Option<String>, example = "2027-06-30")]
    date_to: Option<Bound>,
    /// Has a tier that costs no less, in minor units, by its highest price.
    #[param(minimum = 0)]
    price_min: Option<i64>,
    /// Has a tier that costs no more, in minor units, by its lowest price.
    #[param(minimum = 0)]
    price_max: Option<i64>,
    /// Absent: `published`. An organizer finds their own drafts and cancelled events, an admin all.
    #[serde(default)]
    #[param(inline, required = false)]
    status: EventStatus,
    /// Events on a page.
    #[serde(default)]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 100, default = 20)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// An event as a list shows it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct EventSummary {
    /// `evt_...`
    #[schema(value_type = String)]
    event_id: EventId,
    /// Where it stands.
    status: EventStatus,
    /// As people call it.
    name: String,
    /// `concert`, `match`, ...
    event_type: String,
    /// `rock`, `football`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    genre: Option<String>,
    /// Where it takes place.
    #[schema(value_type = String)]
    venue_id: VenueId,
    /// City of the venue.
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    starts_at: Time,
    /// When it is over.
    #[schema(value_type = String, format = DateTime)]
    ends_at: Time,
    /// The lowest price of a ticket, in minor units.
    price_min: i64,
    /// The highest price of a ticket, in minor units.
    price_max: i64,
    /// ISO 4217.
    currency: String,
    /// Where pictures or films of it are.
    #[serde(skip_serializing_if = "Option::is_none")]
    media_url: Option<String>,
    /// Free words to find it by.
    tags: Vec<String>,
}

/// Events by when they begin. Everybody finds what is published; an organizer also their own
/// drafts and cancelled events, an admin all.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    params(
        ListEvents,
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    responses(
        (status = 200, description = "By date", body = Page<EventSummary>),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "What is not published is not for everybody"),
        (status = 403, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "DATABASE_UNAVAILABLE"),
    ),
)]
pub(crate) async fn list_events(
    State(state): State<QueryState>,
    Query(query): Query<ListEvents>,
    MaybeCaller(caller): MaybeCaller,
    MinPosition(min): MinPosition,
) -> Result<impl IntoResponse, Problem> {
    let limit = query.limit.items()?;
    query.check()?;
    let organizer = only_of(query.status, caller)?;
    let after: Option<(Time, EventId)> =
        query.cursor.as_ref().map(|cursor| cursor.place(&query.list())).transpose()?;
    let ready = async || state.views.at_least(View::Catalog, min).await;
    let find = async || {
        // Others may have found out meanwhile that the database is down.
        state.views.at_least(View::Catalog, None).await?;
        find(&state, &query, organizer, after, limit).await
    };
    // Everybody asks for the same lists of what is published.
    let (mut items, upto) = match query.key() {
        Some(key) => {
            let wanted = Wanted { key, of: Of::Catalog, min };
            state.cache.get(&wanted, ready, find).await?
        }
        None => {
            ready().await?;
            find().await?
        }
    };
    let more = super::cut(&mut items, limit);
    let last = items.last().filter(|_| more);
    let next_cursor =
        last.map(|event| Cursor::new(&query.list(), &(event.starts_at, event.event_id)));
    Ok((at_row(upto), Json(Page { items, next_cursor })))
}

/// Longer keys are those of lists that nobody else asks for.
const LONGEST_KEY: usize = 300;

impl ListEvents {
    /// What the list is kept under; nothing if it is not worth keeping, or not for everybody.
    fn key(&self) -> Option<String> {
        let key = format!("events:{self:?}");
        (self.status == EventStatus::Published && key.len() <= LONGEST_KEY).then_some(key)
    }

    /// Of what its cursors are: a place among events of one city says nothing of those of another.
    fn list(&self) -> String {
        let Self { city, event_type, genre, date_from, date_to, .. } = self;
        let Self { price_min, price_max, status, .. } = self;
        let when_and_what = (city, event_type, genre, date_from, date_to);
        format!("{LIST}:{:?}", (when_and_what, price_min, price_max, status))
    }

    /// Refuses what no column can hold, and ranges that nothing lies in: an empty list would say that there
    /// is no such event.
    fn check(&self) -> Result<(), Problem> {
        let texts = [("city", &self.city), ("type", &self.event_type), ("genre", &self.genre)];
        for (field, text) in texts {
            if text.as_ref().is_some_and(|text| text.contains('\0')) {
                return Err(Problem::invalid(field, "must not contain a null character"));
            }
        }
        for (field, price) in [("price_min", self.price_min), ("price_max", self.price_max)] {
            if price.is_some_and(|price| price < 0) {
                return Err(Problem::invalid(field, "must be a whole number from 0 up"));
            }
        }
        if self.price_min.zip(self.price_max).is_some_and(|(min, max)| min > max) {
            return Err(Problem::invalid("price_max", "must not be below price_min"));
        }
        let days = self.date_from.zip(self.date_to);
        if days.is_some_and(|(from, to)| from.first() > to.last()) {
            return Err(Problem::invalid("date_to", "must not be before date_from"));
        }
        Ok(())
    }
}

/// Whose events alone the caller may find; anybody's if `None`.
fn only_of(status: EventStatus, caller: Option<Caller>) -> Result<Option<UserId>, Problem> {
    if status == EventStatus::Published {
        return Ok(None);
    }
    let Some(caller) = caller else {
        return Err(Problem::unauthorized("Only published events are for everybody."));
    };
    if !caller.may_have_drafts() {
        return Err(Problem::forbidden("Only published events are for everybody."));
    }
    Ok((!caller.with_anothers).then_some(caller.user))
}

/// Up to one event more than `limit`, and how far the view is. With the filters that are absent
/// folded away, each plan walks the index of its filter in the list's order.
async fn find(
    state: &QueryState,
    query: &ListEvents,
    organizer: Option<UserId>,
    after: Option<(Time, EventId)>,
    limit: usize,
) -> Result<(Vec<EventSummary>, Option<i64>), Problem> {
    let status = query.status;
    let now = (status == EventStatus::Published).then(|| state.sources.clock.now());
    let from = query.date_from.map(Bound::first).or(now).map(Time::as_chrono);
    let key = |text: &Option<String>| text.as_deref().map(browsing_key);
    let rows = sqlx::query!(
        r#"SELECT event_id, name, event_type, genre, venue_id, city, starts_at, ends_at, currency,
              price_min_minor, price_max_minor, media_url, tags,
              (SELECT position FROM projection.checkpoint WHERE name = 'catalog') AS upto
           FROM catalog.event
           WHERE status = $1
              AND ($2::uuid IS NULL OR organizer = $2)
              AND ($3::text IS NULL OR city_key = $3)
              AND ($4::text IS NULL OR event_type_key = $4)
              AND ($5::text IS NULL OR genre_key = $5)
              AND ($6::timestamptz IS NULL OR starts_at >= $6)
              AND ($7::timestamptz IS NULL OR starts_at <= $7)
              AND ($8::bigint IS NULL OR price_max_minor >= $8)
              AND ($9::bigint IS NULL OR price_min_minor <= $9)
              AND ($10::timestamptz IS NULL OR (starts_at, event_id) > ($10, $11))
           ORDER BY starts_at, event_id
           LIMIT $12"#,
        status.name(),
        organizer.map(UserId::as_uuid),
        key(&query.city),
        key(&query.event_type),
        key(&query.genre),
        from,
        query.date_to.map(|to| to.last().as_chrono()),
        query.price_min,
        query.price_max,
        after.map(|(starts_at, _)| starts_at.as_chrono()) as Option<DateTime<Utc>>,
        after.map_or(EventId::from_u128(0), |(_, event)| event).as_uuid(),
        super::one_more(limit),
    )
    .fetch_all(&state.sources.pool)
    .await
    .map_err(|error| state.views.failure(error))?;
    let upto = rows.first().and_then(|row| row.upto);
    let events = rows.into_iter().map(|row| EventSummary {
        event_id: EventId::from_u128(row.event_id.as_u128()),
        status,
        name: row.name,
        event_type: row.event_type,
        genre: row.genre,
        venue_id: VenueId::from_u128(row.venue_id.as_u128()),
        city: row.city,
        starts_at: row.starts_at.into(),
        ends_at: row.ends_at.into(),
        price_min: row.price_min_minor,
        price_max: row.price_max_minor,
        currency: row.currency,
        media_url: row.media_url,
        tags: row.tags,
    });
    Ok((events.collect(), upto))
}
