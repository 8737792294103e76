//! Everything in one process: what is made of what, in which order, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use command_api::{CommandApi, CommandSettings, Parts, StartError as CommandsError};
use domain::inventory::Patience;
use infra::auth::{Admission, Auth, Guarded, KeyError, Keys};
use infra::clock::{Clock, SystemClock};
use infra::data_folder::DataFolder;
use infra::http::ServiceLimits;
use infra::limits::{RateLimits, Rates};
use infra::payment::{self, MockProvider};
use query_api::{LiveLimits, QueryState, Sources};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::document;
use crate::health::{self, Health};
use crate::identity::{Identity, IdentityError};
use crate::log::{OpenError, OpenLog, wake_list};
use crate::open_files;
use crate::settings::Checked;
use crate::views::{Views, ViewsError};

/// How long the mock provider keeps those waiting who get no answer.
const MOCK_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Whoever only watches leaves half of the connections to those who buy.
fn live_limits() -> LiveLimits {
    let limits = LiveLimits::default();
    LiveLimits { streams: limits.streams.min(open_files::connections() / 2), ..limits }
}

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The log cannot be read, or lost its end.
    #[error(transparent)]
    Commands(#[from] CommandsError),
    /// There is no key to check tokens with.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// There are no accounts.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The mock provider cannot start.
    #[error("the mock payment provider cannot start")]
    Provider(#[from] payment::OpenError),
    /// The views cannot be kept.
    #[error(transparent)]
    Views(#[from] ViewsError),
}

/// All parts of the product, running.
pub struct App {
    router: Router,
    commands: CommandApi,
    queries: TaskTracker,
    queries_stop: CancellationToken,
    views: Views,
    log: OpenLog,
}

impl App {
    /// Starts everything on the data in `folder`, which this process serves.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(settings: &Checked, folder: &DataFolder) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let opened = OpenLog::open(settings, folder)?;
        let log = opened.shared();
        let keys = Arc::new(Keys::load_or_create(folder.path(), clock.clone())?);
        let identity = Identity::open(settings, folder, &clock)?;
        let limits = settings.rates.map(|rates| RateLimits::new(rates, clock.clone()));
        let patience = settings.rates.map(|Rates { holds, lapsed, .. }| Patience { holds, lapsed });
        let admission = Admission {
            auth: Auth::new(&keys, clock.clone()),
            limits: limits.clone(),
            proxies: settings.trusted_proxies.clone(),
        };

        let ledger = folder.mock_payments();
        let provider = MockProvider::open(&ledger, clock.clone(), MOCK_ANSWER_TIMEOUT)?;
        let commands = CommandApi::start(Parts {
            log: log.clone(),
            clock: clock.clone(),
            keys: keys.clone(),
            vault: identity.vault,
            passwords: identity.passwords,
            mailer: identity.mailer,
            limits,
            provider: Arc::new(provider),
            wake_file: wake_list(settings, folder),
            settings: CommandSettings { patience, ..CommandSettings::default() },
        })
        .await?;

        let views = Views::start(settings, folder, log.clone(), clock.clone()).await?;

        let (queries, queries_stop) = (TaskTracker::new(), CancellationToken::new());
        let sources = Sources { log: log.clone(), pool: views.pool(), clock: clock.clone() };
        let reading = QueryState::start(sources, live_limits(), &queries, queries_stop.clone());

        let router = Router::new()
            .merge(command_api::router(commands.state()))
            .merge(query_api::router(reading))
            .merge(projections::router(views.admin()))
            .merge(health::router(Health::new(log, views.pool())))
            .merge(document::router(&keys));
        let router = Guarded::new(router, admission);
        let router = infra::http::service(router, ServiceLimits::default(), clock);
        let router = settings.origins.allow(router);
        Ok(Self { router, commands, queries, queries_stop, views, log: opened })
    }

    /// Everything the process answers to.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Ends answers that have no end of their own: event streams.
    pub fn end_streams(&self) {
        self.queries_stop.cancel();
    }

    /// Ends everything in order; to be called when no request is under way any more. What was
    /// answered is durable, and what was begun comes to its end here or after the next start.
    pub async fn stop(self) {
        self.commands.stop().await;
        self.queries_stop.cancel();
        self.queries.close();
        self.queries.wait().await;
        self.views.stop().await;
        self.log.close().await;
    }
}
