//! One command on an aggregate without a writer.

use domain::{Aggregate, StoredFact as _};
use infra::log::Position;

use super::decider::{Decider, Failure, Job, Origin};
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
        is_first: impl Fn(&<A as Decider>::Fact) -> bool,
    ) -> Result<(A, Position), Failure<<A as Decider>::Refusal>>
    where
        A: Aggregate + Decider<Seen = A>,
    {
        let stream = A::stream(id);
        let mut unit = self.unit::<A>(stream.clone());
        let outcomes = unit.process(&[Job { command, origin }], |_| {}).await;
        let done = outcomes.into_iter().next().unwrap_or(Err(Failure::Unavailable))?;
        if !done.facts.is_empty() {
            return Ok((done.seen, done.position));
        }
        let records = self.0.log.read_stream(&stream, 0, WHOLE_STREAM).await;
        let mut state = A::default();
        for record in records.map_err(|_| Failure::Unavailable)? {
            let fact = <A as Decider>::Fact::decode(&record.kind, record.version, &record.data)
                .map_err(|_| Failure::Unavailable)?;
            Decider::evolve(&mut state, record.at, &fact);
            if is_first(&fact) {
                return Ok((state, record.position));
            }
        }
        Ok((done.seen, done.position))
    }
}
