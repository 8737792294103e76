//! The spans there are, with their names and attributes. Each is made only where its trace is kept, and
//! lasts until it is dropped.

use axum::extract::Request;
use axum::http::StatusCode;
use domain::EventId;
use opentelemetry::trace::TraceContextExt;
use tracing::field::Empty;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Begun, TARGET, TraceContext, begun, is_on};
use crate::log::Record;
use crate::metrics::RouteFigures;

/// More records of kept traces than this in one batch get no span of their own.
const MOST_APPLIED: usize = 256;

/// A request as part of a trace, if it is one.
pub(crate) struct RequestSpan {
    /// Disabled unless the trace is kept.
    pub(crate) span: Span,
    /// What the request's effects are children of.
    pub(crate) context: Option<TraceContext>,
}

/// A request that comes in, by the conventions for servers of HTTP.
pub(crate) fn request(request: &Request) -> RequestSpan {
    let begun = begun(request.headers());
    let parent = match begun {
        None => return RequestSpan { span: Span::none(), context: None },
        Some(Begun::PassedOn(context)) => {
            return RequestSpan { span: Span::none(), context: Some(context) };
        }
        Some(Begun::Kept(parent)) => parent,
    };
    let span = info_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = Empty,
        http.route = Empty,
        http.response.status_code = Empty,
        error.type = Empty,
        url.scheme = "http",
    );
    if let Some(parent) = parent {
        below(&span, parent);
    }
    RequestSpan { context: context_of(&span), span }
}

impl RequestSpan {
    /// Says which route it was for, and how it was answered.
    pub(crate) fn answered(&self, figures: &RouteFigures, status: StatusCode) {
        if self.span.is_disabled() {
            return;
        }
        match figures.route() {
            Some((method, route)) => {
                // It has begun, and a field would not rename it any more.
                self.span.context().span().update_name(format!("{method} {route}"));
                self.span.record("http.request.method", method);
                self.span.record("http.route", route);
            }
            None => {
                self.span.record("http.request.method", "_OTHER");
            }
        }
        self.span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            self.span.record("otel.status_code", "ERROR");
            self.span.record("error.type", status.as_str());
        }
    }
}

/// A command on an aggregate, from when it is sent to when it is answered.
pub fn command(
    parent: Option<TraceContext>,
    aggregate: &str,
    command: &str,
    event: Option<EventId>,
) -> Span {
    let Some(parent) = kept(parent) else { return Span::none() };
    let span = info_span!(
        target: TARGET,
        parent: None,
        "command",
        otel.name = format!("{aggregate} {command}"),
        otel.status_code = Empty,
        evently.aggregate = aggregate,
        evently.command = command,
        evently.event_id = Empty,
        evently.outcome = Empty,
    );
    if let Some(event) = event {
        span.record("evently.event_id", event.to_string());
    }
    below(&span, parent)
}

/// What became of something, for spans that say it.
pub trait Answered {
    /// Says it; `is_error` if it should not have been.
    fn answered(&self, outcome: &str, is_error: bool);
}

impl Answered for Span {
    fn answered(&self, outcome: &str, is_error: bool) {
        self.record("evently.outcome", outcome);
        if is_error {
            self.record("otel.status_code", "ERROR");
        }
    }
}

/// The wait of a command until its inventory's writer takes it.
pub fn mailbox(command: &Span) -> Span {
    match context_of(command) {
        None => Span::none(),
        Some(parent) => below(&info_span!(target: TARGET, parent: None, "mailbox wait"), parent),
    }
}

/// One append of what followed from `commands`: a part of the trace of the first that is kept, and
/// linked to all that are.
pub fn append(
    commands: impl IntoIterator<Item = Option<TraceContext>>,
    aggregate: &str,
    records: usize,
) -> Span {
    if !is_on() {
        return Span::none();
    }
    let mut commands = commands.into_iter().filter_map(kept).peekable();
    let Some(first) = commands.peek().copied() else { return Span::none() };
    let span = info_span!(
        target: TARGET,
        parent: None,
        "append",
        otel.status_code = Empty,
        evently.aggregate = aggregate,
        evently.records = records,
        evently.outcome = Empty,
    );
    below(&span, first);
    for command in commands {
        span.add_link(command.to_span_context());
    }
    span
}

/// A question to the payment provider.
pub fn provider(parent: Option<TraceContext>, operation: &'static str) -> Span {
    let Some(parent) = kept(parent) else { return Span::none() };
    let span = info_span!(
        target: TARGET,
        parent: None,
        "payment provider",
        otel.name = format!("payment provider {operation}"),
        otel.kind = "client",
        otel.status_code = Empty,
        evently.outcome = Empty,
    );
    below(&span, parent)
}

/// Spans of several traces that last equally long.
pub struct Spans(Vec<Span>);

/// What `view` makes of records, as parts of the traces that these came from.
pub fn applied(view: &str, records: &[Record]) -> Spans {
    if !is_on() {
        return Spans(Vec::new());
    }
    let span = |(record, parent): (&Record, TraceContext)| {
        let span = info_span!(
            target: TARGET,
            parent: None,
            "apply",
            otel.name = format!("apply {view}"),
            otel.kind = "consumer",
            otel.status_code = Empty,
            evently.projection = view,
            evently.record.kind = &*record.kind,
            evently.record.position = record.position.0,
        );
        below(&span, parent)
    };
    let kept = records.iter().filter_map(|record| {
        let parent = TraceContext::of_record(record).filter(|parent| parent.is_sampled())?;
        Some((record, parent))
    });
    Spans(kept.take(MOST_APPLIED).map(span).collect())
}

impl Spans {
    /// Ends them, and says so if it was in vain.
    pub fn end(self, is_error: bool) {
        for span in self.0.iter().filter(|_| is_error) {
            span.record("otel.status_code", "ERROR");
        }
    }
}

/// Where in its trace a span is; nothing if it is disabled.
pub fn context_of(span: &Span) -> Option<TraceContext> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.into())
}

fn kept(context: Option<TraceContext>) -> Option<TraceContext> {
    context.filter(|context| context.is_sampled())
}

fn below(span: &Span, parent: TraceContext) -> Span {
    // Refused only where no layer listens, and then there is no span.
    let _ = span.set_parent(parent.to_parent());
    span.clone()
}
