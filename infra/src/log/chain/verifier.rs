//! Follows the chains of a log, and finds the first record that breaks one.

use std::collections::HashMap;
use std::sync::Arc;

use super::{ChainHash, Link, Seal};
use crate::log::{Position, Record};

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its content, the content of one before it, or the hash itself was altered.
    #[error("its hash does not follow from its content and the record before it")]
    Hash,
    /// Records of the stream are missing, doubled or out of order before it.
    #[error("its stream should have revision {expected} here")]
    Revision {
        /// The revision that comes next in the stream.
        expected: u64,
    },
    /// A stream does not begin with its first record.
    #[error(
        "the beginning of its stream is missing, or was left out of an export of a part of the log, \
         of which nothing can be proven"
    )]
    Beginning,
    /// Positions do not grow.
    #[error("it comes after position {after}")]
    Position {
        /// The position before it.
        after: Position,
    },
    /// The records up to it are as chains want them, but are not those that were sealed.
    #[error("the records up to it are not those of seal {expected}")]
    Seal {
        /// What was noted before.
        expected: Seal,
    },
    /// Positions are missing before it, in a log that numbers them without gaps.
    #[error("the records after position {after} and before it are missing")]
    Missing {
        /// The position before the gap.
        after: Position,
    },
}

/// The first record that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "record at position {position} (revision {revision} of {stream}) is not as written: {fault}"
)]
pub struct Broken {
    /// Where it is in the log.
    pub position: Position,
    /// Its stream.
    pub stream: Arc<str>,
    /// The revision it claims.
    pub revision: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// The end of a stream as verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// Revision of its last record.
    pub revision: u64,
    /// Hash of its last record: it proves all before it.
    pub hash: ChainHash,
}

/// Takes all records of a log, or of some of its streams, in order of position, and finds the first
/// that is not as it was written. Holds the head of every stream it met.
#[derive(Debug, Default)]
pub struct ChainVerifier {
    heads: HashMap<Arc<str>, ChainHead>,
    last: Position,
    without_gaps: bool,
    records: u64,
    digest: blake3::Hasher,
    expected: Option<Seal>,
}

impl ChainVerifier {
    /// A verifier that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// For a whole embedded log, whose positions are 1, 2, 3 ...: a missing one is a fault. Without
    /// this, streams whose last records were taken away look like shorter streams.
    #[must_use]
    pub fn without_gaps(mut self) -> Self {
        self.without_gaps = true;
        self
    }

