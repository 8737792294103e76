//! Rows of events.

use std::collections::BTreeMap;

use domain::event::{EventCancelled, EventChanged, EventDrafted, EventPublished};
use domain::event::{Fact, RefundRule, Terms, Tier};
use domain::{EventId, Time, UserId};
use infra::log::Record;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};

use super::rows_as_json;
use crate::WriteError;
use crate::columns::{browsing_key, position, prices};

/// What becomes of events.
#[derive(Default)]
pub(super) struct Events(BTreeMap<EventId, Change>);

#[derive(Default)]
struct Change {
    /// Whose it is and since when, if the batch drafts it.
    drafted: Option<(UserId, Time)>,
    status: Option<&'static str>,
    terms: Option<Terms>,
    at: Time,
    position: i64,
}

/// A row as JSON: its names are those of the columns. The city is filled in afterwards.
#[derive(Serialize)]
struct Row<'a> {
    event_id: Uuid,
    organizer: Option<Uuid>,
    status: Option<&'static str>,
    name: &'a str,
    description: &'a str,
    venue_id: Uuid,
    event_type: &'a str,
    event_type_key: String,
    genre: Option<&'a str>,
    genre_key: Option<String>,
    language: Option<&'a str>,
    age_group: Option<&'a str>,
    media_url: Option<&'a str>,
    tags: &'a [String],
    starts_at: Time,
    ends_at: Time,
    currency: domain::Currency,
    price_min_minor: i64,
    price_max_minor: i64,
    tiers: &'a [Tier],
    hold_ttl_s: u32,
    offer_ttl_s: u32,
    max_per_booking: u32,
    max_per_user: Option<u32>,
    refund_policy: &'a [RefundRule],
    created_at: Option<Time>,
    updated_at: Time,
    position: i64,
}

impl Events {
    pub(super) fn take(&mut self, record: &Record, fact: Fact) {
        let (Fact::EventDrafted(EventDrafted { event, .. })
        | Fact::EventChanged(EventChanged { event, .. })
        | Fact::EventPublished(EventPublished { event, .. })
        | Fact::EventCancelled(EventCancelled { event, .. })) = &fact;
        let change = self.0.entry(*event).or_default();
        change.at = record.at;
        change.position = position(record.position);
        match fact {
            Fact::EventDrafted(fact) => {
                change.drafted = Some((fact.organizer, record.at));
                change.status = Some("draft");
                change.terms = Some(fact.terms);
            }
            Fact::EventChanged(fact) => change.terms = Some(fact.terms),
            Fact::EventPublished(_) => change.status = Some("published"),
            Fact::EventCancelled(_) => change.status = Some("cancelled"),
        }
    }

    /// Events whose venue may be another now.
    pub(super) fn with_new_terms(&self) -> Vec<Uuid> {
        let changed = self.0.iter().filter(|(_, change)| change.terms.is_some());
        changed.map(|(event, _)| event.as_uuid()).collect()
    }

    pub(super) async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        let rows = self.0.iter().filter_map(|(event, change)| change.row(*event));
        let (new, old): (Vec<_>, Vec<_>) = rows.partition(|row| row.created_at.is_some());
        if !new.is_empty() {
            insert(&new, connection).await?;
        }
        if !old.is_empty() {
            update_terms(&old, connection).await?;
        }
        let known = self.0.iter().filter(|(_, change)| change.drafted.is_none());
        let known: Vec<_> = known.collect();
        if !known.is_empty() {
            update_status(&known, connection).await?;
        }
        Ok(())
    }
}

impl Change {
    /// The row, if its terms change.
    fn row(&self, event: EventId) -> Option<Row<'_>> {
        let terms = self.terms.as_ref()?;
        let (price_min_minor, price_max_minor) = prices(&terms.tiers);
        Some(Row {
            event_id: event.as_uuid(),
            organizer: self.drafted.map(|(organizer, _)| organizer.as_uuid()),
            status: self.status,
            name: &terms.name,
            description: &terms.description,
            venue_id: terms.venue.as_uuid(),
            event_type: &terms.event_type,
            event_type_key: browsing_key(&terms.event_type),
            genre: terms.genre.as_deref(),
            genre_key: terms.genre.as_deref().map(browsing_key),
            language: terms.language.as_deref(),
            age_group: terms.age_group.as_deref(),
            media_url: terms.media_url.as_deref(),
            tags: &terms.tags,
            starts_at: terms.starts_at,
            ends_at: terms.ends_at,
            currency: terms.currency,
            price_min_minor,
            price_max_minor,
            tiers: &terms.tiers,
            hold_ttl_s: terms.hold_ttl_s,
            offer_ttl_s: terms.offer_ttl_s,
            max_per_booking: terms.max_per_booking,
            max_per_user: terms.max_per_user,
            refund_policy: &terms.refund_policy,
            created_at: self.drafted.map(|(_, at)| at),
            updated_at: self.at,
            position: self.position,
        })
    }
}

async fn insert(new: &[Row<'_>], connection: &mut PgConnection) -> Result<(), WriteError> {
    sqlx::query!(
        "INSERT INTO event SELECT * FROM json_populate_recordset(NULL::event, $1::text::json)",
        rows_as_json(new),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn update_terms(old: &[Row<'_>], connection: &mut PgConnection) -> Result<(), WriteError> {
    let done = sqlx::query!(
        "UPDATE event SET
            name = new.name, description = new.description, venue_id = new.venue_id,
            event_type = new.event_type, event_type_key = new.event_type_key, genre = new.genre,
            genre_key = new.genre_key, language = new.language, age_group = new.age_group,
            media_url = new.media_url, tags = new.tags, starts_at = new.starts_at,
            ends_at = new.ends_at, currency = new.currency, price_min_minor = new.price_min_minor,
            price_max_minor = new.price_max_minor, tiers = new.tiers, hold_ttl_s = new.hold_ttl_s,
            offer_ttl_s = new.offer_ttl_s, max_per_booking = new.max_per_booking,
            max_per_user = new.max_per_user, refund_policy = new.refund_policy
         FROM json_populate_recordset(NULL::event, $1::text::json) AS new
         WHERE event.event_id = new.event_id",
        rows_as_json(old),
    )
    .execute(connection)
    .await?;
    WriteError::unless_all("event", old.len(), done.rows_affected())
}

async fn update_status(
    known: &[(&EventId, &Change)],
    connection: &mut PgConnection,
) -> Result<(), WriteError> {
    let event_id: Vec<Uuid> = known.iter().map(|(event, _)| event.as_uuid()).collect();
    let status: Vec<Option<&str>> = known.iter().map(|(_, change)| change.status).collect();
    let updated_at: Vec<DateTime<Utc>> =
        known.iter().map(|(_, change)| change.at.as_chrono()).collect();
    let position: Vec<i64> = known.iter().map(|(_, change)| change.position).collect();
    let done = sqlx::query!(
        "UPDATE event SET
            status = COALESCE(new.status, event.status),
            updated_at = new.updated_at,
            position = new.position
         FROM UNNEST($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[])
            AS new (event_id, status, updated_at, position)
         WHERE event.event_id = new.event_id",
        &event_id,
        &status as &[Option<&str>],
        &updated_at,
        &position,
    )
    .execute(connection)
    .await?;
    WriteError::unless_all("event", known.len(), done.rows_affected())
}
