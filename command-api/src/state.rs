//! What command handlers share, and how it is started and stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::account::Email;
use domain::inventory::{self, Inventory, Patience};
use domain::{Aggregate, EventId, Request, UserId};
use futures::FutureExt;
use infra::auth::{Auth, Caller, Keys};
use infra::clock::Clock;
use infra::http::{IdempotencyKey, Problem, RequestId};
use infra::identity::Vault;
use infra::limits::RateLimits;
use infra::log::{Log, ReadError};
use infra::mail::Mailer;
use infra::oidc::Provider;
use infra::passwords::Passwords;
use infra::payment::{PaymentProvider, Traced};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::accounts::{Accounts, AccountsParts};
use crate::followup::FollowUp;
use crate::payments::{Payments, Saga};
use crate::refusal;
use crate::request_secret::RequestSecret;
use crate::runtime::{
    Ahead, Decider, Done, Inventories, Job, LostEnd, Origin, Surroundings, Unit, WakeList,
};

/// Settings of the command side.
#[derive(Debug, Clone)]
pub struct CommandSettings {
    /// How many commands may wait for one inventory before more are turned away with 503.
    pub mailbox: usize,
    /// How long an inventory without commands and deadlines stays in memory.
    pub idle: Duration,
    /// How long the payment provider may take before a client is told that a payment is pending.
    pub charge_timeout: Duration,
    /// How much one person may hold of an event without buying.
    pub patience: Option<Patience>,
    /// How far apart the moments are at which anything is seen of what must not tell whether an address
    /// is known: the answer, and records.
    pub discretion: Duration,
}

impl Default for CommandSettings {
    fn default() -> Self {
        Self {
            mailbox: 4_096,
            idle: Duration::from_secs(60),
            charge_timeout: Duration::from_secs(10),
            patience: None,
            discretion: Duration::from_millis(300),
        }
    }
}

/// What the command side is made of.
pub struct Parts {
    /// Where facts go.
    pub log: Arc<dyn Log>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who signs tokens.
    pub keys: Arc<Keys>,
    /// Who checks them for this process, and is told here whose are refused from now on.
    pub auth: Auth,
    /// Keys of persons, sessions, codes.
    pub vault: Arc<Vault>,
    /// Who hashes passwords.
    pub passwords: Arc<Passwords>,
    /// Who writes to people.
    pub mailer: Arc<dyn Mailer>,
    /// How often accounts may be tried; not counted if absent.
    pub limits: Option<RateLimits>,
    /// Where else one logs in, if anywhere.
    pub oidc: Option<Provider>,
    /// Who charges.
    pub provider: Arc<dyn PaymentProvider>,
    /// Where the wake list is kept between two starts.
    pub wake_file: PathBuf,
    /// Settings.
    pub settings: CommandSettings,
}

/// Why the command side cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Records are missing at the end of the log.
    #[error(transparent)]
    LostEnd(#[from] LostEnd),
}

/// The command side, running.
pub struct CommandApi {
    state: CommandState,
    /// Writers and payments: end when their work is done.
    work: TaskTracker,
    /// Follow-up: ends when told to.
    background: TaskTracker,
    follow_up: Arc<FollowUp>,
    stop: CancellationToken,
}

/// What handlers share.
#[derive(Clone)]
pub struct CommandState(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) accounts: Arc<Accounts>,
    hidden_with: Arc<RequestSecret>,
    pub(crate) limits: Option<RateLimits>,
    pub(crate) oidc: Option<Provider>,
    pub(crate) patience: Option<Patience>,
    pub(crate) inventories: Arc<Inventories>,
    pub(crate) saga: Arc<Saga>,
}

impl CommandApi {
    /// Starts what commands need: follow-up work from where the wake list ends, and the payment
    /// worker. Writers start when their inventory is asked for.
    ///
    /// # Errors
    /// The log cannot be read, or lost its end.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts {
            log,
            clock,
            keys,
            auth,
            vault,
            passwords,
            mailer,
            limits,
            oidc,
            provider,
            wake_file,
            settings,
        } = parts;
        let (work, background) = (TaskTracker::new(), TaskTracker::new());
        let stop = CancellationToken::new();
        let hidden_with = Arc::new(RequestSecret::of(vault.clone()).await);
        background.spawn(hidden_with.clone().learn(stop.clone()));
        let wake = Arc::new(WakeList::load(&wake_file, log.head().await?)?);
        let ahead = Ahead::new(clock.clone(), wake.clone());
        ahead.look();
        let (payments, steps) = Payments::new();
        let around = Arc::new(Surroundings {
            clock: clock.clone(),
            wake: wake.clone(),
            ahead,
            payments: Arc::new(payments),
            idle: settings.idle,
        });
        let inventories = Inventories::new(log.clone(), around, settings.mailbox, work.clone());
        let saga = Arc::new(Saga {
            provider: Arc::new(Traced(provider)),
            inventories: inventories.clone(),
            clock: clock.clone(),
            tasks: work.clone(),
            stop: stop.clone(),
            charge_timeout: settings.charge_timeout,
            under_way: Default::default(),
        });
        let accounts = Arc::new(Accounts::new(
            AccountsParts {
                log: log.clone(),
                clock: clock.clone(),
                keys,
                auth,
                vault,
                passwords,
                mailer,
            },
            settings.discretion,
            work.clone(),
            stop.clone(),
        ));
        background.spawn(accounts.clone().tidy(stop.clone()));
        background.spawn(saga.clone().run(steps));
        let follow_up = Arc::new(FollowUp {
            log: log.clone(),
            clock: clock.clone(),
            inventories: inventories.clone(),
            wake,
            stop: stop.clone(),
        });
        follow_up.clone().start(&background);
        let patience = settings.patience;
        let shared =
            Shared { log, clock, accounts, hidden_with, limits, oidc, patience, inventories, saga };
        Ok(Self { state: CommandState(Arc::new(shared)), work, background, follow_up, stop })
    }

    /// What [`crate::router`] takes.
    pub fn state(&self) -> CommandState {
        self.state.clone()
    }

    /// Takes no more commands, answers those that wait, ends all tasks, and notes where the log
    /// ended. Call it when the HTTP server has drained.
    pub async fn stop(self) {
        self.state.0.inventories.stop();
        self.stop.cancel();
        self.work.close();
        self.work.wait().await;
        self.background.close();
        self.background.wait().await;
        self.follow_up.end().await;
    }
}

