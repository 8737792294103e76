//! The views: how fast they are built again, and how soon a write is seen in them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evently::embedded_postgres::EmbeddedPostgres;
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use infra::clock::{Clock, SystemClock};
use infra::data_folder::DataFolder;
use infra::log::Log;
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use projections::Projections;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::MeasureError;
use crate::desk::{Desk, DeskError, ForSale};
use crate::load::histogram;
use crate::report::Sample;

/// Events of the log that views are built from, and facts of each.
pub(super) const EVENTS: u32 = 100;
pub(super) const FACTS_EACH: usize = 10_000;

/// Facts a second, both views built at the same time from a log of a million facts.
pub(super) async fn rebuild(folder: &Path, pool: PgPool) -> Result<Sample, MeasureError> {
    let folder = DataFolder::open(folder)?;
    let log = Arc::new(EmbeddedLog::open(folder.log(), EmbeddedOptions::default())?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let projections = Projections::new(Arc::clone(&log) as Arc<dyn Log>, pool.clone(), clock);
    projections.prepare().await?;
    let begin = Instant::now();
    let timed = async |name| {
        projections.rebuild(name, |_| {}).await?;
        Ok::<_, MeasureError>(begin.elapsed().as_secs_f64())
    };
    let (availability, bookings) =
        futures::future::try_join(timed("availability"), timed("bookings")).await?;
    let facts = f64::from(EVENTS) * FACTS_EACH as f64;
    log.close().await;
    Ok(Sample::of(facts / availability.max(bookings))
        .with("availability_s", availability)
        .with("bookings_s", bookings)
        .with("facts", facts))
}

/// The same with the database inside the process, its data in `views`.
pub(super) async fn rebuild_embedded(folder: &Path, views: &Path) -> Result<Sample, MeasureError> {
    let database = EmbeddedPostgres::start(&views.join("views")).await?;
    let pool = infra::postgres::connect(database.url(), 1)?;
    let stop = CancellationToken::new();
    let running = tokio::spawn(database.run(pool.clone(), stop.clone()));
    let sample = rebuild(folder, pool).await;
    stop.cancel();
    // Whether it stopped well says nothing about the figure.
    let _ = running.await;
    sample
}

/// Writes that are watched until they are seen, in a second.
pub(super) const WATCHED_A_SECOND: u32 = 100;
/// Connections of those who watch.
const WATCHERS: u32 = 50;

/// Microseconds from the answer to a reservation to the answer of a read that has it, from
/// `delay` after now for `duration`.
pub(super) async fn watch(
    address: SocketAddr,
    tokens: &[String],
    sold: ForSale,
    (delay, duration): (Duration, Duration),
) -> Result<Histogram<u64>, MeasureError> {
    let start = Instant::now();
    let (begin, end) = (start + delay, start + delay + duration);
    let turn = Duration::from_secs(1) * WATCHERS / WATCHED_A_SECOND;
    let body: serde_json::Value = serde_json::from_str(&sold.reservation()).unwrap_or_default();
    let watchers = (0..WATCHERS).zip(tokens).map(async |(watcher, token)| {
        let mut seen_us = histogram();
        let mut buyer = Desk::open(address, token).await?;
        let mut due = start + turn * watcher / WATCHERS;
        while due < end {
            tokio::time::sleep_until(due.into()).await;
            let booking = buyer.post("/api/v1/bookings/reserve", &body).await?;
            let acknowledged = Instant::now();
            seen(&mut buyer, &booking).await?;
            if (begin..end).contains(&acknowledged) {
                let us = acknowledged.elapsed().as_micros();
                seen_us.saturating_record(u64::try_from(us).unwrap_or(u64::MAX));
            }
            due += turn;
        }
        Ok::<_, DeskError>(seen_us)
    });
    let mut all = histogram();
    for part in try_join_all(watchers).await? {
        // Same bounds on both sides: adding cannot fail.
        let _ = all.add(&part);
    }
    Ok(all)
}

/// Reads the booking as of its position until the view has it.
async fn seen(buyer: &mut Desk, booking: &serde_json::Value) -> Result<(), DeskError> {
    let path = format!("/api/v1/bookings/{}", booking["booking_id"].as_str().unwrap_or_default());
    let position = [format!("evently-min-position: {}", booking["position"])];
    loop {
        match buyer.get(&path, &position).await {
            Err(DeskError::Refused { status: 503, .. }) => {}
            other => return other.map(|_| ()),
        }
    }
}
