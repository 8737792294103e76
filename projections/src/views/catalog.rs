//! Venues and events (CT-1, CT-2, CT-3).

mod events;
mod venues;

use async_trait::async_trait;
use domain::{Aggregate, Fact, FactError, event, venue};
use infra::log::Record;
use serde::Serialize;
use sqlx::PgConnection;

use crate::projection::{category, decode};
use crate::{Changes, Projection, WriteError};
use events::Events;
use venues::Venues;

/// One row per venue and one per event.
#[derive(Debug, Clone, Copy)]
pub struct Catalog;

impl Projection for Catalog {
    fn name(&self) -> &'static str {
        "catalog"
    }

    fn version(&self) -> i32 {
        1
    }

    fn wants(&self, record: &Record) -> bool {
        [venue::Venue::CATEGORY, event::Event::CATEGORY].contains(&category(record))
    }

    fn apply(&self, records: &[Record]) -> Result<Box<dyn Changes>, FactError> {
        let mut rows = Rows::default();
        for record in records {
            match decode(record)? {
                Some(Fact::Venue(fact)) => rows.venues.take(record, fact),
                Some(Fact::Event(fact)) => rows.events.take(record, fact),
                // Nothing that anybody browses.
                _ => {}
            }
        }
        Ok(Box::new(rows))
    }
}

/// Rows as one parameter. Slower than arrays of columns, but these rows are wide and seldom change.
fn rows_as_json<T: Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).expect("text keys and finite numbers")
}

#[derive(Default)]
struct Rows {
    venues: Venues,
    events: Events,
}

#[async_trait]
impl Changes for Rows {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        self.venues.write(connection).await?;
        self.events.write(connection).await?;
        // Last, so that it makes no difference whether the venue or the event came first.
        let (venues, events) = (self.venues.ids(), self.events.with_new_terms());
        if venues.is_empty() && events.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "UPDATE event SET (city, city_key) =
                (SELECT venue.city, venue.city_key FROM venue
                 WHERE venue.venue_id = event.venue_id)
             WHERE event.venue_id = ANY($1::uuid[]) OR event.event_id = ANY($2::uuid[])",
            &venues,
            &events,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
