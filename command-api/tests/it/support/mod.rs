//! A data folder, a provider, and nodes that serve them.

mod client;
mod clock;
mod faults;
mod provider;
mod sale;
mod witness;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use command_api::{Accounts, AccountsParts, CommandApi, CommandSettings, Parts, StartError};
use domain::UserId;
use futures::StreamExt;
use infra::auth::{Auth, Guarded, Keys, Role};
use infra::http::{Edge, ServiceLimits, service};
use infra::identity::{MasterKeys, SqliteIdentity, Vault};
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{Log, Position, Record};
use infra::mail::FolderMailer;
use infra::oidc::{OidcSettings, Provider};
use infra::passwords::{Cost, Passwords};
use infra::payment::{MockProvider, PaymentProvider};
use tempfile::TempDir;
use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use client::{Answer, Call, Client};
pub(crate) use clock::SkippingClock;
pub(crate) use faults::{Fault, FaultyLog};
pub(crate) use provider::{FarProvider, Line};
pub(crate) use sale::{Sale, Terms, cancel, confirm, venue_body};
use witness::Witness;
pub(crate) use witness::{Story, fact};

/// How long anything that has to happen may take before a test gives up. Generous, because
/// machines are slow; what has to be quick is checked by the times in the log.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a password's hash costs here: nobody guesses in tests.
const CHEAP: Cost = Cost { memory_kib: 8, passes: 1 };

