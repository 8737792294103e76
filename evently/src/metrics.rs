//! `/metrics`: figures of this process for Prometheus (OP-2).

pub(crate) mod log_server;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::routing::get;
use command_api::CommandState;
use infra::metrics::{CONTENT_TYPE, Kind, METRICS, Text};
use infra::redis::SharedCache;
use projections::feed::FeedStatus;
use projections::{Holds, Projections, Status, StatusError};
use query_api::Live;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::app::Role;

/// How long may be taken to say how far the views and the feed are. Counting what is missing takes its
/// time, the more is missing; who asks waits for ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long what it said is good: whoever asks more often does not ask the database.
const FRESH: Duration = Duration::from_secs(1);

/// Name, explanation, and the figure of each view.
type OfView = (&'static str, &'static str, fn(&Status) -> f64);

const OF_VIEWS: [OfView; 3] = [
    (
        "evently_projection_lag_records",
        "Records of the log that are not in a view yet, counted up to 10000.",
        |view| view.following.lag_records as f64,
    ),
    ("evently_projection_lag_seconds", "Time since the first of them was decided.", |view| {
        view.following.lag_seconds
    }),
    (
        "evently_projection_parked_records",
        "Records that could not be applied to a view, and those behind them.",
        |view| view.following.parked as f64,
    ),
];

/// How far each view is, and how many holds there are.
type OfViews = (Vec<Status>, Option<Holds>);

/// When it was asked, and the answer, if there was one.
type Known<T> = Mutex<Option<(Instant, Option<T>)>>;

/// What is asked when somebody asks.
pub(crate) struct Sources {
    role: Role,
    /// Where commands are decided.
    pub(crate) commands: Option<CommandState>,
    /// Where views are kept.
    pub(crate) projections: Option<Projections>,
    /// Where reads are answered.
    pub(crate) live: Option<Live>,
    /// If there is one.
    pub(crate) redis: Option<SharedCache>,
    /// How far the views were, what they counted, and when they were asked.
    views: Known<OfViews>,
    /// The same of the feed.
    feed: Known<FeedStatus>,
}

/// Says what the program is, and what it counted.
fn write_process(text: &mut Text, role: &str) {
    let name = "evently_info";
    text.family(name, Kind::Gauge, "The program, and what it does.");
    let version = env!("CARGO_PKG_VERSION");
    text.sample(name, &[("role", role), ("version", version)], 1.0);
    METRICS.write(text);
}

/// The endpoint, outside of `/api/v1`.
pub(crate) fn router(sources: Sources) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(Arc::new(sources))
}

/// Figures of this process, for Prometheus, in its text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((status = 200, description = "All figures", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(
    State(sources): State<Arc<Sources>>,
) -> ([(HeaderName, HeaderValue); 1], String) {
    let mut text = Text::new();
    sources.write(&mut text).await;
    ([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))], text.finish())
}

/// In this order, so that what is counted is not older than it is said to be.
async fn of_views(projections: &Projections) -> Result<OfViews, StatusError> {
    Ok((projections.status().await?, projections.holds().await?))
}

impl Sources {
    pub(crate) fn new(role: Role) -> Self {
        let (views, feed) = Default::default();
        Self { role, commands: None, projections: None, live: None, redis: None, views, feed }
    }

    async fn write(&self, text: &mut Text) {
        write_process(text, self.role.name());
        self.write_commands(text);
        self.write_live(text);
        if let Some(redis) = &self.redis {
            let is_up = f64::from(u8::from(redis.is_up().await));
            text.gauge("evently_redis_up", "Whether Redis answers this process.", is_up);
        }
        let Some(projections) = &self.projections else { return };
        let (views, feed) = tokio::join!(
            known(&self.views, of_views(projections)),
            known(&self.feed, projections.feed_status()),
        );
        write_views(text, views);
        write_feed(text, projections, feed).await;
    }

