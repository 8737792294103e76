//! What all runs share.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::inventory::Fact;
use domain::{EventId, Time, UserId};
use infra::auth::{IssueError, KeyError, Keys, Role};
use infra::clock::Clock;
use infra::data_folder::DataFolder;
use infra::log::Log;
use infra::log::embedded::EmbeddedLog;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{MeasureError, inventory, logs, views};
use crate::product::{Product, Roles};
use crate::report::Settings;
use crate::sale;

/// People who buy, each with a token of their own.
const USERS: u128 = 1000;
/// Longer than any run takes.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);

/// What all runs share.
pub struct Bench {
    /// Serves whatever is measured over HTTP.
    pub(super) runtime: Runtime,
    /// Where data is kept while measuring.
    pub(super) data: TempDir,
    /// How long, how many.
    pub(super) settings: Settings,
    /// Binaries of PostgreSQL, if not where Debian puts them.
    pub(super) postgres_bin: Option<PathBuf>,
    /// Whom facts are fed to, if there is a Kafka.
    pub(super) kafka: Option<String>,
    /// Who signed all tokens.
    pub(super) keys: Keys,
    /// Bearer tokens of the people who buy.
    pub(super) tokens: Vec<String>,
    /// Bearer token of who sets events up.
    pub(super) organizer: String,
    /// The facts of one large event, made when first asked for.
    sale: OnceCell<Vec<(Time, Fact)>>,
    /// A data folder that holds them.
    one_event: OnceCell<PathBuf>,
    /// A data folder with the facts of many events.
    many_events: OnceCell<PathBuf>,
}

/// Why measuring cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The data folder, or the threads.
    #[error("the data folder or the servers' threads cannot be had")]
    Io(#[from] std::io::Error),
    /// The key that signs tokens.
    #[error("no key to sign tokens with")]
    Key(#[from] KeyError),
    /// A token.
    #[error("no token can be made")]
    Token(#[from] IssueError),
}

impl Bench {
    /// Makes a folder below `data` and signs everyone's tokens.
    ///
    /// # Errors
    /// See [`SetUpError`].
    pub fn new(
        data: &Path,
        settings: Settings,
        postgres_bin: Option<PathBuf>,
        kafka: Option<String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SetUpError> {
        let data = tempfile::tempdir_in(data)?;
        let keys = Keys::load_or_create(data.path(), clock)?;
        let token = |user, role| keys.issue(UserId::from_u128(user), &[role], TOKEN_TTL);
        let tokens = (1..=USERS).map(|user| token(user, Role::Attendee));
        let tokens = tokens.collect::<Result<_, _>>()?;
        let organizer = token(USERS + 1, Role::Organizer)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (sale, one_event, many_events) = Default::default();
        Ok(Self {
            runtime,
            data,
            settings,
            postgres_bin,
            kafka,
            keys,
            tokens,
            organizer,
            sale,
            one_event,
            many_events,
        })
    }

    /// How long, how many.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How long to warm up, and how long to measure.
    pub(super) fn times(&self) -> (Duration, Duration) {
        let Settings { warm_up_s, seconds, .. } = self.settings;
        (Duration::from_secs_f64(warm_up_s), Duration::from_secs_f64(seconds))
    }

    /// A fresh data folder for the product, removed when dropped.
    pub(super) fn folder(&self) -> Result<TempDir, MeasureError> {
        let folder = TempDir::with_prefix_in("evently-", self.data.path())?;
        self.give_key(folder.path())?;
        Ok(folder)
    }

    /// Makes it a data folder that takes this program's tokens.
    fn give_key(&self, folder: &Path) -> Result<(), MeasureError> {
        DataFolder::open(folder)?;
        let key = Path::new("keys").join("signing.pem");
        std::fs::create_dir_all(folder.join("keys"))?;
        std::fs::copy(self.data.path().join(&key), folder.join(&key))?;
        Ok(())
    }

    /// The facts of one large event.
    pub(super) fn sale(&self) -> &[(Time, Fact)] {
        self.sale.get_or_init(|| sale::history(sale::event(0), inventory::FACTS))
    }

    /// A data folder with the facts of one large event, and all else as a server that was stopped
    /// leaves it.
    pub(super) fn one_event(&self) -> Result<&Path, MeasureError> {
        filled(&self.one_event, || {
            let path = self.data.path().join("one-event");
            let histories = [(sale::event(0), self.sale())];
            self.runtime.block_on(async {
                logs::write(&path, &histories).await?;
                self.give_key(&path)?;
                let product = Product::start(&path, Roles::Commands).await?;
                caught_up(&DataFolder::open_existing(&path)?).await?;
                product.stop().await;
                Ok(path)
            })
        })
    }

    /// A data folder with the facts of many events.
    pub(super) fn many_events(&self) -> Result<&Path, MeasureError> {
        filled(&self.many_events, || {
            let path = self.data.path().join("many-events");
            let events: Vec<EventId> =
                (0..views::EVENTS).map(|number| sale::event(number.into())).collect();
            let made = events.iter().map(|event| sale::history(*event, views::FACTS_EACH));
            let made: Vec<_> = made.collect();
            let histories = events.iter().zip(&made).map(|(event, facts)| (*event, &facts[..]));
            let histories: Vec<_> = histories.collect();
            self.runtime.block_on(logs::write(&path, &histories))?;
            Ok(path)
        })
    }
}

/// Waits until the wake list on disk has followed the whole log, as in a server that ran for long.
async fn caught_up(folder: &DataFolder) -> Result<(), MeasureError> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let head = EmbeddedLog::open_read_only(folder.log())?.head().await?;
    let followed = || {
        let list = std::fs::read(folder.wake_list()).ok()?;
        serde_json::from_slice::<Value>(&list).ok()?["followed"].as_u64()
    };
    let caught_up = async {
        while followed() < Some(head.0) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let stuck = |_elapsed| MeasureError::Stuck("the wake list does not follow the log");
    tokio::time::timeout(PATIENCE, caught_up).await.map_err(stuck)
}

/// A folder that is filled when it is first asked for.
fn filled(
    cell: &OnceCell<PathBuf>,
    fill: impl FnOnce() -> Result<PathBuf, MeasureError>,
) -> Result<&Path, MeasureError> {
    if cell.get().is_none() {
        let path = fill()?;
        let _ = cell.set(path);
    }
    Ok(cell.get().map_or(Path::new(""), PathBuf::as_path))
}
