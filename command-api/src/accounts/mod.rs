//! What accounts need beside their decisions: keys, hashes, sessions and mails (AC-1 to AC-3).

mod erase;
mod error;
mod export;
mod find;
mod left_behind;
mod mails;
mod oidc;
mod orders;
mod password;
mod register;
mod roles;
mod sessions;
mod steps;
#[cfg(test)]
mod timing;

use std::sync::Arc;
use std::time::Duration;

use domain::attempt::{self, Attempt};
use domain::{Aggregate, AttemptId, UserId};
use infra::auth::{Auth, Keys};
use infra::clock::Clock;
use infra::identity::Vault;
use infra::log::{Log, Position};
use infra::mail::Mailer;
use infra::passwords::Passwords;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::runtime::{Decider, Done, Failure, Job, Origin, Unit};

pub use error::AccountError;
use export::Exports;
pub(crate) use export::{Export, Piece};
pub(crate) use find::Opened;
pub(crate) use oidc::Login;
pub(crate) use orders::Ordered;
pub use orders::write_down;
pub use register::NewAccount;
pub(crate) use roles::RoleChange;
pub(crate) use sessions::Tokens;
use steps::Steps;

/// What accounts are made of.
pub struct AccountsParts {
    /// Where facts go.
    pub log: Arc<dyn Log>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who signs tokens.
    pub keys: Arc<Keys>,
    /// Who checks them.
    pub auth: Auth,
    /// Keys of persons, sessions, codes.
    pub vault: Arc<Vault>,
    /// Who hashes passwords.
    pub passwords: Arc<Passwords>,
    /// Who writes to people.
    pub mailer: Arc<dyn Mailer>,
}

/// Everything that is done with accounts.
pub struct Accounts {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    keys: Arc<Keys>,
    auth: Auth,
    vault: Arc<Vault>,
    passwords: Arc<Passwords>,
    mailer: Arc<dyn Mailer>,
    discretion: Duration,
    exports: Arc<Exports>,
    /// Mails and other work that nobody waits for.
    work: TaskTracker,
    /// Ends what would wait: mails are not sent again.
    stop: CancellationToken,
    /// Held by an admin who leaves: of two at once one has to see that the other has gone.
    leaving: tokio::sync::Mutex<()>,
}

impl Accounts {
    /// Accounts made of `parts`. What must not tell whether an address is known is seen in steps of
    /// `discretion`; mails go out in tasks of `work`, and what must not stop half-way is done there.
    /// After `stop` no mail is sent again.
    pub fn new(
        parts: AccountsParts,
        discretion: Duration,
        work: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let AccountsParts { log, clock, keys, auth, vault, passwords, mailer } = parts;
        let (exports, leaving) = Default::default();
        Self {
            log,
            clock,
            keys,
            auth,
            vault,
            passwords,
            mailer,
            discretion,
            exports,
            work,
            stop,
            leaving,
        }
    }

    /// Executes a command on one aggregate.
    async fn execute<A: Aggregate + Decider<Seen = A>>(
        &self,
        id: A::Id,
        command: <A as Decider>::Command,
        origin: Origin,
    ) -> Result<Done<<A as Decider>::Fact, A>, Failure<<A as Decider>::Refusal>> {
        let mut outcomes = self.unit::<A>(id).process(&[Job { command, origin }], |_| {}).await;
        outcomes.pop().unwrap_or(Err(Failure::Unavailable))
    }

    /// An aggregate as the log has it now, and where its last record is.
    async fn look<A: Aggregate + Decider<Seen = A> + Clone>(
        &self,
        id: A::Id,
    ) -> Result<(A, Position), AccountError> {
        let mut unit = self.unit::<A>(id);
        let state = unit.look().await?.clone();
        Ok((state, unit.position()))
    }

    fn unit<A: Aggregate + Decider>(&self, id: A::Id) -> Unit<A> {
        Unit::new(self.log.clone(), self.clock.clone(), A::stream(id))
    }

    /// Writes a record where another address would have one of its own: the log does not tell either.
    async fn cover(&self) -> Result<(), AccountError> {
        let id = AttemptId::from_u128(infra::ids::time_ordered(self.clock.now()));
        match self.execute::<Attempt>(id, attempt::Refuse, origin(None)).await {
            Ok(_) => Ok(()),
            Err(failure) => match error::refused(failure)? {},
        }
    }

    /// The same, where there is anything to hide.
    async fn cover_if(&self, steps: &Steps) -> Result<(), AccountError> {
        if steps.hide() { self.cover().await } else { Ok(()) }
    }

    /// Where the log ends: the position of answers that must not tell whether anything was written.
    pub(crate) async fn head(&self) -> Result<Position, AccountError> {
        self.log.head().await.map_err(|_| AccountError::LogUnavailable)
    }

    /// Does `work` to its end, also when nobody waits for it any more.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, AccountError>> + Send + 'static,
    ) -> Result<T, AccountError> {
        let done = self.work.spawn(work).await;
        done.map_err(|error| AccountError::Fault(error.into()))?
    }
}

/// Where a command on an account comes from. Without the request's id and trace: clients choose them,
/// and what they choose may be personal.
fn origin(actor: Option<UserId>) -> Origin {
    let id = Uuid::from_u128(infra::ids::random_u128());
    Origin { id, correlation: None, causation: None, trace: None, actor }
}