/// Who asks for what under which key.
pub(crate) struct Asked {
    pub(crate) caller: Caller,
    pub(crate) request: Option<Request>,
    pub(crate) origin: Origin,
    /// The key as it was sent, from which ids were derived once.
    key: Option<String>,
}

impl Asked {
    /// Takes note of a request: `operation` and `body` are what the key stands for (BK-6).
    pub(crate) fn new(
        state: &CommandState,
        caller: Caller,
        IdempotencyKey(key): IdempotencyKey,
        operation: &str,
        body: &impl Serialize,
    ) -> Result<Self, Problem> {
        let request = match &key {
            None => None,
            Some(key) => {
                let asked = serde_json::to_vec(&(operation, body))
                    .map_err(|error| Problem::internal(&error))?;
                let secret = state.0.hidden_with.get().ok_or_else(refusal::no_identity)?;
                let request = Request::hidden(secret, caller.user, key, &asked);
                Some(request.map_err(|error| Problem::malformed(error.to_string()))?)
            }
        };
        let correlation = RequestId::current().map(|id| id.as_str().to_owned());
        let id = Uuid::from_u128(infra::ids::random_u128());
        let (trace, actor) = (infra::trace::current(), Some(caller.user));
        let origin = Origin { id, correlation, causation: None, trace, actor };
        Ok(Self { caller, request, origin, key })
    }

    pub(crate) fn user(&self) -> UserId {
        self.caller.user
    }

    /// Whether they may do it with what is another's.
    pub(crate) fn with_anothers(&self) -> bool {
        self.caller.with_anothers
    }
}

impl CommandState {
    /// Whether the mail server answers, and if not, why; nothing if there is none.
    pub async fn mail_server(&self) -> Option<Result<(), String>> {
        self.0.accounts.mail_server().await
    }

    /// The id of a new stream: the same for the same key, so that a repetition finds it.
    pub(crate) async fn new_id<A: Aggregate>(
        &self,
        asked: &Asked,
        purpose: &str,
        id: fn(u128) -> A::Id,
    ) -> Result<A::Id, Problem> {
        let (Some(request), Some(sent)) = (&asked.request, &asked.key) else {
            return Ok(id(infra::ids::time_ordered(self.0.clock.now())));
        };
        let derived = |key| id(infra::ids::derived(asked.user(), key, purpose));
        // One from when ids were derived from keys as they were sent.
        let before = derived(sent);
        let records = self.0.log.read_stream(&A::stream(before), 0, 1).await;
        let records = records.map_err(|_| refusal::log_unavailable("The log cannot be read"))?;
        Ok(if records.is_empty() { derived(&request.key) } else { before })
    }

    /// Counts a mail of a kind to an address, whoever asks and whether it is known or not.
    pub(crate) fn count_mail(&self, kind: &str, email: &Email) -> Result<(), Problem> {
        self.0.limits.as_ref().map_or(Ok(()), |limits| limits.ask_mail(kind, &email.normal()))
    }

    /// Counts a log-in to the account of an address, whoever asks and whether there is one or not.
    pub(crate) fn count_try(&self, email: &Email) -> Result<(), Problem> {
        self.0.limits.as_ref().map_or(Ok(()), |limits| limits.ask_account(&email.normal()))
    }

    /// Where else one logs in.
    pub(crate) fn provider(&self) -> Result<&Provider, Problem> {
        let none = || refusal::problem("OIDC_NOT_OFFERED", "There is no provider to log in at.");
        self.0.oidc.as_ref().ok_or_else(none)
    }

    /// Has an inventory execute a command.
    pub(crate) fn inventory(
        &self,
        event: EventId,
        command: inventory::Command,
        origin: Origin,
    ) -> impl Future<Output = Result<Done<inventory::Fact, <Inventory as Decider>::Seen>, Problem>> + use<>
    {
        let outcome = self.0.inventories.execute(event, Job { command, origin });
        outcome.map(|outcome| outcome.map_err(crate::refusal::inventory))
    }

    /// One of the aggregates without a writer.
    pub(crate) fn unit<D: Decider>(&self, stream: String) -> Unit<D> {
        Unit::new(self.0.log.clone(), self.0.clock.clone(), stream)
    }
}
