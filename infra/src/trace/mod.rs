//! Traces over OTLP (OP-2): what one request led to, from HTTP through the records it caused to the
//! views.
//!
//! A trace that is not kept costs nothing: whether it is, is decided first (head sampling), and only
//! then a span is made. Who began a trace elsewhere (W3C Trace Context, `traceparent`) has decided for
//! us. What happens in another task or process finds its parent in the command's origin, and from
//! there in the metadata of its records.
//!
//! Spans name events, routes and commands; never a person, a path, a body or a request id that a client
//! chose.

mod context;
mod export;
mod sampling;
mod spans;

use std::sync::OnceLock;

use axum::http::HeaderMap;

pub use context::{TraceContext, TraceParentError};
pub use export::{EndpointError, Export, ExportError, check_endpoint};
pub(crate) use export::{Exporting, layer};
pub use sampling::{Sampling, SamplingError};
pub(crate) use spans::request;
pub use spans::{Answered, Spans, append, applied, command, context_of, mailbox, provider};

/// Where spans of traces are told from those of log lines.
pub(crate) const TARGET: &str = "evently::trace";

static SAMPLING: OnceLock<Sampling> = OnceLock::new();

/// Whether traces are sent anywhere.
pub fn is_on() -> bool {
    SAMPLING.get().is_some()
}

/// From now on, and for good.
pub(crate) fn turn_on(sampling: Sampling) {
    // Set up once, as the log is.
    let _ = SAMPLING.set(sampling);
}

/// The trace that the running request is part of, if there is one.
pub fn current() -> Option<TraceContext> {
    if is_on() { crate::http::context::trace() } else { None }
}

/// What was begun elsewhere, and whether the trace is kept; nothing if there is none to keep or to
/// pass on.
fn begun(headers: &HeaderMap) -> Option<Begun> {
    let sampling = SAMPLING.get()?;
    let parent = TraceContext::of(headers);
    match (sampling.keeps(parent), parent) {
        (true, parent) => Some(Begun::Kept(parent)),
        (false, Some(parent)) => Some(Begun::PassedOn(parent.without_spans())),
        (false, None) => None,
    }
}

/// What becomes of a request's trace.
enum Begun {
    /// It gets spans, the first of which has this parent.
    Kept(Option<TraceContext>),
    /// It gets none here, and what follows from the request is told of the trace.
    PassedOn(TraceContext),
}
