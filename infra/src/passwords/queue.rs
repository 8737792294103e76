//! Who waits for their password to be looked at, in the order in which they came.
//!
//! Whoever comes never waits for a lock: a thread that runs last could keep it for long.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::PasswordError;

/// What is done for one who waits.
pub(super) type Job = Box<dyn FnOnce() + Send>;

struct Waiting {
    since: Instant,
    job: Job,
    _place: OwnedSemaphorePermit,
}

/// Where one comes in. The line ends when it is dropped.
pub(super) struct Entrance {
    places: Arc<Semaphore>,
    line: UnboundedSender<Waiting>,
}

/// Those who wait.
pub(super) struct Line(Mutex<Inner>);

struct Inner {
    first: Option<Waiting>,
    others: UnboundedReceiver<Waiting>,
}

/// A line in which so many may wait.
pub(super) fn with_places(places: usize) -> (Entrance, Arc<Line>) {
    let (line, others) = unbounded_channel();
    let entrance = Entrance { places: Arc::new(Semaphore::new(places)), line };
    (entrance, Arc::new(Line(Mutex::new(Inner { first: None, others }))))
}

impl Entrance {
    pub(super) fn push(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PasswordError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let _place = place.map_err(|_| PasswordError::Busy)?;
        let waiting = Waiting { since: Instant::now(), job: Box::new(job), _place };
        self.line.send(waiting).map_err(|_| PasswordError::Stopped)
    }
}

impl Line {
    /// Waits until whoever came first has waited for `at_least`, and takes that one out. `None` at the
    /// end of the line.
    pub(super) fn next(&self, at_least: Duration) -> Option<Job> {
        loop {
            let over = {
                let mut line = self.0.lock();
                if line.first.is_none() {
                    line.first = Some(line.others.blocking_recv()?);
                }
                if let Some(first) = line.first.take_if(|first| first.since.elapsed() >= at_least) {
                    return Some(first.job);
                }
                line.first.as_ref()?.since + at_least
            };
            // Meanwhile others take this one.
            thread::park_timeout(over.saturating_duration_since(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patient_leave_whoever_has_just_come_to_others() {
        let (entrance, line) = with_places(2);
        let (told, tells) = std::sync::mpsc::channel();
        for number in [1, 2] {
            let told = told.clone();
            entrance.push(move || told.send(number).unwrap()).unwrap();
        }
        assert!(matches!(entrance.push(|| ()), Err(PasswordError::Busy)));
        let patience = Duration::from_millis(50);
        let begin = Instant::now();
        thread::scope(|scope| {
            let patient = scope.spawn(|| {
                line.next(patience).unwrap()();
                assert!(begin.elapsed() >= patience / 2);
            });
            line.next(Duration::ZERO).unwrap()();
            patient.join().unwrap();
        });
        assert_eq!(tells.try_iter().collect::<Vec<i32>>(), [1, 2]);
    }

    #[test]
    fn the_end_of_the_line_keeps_no_thread() {
        let (entrance, line) = with_places(1);
        thread::scope(|scope| {
            let eager = scope.spawn(|| line.next(Duration::ZERO).is_none());
            let patient = scope.spawn(|| line.next(Duration::from_secs(3_600)).is_none());
            drop(entrance);
            assert!(eager.join().unwrap() && patient.join().unwrap());
        });
    }
}
