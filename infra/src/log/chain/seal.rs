//! All records of a log in a few words.

use std::fmt;
use std::str::FromStr;

use super::ChainHash;
use crate::log::Position;

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
