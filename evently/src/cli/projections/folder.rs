//! The projections and the feed of a data folder that no server runs on.

use std::sync::Arc;

use command_api::{LostEnd, followed_to};
use domain::administration::{FeedReplayOrdered, Operator, ViewRebuildOrdered, ViewRetryOrdered};
use indicatif::ProgressBar;
use infra::clock::SystemClock;
use infra::data_folder::{DataFolder, Serving};
use infra::log::Position;
use projections::Projections;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cli::Failure;
use crate::cli::orders::write_down;
use crate::database::Database;
use crate::log::{OpenLog, wake_list};
use crate::settings::Checked;

/// The folder, kept from servers meanwhile.
pub(in crate::cli) struct Folder {
    settings: Checked,
    projections: Projections,
    log: OpenLog,
    database: TaskTracker,
    database_stop: CancellationToken,
    _lock: Serving,
}

impl Folder {
    pub(super) async fn open(settings: &Checked, folder: DataFolder) -> Result<Self, Failure> {
        let lock = folder.serve()?;
        let log = OpenLog::look_at(settings)?;
        let list = wake_list(settings, &folder);
        if let Some(followed) = followed_to(&list) {
            // Views are not to lose what the log lost, as long as that is not accepted.
            LostEnd::check(&list, followed, log.shared().head().await?)?;
        }
        let opened = Database::open(settings, &folder).await?;
        let projections = Projections::new(log.shared(), opened.pool(), Arc::new(SystemClock));
        opened.prepare(&projections).await?;
        let (database, database_stop) = (TaskTracker::new(), CancellationToken::new());
        database.spawn(opened.run(database_stop.clone()));
        let settings = settings.clone();
        Ok(Self { settings, projections, log, database, database_stop, _lock: lock })
    }

    pub(super) async fn status(&self) -> Result<Vec<Value>, Failure> {
        let all = self.projections.status().await?;
        Ok(all.iter().map(serde_json::to_value).collect::<Result<_, _>>()?)
    }

    pub(super) async fn rebuild(
        &self,
        name: &str,
        reason: Option<String>,
        bar: &ProgressBar,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let (view, operator) = (name.to_owned(), for_reason(reason));
        write_down(&self.settings, ViewRebuildOrdered { view, operator }).await?;
        let rebuilt = self.projections.rebuild_unless(stop, name, |progress| {
            bar.set_length(progress.target.0);
            bar.set_position(progress.position.0);
        });
        Ok(rebuilt.await?)
    }

    pub(super) async fn retry(&self, name: &str, reason: Option<String>) -> Result<Value, Failure> {
        let (view, operator) = (name.to_owned(), for_reason(reason));
        write_down(&self.settings, ViewRetryOrdered { view, operator }).await?;
        Ok(serde_json::to_value(self.projections.retry(name).await?)?)
    }

    pub(super) async fn feed_status(&self) -> Result<Value, Failure> {
        Ok(serde_json::to_value(self.projections.feed_status().await?)?)
    }

    pub(super) async fn replay_feed(
        &self,
        from: Position,
        reason: Option<String>,
    ) -> Result<Value, Failure> {
        let order = FeedReplayOrdered { from: from.0, operator: for_reason(reason) };
        write_down(&self.settings, order).await?;
        Ok(serde_json::to_value(self.projections.replay_feed(from).await?)?)
    }

    pub(super) async fn close(self) {
        self.database_stop.cancel();
        self.database.close();
        self.database.wait().await;
        self.log.close().await;
    }
}

/// Who has the folder is the operator, and nobody beside.
fn for_reason(reason: Option<String>) -> Operator {
    Operator { reason, ..Operator::default() }
}
