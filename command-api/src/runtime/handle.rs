//! One command on an aggregate without a writer.

use domain::{Aggregate, StoredFact as _};
use infra::log::{Position, ReadError};

use super::decider::{Decider, Failure, Job, Origin};
use super::traced::tell;
use crate::state::CommandState;

/// Streams of venues and events are short; this is more than any has.
const WHOLE_STREAM: usize = 100_000;

impl CommandState {
    /// Executes `command` and returns the aggregate as it left it, and where in the log that is.
    /// When the request was carried out before, that is the aggregate right after the fact that
    /// `is_first` recognises, so that the first answer is given again (BK-6).
    pub(crate) async fn handle<A>(
        &self,
        id: A::Id,
        command: <A as Decider>::Command,
        origin: Origin,
        is_first: impl FnMut(&<A as Decider>::Fact) -> bool,
    ) -> Result<(A, Position), Failure<<A as Decider>::Refusal>>
    where
        A: Aggregate + Decider<Seen = A>,
    {
        let mut unit = self.unit::<A>(A::stream(id));
        let mut job = Job { command, origin };
        let span = job.trace(A::CATEGORY, A::name, None);
        let outcomes = unit.process(&[job], |_| {}).await;
        let outcome = outcomes.into_iter().next().unwrap_or(Err(Failure::Unavailable));
        tell::<A>(&span, &outcome);
        let done = outcome?;
        if !done.facts.is_empty() {
            return Ok((done.seen, done.position));
        }
        let first = self.right_after::<A>(id, is_first).await;
        let first = first.map_err(|ReadError(_)| Failure::Unavailable)?;
        Ok(first.unwrap_or((done.seen, done.position)))
    }

    /// The aggregate right after the first fact that `is_it` recognises, if there is one, and where
    /// in the log that fact is.
    pub(crate) async fn right_after<A>(
        &self,
        id: A::Id,
        mut is_it: impl FnMut(&<A as Decider>::Fact) -> bool,
    ) -> Result<Option<(A, Position)>, ReadError>
    where
        A: Aggregate + Decider<Seen = A>,
    {
        let mut state = A::default();
        for record in self.0.log.read_stream(&A::stream(id), 0, WHOLE_STREAM).await? {
            let fact = <A as Decider>::Fact::decode(&record.kind, record.version, &record.data)
                .map_err(|error| ReadError(error.into()))?;
            Decider::evolve(&mut state, record.at, &fact);
            if is_it(&fact) {
                return Ok(Some((state, record.position)));
            }
        }
        Ok(None)
    }
}