    fn write_commands(&self, text: &mut Text) {
        let Some(commands) = &self.commands else { return };
        let stats = commands.stats();
        let help = "Inventories that are decided on in this process.";
        text.gauge("evently_inventories", help, stats.inventories as f64);
        let help = "Commands that wait to be decided.";
        text.gauge("evently_mailbox_commands", help, stats.waiting as f64);
        let help = "Commands that wait for the inventory for which most do.";
        text.gauge("evently_mailbox_fullest_commands", help, stats.waiting_most as f64);
        let help = "Commands that may wait for one inventory.";
        text.gauge("evently_mailbox_capacity_commands", help, stats.mailbox as f64);
        let help = "Streams on which nothing is decided because a record in them is damaged.";
        let damaged = commands.damaged_streams().map_or(0, |(count, _)| count);
        text.gauge("evently_damaged_streams", help, damaged as f64);
        let help = "How far the latest time of a record lies ahead of this machine's clock.";
        text.gauge("evently_log_ahead_seconds", help, commands.log_ahead().as_secs_f64());
    }

    fn write_live(&self, text: &mut Text) {
        let Some(live) = &self.live else { return };
        let stats = live.stats();
        let help = "Inventories in memory for live availability.";
        text.gauge("evently_live_events", help, stats.events as f64);
        text.gauge("evently_live_streams", "Open event streams.", stats.streams as f64);
        for (name, help, count) in [
            (
                "evently_live_streams_cut_off_total",
                "Event streams cut off because the reader was too slow.",
                stats.streams_cut_off,
            ),
            (
                "evently_live_violations_total",
                "Facts that broke a rule of the stock: oversold or doubly owned.",
                stats.violations,
            ),
            (
                "evently_live_undecodable_total",
                "Records that are no facts this program knows.",
                stats.undecodable,
            ),
        ] {
            text.family(name, Kind::Counter, help);
            text.sample(name, &[], count as f64);
        }
    }
}

/// What was answered lately, or is now. Without an answer nothing is told: alerts of their own tell of
/// that.
async fn known<T: Clone, E>(
    known: &Known<T>,
    ask: impl Future<Output = Result<T, E>>,
) -> Option<T> {
    let mut known = known.lock().await;
    if let Some((asked, answer)) = &*known
        && asked.elapsed() < FRESH
    {
        return answer.clone();
    }
    let answer = timeout(PATIENCE, ask).await.ok().and_then(Result::ok);
    *known = Some((Instant::now(), answer.clone()));
    answer
}

fn write_views(text: &mut Text, known: Option<OfViews>) {
    let Some((views, holds)) = known else { return };
    for (name, help, figure) in OF_VIEWS {
        text.family(name, Kind::Gauge, help);
        for view in &views {
            text.sample(name, &[("projection", view.name)], figure(view));
        }
    }
    let Some(holds) = holds else { return };
    let name = "evently_holds";
    let help = "Holds and offers of all events, and bookings by what became of theirs.";
    text.family(name, Kind::Gauge, help);
    for (state, count) in holds.by_state() {
        text.sample(name, &[("state", state)], count as f64);
    }
}

async fn write_feed(text: &mut Text, projections: &Projections, known: Option<FeedStatus>) {
    let Some(feed) = projections.feed() else { return };
    let name = "evently_feed_messages_total";
    text.family(name, Kind::Counter, "Messages that Kafka acknowledged to this process.");
    for (topic, count) in feed.sent() {
        text.sample(name, &[("topic", topic.name())], count as f64);
    }
    let name = "evently_feed_failures_total";
    let help = "How often the feed had to begin again at its checkpoint.";
    text.family(name, Kind::Counter, help);
    text.sample(name, &[], feed.failures() as f64);
    let is_up = f64::from(u8::from(feed.kafka().is_up().await));
    text.gauge("evently_kafka_up", "Whether Kafka answers this process.", is_up);
    let Some(status) = known else { return };
    let help = "Records of the log that Kafka does not have yet, counted up to 10000.";
    text.gauge("evently_feed_lag_records", help, status.following.lag_records as f64);
    let help = "Time since the first of them was decided.";
    text.gauge("evently_feed_lag_seconds", help, status.following.lag_seconds);
    let help = "Records of which the feed can tell nothing.";
    text.gauge("evently_feed_parked_records", help, status.following.parked as f64);
}
