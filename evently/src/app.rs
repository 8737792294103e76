//! The parts of the product in one process, all or some: what is made of what, in which order, and
//! how it ends.

use std::sync::Arc;
use std::time::Duration;

use command_api::{CommandApi, CommandSettings, Parts, StartError as CommandsError};
use domain::inventory::Patience;
use infra::auth::{Admission, Auth, Guarded, KeyError, Keys};
use infra::clock::{Clock, SystemClock};
use infra::data_folder::{DataFolder, KeysKnown};
use infra::http::{Edge, ServiceLimits};
use infra::kafka::{self, Kafka};
use infra::limits::{RateLimits, Rates};
use infra::log::Log;
use infra::oidc::{OidcError, Provider};
use infra::payment::{self, MockProvider};
use infra::redis::{AddressError, SharedCache};
use projections::feed::Feed;
use query_api::{CacheLimits, LiveLimits, QueryState, Sources};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::document;
use crate::health::{self, Health};
use crate::identity::{self, Identity, IdentityError};
use crate::keys::{self, KnownError};
use crate::log::{OpenError, OpenLog, wake_list};
use crate::metrics;
use crate::open_files;
use crate::settings::{Checked, KafkaSettings};
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
    /// Nor is it known whether there has to be one.
    #[error(transparent)]
    Known(#[from] KnownError),
    /// There are no accounts.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The mock provider cannot start.
    #[error("the mock payment provider cannot start")]
    Provider(#[from] payment::OpenError),
    /// The provider at which one may log in can never be asked.
    #[error("there is no way to ask the provider at which one may log in")]
    Oidc(#[from] OidcError),
    /// The address of Redis is none.
    #[error("redis_url (EVENTLY_REDIS_URL)")]
    Redis(#[from] AddressError),
    /// There is no client of Kafka.
    #[error("kafka_brokers (EVENTLY_KAFKA_BROKERS)")]
    Kafka(#[from] kafka::OpenError),
    /// The views cannot be kept.
    #[error(transparent)]
    Views(#[from] ViewsError),
}

/// What a process does of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Serve,
    /// Decides on commands.
    CommandApi,
    /// Answers reads, from memory and from the views.
    QueryApi,
    /// Keeps the views up to date, while no other projector does.
    Projector,
}

impl Role {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::CommandApi => "command-api",
            Self::QueryApi => "query-api",
            Self::Projector => "projector",
        }
    }

    /// As traces know it.
    pub(crate) fn service(self) -> &'static str {
        match self {
            Self::Serve => "evently",
            Self::CommandApi => "evently-command-api",
            Self::QueryApi => "evently-query-api",
            Self::Projector => "evently-projector",
        }
    }

    fn has(self, part: Self) -> bool {
        self == Self::Serve || self == part
    }

    /// Tells who forgot to say what is shared why tokens will be refused.
    fn warn_of_own_keys(self, settings: &Checked) {
        if self != Self::Serve && settings.shared.is_none() {
            tracing::warn!(
                keys = %settings.data.join("keys").display(),
                "no folder is named that processes share (--shared): this one has keys of its own, and tokens \
                 that others sign are refused here"
            );
        }
    }

    /// What of the settings a process needs that shares its work with others.
    ///
    /// # Errors
    /// What is missing, as a sentence.
    pub fn check(self, settings: &Checked) -> Result<(), String> {
        let name = self.name();
        if self == Self::Serve {
            return Ok(());
        }
        if settings.log_url.is_none() {
            return Err(format!("{name} shares its log with others: name one with --log-url"));
        }
        if settings.database_url.is_none() {
            return Err(format!(
                "{name} shares its database with others: name one with --database-url"
            ));
        }
        Ok(())
    }
}

/// Parts of the product, running.
pub struct App {
    edge: Edge,
    commands: Option<CommandApi>,
    tasks: TaskTracker,
    tasks_stop: CancellationToken,
    views: Option<Views>,
    log: OpenLog,
}

impl App {
    /// Starts everything on the data in `folder`, which this process serves.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(settings: &Checked, folder: &DataFolder) -> Result<Self, StartError> {
        Self::start_as(Role::Serve, settings, folder).await
    }

    /// The same, of what belongs to a role.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_as(
        role: Role,
        settings: &Checked,
        folder: &DataFolder,
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let opened = OpenLog::open(settings, folder)?;
        let log = opened.shared();
        let known = keys::known(settings, folder, &opened).await?;
        let keys = Arc::new(keys::signing(settings, known, clock.clone())?);
        keys::note(folder, KeysKnown { signing: true, ..known });
        role.warn_of_own_keys(settings);
        let (tasks, tasks_stop) = (TaskTracker::new(), CancellationToken::new());
        let redis = redis(role, settings)?;
        let limits = limits(settings, redis.as_ref(), &clock, (&tasks, &tasks_stop));
        let (mut router, parameters) = document::router(&keys);
        let (store, people) = identity::store_in(settings, folder, known)?;
        let auth = Auth::new(&keys, clock.clone());
        // Who is let in no more is known before anybody asks, if the store is there.
        let _tried_again_in_a_moment = auth.look_at(&*store).await;
        tasks.spawn(auth.clone().follow(store.clone(), tasks_stop.clone()));

        let commands = match role.has(Role::CommandApi) {
            true => {
                let limits = limits.clone();
                let accounts =
                    Identity::open(settings, folder, store.clone(), known, &clock).await?;
                keys::note(folder, KeysKnown { persons: accounts.is_proven, ..known });
                let signing = (&keys, &auth, accounts);
                Some(start_commands(settings, folder, &log, signing, limits, &clock).await?)
            }
            false => None,
        };
        let mut figures = metrics::Sources::new(role);
        figures.redis.clone_from(&redis);
        if let Some(commands) = &commands {
            figures.commands = Some(commands.state());
            router = router.merge(command_api::router(commands.state()));
        }

        let (projects, reads) = (role.has(Role::Projector), role.has(Role::QueryApi));
        let feed = feed(role, settings)?;
        let views = match projects || reads {
            true => Some(Views::start(settings, folder, &log, &clock, projects, &feed).await?),
            false => None,
        };
        if let Some(views) = &views {
            if projects {
                figures.projections = Some(views.projections());
                router = router.merge(projections::router(views.admin()));
            }
            if reads {
                let (log, pool, clock) = (log.clone(), views.pool(), clock.clone());
                let cache = CacheLimits { shared: redis.clone(), ..CacheLimits::default() };
                let reasons = identity::reasons(settings, store);
                // A log that is away at this moment asks nothing of them.
                let head = if projects { log.head().await.ok() } else { None };
                let least = head.unwrap_or_default();
                let sources = Sources { log, pool, clock, reasons, cache, least };
                let stop = tasks_stop.clone();
                let reading = QueryState::start(sources, live_limits(), &tasks, stop);
                figures.live = Some(reading.live().clone());
                router = router.merge(query_api::router(reading));
            }
        }
        // Accounts are in the same database as the views, where there are any.
        let pool = views.as_ref().map(Views::pool).or(people);
        let kept = views.as_ref().filter(|_| projects).map(Views::projections);
        let health = Health::new(role, log, pool, redis, feed).keeping(kept);
        let health = health.deciding(commands.as_ref().map(CommandApi::state));
        let router = router.merge(metrics::router(figures)).merge(health::router(health));
        let proxies = settings.trusted_proxies.clone();
        let admission = Admission { auth, limits, proxies, parameters };
        let router = Guarded::new(router, admission);
        let edge = infra::http::service(router, ServiceLimits::default(), clock);
        let edge = edge.open_to(&settings.origins);
        Ok(Self { edge, commands, tasks, tasks_stop, views, log: opened })
    }

    /// Everything the process answers to.
    pub fn edge(&self) -> Edge {
        self.edge.clone()
    }

    /// Ends answers that have no end of their own: event streams.
    pub fn end_streams(&self) {
        self.tasks_stop.cancel();
    }

    /// Ends everything in order; to be called when no request is under way any more. What was
    /// answered is durable, and what was begun comes to its end here or after the next start.
    pub async fn stop(self) {
        if let Some(commands) = self.commands {
            commands.stop().await;
        }
        self.tasks_stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(views) = self.views {
            views.stop().await;
        }
        self.log.close().await;
    }
}

