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

mod seal;
mod verifier;

use std::fmt;
use std::str::FromStr;

use domain::Time;
use uuid::Uuid;

use super::{ChainHash, Record};

pub use seal::{Seal, SealError};
pub use verifier::{Broken, ChainHead, ChainVerifier, Fault};

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::log::Position;

    /// A stream of records at these positions.
    pub(super) fn records(stream: &str, positions: impl IntoIterator<Item = u64>) -> Vec<Record> {
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
                metadata: r#"{"command":"1"}"#.into(),
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
}
