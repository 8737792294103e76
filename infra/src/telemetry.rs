//! Logs: structured, to standard error, without personal data.
//!
//! What is logged names people by their ids only; never an address, a name, a token or a body.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::str::FromStr;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{FilterExt, ParseError, filter_fn};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, JsonFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::http::RequestId;
use crate::trace::{self, Export, ExportError, Exporting};

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
    /// Traces cannot be sent.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// What was set up; to be [ended](Telemetry::end) when nothing happens any more.
#[must_use]
pub struct Telemetry(Option<Exporting>);

impl Telemetry {
    /// Sends the last spans. Waits a few seconds at most; what is logged is written already.
    pub fn end(self) {
        if let Some(exporting) = self.0 {
            exporting.end();
        }
    }
}

/// Sends what the product logs to standard error: what `filter` lets through, as `format`.
/// From then on a panic is one log line with the request it happened in, wherever it happens.
///
/// # Errors
/// See [`TelemetryError`].
pub fn init(filter: &str, format: Format) -> Result<(), TelemetryError> {
    init_with_traces(filter, format, None).map(|_logs_alone| ())
}

/// The same; and traces are sent where `export` says, if anywhere.
///
/// # Errors
/// See [`TelemetryError`].
pub fn init_with_traces(
    filter: &str,
    format: Format,
    export: Option<&Export>,
) -> Result<Telemetry, TelemetryError> {
    let filter = parse(filter)?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Forgiving(io::stderr()))
        // They would be told on standard error, with a panic if that cannot be written.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => lines.boxed(),
        Format::Json => lines.fmt_fields(JsonFields::new()).event_format(Identified).boxed(),
    };
    let exporting = export.map(Exporting::start).transpose()?;
    let registry = tracing_subscriber::registry();
    let set_up = match &exporting {
        None => registry.with(lines).with(filter).try_init(),
        Some(exporting) => {
            // Spans of traces are no part of log lines, which say themselves where they belong.
            let filter = filter.and(filter_fn(|metadata| metadata.target() != trace::TARGET));
            let spans = trace::layer(exporting);
            registry.with(lines.with_filter(filter).and_then(spans)).try_init()
        }
    };
    set_up.map_err(TelemetryError::Twice)?;
    if let Some(export) = export {
        trace::turn_on(export.sampling);
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(Telemetry(exporting))
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

/// JSON lines that say which request and which trace they belong to, where one is known.
struct Identified;

impl<S, N> FormatEvent<S, N> for Identified
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: format::Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        let json = format::format().json().flatten_event(true);
        json.format_event(context, format::Writer::new(&mut line), event)?;
        let says_itself = event.metadata().fields().field("request_id").is_some();
        let request_id = RequestId::current().filter(|_| !says_itself);
        let Some(object) = line.trim_end().strip_suffix('}') else {
            return writer.write_str(&line);
        };
        writer.write_str(object)?;
        if let Some(id) = request_id {
            write!(writer, r#","request_id":{}"#, serde_json::Value::from(id.as_str()))?;
        }
        if let Some(context) = trace::current() {
            write!(writer, r#","trace_id":"{}""#, context.trace_id())?;
        }
        let mut causes = Causes(vec![]);
        event.record(&mut causes);
        if !causes.0.is_empty() {
            write!(writer, r#","causes":{}"#, serde_json::Value::from(causes.0))?;
        }
        writer.write_str("}\n")
    }
}

/// What caused the errors of an event, nearest first: a line in JSON has their own words alone.
struct Causes(Vec<String>);

impl Visit for Causes {
    fn record_error(&mut self, _field: &Field, error: &(dyn Error + 'static)) {
        let causes = std::iter::successors(error.source(), |error| (*error).source());
        self.0.extend(causes.map(ToString::to_string));
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
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

    const MINE: &str = "0199e1f2-3b4c-7d5e-8f60-718293a4b5c6";

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
        let request = Request::get(path).header("x-request-id", MINE).body(Body::empty());
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
            assert!(lines[0].contains(&format!(r#""request_id":"{MINE}""#)), "{lines:?}");
            assert!(lines[0].contains(cause), "{lines:?}");
        }
    }

    #[tokio::test]
    async fn a_request_is_told_in_detail_only_on_demand_and_never_with_its_query() {
        assert!(lines_of("/ok?name=Ada", Level::INFO, 200).await.is_empty());
        let lines = lines_of("/ok?name=Ada", Level::DEBUG, 200).await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        let id = format!(r#""request_id":"{MINE}""#);
        for part in [r#""status":200"#, r#""path":"/ok""#, &id] {
            assert!(lines[0].contains(part), "{lines:?}");
        }
        assert!(!lines[0].contains("Ada"), "{lines:?}");
    }

    #[tokio::test]
    async fn a_json_line_says_which_request_and_trace_it_belongs_to() {
        // For all tests of this process, none of whose other requests is part of a trace.
        trace::turn_on(trace::Sampling::parse("parentbased_always_off", "").unwrap());
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .fmt_fields(JsonFields::new())
            .event_format(Identified);
        let _here = tracing_subscriber::registry().with(layer).set_default();
        let router = Router::new().route(
            "/odd",
            get(async || {
                let error = parse("infra=loudest").unwrap_err();
                tracing::warn!(error = &error as &dyn Error, "odd");
                tokio::spawn(crate::http::carried(async { tracing::warn!(said = "\"}", "odder") }))
                    .await
                    .unwrap();
            }),
        );
        let service =
            service(Guarded::not_at_all(router), ServiceLimits::default(), Arc::new(SystemClock));
        let request = Request::get("/odd").header("x-request-id", MINE);
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let request = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-00"));
        service.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        tracing::warn!("outside");
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let lines: Vec<_> = lines.iter().filter(|line| line["level"] == "WARN").collect();
        let [odd, odder, outside] = lines[..] else { panic!("{text}") };
        for line in [odd, odder] {
            assert_eq!((&line["request_id"], &line["trace_id"]), (&MINE.into(), &trace.into()));
        }
        assert_eq!(odd["error"], parse("infra=loudest").unwrap_err().to_string());
        let TelemetryError::Filter(cause) = parse("infra=loudest").unwrap_err() else { panic!() };
        assert_eq!(odd["causes"][0], cause.to_string());
        assert_eq!(odder["said"], "\"}");
        assert!(odder.get("causes").is_none());
        assert!(outside.get("request_id").is_none() && outside.get("trace_id").is_none());
    }

    #[test]
    fn a_bad_filter_is_an_error() {
        let error = init("infra=loudest", Format::Text).unwrap_err();
        assert!(matches!(error, TelemetryError::Filter(_)), "{error}");
        assert_eq!("json".parse(), Ok(Format::Json));
        assert_eq!("yaml".parse::<Format>(), Err(FormatError));
    }
}
