//! Counts that processes share through Redis.
//!
//! Each process counts at once and for itself, so that no request waits for Redis. What it granted it
//! tells there a few times a second, and learns in the same breath how much these askers owe to all
//! processes together. So whoever goes from one process to the next is let through there until the two
//! have been exchanged, a fifth of a second, and no further: what was too much has to be paid off
//! everywhere. Without Redis each process counts on for itself.
//!
//! Redis knows askers by a hash with a secret that lies beside it: who reads that Redis can find out
//! whether a guess asked for something in the last minutes, and no more.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use domain::Time;
use parking_lot::Mutex;

use super::Asker;
use super::counters::Counters;
use crate::ids;
use crate::redis::SharedCache;

/// How often it is exchanged.
pub(super) const EVERY: Duration = Duration::from_millis(200);

/// Askers in one question to Redis, which answers nobody else meanwhile.
const AT_ONCE: usize = 500;

const SHARDS: usize = 16;
/// Askers that wait to be told of, in each part. Of more than these Redis does not learn.
const MOST_WAITING: usize = 8_192;

/// Adds what was granted to what each asker owes, by the clock of Redis, and says how much that is. Keys:
/// of the secret, and what keys of askers begin with. Arguments: the most one can owe, a secret if there is
/// none yet, then askers, each with what is added.
const ADD: &str = "
local salt = redis.call('GET', KEYS[1])
if not salt then
  salt = ARGV[2]
  redis.call('SET', KEYS[1], salt)
end
local time = redis.call('TIME')
local now = time[1] * 10000 + math.floor(time[2] / 100)
local owed = {}
for i = 3, #ARGV, 2 do
  local key = KEYS[2] .. redis.sha1hex(salt .. ARGV[i])
  local paid_at = math.max(tonumber(redis.call('GET', key) or '0'), now) + ARGV[i + 1]
  paid_at = math.min(paid_at, now + ARGV[1])
  redis.call('SET', key, string.format('%.0f', paid_at), 'PX', math.ceil((paid_at - now) / 10))
  owed[#owed + 1] = paid_at - now
end
return owed
";

/// What was granted since the last exchange.
pub(super) struct Granted {
    hasher: RandomState,
    shards: [Mutex<HashMap<Asker, u32>>; SHARDS],
}

impl Granted {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Takes note of a request.
    pub(super) fn note(&self, asker: Asker) {
        let shard = self.hasher.hash_one(asker) as usize % SHARDS;
        let mut waiting = self.shards[shard].lock();
        let is_full = waiting.len() >= MOST_WAITING;
        match waiting.entry(asker) {
            Entry::Occupied(mut count) => *count.get_mut() += 1,
            Entry::Vacant(place) if !is_full => {
                place.insert(1);
            }
            Entry::Vacant(_) => {}
        }
    }

    fn take(&self) -> Vec<(Asker, u32)> {
        let taken = self.shards.iter().map(|shard| std::mem::take(&mut *shard.lock()));
        taken.flatten().collect()
    }

    /// Tells Redis what was granted, and `counters` what is owed. What Redis does not take is counted
    /// here alone.
    pub(super) async fn exchange(
        &self,
        name: &str,
        counters: &Counters,
        redis: &SharedCache,
        now: impl Fn() -> Time,
    ) {
        for askers in self.take().chunks(AT_ONCE) {
            let keys = ["limits:secret".to_owned(), format!("limit:{name}:")];
            let mut told =
                vec![counters.longest().to_string(), format!("{:032x}", ids::random_u128())];
            for (asker, count) in askers {
                told.push(asker.to_string());
                told.push((counters.cost() * u64::from(*count)).to_string());
            }
            let owed: Option<Vec<u64>> = redis.run(ADD, &keys, &told).await;
            for ((asker, _), owed) in askers.iter().zip(owed.into_iter().flatten()) {
                counters.raise(*asker, owed, now());
            }
        }
    }
}
