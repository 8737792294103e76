//! Whether the server can be reached: while it is known to be away, nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::error::EventStoreError;
use crate::log::Position;

/// Failures further apart tell nothing of the time between.
const GAP: Duration = Duration::from_secs(3);

/// What all connections to a server have learnt of it.
#[derive(Debug)]
pub(super) struct Reach {
    /// How long it may refuse connections, as in a restart, before it counts as away.
    patience: Duration,
    /// The last position that anybody saw a record at.
    seen: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Why it was found to be away, while it is.
    away: Option<Arc<EventStoreError>>,
    /// When it answered last.
    answered: Option<Instant>,
    /// When it was found not to listen, first and last, since it answered.
    deaf: Option<(Instant, Instant)>,
}

impl State {
    /// Whether the server answers with a log that is not the one it had.
    fn is_another(&self) -> bool {
        self.away.as_ref().is_some_and(|why| why.is_of_another())
    }
}

impl Reach {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, seen: AtomicU64::new(0), state: Mutex::default() }
    }

    /// A record has this position, so the log never ends before it.
    pub(super) fn saw(&self, position: Position) {
        self.seen.fetch_max(position.0, Ordering::Relaxed);
    }

    pub(super) fn seen(&self) -> Position {
        Position(self.seen.load(Ordering::Relaxed))
    }

    /// The server says where its log ends. If that is before what was seen of it, all calls are refused
    /// until it is not: what was written there would be in no log that anybody has.
    ///
    /// # Errors
    /// It is another log, or lost its end.
    pub(super) fn ends_at(&self, end: Position) -> Result<(), EventStoreError> {
        let (ends, seen) = (end.0, self.seen().0);
        let mut state = self.state.lock();
        let was_another = state.is_another();
        if ends >= seen {
            if was_another {
                state.away = None;
                tracing::info!("the log server has the log again that it had");
            }
            return Ok(());
        }
        let error = EventStoreError::Another { ends, seen };
        if !was_another {
            tracing::error!(ends, seen, "{error}; until then all calls are refused");
            state.away = Some(Arc::new(error.clone()));
        }
        Err(error)
    }

    /// # Errors
    /// The server is known to be away.
    pub(super) fn check(&self) -> Result<(), EventStoreError> {
        match &self.state.lock().away {
            Some(why) => Err(EventStoreError::Away(Arc::clone(why))),
            None => Ok(()),
        }
    }

    /// The server answered, whatever it said.
    pub(super) fn answered(&self, now: Instant) {
        let mut state = self.state.lock();
        (state.answered, state.deaf) = (Some(now), None);
        if !state.is_another() && state.away.take().is_some() {
            tracing::info!("the log server answers again");
        }
    }

    /// A call that began at `asked` failed at `now`. Whether it shows, as none before it, that the
    /// server is away: it did not answer in time, nor anybody else meanwhile; or nobody has listened
    /// for longer than a restart may take.
    pub(super) fn failed(&self, error: &EventStoreError, asked: Instant, now: Instant) -> bool {
        let mut state = self.state.lock();
        let is_away = if matches!(error, EventStoreError::TimedOut(_)) {
            state.answered.is_none_or(|answered| answered < asked)
        } else if error.is_of_no_connection() {
            let first = match state.deaf {
                Some((first, last)) if asked.saturating_duration_since(last) <= GAP => first,
                _ => asked,
            };
            state.deaf = Some((first, now));
            now.saturating_duration_since(first) >= self.patience
        } else {
            false
        };
        if !is_away || state.away.is_some() {
            return false;
        }
        state.away = Some(Arc::new(error.clone()));
        let error: &dyn std::error::Error = error;
        tracing::warn!(error, "the log server is away; calls are refused until it answers");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: EventStoreError = EventStoreError::TimedOut(Duration::from_secs(4));

    fn refused() -> EventStoreError {
        EventStoreError::Failed(Box::new(eventstore::Error::ConnectionClosed))
    }

    #[test]
    fn who_answers_nobody_is_away_until_it_answers() {
        let (start, s) = (Instant::now(), Duration::from_secs);
        let reach = Reach::new(s(10));
        reach.answered(start + s(2));
        assert!(!reach.failed(&LATE, start, start + s(4)), "others were answered meanwhile");
        reach.check().unwrap();
        assert!(reach.failed(&LATE, start + s(3), start + s(7)));
        assert!(!reach.failed(&LATE, start + s(3), start + s(7)), "that is known");
        let error = reach.check().unwrap_err();
        assert!(matches!(error, EventStoreError::Away(_)), "{error:?}");
        reach.answered(start + s(9));
        reach.check().unwrap();
    }

    #[test]
    fn a_restart_is_waited_for_but_not_for_ever() {
        let (start, s) = (Instant::now(), Duration::from_secs);
        let reach = Reach::new(s(10));
        for at in 0..10 {
            assert!(!reach.failed(&refused(), start + s(at), start + s(at)), "{at}");
        }
        let broken = eventstore::Error::ServerError("its disk is full".to_owned());
        assert!(!reach.failed(&broken.into(), start + s(10), start + s(11)), "that is an answer");
        assert!(reach.failed(&refused(), start + s(11), start + s(11)));
        reach.answered(start + s(12));
        // Long after, it may have been there all the time.
        assert!(!reach.failed(&refused(), start + s(20), start + s(20)));
        assert!(!reach.failed(&refused(), start + s(40), start + s(40)));
        reach.check().unwrap();
    }

    #[test]
    fn a_server_with_a_shorter_log_is_refused_until_it_has_the_one_it_had() {
        let reach = Reach::new(Duration::from_secs(10));
        reach.saw(Position(7));
        reach.saw(Position(5));
        reach.ends_at(Position(7)).unwrap();
        let error = reach.ends_at(Position(6)).unwrap_err();
        assert!(matches!(error, EventStoreError::Another { ends: 6, seen: 7 }), "{error:?}");
        reach.answered(Instant::now());
        assert!(reach.check().is_err(), "that it answers does not help");
        reach.ends_at(Position(9)).unwrap();
        reach.check().unwrap();
    }
}