/// What everything takes place in: one data folder, one clock, one payment provider.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<SkippingClock>,
    pub(crate) log: Arc<EmbeddedLog>,
    pub(crate) provider: Arc<MockProvider>,
    pub(crate) settings: CommandSettings,
    pub(crate) keys: Arc<Keys>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) passwords: Arc<Passwords>,
    /// Where else one logs in.
    pub(crate) oidc: Option<OidcSettings>,
    witness: Arc<Witness>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::answering_within(Duration::from_millis(300))
    }

    /// With a provider that gives up after this time.
    pub(crate) fn answering_within(answers_within: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SkippingClock::default());
        let provider = folder.path().join("payments.sqlite");
        let provider = MockProvider::open(&provider, clock.clone(), answers_within).unwrap();
        let identity = SqliteIdentity::open(&folder.path().join("identity.sqlite")).unwrap();
        let masters = MasterKeys::load_or_create(folder.path()).unwrap();
        Self {
            log: Arc::new(open_log(&folder)),
            keys: Arc::new(Keys::load_or_create(folder.path(), clock.clone()).unwrap()),
            vault: Arc::new(Vault::new(Arc::new(identity), masters)),
            passwords: Arc::new(Passwords::start_with(CHEAP, 2, 64).unwrap()),
            folder,
            clock,
            oidc: None,
            provider: Arc::new(provider),
            settings: CommandSettings {
                charge_timeout: Duration::from_secs(5),
                discretion: Duration::ZERO,
                ..CommandSettings::default()
            },
            witness: Arc::default(),
        }
    }

    /// The log as another process would open it.
    pub(crate) fn open_log(&self) -> Arc<EmbeddedLog> {
        Arc::new(open_log(&self.folder))
    }

    fn parts(
        &self,
        auth: Auth,
        log: Arc<dyn Log>,
        provider: Arc<dyn PaymentProvider>,
        name: &str,
    ) -> Parts {
        Parts {
            log,
            clock: self.clock.clone(),
            keys: self.keys.clone(),
            auth,
            vault: self.vault.clone(),
            passwords: self.passwords.clone(),
            mailer: Arc::new(FolderMailer::new(&self.mail(), self.clock.clone())),
            limits: None,
            oidc: self.oidc.clone().map(|it| Provider::new(it, self.clock.clone()).unwrap()),
            provider,
            wake_file: self.folder.path().join(name),
            settings: self.settings.clone(),
        }
    }

    /// Accounts as the command line has them, on this log.
    pub(crate) fn accounts(&self, log: Arc<dyn Log>) -> Accounts {
        let parts = AccountsParts {
            log,
            clock: self.clock.clone(),
            keys: self.keys.clone(),
            auth: self.auth(),
            vault: self.vault.clone(),
            passwords: self.passwords.clone(),
            mailer: Arc::new(FolderMailer::new(&self.mail(), self.clock.clone())),
        };
        Accounts::new(parts, Duration::ZERO, TaskTracker::new(), CancellationToken::new())
    }

    /// Where mails are written.
    pub(crate) fn mail(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// A node on the folder.
    pub(crate) async fn start(&self) -> Node {
        self.start_on(self.log.clone(), "wake.json").await
    }

    /// A node on a log of its own.
    pub(crate) async fn start_on(&self, log: Arc<dyn Log>, wake_file: &str) -> Node {
        self.start_with(log, self.provider.clone(), wake_file).await
    }

    /// Why a node does not start.
    pub(crate) async fn refused(&self, wake_file: &str) -> StartError {
        let parts = self.parts(self.auth(), self.log.clone(), self.provider.clone(), wake_file);
        CommandApi::start(parts).await.err().expect("it is refused")
    }

    pub(crate) async fn start_with(
        &self,
        log: Arc<dyn Log>,
        provider: Arc<dyn PaymentProvider>,
        wake_file: &str,
    ) -> Node {
        let auth = self.auth();
        let parts = self.parts(auth.clone(), log, provider, wake_file);
        let api = CommandApi::start(parts).await.unwrap();
        Node { router: self.serve(&api, &auth), api, auth, runtime: Handle::current() }
    }

    /// A node that can be crashed.
    pub(crate) async fn start_doomed(&self, wake_file: &str) -> DoomedNode {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let auth = self.auth();
        let parts = self.parts(auth.clone(), self.open_log(), self.provider.clone(), wake_file);
        let api = runtime.spawn(CommandApi::start(parts)).await.unwrap().unwrap();
        let (router, handle) = (self.serve(&api, &auth), runtime.handle().clone());
        let node = Node { api, auth, router, runtime: handle };
        DoomedNode { node: Some(node), runtime: Some(runtime) }
    }

    fn auth(&self) -> Auth {
        Auth::new(&self.keys, self.clock.clone())
    }

    fn serve(&self, api: &CommandApi, auth: &Auth) -> Edge {
        let router = Guarded::new(command_api::router(api.state()), auth.clone());
        service(router, ServiceLimits::default(), self.clock.clone())
    }

    /// A new person with these roles.
    pub(crate) fn person(&self, node: &Node, roles: &[Role]) -> Client {
        self.somebody(node, UserId::from_u128(infra::ids::random_u128()), roles)
    }

    pub(crate) fn somebody(&self, node: &Node, user: UserId, roles: &[Role]) -> Client {
        let years = Duration::from_secs(10 * 365 * 86_400);
        Client {
            user,
            token: Some(self.keys.issue(user, roles, years).unwrap()),
            router: node.router.clone(),
            runtime: node.runtime.clone(),
            witness: self.witness.clone(),
        }
    }

    pub(crate) fn buyer(&self, node: &Node) -> Client {
        self.person(node, &[Role::Attendee])
    }

    pub(crate) fn organizer(&self, node: &Node) -> Client {
        self.person(node, &[Role::Organizer])
    }

    /// The log as it is now; panics at the first position with more sold and held than there is.
    pub(crate) async fn story(&self) -> Story {
        Story::read(&*self.log).await
    }

    /// Whatever was acknowledged is in the log and true; every key was executed once; and every
    /// command with a key, asked again, gets the first answer to the byte.
    pub(crate) async fn verify(&self, node: &Node) -> Story {
        let acknowledged = self.witness.acknowledged();
        self.story().await.confirm(&acknowledged);
        for told in acknowledged.iter().filter(|told| told.call.key.is_some()) {
            let asker = Client {
                router: node.router.clone(),
                runtime: node.runtime.clone(),
                ..told.client.clone()
            };
            let again = asker.send(&told.call).await;
            assert_eq!(again.status, told.answer.status, "{:?}: {:?}", told.call, again.body);
            assert_eq!(again.body, told.answer.body, "{:?}", told.call);
        }
        self.story().await
    }

    /// Waits until the log shows what is looked for, and returns how it is then.
    pub(crate) async fn until(&self, shows: impl Fn(&[Record]) -> bool) -> Vec<Record> {
        let mut seen: Vec<Record> = vec![];
        let watching = async {
            let mut records = self.log.subscribe_all(Position(0));
            while !shows(&seen) {
                seen.extend(records.next().await.unwrap().unwrap());
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, watching).await.is_ok();
        let kinds: Vec<_> = seen.iter().map(|record| (&*record.kind, record.at)).collect();
        assert!(in_time, "the log never shows it: {kinds:?}");
        seen
    }

    /// Waits until every payment has come to its end.
    pub(crate) async fn until_settled(&self) {
        eventually(async || self.story().await.is_settled()).await;
    }

    /// Waits until there are so many records of a kind.
    pub(crate) async fn until_kind(&self, kind: &str, count: usize) -> Vec<Record> {
        let of_kind = |record: &&Record| &*record.kind == kind;
        self.until(|records| records.iter().filter(of_kind).count() >= count).await
    }
}

fn open_log(folder: &TempDir) -> EmbeddedLog {
    EmbeddedLog::open(folder.path().join("log.sqlite"), EmbeddedOptions::default()).unwrap()
}

/// A command side that serves.
pub(crate) struct Node {
    api: CommandApi,
    auth: Auth,
    router: Edge,
    runtime: Handle,
}

impl Node {
    /// Has it ask the store who is let in no more, as it does twice a second when it serves.
    pub(crate) async fn look(&self, world: &World) {
        self.auth.look_at(world.vault.store()).await.unwrap();
    }

    /// How far the log is ahead of the clock.
    pub(crate) fn log_ahead(&self) -> Duration {
        self.api.state().log_ahead()
    }

    /// How many commands wait to be decided.
    pub(crate) fn waiting(&self) -> usize {
        self.api.state().stats().waiting
    }

    pub(crate) async fn stop(self) {
        self.api.stop().await;
    }
}

/// A command side with threads of its own, that goes without a word.
pub(crate) struct DoomedNode {
    node: Option<Node>,
    runtime: Option<Runtime>,
}

impl DoomedNode {
    pub(crate) fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    /// Ends it: with care, or from one moment to the next.
    pub(crate) async fn end(mut self, crash: bool) {
        let node = self.node.take().unwrap();
        if !crash {
            self.runtime.as_ref().unwrap().spawn(node.stop()).await.unwrap();
        }
    }
}

/// Nothing is finished, nothing is saved.
impl Drop for DoomedNode {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits until something is so that no log tells of.
pub(crate) async fn eventually<F: Future<Output = bool>>(mut so: impl FnMut() -> F) {
    let mut pulse = tokio::time::interval(Duration::from_millis(10));
    let looking = async {
        while !so().await {
            pulse.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, looking).await.is_ok(), "it never came about");
}
