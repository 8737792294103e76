//! Password hashes (AC-2), on threads of their own that let everything else go first.
//!
//! Hashing is meant to be expensive. A few threads do it while their processor has nothing else to do,
//! and only so many may wait for them, so that a storm of log-ins takes the time that selling leaves
//! and little more. Where it leaves none, as many threads that get a small part of it in any case take
//! those who have waited long.

mod queue;

use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{self, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use queue::{Entrance, Line};

use crate::ids::{self, NoRandomness};
use crate::threads;

/// How many may wait for each thread.
const WAITING_PER_THREAD: usize = 32;

/// What the threads are called.
pub const THREADS: &str = "passwords";

/// Whoever has waited for so long waits no longer for a processor that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(2);

/// How far the threads for those step back. Beside a sale that would take all processors one has about
/// a twelfth of one, with which a full queue is still through before its requests time out.
const NICE: i32 = 10;

/// What a hash costs whoever guesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// How often the memory is gone through.
    pub passes: u32,
}

impl Cost {
    /// What OWASP asks of argon2id at least: 19 MiB, two passes, one lane.
    pub const OWASP: Self = Self { memory_kib: 19 * 1024, passes: 2 };
}

/// Why a password was not looked at.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many wait. Nothing was done.
    #[error("too many passwords wait to be looked at")]
    Busy,
    /// There are no threads.
    #[error("the threads for passwords cannot be started")]
    Threads(#[source] std::io::Error),
    /// The cost cannot be paid, or the stored hash is none; a fault of ours.
    #[error("a password cannot be hashed")]
    Hash(#[source] password_hash::Error),
    /// No salt.
    #[error("cannot make a salt")]
    Randomness(#[from] NoRandomness),
    /// The threads are gone.
    #[error("nobody looks at passwords any more")]
    Stopped,
}

/// Hashes and compares. The threads end when it is dropped.
pub struct Passwords {
    entrance: Entrance,
    argon: Argon2<'static>,
}

impl Passwords {
    /// With half of the machine's processors.
    ///
    /// # Errors
    /// The cost makes no sense, or there are no threads.
    pub fn start(cost: Cost) -> Result<Self, PasswordError> {
        Self::start_with(cost, threads(), WAITING_PER_THREAD)
    }

    /// How many passwords [`Self::start`] takes at once: those looked at, and those that wait.
    pub fn places() -> usize {
        threads() * (1 + WAITING_PER_THREAD)
    }

    /// With so many threads of each kind, and so many waiting for each pair.
    ///
    /// # Errors
    /// The cost makes no sense, or there are no threads.
    pub fn start_with(cost: Cost, threads: usize, waiting: usize) -> Result<Self, PasswordError> {
        let params = Params::new(cost.memory_kib, cost.passes, 1, None);
        let params = params.map_err(|error| PasswordError::Hash(error.into()))?;
        let (entrance, line) = queue::with_places(threads * waiting);
        for _ in 0..threads {
            start_thread(&line, Duration::ZERO, || threads::run_last(THREADS))?;
            start_thread(&line, PATIENCE, || threads::step_back(NICE, THREADS))?;
        }
        Ok(Self { entrance, argon: Argon2::new(Algorithm::Argon2id, Version::V0x13, params) })
    }

    /// The hash of a password, as a PHC string.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, PasswordError> {
        let argon = self.argon.clone();
        self.ask(move || hash(&argon, &password)).await
    }

    /// Whether `hash` is of this password. Without a hash it is not, and that costs as much to find
    /// out.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub async fn is_right(
        &self,
        password: Zeroizing<String>,
        stored: Option<Zeroizing<String>>,
    ) -> Result<bool, PasswordError> {
        let argon = self.argon.clone();
        self.ask(move || match &stored {
            Some(stored) => verify(&argon, &password, stored),
            None => hash(&argon, &password).map(|_| false),
        })
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (reply, answer) = oneshot::channel();
        self.entrance.push(move || {
            // Who has gone away meanwhile is not worth the time.
            if !reply.is_closed() {
                let _nobody_listens = reply.send(work());
            }
        })?;
        answer.await.map_err(|_| PasswordError::Stopped)?
    }
}

