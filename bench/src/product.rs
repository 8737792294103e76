//! The product in this process, on a fresh or a given data folder, served on the loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use command_api::{CommandApi, CommandSettings, Parts};
use evently::app::{App, Role, StartError};
use evently::settings::Checked;
use infra::auth::{Auth, Guarded, KeyError, Keys};
use infra::clock::{Clock, SystemClock};
use infra::data_folder::{DataFolder, DataFolderError};
use infra::http::{Edge, Origins, ServiceLimits, serve, service};
use infra::identity::{MasterError, MasterKeys, Reasons, SqliteIdentity, StoreError, Vault};
use infra::limits::TrustedProxies;
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions, OpenError};
use infra::log::{Log, Position};
use infra::mail::FolderMailer;
use infra::passwords::{Cost, PasswordError, Passwords};
use infra::payment::{MockProvider, OpenError as PaymentsError};
use infra::postgres::AddressError;
use infra::telemetry::Format;
use query_api::{CacheLimits, LiveLimits, QueryState, Sources};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What runs beside the log.
#[derive(Debug, Clone)]
pub enum Roles {
    /// Commands alone.
    Commands,
    /// Commands alone, on the log server at this address.
    CommandsOn(String),
    /// Commands, and those queries that need no database.
    CommandsAndLive,
    /// Everything that `evently serve` runs, with the views in the database at this address.
    All(String),
}

/// The running product.
pub struct Product {
    /// Where it answers.
    pub address: SocketAddr,
    running: Running,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

enum Running {
    Some(SomeRoles),
    AsTheBinary(Box<App>),
}

/// Why the product does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProductError {
    /// The data folder.
    #[error("the data folder cannot be used")]
    Folder(#[from] DataFolderError),
    /// The log.
    #[error("the log cannot be opened")]
    Log(#[from] OpenError),
    /// The command side.
    #[error("the command side does not start")]
    Commands(#[from] command_api::StartError),
    /// The key that tokens are checked with.
    #[error("there is no key to check tokens with")]
    Key(#[from] KeyError),
    /// The keys of persons.
    #[error("the keys of persons cannot be opened")]
    Persons(#[from] StoreError),
    /// What wraps them.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// Who hashes passwords.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// The payment provider's ledger.
    #[error("the payment provider cannot be started")]
    Payments(#[from] PaymentsError),
    /// The database.
    #[error("the database cannot be addressed")]
    Database(#[from] AddressError),
    /// All roles together.
    #[error("the program does not start")]
    App(#[from] StartError),
    /// The port.
    #[error("no port can be had")]
    Port(#[from] io::Error),
}

impl Product {
    /// Starts the roles on the data folder at `folder`; tokens are checked with the key in there.
    ///
    /// # Errors
    /// See [`ProductError`].
    pub async fn start(folder: &Path, roles: Roles) -> Result<Self, ProductError> {
        let folder = DataFolder::open(folder)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let binary = async |role, settings: &Checked| {
            let app = App::start_as(role, settings, &folder).await?;
            let edge = app.edge();
            Ok::<_, ProductError>((Running::AsTheBinary(Box::new(app)), edge))
        };
        let settings = settings(&folder, address);
        let (running, edge) = match roles {
            Roles::Commands => binary(Role::CommandApi, &settings).await?,
            Roles::CommandsOn(log) => {
                let settings = Checked { log_url: Some(log.into()), ..settings };
                binary(Role::CommandApi, &settings).await?
            }
            Roles::CommandsAndLive => SomeRoles::start(&folder).await?,
            Roles::All(database) => {
                let settings = Checked { database_url: Some(database.into()), ..settings };
                binary(Role::Serve, &settings).await?
            }
        };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, edge, stop.clone()));
        Ok(Self { address, running, stop, serving })
    }

    /// Stops as the binary does: connections first, the log last.
    pub async fn stop(self) {
        self.stop.cancel();
        // A panic while serving was seen by the load.
        let _ = self.serving.await;
        match self.running {
            Running::Some(roles) => roles.stop().await,
            Running::AsTheBinary(app) => app.stop().await,
        }
    }
}

/// The defaults, without limits.
fn settings(folder: &DataFolder, listen: SocketAddr) -> Checked {
    Checked {
        data: folder.path().to_owned(),
        listen,
        database_url: None,
        log_url: None,
        redis_url: None,
        kafka: None,
        shared: None,
        master_key: None,
        mail: None,
        rates: None,
        trusted_proxies: TrustedProxies::default(),
        connections_per_address: None,
        unknown: vec![],
        oidc: None,
        origins: Origins::default(),
        log: String::new(),
        log_format: Format::Text,
    }
}

/// Commands, and queries that need no database: no role of the binary, but put together like one.
struct SomeRoles {
    log: Arc<EmbeddedLog>,
    commands: CommandApi,
    queries: TaskTracker,
    queries_stop: CancellationToken,
}

impl SomeRoles {
    async fn start(folder: &DataFolder) -> Result<(Running, Edge), ProductError> {
        let log = Arc::new(EmbeddedLog::open(folder.log(), EmbeddedOptions::default())?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let keys = Arc::new(Keys::load_or_create(folder.path(), clock.clone())?);
        let auth = Auth::new(&keys, clock.clone());
        let persons = Arc::new(SqliteIdentity::open(&folder.identity())?);
        let vault = Vault::new(persons, MasterKeys::load_or_create(folder.path())?);
        let ledger = DataFolder::mock_payments(folder.path());
        let provider = MockProvider::open(&ledger, clock.clone(), Duration::from_secs(2))?;
        let commands = CommandApi::start(Parts {
            log: log.clone() as Arc<dyn Log>,
            clock: clock.clone(),
            keys,
            auth: auth.clone(),
            vault: Arc::new(vault),
            passwords: Arc::new(Passwords::start(Cost::OWASP)?),
            mailer: Arc::new(FolderMailer::new(&DataFolder::mail(folder.path()), clock.clone())),
            limits: None,
            oidc: None,
            provider: Arc::new(provider),
            wake_file: folder.wake_list(),
            settings: CommandSettings::default(),
        })
        .await?;
        // A database that is never asked, hence never missed.
        let pool = infra::postgres::connect("postgres://localhost:1", 1)?;
        let (queries, queries_stop) = (TaskTracker::new(), CancellationToken::new());
        let cache = CacheLimits::default();
        let sources = Sources {
            log: log.clone(),
            pool,
            clock: clock.clone(),
            reasons: Reasons::default(),
            cache,
            least: Position::default(),
        };
        let state =
            QueryState::start(sources, LiveLimits::default(), &queries, queries_stop.clone());
        let router = command_api::router(commands.state()).merge(query_api::router(state));
        let edge = service(Guarded::new(router, auth), ServiceLimits::default(), clock);
        Ok((Running::Some(Self { log, commands, queries, queries_stop }), edge))
    }

    async fn stop(self) {
        self.commands.stop().await;
        self.queries_stop.cancel();
        self.queries.close();
        self.queries.wait().await;
        self.log.close().await;
    }
}
