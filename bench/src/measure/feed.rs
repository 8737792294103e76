//! The feed: how fast what is in a log gets to Kafka.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use infra::clock::SystemClock;
use infra::data_folder::DataFolder;
use infra::kafka::{Kafka, Link, TopicSettings};
use infra::log::Log;
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use projections::Projections;
use projections::feed::Feed;
use sqlx::PgPool;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{MeasureError, views};
use crate::report::Sample;

/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Facts a second, from a log of a million facts of many events until the brokers acknowledged all of
/// them and the checkpoint says so.
pub(super) async fn feed(
    folder: &Path,
    pool: PgPool,
    brokers: &str,
) -> Result<Sample, MeasureError> {
    let folder = DataFolder::open(folder)?;
    let log = Arc::new(EmbeddedLog::open(folder.log(), EmbeddedOptions::default())?);
    let head = log.head().await?;
    let feed = Feed::new(Kafka::open(brokers, &Link::default(), TopicSettings::default())?);
    let shared = Arc::clone(&log) as Arc<dyn Log>;
    let projections = Projections::new(shared, pool, Arc::new(SystemClock));
    let projections = projections.with_views(&[]).with_feed(Some(feed.clone()));
    projections.prepare().await?;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let begin = Instant::now();
    projections.start(&tasks, &stop);
    let fed = timeout(PATIENCE, projections.reach_by_feed(head)).await;
    let took_s = begin.elapsed().as_secs_f64();
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    log.close().await;
    fed.map_err(|_elapsed| MeasureError::Stuck("the feed does not reach the log's end"))??;
    let facts = f64::from(views::EVENTS) * views::FACTS_EACH as f64;
    let messages: u64 = feed.sent().iter().map(|(_, count)| count).sum();
    Ok(Sample::of(facts / took_s)
        .with("facts", facts)
        .with("messages", messages as f64)
        .with("failures", feed.failures() as f64))
}
