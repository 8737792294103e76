//! A hash for keys that are random already.

use std::hash::{BuildHasherDefault, Hasher};

/// Takes the number itself as its hash. For random numbers and parts of hashes only: whoever could
/// choose the keys could make a map slow.
#[derive(Default)]
pub(super) struct Uniform(u64);

pub(super) type ByUniform = BuildHasherDefault<Uniform>;

impl Hasher for Uniform {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}
