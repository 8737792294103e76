//! The chain hash: what makes an alteration of a stream visible (AU-2).
//!
//! Every record carries BLAKE3 (32 bytes) over, in this order:
//!
//! | bytes | what |
//! | --- | --- |
//! | 32 | the hash of the record before it in its stream; for the first, BLAKE3 of the stream's name |
//! | 8 + 16 | id: the UUID's bytes in the order they are written |
//! | 8 + n | kind: UTF-8 |
//! | 8 + 2 | version: unsigned, little-endian |
//! | 8 + 8 | revision: unsigned, little-endian |
//! | 8 + 8 | at: milliseconds since 1970-01-01T00:00:00Z, signed, little-endian |
//! | 8 + n | metadata: the JSON text as stored, UTF-8 |
//! | 8 + n | data: the JSON text as stored, UTF-8 |
//!
//! The 8 bytes before each field are its length in bytes, unsigned, little-endian. The text is
//! hashed as stored, never parsed and written again. The position is not hashed: it tells where a
//! record lies in one log, and an export keeps its proof.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use domain::Time;
use uuid::Uuid;

use super::{ChainHash, Position, Record};

impl ChainHash {
    /// What the first record of a stream is chained to.
    pub fn before_first(stream: &str) -> Self {
        Self(blake3::hash(stream.as_bytes()).into())
    }
}

/// Lower-case hexadecimal, 64 characters.
impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a chain hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a chain hash: 64 hexadecimal characters")]
pub struct ChainHashError;

impl FromStr for ChainHash {
    type Err = ChainHashError;

    fn from_str(text: &str) -> Result<Self, ChainHashError> {
        blake3::Hash::from_hex(text).map(|hash| Self(hash.into())).map_err(|_| ChainHashError)
    }
}

/// All records of a log up to a position, in so few words that they can be kept elsewhere: against
/// who can write the whole log, chains included.
///
/// As text it is `POSITION:DIGEST`. The digest is BLAKE3 over each record's position (8 bytes,
/// unsigned, little-endian) and chain hash (32 bytes), in the order of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// Of the last record.
    pub position: Position,
    /// `None` if only the position was noted.
    pub digest: Option<ChainHash>,
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.position)?;
        self.digest.map_or(Ok(()), |digest| write!(f, ":{digest}"))
    }
}

/// The text is not a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a position, or a position, a colon and 64 hexadecimal characters")]
pub struct SealError;

impl FromStr for Seal {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, SealError> {
        let (position, digest) = match text.split_once(':') {
            Some((position, digest)) => (position, Some(digest)),
            None => (text, None),
        };
        let position = Position(position.parse().map_err(|_| SealError)?);
        let digest = digest.map(str::parse).transpose().map_err(|_| SealError)?;
        Ok(Self { position, digest })
    }
}

/// What of a record is hashed.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// The record's id.
    pub id: Uuid,
    /// The fact's kind.
    pub kind: &'a str,
    /// Version of the data's form.
    pub version: u16,
    /// Place in the stream, from 0.
    pub revision: u64,
    /// When it was decided.
    pub at: Time,
    /// Metadata as stored.
    pub metadata: &'a str,
    /// Data as stored.
    pub data: &'a [u8],
}