/// Where processes share what they can do without: those to which people come.
fn redis(role: Role, settings: &Checked) -> Result<Option<SharedCache>, AddressError> {
    let url = settings.redis_url.as_ref().filter(|_| role != Role::Projector);
    url.map(|url| SharedCache::open(url.reveal())).transpose()
}

/// What public facts are fed to, where anything is.
fn feed(role: Role, settings: &Checked) -> Result<Option<Feed>, kafka::OpenError> {
    let kafka = settings.kafka.as_ref().filter(|_| role.has(Role::Projector));
    let open = |it: &KafkaSettings| Kafka::open(&it.brokers, &it.link, it.topics);
    Ok(kafka.map(open).transpose()?.map(Feed::new))
}

/// What holds people to the rates, if they are held to any: in this process, or in all that share a
/// Redis.
fn limits(
    settings: &Checked,
    redis: Option<&SharedCache>,
    clock: &Arc<dyn Clock>,
    (tasks, stop): (&TaskTracker, &CancellationToken),
) -> Option<RateLimits> {
    let (rates, clock) = (settings.rates?, clock.clone());
    let Some(redis) = redis else { return Some(RateLimits::new(rates, clock)) };
    let limits = RateLimits::shared(rates, clock, redis.clone());
    tasks.spawn(limits.clone().keep_in_step(stop.clone()));
    Some(limits)
}

async fn start_commands(
    settings: &Checked,
    folder: &DataFolder,
    log: &Arc<dyn Log>,
    (keys, auth, identity): (&Arc<Keys>, &Auth, Identity),
    limits: Option<RateLimits>,
    clock: &Arc<dyn Clock>,
) -> Result<CommandApi, StartError> {
    let ledger = DataFolder::mock_payments(settings.shared());
    let provider = MockProvider::open(&ledger, clock.clone(), MOCK_ANSWER_TIMEOUT)?;
    let oidc = settings.oidc.clone().map(|it| Provider::new(it, clock.clone()));
    let patience = settings.rates.map(|Rates { holds, lapsed, .. }| Patience { holds, lapsed });
    let parts = Parts {
        log: log.clone(),
        clock: clock.clone(),
        keys: keys.clone(),
        auth: auth.clone(),
        vault: identity.vault,
        passwords: identity.passwords,
        mailer: identity.mailer,
        limits,
        oidc: oidc.transpose()?,
        provider: Arc::new(provider),
        wake_file: wake_list(settings, folder),
        settings: CommandSettings { patience, ..CommandSettings::default() },
    };
    Ok(CommandApi::start(parts).await?)
}
