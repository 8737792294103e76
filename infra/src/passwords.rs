//! Password hashes (AC-2), on threads of their own that let everything else go first.
//!
//! Hashing is meant to be expensive. A few threads do it while their processor has nothing else to do,
//! and only so many may wait for them, so that a storm of log-ins takes the time that selling leaves
//! and little more. Where it leaves none such a thread does not get on: whoever has waited long is
//! looked at by others too, that get a small part of a processor in any case.

use std::num::NonZero;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{self, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, oneshot};
use zeroize::Zeroizing;

use crate::ids::{self, NoRandomness};
use crate::threads;

/// How many may wait for each thread.
const WAITING_PER_THREAD: usize = 32;

/// What the threads are called.
pub const THREADS: &str = "passwords";

/// Whoever has waited for so long waits for the other threads too.
const PATIENCE: Duration = Duration::from_secs(2);

/// How far those step back. Beside a sale that would take all processors one has about
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

/// Of somebody who waits since then.
type Job = (Instant, Box<dyn FnOnce() + Send>);

/// Hashes and compares. The threads end when it is dropped.
pub struct Passwords {
    places: Semaphore,
    /// To the threads that run last. Senders never wait for a lock: such a thread could hold it.
    last: UnboundedSender<Job>,
    /// To those that get on in any case.
    any_case: UnboundedSender<Job>,
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
        Ok(Self {
            places: Semaphore::new(threads * (1 + waiting)),
            last: start_threads(threads, Duration::ZERO, || threads::run_last(THREADS))?,
            any_case: start_threads(threads, PATIENCE, || threads::step_back(NICE, THREADS))?,
            argon: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
        })
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

    /// The first answer of any thread: who has begun may not get on. The work, and the password in it, is
    /// gone when the caller is, or when a thread that has begun gets on.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl Fn() -> Result<T, PasswordError> + Send + Sync + 'static,
    ) -> Result<T, PasswordError> {
        let _place = self.places.try_acquire().map_err(|_| PasswordError::Busy)?;
        let work = Arc::new(work);
        let (one, other) = (
            send(&self.last, Arc::downgrade(&work))?,
            send(&self.any_case, Arc::downgrade(&work))?,
        );
        let answer = tokio::select! { answer = one => answer, answer = other => answer };
        answer.map_err(|_| PasswordError::Stopped)?
    }
}

/// Has the work done by one of the threads behind `line`.
fn send<T: Send + 'static>(
    line: &UnboundedSender<Job>,
    work: Weak<impl Fn() -> Result<T, PasswordError> + Send + Sync + 'static>,
) -> Result<oneshot::Receiver<Result<T, PasswordError>>, PasswordError> {
    let (reply, answer) = oneshot::channel();
    let job = move || {
        // It is gone when its caller has gone away, or was answered: that is not worth the time.
        if let Some(work) = work.upgrade() {
            let answer = work();
            drop(work);
            let _nobody_listens = reply.send(answer);
        }
    };
    line.send((Instant::now(), Box::new(job))).map_err(|_| PasswordError::Stopped)?;
    Ok(answer)
}

/// Of each kind.
fn threads() -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    (processors / 2).max(1)
}

/// Threads that have stepped back and take whoever has waited for `at_least`; where they take them from.
fn start_threads(
    threads: usize,
    at_least: Duration,
    step_back: impl Fn() + Copy + Send + 'static,
) -> Result<UnboundedSender<Job>, PasswordError> {
    let (line, jobs) = unbounded_channel::<Job>();
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..threads {
        let jobs = Arc::clone(&jobs);
        let look = move || {
            step_back();
            while let Some((since, job)) = next(&jobs) {
                while let Some(early) = at_least.checked_sub(since.elapsed()) {
                    thread::park_timeout(early);
                }
                job();
            }
        };
        let thread = thread::Builder::new().name(THREADS.to_owned());
        thread.spawn(look).map_err(PasswordError::Threads)?;
    }
    Ok(line)
}

/// Not in the loop's head, where the lock would be held while the job is done.
fn next(jobs: &Mutex<UnboundedReceiver<Job>>) -> Option<Job> {
    jobs.lock().blocking_recv()
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
    use tokio::task::{JoinHandle, JoinSet};

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

    /// Has the first thread begin what it does not end before the sender is dropped; any other ends
    /// at once.
    async fn stuck(passwords: &Arc<Passwords>) -> (std::sync::mpsc::Sender<()>, JoinHandle<bool>) {
        let (sender, until) = std::sync::mpsc::channel();
        let (begun, mut has_begun) = unbounded_channel();
        let until = Mutex::new(Some(until));
        let passwords = Arc::clone(passwords);
        let work = move || {
            let _only_the_first_is_waited_for = begun.send(());
            let until = until.lock().take();
            Ok(until.is_none_or(|until| until.recv().is_ok()))
        };
        let stuck = tokio::spawn(async move { passwords.ask(work).await.unwrap() });
        has_begun.recv().await.unwrap();
        (sender, stuck)
    }

    #[tokio::test]
    async fn who_finds_too_many_waiting_is_sent_away_at_once() {
        let passwords = Arc::new(Passwords::start_with(CHEAP, 1, 2).unwrap());
        // One is looked at, two wait.
        let (go_on, busy) = stuck(&passwords).await;
        let mut waiting = JoinSet::new();
        for _ in 0..5 {
            let passwords = passwords.clone();
            waiting.spawn(async move { passwords.hash(text("x")).await });
        }
        for _ in 0..3 {
            let refused = waiting.join_next().await.unwrap().unwrap();
            assert!(matches!(refused, Err(PasswordError::Busy)), "{refused:?}");
        }
        go_on.send(()).unwrap();
        assert!(busy.await.unwrap());
        while let Some(hashed) = waiting.join_next().await {
            assert!(hashed.unwrap().is_ok());
        }
        assert!(passwords.hash(text("x")).await.is_ok());
    }

    #[tokio::test]
    async fn a_password_is_not_kept_for_longer_than_its_answer_takes() {
        let mut passwords = Passwords::start_with(CHEAP, 1, 2).unwrap();
        // The patient threads do not come to it.
        let (any_case, _waiting) = unbounded_channel();
        passwords.any_case = any_case;
        let password = Arc::new("correct horse");
        let kept = Arc::downgrade(&password);
        assert_eq!(passwords.ask(move || Ok(password.len())).await.unwrap(), 13);
        assert_eq!(kept.strong_count(), 0);
    }

    #[tokio::test]
    async fn nobody_waits_long_for_a_thread_that_does_not_get_on() {
        let passwords = Arc::new(Passwords::start_with(CHEAP, 1, 2).unwrap());
        let (_never, begun) = stuck(&passwords).await;
        passwords.hash(text("x")).await.unwrap();
        assert!(begun.await.unwrap());
    }
}