/// Of each kind.
fn threads() -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    (processors / 2).max(1)
}

/// A thread that looks at those who have waited for `at_least`.
fn start_thread(
    line: &Arc<Line>,
    at_least: Duration,
    step_back: impl FnOnce() + Send + 'static,
) -> Result<(), PasswordError> {
    let line = Arc::clone(line);
    let look = move || {
        step_back();
        while let Some(job) = line.next(at_least) {
            job();
        }
    };
    let thread = thread::Builder::new().name(THREADS.to_owned());
    thread.spawn(look).map(drop).map_err(PasswordError::Threads)
}

fn hash(argon: &Argon2<'_>, password: &str) -> Result<String, PasswordError> {
    let salt: [u8; 16] = ids::secret_bytes()?;
    let hash: PasswordHash =
        argon.hash_password_with_salt(password.as_bytes(), &salt).map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

fn verify(argon: &Argon2<'_>, password: &str, stored: &str) -> Result<bool, PasswordError> {
    let stored = PasswordHash::new(stored).map_err(|error| PasswordError::Hash(error.into()))?;
    match argon.verify_password(password.as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(PasswordError::Hash(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1 };

    fn text(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = Passwords::start_with(CHEAP, 1, 4).unwrap();
        let hash = passwords.hash(text("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert_ne!(passwords.hash(text("correct horse")).await.unwrap(), hash);
        let stored = || Some(text(&hash));
        assert!(passwords.is_right(text("correct horse"), stored()).await.unwrap());
        assert!(!passwords.is_right(text("battery staple"), stored()).await.unwrap());
        assert!(!passwords.is_right(text("correct horse"), None).await.unwrap());
        let damaged = passwords.is_right(text("correct horse"), Some(text("damaged"))).await;
        assert!(matches!(damaged, Err(PasswordError::Hash(_))));
    }

    #[tokio::test]
    async fn what_is_stored_stays_right_when_the_cost_changes() {
        let before = Passwords::start_with(CHEAP, 1, 4).unwrap();
        let hash = before.hash(text("correct horse")).await.unwrap();
        let after = Passwords::start_with(Cost { passes: 3, ..CHEAP }, 1, 4).unwrap();
        assert!(after.is_right(text("correct horse"), Some(text(&hash))).await.unwrap());
    }

    #[test]
    fn the_cost_is_what_owasp_asks() {
        let passwords = Passwords::start_with(Cost::OWASP, 1, 1).unwrap();
        let hash = hash(&passwords.argon, "x").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    }

    #[tokio::test]
    async fn who_finds_too_many_waiting_is_sent_away_at_once() {
        let passwords = Arc::new(Passwords::start_with(CHEAP, 1, 2).unwrap());
        // One is looked at and does not end before it is told; two wait.
        let (go_on, told) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let busy = passwords.clone();
        let busy = tokio::spawn(async move {
            let wait = move || {
                let _ = begun.send(());
                Ok(told.recv().is_ok())
            };
            busy.ask(wait).await
        });
        has_begun.await.unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let passwords = passwords.clone();
            waiting.spawn(async move { passwords.hash(text("x")).await });
        }
        for _ in 0..3 {
            let refused = waiting.join_next().await.unwrap().unwrap();
            assert!(matches!(refused, Err(PasswordError::Busy)), "{refused:?}");
        }
        go_on.send(()).unwrap();
        assert!(busy.await.unwrap().unwrap());
        while let Some(hashed) = waiting.join_next().await {
            assert!(hashed.unwrap().is_ok());
        }
    }
    #[tokio::test]
    async fn who_has_waited_long_does_not_wait_for_a_thread_that_gets_no_time() {
        let passwords = Arc::new(Passwords::start_with(CHEAP, 1, 2).unwrap());
        let (go_on, told) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let stuck = passwords.clone();
        let stuck = tokio::spawn(async move {
            let wait = move || {
                let _ = begun.send(());
                Ok(told.recv().is_ok())
            };
            stuck.ask(wait).await
        });
        has_begun.await.unwrap();
        passwords.hash(text("x")).await.unwrap();
        go_on.send(()).unwrap();
        assert!(stuck.await.unwrap().unwrap());
    }
}
