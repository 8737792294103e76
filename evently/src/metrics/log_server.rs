//! `/metrics` of a log server.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::routing::get;
use infra::log::Log;
use infra::log::server::Load;
use infra::metrics::{CONTENT_TYPE, Kind, Text};
use tokio::time::timeout;

/// How long the log may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked when somebody asks.
#[derive(Clone)]
struct Sources {
    log: Arc<dyn Log>,
    load: Load,
}

/// The endpoint of a server of `log`.
pub(crate) fn router(log: Arc<dyn Log>, load: Load) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(Sources { log, load })
}

async fn metrics(
    State(Sources { log, load }): State<Sources>,
) -> ([(HeaderName, HeaderValue); 1], String) {
    let mut text = Text::new();
    super::write_process(&mut text, crate::log_server::ROLE);
    let help = "Connections to the log server.";
    text.gauge("evently_log_connections", help, load.connections() as f64);
    let help = "Subscriptions that the log server follows for its clients.";
    text.gauge("evently_log_subscriptions", help, load.subscriptions() as f64);
    let name = "evently_log_reads_total";
    text.family(name, Kind::Counter, "Reads that clients of the log server asked for.");
    text.sample(name, &[], load.reads() as f64);
    let is_writable = matches!(timeout(PATIENCE, log.check_writable()).await, Ok(Ok(())));
    let help = "Whether the log server's log can be written.";
    text.gauge("evently_log_writable", help, f64::from(u8::from(is_writable)));
    if let Ok(Ok(head)) = timeout(PATIENCE, log.head()).await {
        let help = "Records in the log server's log.";
        text.gauge("evently_log_records", help, head.0 as f64);
    }
    ([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))], text.finish())
}
