//! Logs: structured, to standard error, without personal data.
//!
//! What is logged names people by their ids only; never an address, a name, a token or a body.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::util::TryInitError;

use crate::http::RequestId;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// The text names no log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected text or json")]
pub struct FormatError;

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(FormatError),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not like `info` or `info,infra::log=debug`.
    #[error("the log filter is not like `info` or `info,infra::log=debug`")]
    Filter(#[source] ParseError),
    /// Something set it up before.
    #[error("logging is set up already")]
    Twice(#[source] TryInitError),
}

/// Sends what the product logs to standard error: what `filter` lets through, as `format`.
/// From then on a panic is one log line with the request it happened in, wherever it happens.
///
/// # Errors
/// See [`TelemetryError`].
pub fn init(filter: &str, format: Format) -> Result<(), TelemetryError> {
    let filter = parse(filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Forgiving(io::stderr()))
        // They would be told on standard error, with a panic if that cannot be written.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal());
    match format {
        Format::Text => lines.finish().try_init(),
        Format::Json => lines.json().flatten_event(true).finish().try_init(),
    }
    .map_err(TelemetryError::Twice)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Whether [`init`] would take `filter`.
///
/// # Errors
/// [`TelemetryError::Filter`].
pub fn check(filter: &str) -> Result<(), TelemetryError> {
    parse(filter).map(|_| ())
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().parse(filter).map_err(TelemetryError::Filter)
}

/// Drops what cannot be written, because nobody reads it or the disk is full: losing log lines is
/// no reason to stop selling, and an error here would have nowhere to be told.
struct Forgiving<W>(W);

impl<W: Write> Write for Forgiving<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// Must not panic: that would abort the process.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let request_id = RequestId::current();
    let request_id = request_id.as_ref().map(RequestId::as_str);
    tracing::error!(request_id, place, message, "panicked");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use axum::routing::get;
    use parking_lot::Mutex;
    use tower::ServiceExt;
    use tracing::Level;

    use crate::auth::Guarded;
    use crate::clock::SystemClock;
    use crate::http::{Problem, ServiceLimits, service};

    /// What was logged, for a test to read.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    async fn lines_of(path: &str, level: Level, status: u16) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .json()
            .with_max_level(level);
        let _here = subscriber.finish().set_default();
        let router = Router::new()
            .route("/panic", get(async || -> &str { panic!("the moon is full") }))
            .route("/ok", get(async || "ok"))
            .route("/error", get(async || Problem::internal(&io::Error::other("disk on fire"))));
        let service =
            service(Guarded::not_at_all(router), ServiceLimits::default(), Arc::new(SystemClock));
        let request = Request::get(path).header("x-request-id", "r-1").body(Body::empty());
        let response = service.oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), status);
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_fault_is_logged_once_under_its_request_id() {
        // The hook is the process's: no other test may change it.
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        let panicked = lines_of("/panic", Level::INFO, 500).await;
        std::panic::set_hook(usual);
        let failed = lines_of("/error", Level::INFO, 500).await;
        for (lines, cause) in [(panicked, "the moon is full"), (failed, "disk on fire")] {
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].contains(r#""request_id":"r-1""#), "{lines:?}");
            assert!(lines[0].contains(cause), "{lines:?}");
        }
    }

    #[tokio::test]
    async fn a_request_is_told_in_detail_only_on_demand_and_never_with_its_query() {
        assert!(lines_of("/ok?name=Ada", Level::INFO, 200).await.is_empty());
        let lines = lines_of("/ok?name=Ada", Level::DEBUG, 200).await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        for part in [r#""status":200"#, r#""path":"/ok""#, r#""request_id":"r-1""#] {
            assert!(lines[0].contains(part), "{lines:?}");
        }
        assert!(!lines[0].contains("Ada"), "{lines:?}");
    }

    #[test]
    fn a_bad_filter_is_an_error() {
        let error = init("infra=loudest", Format::Text).unwrap_err();
        assert!(matches!(error, TelemetryError::Filter(_)), "{error}");
        assert_eq!("json".parse(), Ok(Format::Json));
        assert_eq!("yaml".parse::<Format>(), Err(FormatError));
    }
}
