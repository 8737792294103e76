//! The records of a command: their ids tell whose they are.

use std::sync::Arc;

use bytes::Bytes;
use domain::{StoredFact, Time};
use infra::log::{Metadata, NewRecord};
use uuid::Uuid;

use super::decider::Origin;

/// How many records one command can have at most. Ids of records are the command's plus an index.
pub(super) const RECORDS_OF_A_COMMAND: u128 = 16;

/// The id of the record with the `index`-th fact of a command, from 0.
pub(crate) fn record_id(command: Uuid, index: u128) -> Uuid {
    Uuid::from_u128(command.as_u128().wrapping_add(index))
}

pub(super) fn is_of(record: Uuid, command: Uuid) -> bool {
    record.as_u128().wrapping_sub(command.as_u128()) < RECORDS_OF_A_COMMAND
}

/// Makes the records of one command.
pub(super) struct Recorder<'a> {
    origin: &'a Origin,
    metadata: Arc<str>,
    now: Time,
    count: u128,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(origin: &'a Origin, now: Time) -> Self {
        let metadata = Metadata {
            command: origin.id,
            correlation: origin.correlation.clone(),
            causation: origin.causation,
            trace: origin.trace.map(|trace| trace.to_string()),
            actor: origin.actor,
        };
        let metadata = serde_json::to_string(&metadata).unwrap_or_default();
        Self { origin, metadata: metadata.into(), now, count: 0 }
    }

    pub(super) fn record(&mut self, fact: &impl StoredFact) -> NewRecord {
        let id = record_id(self.origin.id, self.count);
        self.count += 1;
        NewRecord {
            id,
            kind: fact.kind().into(),
            version: fact.version(),
            at: self.now,
            metadata: self.metadata.clone(),
            data: Bytes::from(fact.encode()),
        }
    }
}
