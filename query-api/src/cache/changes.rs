//! Where in the log what browsing shows was last changed.

use std::collections::HashMap;

use domain::event::Event;
use domain::venue::Venue;
use domain::{Aggregate, EventId};
use infra::log::{Position, Record};
use parking_lot::RwLock;

use super::Of;

/// Events known one by one; beyond it all values that old are taken for changed.
const EVENTS: usize = 100_000;

/// What was changed, as far as the log was followed. Live availability follows it.
#[derive(Debug, Default)]
pub(crate) struct Changes(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Whether the log is followed: before, nothing is known.
    begun: bool,
    /// Of anything not named in `events`.
    floor: Position,
    /// Of venues, which events show too.
    venues: Position,
    /// Of any event or venue.
    catalog: Position,
    events: HashMap<EventId, Position>,
    /// Names the log by its first record, once it has one.
    log: Option<u64>,
}

impl Changes {
    /// The log is followed from `head` on. What was changed before is not known: only values that
    /// include all of it are good.
    pub(crate) fn begin(&self, head: Position, first: Option<&Record>) {
        let mut known = self.0.write();
        (known.floor, known.begun) = (head, true);
        known.log = first.map(name);
    }

    /// Learns from what came next in the log.
    pub(crate) fn take(&self, records: &[Record]) {
        let is_first = self.0.read().log.is_none();
        if is_first || records.iter().any(|record| is_of_catalog(&record.stream)) {
            let mut known = self.0.write();
            if is_first {
                known.log = records.first().map(name);
            }
            records.iter().for_each(|record| known.take(record));
        }
    }

    /// A value of `of` has to include this; nothing is good without.
    pub(super) fn last(&self, of: Of) -> Option<Position> {
        let known = self.0.read();
        let own = match of {
            Of::Catalog => known.catalog,
            Of::Event(event) => {
                known.events.get(&event).copied().unwrap_or_default().max(known.venues)
            }
        };
        known.begun.then_some(own.max(known.floor))
    }

    /// What tells the log from others.
    pub(super) fn log(&self) -> Option<u64> {
        self.0.read().log
    }
}

impl Known {
    fn take(&mut self, record: &Record) {
        let Some((category, id)) = record.stream.split_once('-') else { return };
        if category == Venue::CATEGORY {
            (self.venues, self.catalog) = (record.position, record.position);
        } else if category == Event::CATEGORY {
            self.catalog = record.position;
            if self.events.len() >= EVENTS {
                self.events.clear();
                self.floor = record.position;
            }
            if let Ok(event) = id.parse() {
                self.events.insert(event, record.position);
            }
        }
    }
}

/// Most records are of inventories.
fn is_of_catalog(stream: &str) -> bool {
    stream.starts_with(Event::CATEGORY) || stream.starts_with(Venue::CATEGORY)
}

/// The hash covers id, time and data.
fn name(first: &Record) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = first.hash.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
