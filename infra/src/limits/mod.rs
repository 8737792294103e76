//! How much one person, or one address, may ask for in a minute.

mod budget;
mod client;
mod counters;
mod shared;

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use domain::{ServiceKeyId, UserId};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::http::Problem;
use crate::http::context::set_left;
use crate::redis::SharedCache;

pub use budget::{Budget, Rates, RatesError};
pub use client::{Peer, ProxyError, TrustedProxies};
use counters::{Asked, Counters};
use shared::Granted;

/// Where an answer says what may be asked for (draft-ietf-httpapi-ratelimit-headers).
pub(crate) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Where it says what is left of that.
pub(crate) const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    /// A person.
    Person(UserId),
    /// A service.
    Service(ServiceKeyId),
    /// Somebody at an address.
    At(u128),
    /// Whoever tries an account, by a hash of its name.
    Account(u128),
}

impl Asker {
    fn account(name: &str) -> Self {
        let mut bits = [0; 16];
        blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bits);
        Self::Account(u128::from_be_bytes(bits))
    }
}

/// For Redis.
impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(user) => write!(f, "person {:x}", user.as_u128()),
            Self::Service(key) => write!(f, "service {:x}", key.as_u128()),
            Self::At(address) => write!(f, "address {address:x}"),
            Self::Account(hash) => write!(f, "account {hash:x}"),
        }
    }
}

/// Counts what is asked, in this process, or in several together. Cloning shares the counters.
#[derive(Clone)]
pub struct RateLimits(Arc<Limits>);

struct Limits {
    clock: Arc<dyn Clock>,
    general: Limit,
    booking: Limit,
    authentication: Limit,
    export: Limit,
    /// Of email addresses that are logged in with, whoever asks.
    account: Limit,
    /// Of email addresses that are written to, whoever asks.
    mails: Limit,
    /// Through what it is shared with other processes, if it is.
    redis: Option<SharedCache>,
}

struct Limit {
    counters: Counters,
    /// Of what others have to be told, if there are any.
    granted: Option<Granted>,
    name: &'static str,
    policy: HeaderValue,
}

impl Limit {
    fn new(name: &'static str, most: u32, minutes: u32, is_shared: bool) -> Self {
        let policy = format!("\"{name}\";q={most};w={}", minutes * 60);
        // A name and numbers always are a header's value.
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(""));
        let counters = match is_shared {
            true => Counters::shared(most, minutes),
            false => Counters::new(most, minutes),
        };
        Self { counters, granted: is_shared.then(Granted::new), name, policy }
    }
}

/// What is left to whoever asked, as their answer says it.
pub(crate) struct Left {
    policy: HeaderValue,
    left: HeaderValue,
    /// How many more, and until when fewer than all, in seconds.
    count: (u32, u32),
}

impl Left {
    fn of(limit: &Limit, asked: Asked) -> Self {
        let count @ (left, reset_s) = match asked {
            Asked::Granted { left, reset_s } => (left, reset_s),
            Asked::Refused { retry_after_s } => (0, retry_after_s),
        };
        let left = format!("\"{}\";r={left};t={reset_s}", limit.name);
        let left = HeaderValue::try_from(left).unwrap_or(HeaderValue::from_static(""));
        Self { policy: limit.policy.clone(), left, count }
    }

    /// Of two that a request was counted in, the one that refuses sooner, or for longer.
    pub(crate) fn or_tighter(self, other: Option<Self>) -> Self {
        let room = |it: &Self| (it.count.0, std::cmp::Reverse(it.count.1));
        match other {
            Some(other) if room(&other) < room(&self) => other,
            _ => self,
        }
    }

    /// Says it.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        headers.insert(POLICY, self.policy);
        headers.insert(LEFT, self.left);
    }
}

impl RateLimits {
    /// Counters that hold everybody to `rates`.
    pub fn new(rates: Rates, clock: Arc<dyn Clock>) -> Self {
        Self::with(rates, clock, None)
    }

    /// Counters that hold everybody to `rates` in all processes that use this Redis together, as long
    /// as they are [kept in step](Self::keep_in_step).
    pub fn shared(rates: Rates, clock: Arc<dyn Clock>, redis: SharedCache) -> Self {
        Self::with(rates, clock, Some(redis))
    }

    fn with(rates: Rates, clock: Arc<dyn Clock>, redis: Option<SharedCache>) -> Self {
        let Rates { general, booking, authentication, account, mails, export, .. } = rates;
        let limit = |name, per_minute| Limit::new(name, per_minute, 1, redis.is_some());
        Self(Arc::new(Limits {
            clock,
            general: limit("general", general),
            booking: limit("booking", booking),
            authentication: limit("authentication", authentication),
            export: limit("export", export),
            account: limit("account", account),
            mails: Limit::new("mails", mails, 60, redis.is_some()),
            redis,
        }))
    }

    /// Exchanges with other processes what was granted, a few times a second, until `stop`.
    pub async fn keep_in_step(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(shared::EVERY)).await.is_some() {
            self.exchange().await;
        }
    }

    /// Does so once.
    pub async fn exchange(&self) {
        let limits = &*self.0;
        let Some(redis) = &limits.redis else { return };
        let Limits { general, booking, authentication, export, account, mails, .. } = limits;
        for limit in [general, booking, authentication, export, account, mails] {
            if let Some(granted) = &limit.granted {
                let now = || limits.clock.now();
                granted.exchange(limit.name, &limit.counters, redis, now).await;
            }
        }
    }

    /// Counts a request, and has its answer say what is left.
    ///
    /// # Errors
    /// 429 if nothing was.
    pub(crate) fn ask(&self, budget: Budget, asker: Asker) -> Result<(), Problem> {
        let limit = match budget {
            Budget::Free => return Ok(()),
            Budget::General => &self.0.general,
            Budget::Booking => &self.0.booking,
            Budget::Authentication => &self.0.authentication,
            Budget::Export => &self.0.export,
        };
        self.count(limit, asker)
    }

    /// Counts a log-in to the account of `email`, known or not, whoever asks.
    ///
    /// # Errors
    /// 429 if there were too many.
    pub fn ask_account(&self, email: &str) -> Result<(), Problem> {
        self.count(&self.0.account, Asker::account(email))
    }

    /// Counts a mail of a `kind` to `email`, known or not, whoever asks. Each kind for itself: whoever
    /// has mails written that help nobody does not keep its owner from those that help them.
    ///
    /// # Errors
    /// 429 if there were too many.
    pub fn ask_mail(&self, kind: &str, email: &str) -> Result<(), Problem> {
        self.count(&self.0.mails, Asker::account(&format!("{kind} {email}")))
    }

    fn count(&self, limit: &Limit, asker: Asker) -> Result<(), Problem> {
        let asked = limit.counters.ask(asker, self.0.clock.now());
        set_left(Left::of(limit, asked));
        match asked {
            Asked::Granted { .. } => {
                if let Some(granted) = &limit.granted {
                    granted.note(asker);
                }
                Ok(())
            }
            Asked::Refused { retry_after_s } => {
                let (most, minutes) = limit.counters.policy();
                let window = if minutes == 1 { "a minute" } else { "an hour" };
                let detail = format!(
                    "More than {most} requests of this kind in {window}. Nothing was done."
                );
                Err(Problem::too_many(detail, retry_after_s))
            }
        }
    }
}
