//! What all runs share.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::inventory::Fact;
use domain::{Time, UserId};
use infra::auth::{IssueError, KeyError, Keys, Role};
use infra::clock::Clock;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::report::Settings;

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
    /// Bearer tokens of the people who buy.
    pub(super) tokens: Vec<String>,
    /// The facts of one large event, made when first asked for.
    pub(super) sale: OnceCell<Vec<(Time, Fact)>>,
    /// A log that holds them.
    pub(super) sale_log: OnceCell<PathBuf>,
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
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SetUpError> {
        let data = tempfile::tempdir_in(data)?;
        let keys = Keys::load_or_create(data.path(), clock)?;
        let token = |user| keys.issue(UserId::from_u128(user), &[Role::Attendee], TOKEN_TTL);
        let tokens = (1..=USERS).map(token).collect::<Result<_, _>>()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Self {
            runtime,
            data,
            settings,
            postgres_bin,
            tokens,
            sale: OnceCell::new(),
            sale_log: OnceCell::new(),
        })
    }

    /// The folder that data is kept in.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// How long, how many.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
