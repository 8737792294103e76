//! Rows of venues.

use std::collections::BTreeMap;

use domain::seating::Section;
use domain::venue::{Fact, Profile};
use domain::{Time, UserId, VenueId};
use infra::log::Record;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::rows_as_json;
use crate::WriteError;
use crate::columns::{browsing_key, position};

/// What becomes of venues.
#[derive(Default)]
pub(super) struct Venues(BTreeMap<VenueId, Change>);

struct Change {
    /// Who added it and when, if the batch adds it.
    created: Option<(UserId, Time)>,
    profile: Profile,
    at: Time,
    position: i64,
}

/// A row as JSON: its names are those of the columns.
#[derive(Serialize)]
struct Row<'a> {
    venue_id: Uuid,
    owner: Option<Uuid>,
    name: &'a str,
    address: &'a str,
    city: &'a str,
    city_key: String,
    state: Option<&'a str>,
    country: &'a str,
    postal_code: Option<&'a str>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    sections: &'a [Section],
    created_at: Option<Time>,
    updated_at: Time,
    position: i64,
}

impl Venues {
    pub(super) fn take(&mut self, record: &Record, fact: Fact) {
        let (venue, created, profile) = match fact {
            Fact::VenueCreated(fact) => (fact.venue, Some((fact.owner, record.at)), fact.profile),
            Fact::VenueChanged(fact) => (fact.venue, None, fact.profile),
        };
        let created = created.or(self.0.get(&venue).and_then(|change| change.created));
        let position = position(record.position);
        self.0.insert(venue, Change { created, profile, at: record.at, position });
    }

    pub(super) fn ids(&self) -> Vec<Uuid> {
        self.0.keys().map(|venue| venue.as_uuid()).collect()
    }

    pub(super) async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        let rows = self.0.iter().map(|(venue, change)| change.row(*venue));
        let (new, old): (Vec<_>, Vec<_>) = rows.partition(|row| row.created_at.is_some());
        if !new.is_empty() {
            insert(&new, connection).await?;
        }
        if !old.is_empty() {
            update(&old, connection).await?;
        }
        Ok(())
    }
}

impl Change {
    fn row(&self, venue: VenueId) -> Row<'_> {
        let profile = &self.profile;
        Row {
            venue_id: venue.as_uuid(),
            owner: self.created.map(|(owner, _)| owner.as_uuid()),
            name: &profile.name,
            address: &profile.address,
            city: &profile.city,
            city_key: browsing_key(&profile.city),
            state: profile.state.as_deref(),
            country: &profile.country,
            postal_code: profile.postal_code.as_deref(),
            latitude: profile.latitude,
            longitude: profile.longitude,
            sections: &profile.sections,
            created_at: self.created.map(|(_, at)| at),
            updated_at: self.at,
            position: self.position,
        }
    }
}

async fn insert(new: &[Row<'_>], connection: &mut PgConnection) -> Result<(), WriteError> {
    sqlx::query!(
        "INSERT INTO venue SELECT * FROM json_populate_recordset(NULL::venue, $1::text::json)",
        rows_as_json(new),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn update(old: &[Row<'_>], connection: &mut PgConnection) -> Result<(), WriteError> {
    let done = sqlx::query!(
        "UPDATE venue SET
            name = new.name, address = new.address, city = new.city, city_key = new.city_key,
            state = new.state, country = new.country, postal_code = new.postal_code,
            latitude = new.latitude, longitude = new.longitude, sections = new.sections,
            updated_at = new.updated_at, position = new.position
         FROM json_populate_recordset(NULL::venue, $1::text::json) AS new
         WHERE venue.venue_id = new.venue_id",
        rows_as_json(old),
    )
    .execute(connection)
    .await?;
    WriteError::unless_all("venue", old.len(), done.rows_affected())
}