    /// For records of which these were sealed before: others up to there are a fault, also if they
    /// are chained as they should be, because somebody took a stream away or wrote it anew.
    #[must_use]
    pub fn expecting(self, expected: Option<Seal>) -> Self {
        Self { expected, ..self }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// It is not as it was written. What comes after it in its stream proves nothing.
    pub fn verify(&mut self, record: &Record) -> Result<(), Broken> {
        self.check(record).map_err(|fault| Broken {
            position: record.position,
            stream: record.stream.clone(),
            revision: record.revision,
            fault,
        })
    }

    fn check(&mut self, record: &Record) -> Result<(), Fault> {
        let after = self.last;
        if record.position <= after {
            return Err(Fault::Position { after });
        }
        if self.without_gaps && record.position.0 != after.0 + 1 {
            return Err(Fault::Missing { after });
        }
        let head = self.heads.get_mut(&record.stream);
        let (expected, previous) = match &head {
            Some(head) => (head.revision + 1, head.hash),
            None => (0, ChainHash::before_first(&record.stream)),
        };
        match expected {
            expected if record.revision == expected => (),
            0 => return Err(Fault::Beginning),
            expected => return Err(Fault::Revision { expected }),
        }
        if Link::from(record).hash(previous) != record.hash {
            return Err(Fault::Hash);
        }
        let mut sealed = [0; 40];
        sealed[..8].copy_from_slice(&record.position.0.to_le_bytes());
        sealed[8..].copy_from_slice(&record.hash.0);
        self.digest.update(&sealed);
        if let Some(expected) = self.expected.filter(|seal| seal.position <= record.position) {
            let digest = Some(ChainHash(self.digest.finalize().into()));
            let is_there = expected.position == record.position;
            if !is_there || expected.digest.is_some_and(|_| expected.digest != digest) {
                return Err(Fault::Seal { expected });
            }
            self.expected = None;
        }
        let now = ChainHead { revision: record.revision, hash: record.hash };
        match head {
            Some(head) => *head = now,
            None => {
                self.heads.insert(record.stream.clone(), now);
            }
        }
        self.last = record.position;
        self.records += 1;
        Ok(())
    }

    /// How many records were found as written.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Position of the last record found as written.
    pub fn last(&self) -> Position {
        self.last
    }

    /// The records found as written.
    pub fn seal(&self) -> Seal {
        let digest = Some(ChainHash(self.digest.finalize().into()));
        Seal { position: self.last, digest }
    }

    /// The head of every stream met.
    pub fn heads(&self) -> &HashMap<Arc<str>, ChainHead> {
        &self.heads
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use uuid::Uuid;

    use super::super::SealError;
    use super::super::tests::records;
    use super::*;

    type Alteration = fn(&mut Record);

    #[test]
    fn every_altered_field_is_found() {
        let alterations: [Alteration; 9] = [
            |record| record.id = Uuid::from_u128(record.id.as_u128() ^ 1),
            |record| record.kind = Arc::from("reserved"),
            |record| record.version += 1,
            |record| record.at = record.at.plus_ms(1),
            |record| record.metadata = format!("{} ", record.metadata).into(),
            |record| record.data = Bytes::from_static(b"{}"),
            |record| record.hash.0[31] ^= 1,
            // Bytes moved from one field to its neighbour.
            |record| {
                record.metadata = format!("{}{{", record.metadata).into();
                record.data = record.data.slice(1..);
            },
            |record| record.stream = Arc::from("another"),
        ];
        for (i, alter) in alterations.into_iter().enumerate() {
            let mut stored = records("s", 1..=1);
            alter(&mut stored[0]);
            let broken = ChainVerifier::new().verify(&stored[0]).expect_err("it was altered");
            assert_eq!(broken.fault, Fault::Hash, "alteration {i}");
        }
    }

    fn first_broken(records: &[Record], verifier: ChainVerifier) -> Option<(u64, Fault)> {
        let mut verifier = verifier;
        let broken = records.iter().find_map(|record| verifier.verify(record).err())?;
        Some((broken.position.0, broken.fault))
    }

    #[test]
    fn missing_doubled_and_moved_records_are_found() {
        let whole: Vec<Record> = {
            let mut both = records("a", [1, 3, 5, 7]);
            both.extend(records("b", [2, 4, 6, 8]));
            both.sort_by_key(|record| record.position);
            both
        };
        let gapless = || ChainVerifier::new().without_gaps();
        assert_eq!(first_broken(&whole, gapless()), None);
        let without = |positions: &[u64]| -> Vec<Record> {
            whole.iter().filter(|r| !positions.contains(&r.position.0)).cloned().collect()
        };
        let expected = |expected| Fault::Revision { expected };
        let missing = |after| Fault::Missing { after: Position(after) };
        assert_eq!(first_broken(&without(&[3]), ChainVerifier::new()), Some((5, expected(1))));
        assert_eq!(first_broken(&without(&[3]), gapless()), Some((4, missing(2))));
        assert_eq!(first_broken(&without(&[1]), ChainVerifier::new()), Some((3, Fault::Beginning)));
        assert_eq!(first_broken(&without(&[1]), gapless()), Some((2, missing(0))));
        // The end of a stream: only a log without gaps shows that it was longer.
        assert_eq!(first_broken(&without(&[7]), ChainVerifier::new()), None);
        assert_eq!(first_broken(&without(&[7]), gapless()), Some((8, missing(6))));
        let mut doubled = whole.clone();
        doubled.insert(4, whole[3].clone());
        let position = Fault::Position { after: Position(4) };
        assert_eq!(first_broken(&doubled, gapless()), Some((4, position)));
        let mut inserted = whole.clone();
        inserted[4] = Record { position: Position(5), ..whole[3].clone() };
        assert_eq!(first_broken(&inserted, gapless()), Some((5, expected(2))));
    }

    #[test]
    fn what_was_sealed_cannot_be_written_anew() {
        let both = |first: &str, second: &str| {
            let mut both = records(first, [1, 3]);
            both.extend(records(second, [2, 4]));
            both.sort_by_key(|record| record.position);
            both
        };
        let stored = both("a", "b");
        let mut verifier = ChainVerifier::new();
        stored[..3].iter().for_each(|record| verifier.verify(record).unwrap());
        let seal = verifier.seal();
        let text = seal.to_string();
        assert_eq!((seal.position, text.parse()), (Position(3), Ok(seal)));
        let bytes: Vec<u8> = stored[..3]
            .iter()
            .flat_map(|record| [&record.position.0.to_le_bytes()[..], &record.hash.0].concat())
            .collect();
        assert_eq!(text, format!("3:{}", blake3::hash(&bytes)));
        let expecting = |seal| ChainVerifier::new().expecting(Some(seal));
        assert_eq!(first_broken(&stored, expecting(seal)), None);
        let found = Some((3, Fault::Seal { expected: seal }));
        // Each stream of these is chained as it should be.
        assert_eq!(first_broken(&both("a", "c"), expecting(seal)), found);
        assert_eq!(first_broken(&both("b", "a"), expecting(seal)), found);
        let place = Seal { digest: None, ..seal };
        assert_eq!(first_broken(&both("a", "c"), expecting(place)), None);
        let cut: Vec<_> = stored.iter().filter(|it| it.position.0 != 3).cloned().collect();
        let found = first_broken(&cut, expecting(place)).map(|(position, _)| position);
        assert_eq!(found, Some(4));
        for text in ["", "x", "3:", ":", "3:ab", "-1", &text[..20]] {
            assert_eq!(text.parse::<Seal>(), Err(SealError), "{text}");
        }
    }

    #[test]
    fn the_verifier_knows_where_it_stands() {
        let mut stored = records("a", [1, 2, 3]);
        let mut verifier = ChainVerifier::new();
        verifier.verify(&stored[0]).unwrap();
        verifier.verify(&stored[1]).unwrap();
        stored[2].version = 1;
        let broken = verifier.verify(&stored[2]).expect_err("it was altered");
        assert_eq!(
            broken.to_string(),
            "record at position 3 (revision 2 of a) is not as written: \
             its hash does not follow from its content and the record before it"
        );
        assert_eq!((verifier.records(), verifier.last()), (2, Position(2)));
        let head = ChainHead { revision: 1, hash: stored[1].hash };
        assert_eq!(verifier.heads()["a"], head);
    }
}
