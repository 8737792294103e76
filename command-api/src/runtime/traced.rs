//! Commands as parts of traces.

use domain::EventId;
use infra::trace::{self, Answered};
use tracing::Span;

use super::decider::{Decider, Failure, Job, Outcome};

impl<C> Job<C> {
    /// The command's span, if its trace is kept. From then on its records are children of it.
    pub(super) fn trace(
        &mut self,
        aggregate: &str,
        name: impl FnOnce(&C) -> &'static str,
        event: Option<EventId>,
    ) -> Span {
        let span = trace::command(self.origin.trace, aggregate, name(&self.command), event);
        if let Some(context) = trace::context_of(&span) {
            self.origin.trace = Some(context);
        }
        span
    }
}

/// The append to `stream` of what follows from these, if one of their traces is kept.
pub(super) fn append<'a, C: 'a>(
    stream: &str,
    commands: impl Iterator<Item = &'a Job<C>>,
    records: usize,
) -> Span {
    let aggregate = stream.split('-').next().unwrap_or_default();
    trace::append(commands.map(|job| job.origin.trace), aggregate, records)
}

/// Says in a command's span what came of it. A refusal is no error.
pub(super) fn tell<D: Decider>(span: &Span, outcome: &Outcome<D>) {
    if span.is_disabled() {
        return;
    }
    match outcome {
        Ok(_) => span.answered("done", false),
        Err(Failure::Refused(_)) => span.answered("refused", false),
        Err(Failure::Overloaded) => span.answered("overloaded", true),
        Err(Failure::Unavailable | Failure::Unwritable(_) | Failure::Damaged) => {
            span.answered("unavailable", true)
        }
    }
}
