//! Tokens that were verified, so that a signature is checked once and not with every request.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use domain::Time;
use parking_lot::RwLock;

use super::caller::Caller;

const SHARDS: usize = 16;

/// How much of a token's end is hashed: half of its signature, 256 bits that nobody chooses.
const TAIL: usize = 43;

/// What a verified token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verified {
    pub(super) caller: Caller,
    /// Of the keys that verified it.
    pub(super) generation: u64,
    pub(super) not_before: Time,
    /// When its bearer was looked at.
    pub(super) issued: Time,
    pub(super) expires: Time,
}

/// By hash of the tail. Of two tokens with one hash the later is kept.
type Shard = RwLock<HashMap<u64, (Box<str>, Verified)>>;

/// A bounded map from tokens to what they say. Only tokens with a good signature get in, and only
/// a token that is equal in every character is found.
pub(super) struct Cache {
    hasher: RandomState,
    shards: [Shard; SHARDS],
    per_shard: usize,
}

impl Cache {
    /// A cache that holds up to about `capacity` tokens.
    pub(super) fn new(capacity: usize) -> Self {
        let per_shard = capacity.div_ceil(SHARDS).max(1);
        Self { hasher: RandomState::new(), shards: Default::default(), per_shard }
    }

    pub(super) fn get(&self, token: &str) -> Option<Verified> {
        let hash = self.hash(token);
        let shard = self.shard(hash).read();
        let (known, verified) = shard.get(&hash)?;
        (**known == *token).then_some(*verified)
    }

    pub(super) fn put(&self, token: &str, verified: Verified, now: Time) {
        let hash = self.hash(token);
        let mut shard = self.shard(hash).write();
        if shard.len() >= self.per_shard {
            shard.retain(|_, (_, verified)| now < verified.expires);
        }
        if shard.len() >= self.per_shard {
            // Making room for many at once keeps the price of a full cache low.
            let mut place = 0_usize;
            shard.retain(|_, _| {
                place += 1;
                place.is_multiple_of(2)
            });
        }
        shard.insert(hash, (token.into(), verified));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    fn hash(&self, token: &str) -> u64 {
        let bytes = token.as_bytes();
        self.hasher.hash_one(&bytes[bytes.len().saturating_sub(TAIL)..])
    }

    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[(hash >> 60) as usize % SHARDS]
    }
}
