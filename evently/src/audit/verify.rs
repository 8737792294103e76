//! Proves that records are as they were written and that no fact among them oversold anything.

use std::collections::HashMap;
use std::sync::Arc;

use domain::inventory::{self, Fact, Ledger, Violation};
use domain::{FactError, StoredFact};
use infra::log::chain::{Broken, ChainVerifier, Seal};
use infra::log::{Position, Record};
use serde::Serialize;

/// The first record that does not prove what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Finding {
    /// It is not as it was written (AU-2).
    #[error(transparent)]
    Altered(#[from] Broken),
    /// It is as it was written, but breaks a rule of the stock (BK-5).
    #[error("the record at position {position} (revision {revision} of {stream}) breaks a rule")]
    Violation {
        position: Position,
        stream: Arc<str>,
        revision: u64,
        #[source]
        violation: Violation,
    },
    /// What it says about the stock cannot be read.
    #[error("the record at position {position} (revision {revision} of {stream}) says nothing")]
    Unreadable {
        position: Position,
        stream: Arc<str>,
        revision: u64,
        #[source]
        cause: FactError,
    },
}

impl Finding {
    /// Which record.
    pub(crate) fn position(&self) -> Position {
        match self {
            Self::Altered(broken) => broken.position,
            Self::Violation { position, .. } | Self::Unreadable { position, .. } => *position,
        }
    }
}

/// What was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Proven {
    /// Records looked at.
    pub(crate) records: u64,
    /// Streams they are in.
    pub(crate) streams: usize,
    /// Position of the last one.
    pub(crate) position: u64,
    /// Inventories among the streams.
    pub(crate) inventories: usize,
    /// Places in them.
    pub(crate) capacity: u64,
    /// Places sold at the end.
    pub(crate) sold: u64,
    /// Places held at the end.
    pub(crate) held: u64,
}

/// Takes records in order of position.
#[derive(Debug, Default)]
pub(crate) struct Verifier {
    chain: ChainVerifier,
    ledgers: HashMap<Arc<str>, Ledger>,
}

impl Verifier {
    /// For a whole log, whose positions have gaps or not.
    pub(crate) fn of_whole_log(without_gaps: bool) -> Self {
        let chain = ChainVerifier::new();
        let chain = if without_gaps { chain.without_gaps() } else { chain };
        Self { chain, ..Self::default() }
    }

    /// For records of which these were there before.
    pub(crate) fn expecting(self, seal: Option<Seal>) -> Self {
        Self { chain: self.chain.expecting(seal), ..self }
    }

    /// The records that were taken, to be noted.
    pub(crate) fn seal(&self) -> Seal {
        self.chain.seal()
    }

    /// Takes the next record.
    pub(crate) fn take(&mut self, record: &Record) -> Result<(), Finding> {
        self.chain.verify(record)?;
        let category = record.stream.split_once('-').map(|(category, _)| category);
        if category != Some(inventory::CATEGORY) {
            return Ok(());
        }
        let (position, stream, revision) =
            (record.position, record.stream.clone(), record.revision);
        let fact = match Fact::decode(&record.kind, record.version, &record.data) {
            Ok(fact) => fact,
            Err(cause) => return Err(Finding::Unreadable { position, stream, revision, cause }),
        };
        let ledger = match self.ledgers.get_mut(&record.stream) {
            Some(ledger) => ledger,
            None => self.ledgers.entry(record.stream.clone()).or_default(),
        };
        let applied = ledger.apply(&fact);
        applied.map_err(|violation| Finding::Violation { position, stream, revision, violation })
    }

    /// The streams of the records taken, with the last revision of each.
    pub(crate) fn ends(&self) -> impl Iterator<Item = (Arc<str>, u64)> + '_ {
        self.chain.heads().iter().map(|(stream, head)| (stream.clone(), head.revision))
    }

    /// What the records taken prove.
    pub(crate) fn proven(&self) -> Proven {
        let tiers = || self.ledgers.values().flat_map(Ledger::tiers);
        Proven {
            records: self.chain.records(),
            streams: self.chain.heads().len(),
            position: self.chain.last().0,
            inventories: self.ledgers.len(),
            capacity: tiers().map(|tier| u64::from(tier.capacity)).sum(),
            sold: tiers().map(|tier| u64::from(tier.sold)).sum(),
            held: tiers().map(|tier| u64::from(tier.held)).sum(),
        }
    }
}
