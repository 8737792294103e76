//! The one place that makes random numbers, and the numbers that ids are made of.

use domain::{Time, UserId};
use rand::{Rng, TryRngCore};

/// Separates what is hashed here from every other use of BLAKE3 in the product.
const DERIVED: &str = "evently 2026-01 id from idempotency key";

/// 64 random bits, e.g. the number of a booking within its event.
pub fn random_u64() -> u64 {
    rand::rng().random()
}

/// 128 random bits.
pub fn random_u128() -> u128 {
    rand::rng().random()
}

/// The machine gave no randomness for a secret.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random numbers")]
pub struct NoRandomness(#[source] rand::rand_core::OsError);

/// 32 bytes from the operating system, for keys.
///
/// # Errors
/// The operating system has none to give.
pub fn secret() -> Result<[u8; 32], NoRandomness> {
    secret_bytes()
}

/// So many bytes from the operating system: nonces, salts, tokens.
///
/// # Errors
/// The operating system has none to give.
pub fn secret_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

/// A number in the layout of UUID version 7 (RFC 9562): 48 bits of milliseconds, then random bits,
/// so that ids made later sort after those made before, to the millisecond.
pub fn time_ordered(now: Time) -> u128 {
    const VERSION: u128 = 7 << 76;
    const VARIANT: u128 = 0b10 << 62;
    const RANDOM: u128 = (0xfff << 64) | ((1 << 62) - 1);
    let ms = u128::from(now.ms_since(Time::from_ms(0))) & 0xffff_ffff_ffff;
    (ms << 80) | VERSION | VARIANT | (random_u128() & RANDOM)
}

/// The number that `user`'s idempotency `key` stands for in `purpose` (BK-6): a repeated request
/// finds the stream that the first one made. `purpose` keeps the same key under two operations
/// apart.
pub fn derived(user: UserId, key: &str, purpose: &str) -> u128 {
    let mut hasher = blake3::Hasher::new_derive_key(DERIVED);
    hasher.update(&user.as_u128().to_be_bytes());
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    hasher.update(&(purpose.len() as u64).to_be_bytes());
    hasher.update(purpose.as_bytes());
    hasher.update(key.as_bytes());
    let mut bits = [0; 16];
    hasher.finalize_xof().fill(&mut bits);
    u128::from_be_bytes(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn time_ordered_numbers_are_uuids_of_version_7_that_sort_by_time() {
        let at = |text: &str| time_ordered(text.parse().unwrap());
        let (early, late) = (at("2027-06-01T19:30:00.000Z"), at("2027-06-01T19:30:00.001Z"));
        assert!(early < late);
        let uuid = uuid::Uuid::from_u128(early);
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        let (seconds, nanos) = uuid.get_timestamp().unwrap().to_unix();
        let ms = i64::try_from(seconds * 1000 + u64::from(nanos) / 1_000_000).unwrap();
        assert_eq!(Time::from_ms(ms).to_string(), "2027-06-01T19:30:00.000Z");
    }

    #[test]
    fn random_numbers_do_not_repeat() {
        let now = Time::from_ms(1);
        let seen: HashSet<u128> = (0..1_000).map(|_| time_ordered(now)).collect();
        assert_eq!(seen.len(), 1_000);
        assert_ne!(random_u64(), random_u64());
        assert_ne!(secret().unwrap(), secret().unwrap());
    }

    #[test]
    fn a_derived_number_depends_on_person_key_and_purpose_and_on_nothing_else() {
        let (one, other) = (UserId::from_u128(1), UserId::from_u128(2));
        let number = derived(one, "key-1", "create-event");
        assert_eq!(number, derived(one, "key-1", "create-event"));
        assert_ne!(number, derived(other, "key-1", "create-event"));
        assert_ne!(number, derived(one, "key-2", "create-event"));
        assert_ne!(number, derived(one, "key-1", "create-venue"));
        assert_ne!(derived(one, "bc", "a"), derived(one, "c", "ab"));
    }

    #[test]
    fn a_derived_number_never_changes_between_releases() {
        // Streams in old logs are found again by it.
        let number = derived(UserId::from_u128(7), "key-1", "create-event");
        assert_eq!(format!("{number:032x}"), "c279afa2511d477fb89bf08ce54d5be9");
    }
}