impl Link<'_> {
    /// The hash of a record that follows one with the hash `previous`.
    pub fn hash(&self, previous: ChainHash) -> ChainHash {
        let mut hasher = blake3::Hasher::new();
        // Neighbouring fields of fixed size are handed over together: each call has its price.
        let mut head = [0; 64];
        head[..32].copy_from_slice(&previous.0);
        head[32..40].copy_from_slice(&16_u64.to_le_bytes());
        head[40..56].copy_from_slice(self.id.as_bytes());
        head[56..].copy_from_slice(&length(self.kind.as_bytes()));
        hasher.update(&head);
        hasher.update(self.kind.as_bytes());
        let mut middle = [0; 50];
        middle[..8].copy_from_slice(&2_u64.to_le_bytes());
        middle[8..10].copy_from_slice(&self.version.to_le_bytes());
        middle[10..18].copy_from_slice(&8_u64.to_le_bytes());
        middle[18..26].copy_from_slice(&self.revision.to_le_bytes());
        middle[26..34].copy_from_slice(&8_u64.to_le_bytes());
        middle[34..42].copy_from_slice(&self.at.as_ms().to_le_bytes());
        middle[42..].copy_from_slice(&length(self.metadata.as_bytes()));
        hasher.update(&middle);
        hasher.update(self.metadata.as_bytes());
        hasher.update(&length(self.data));
        hasher.update(self.data);
        ChainHash(hasher.finalize().into())
    }
}

fn length(field: &[u8]) -> [u8; 8] {
    (field.len() as u64).to_le_bytes()
}

impl<'a> From<&'a Record> for Link<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            id: record.id,
            kind: &record.kind,
            version: record.version,
            revision: record.revision,
            at: record.at,
            metadata: &record.metadata,
            data: &record.data,
        }
    }
}

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
        if record.revision != expected {
            return Err(Fault::Revision { expected });
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
    use super::*;
    use bytes::Bytes;

    fn records(stream: &str, positions: impl IntoIterator<Item = u64>) -> Vec<Record> {
        let mut hash = ChainHash::before_first(stream);
        let chained = |(revision, position)| {
            let mut record = Record {
                position: Position(position),
                stream: Arc::from(stream),
                revision,
                id: Uuid::from_u128(u128::from(position) << 64 | 0xA5),
                kind: Arc::from("Reserved"),
                version: 258,
                at: Time::from_ms(1_800_000_000_000),
                metadata: r#"{"command":"1"}"#.to_owned(),
                data: Bytes::from_static("{\"café\":1}".as_bytes()),
                hash,
            };
            hash = Link::from(&record).hash(hash);
            record.hash = hash;
            record
        };
        (0..).zip(positions).map(chained).collect()
    }

    /// The documentation, followed to the letter by other means.
    #[test]
    fn the_hash_is_over_the_documented_bytes() {
        let record = &records("inventory-x", [7])[0];
        let fields: [&[u8]; 7] = [
            &[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0xA5],
            b"Reserved",
            &[2, 1],
            &[0; 8],
            &1_800_000_000_000_i64.to_le_bytes(),
            br#"{"command":"1"}"#,
            "{\"café\":1}".as_bytes(),
        ];
        let mut bytes = blake3::hash(b"inventory-x").as_bytes().to_vec();
        for field in fields {
            bytes.extend((field.len() as u64).to_le_bytes());
            bytes.extend(field);
        }
        assert_eq!(record.hash.0, *blake3::hash(&bytes).as_bytes());
        // Logs that exist are verified by it for ever.
        let golden = "e8492f64995bbec1deeb930ca7ce7c3fe473f7a4ac988cb1b0f5d05ec11b9476";
        assert_eq!(record.hash.to_string(), golden);
        assert_eq!(golden.parse(), Ok(record.hash));
        assert_eq!(golden[1..].parse::<ChainHash>(), Err(ChainHashError));
    }

    type Alteration = fn(&mut Record);

    #[test]
    fn every_altered_field_is_found() {
        let alterations: [Alteration; 9] = [
            |record| record.id = Uuid::from_u128(record.id.as_u128() ^ 1),
            |record| record.kind = Arc::from("reserved"),
            |record| record.version += 1,
            |record| record.at = record.at.plus_ms(1),
            |record| record.metadata.push(' '),
            |record| record.data = Bytes::from_static(b"{}"),
            |record| record.hash.0[31] ^= 1,
            // Bytes moved from one field to its neighbour.
            |record| {
                record.metadata.push('{');
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
        assert_eq!(first_broken(&without(&[1]), ChainVerifier::new()), Some((3, expected(0))));
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
