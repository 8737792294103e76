//! How much one person, or one address, may ask for in a minute.

mod budget;
mod client;
mod counters;

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use domain::{ServiceKeyId, UserId};

use crate::clock::Clock;
use crate::http::Problem;
use crate::http::context::set_left;

pub use budget::{Budget, Rates, RatesError};
pub use client::{Peer, ProxyError, TrustedProxies};
use counters::{Asked, Counters};

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
}

/// Counts what is asked, in this process. Cloning shares the counters.
#[derive(Clone)]
pub struct RateLimits(Arc<Limits>);

struct Limits {
    clock: Arc<dyn Clock>,
    general: Limit,
    booking: Limit,
    authentication: Limit,
    /// Of email addresses that are written to or logged in with, whoever asks.
    accounts: Limit,
}

struct Limit {
    counters: Counters,
    name: &'static str,
    policy: HeaderValue,
}

impl Limit {
    fn new(name: &'static str, per_minute: u32) -> Self {
        let policy = format!("\"{name}\";q={per_minute};w=60");
        // A name and numbers always are a header's value.
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(""));
        Self { counters: Counters::new(per_minute), name, policy }
    }
}

/// What is left to whoever asked, as their answer says it.
pub(crate) struct Left {
    policy: HeaderValue,
    left: HeaderValue,
}

impl Left {
    fn of(limit: &Limit, asked: Asked) -> Self {
        let (left, reset_s) = match asked {
            Asked::Granted { left, reset_s } => (left, reset_s),
            Asked::Refused { retry_after_s } => (0, retry_after_s),
        };
        let left = format!("\"{}\";r={left};t={reset_s}", limit.name);
        let left = HeaderValue::try_from(left).unwrap_or(HeaderValue::from_static(""));
        Self { policy: limit.policy.clone(), left }
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
        let Rates { general, booking, authentication, .. } = rates;
        Self(Arc::new(Limits {
            clock,
            general: Limit::new("general", general),
            booking: Limit::new("booking", booking),
            authentication: Limit::new("authentication", authentication),
            accounts: Limit::new("authentication", authentication),
        }))
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
        };
        self.count(limit, asker)
    }

    /// Counts a try with the account of `email`, known or not, whoever asks.
    ///
    /// # Errors
    /// 429 if there were too many.
    pub fn ask_account(&self, email: &str) -> Result<(), Problem> {
        self.count(&self.0.accounts, email)
    }

    fn count(&self, limit: &Limit, asker: impl std::hash::Hash) -> Result<(), Problem> {
        let asked = limit.counters.ask(asker, self.0.clock.now());
        set_left(Left::of(limit, asked));
        match asked {
            Asked::Granted { .. } => Ok(()),
            Asked::Refused { retry_after_s } => {
                let most = limit.counters.per_minute();
                let detail = format!(
                    "More than {most} requests of this kind in a minute. Nothing was done."
                );
                Err(Problem::too_many(detail, retry_after_s))
            }
        }
    }
}
