//! The writer of one inventory: the only task that decides for it on this node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use domain::inventory::{self, Inventory};
use domain::{EventId, Time};
use infra::clock::Clock;
use infra::log::Position;
use infra::metrics::{self, METRICS};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tracing::Span;

use super::ahead::Ahead;
use super::decider::{Failure, Job, Outcome};
use super::unit::Unit;
use super::wake::WakeList;
use crate::payments::Payments;

/// How many commands are decided in one append at most. One fsync serves them all.
const BATCH: usize = 1_024;

/// How long a writer stays for an event that does not exist.
const IDLE_WITHOUT_EVENT: Duration = Duration::from_secs(1);

/// How long to wait before an inventory is read again when the log was away, in milliseconds: at
/// first, and when it still is after many tries. Who asks for something has it read at once.
const LOG_AWAY_MS: u64 = 500;
const LOG_AWAY_LONG_MS: u64 = 2_000;

/// The same of a stream that is damaged, and may be long.
const DAMAGED_MS: u64 = 60_000;

/// A command and where its answer goes.
pub(crate) struct Letter {
    pub(crate) job: Job<inventory::Command>,
    pub(crate) reply: oneshot::Sender<Outcome<Inventory>>,
    /// Ends when the letter is taken out of the mailbox.
    pub(crate) wait: Span,
}

/// What a writer needs besides its inventory.
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) wake: Arc<WakeList>,
    pub(crate) ahead: Ahead,
    pub(crate) payments: Arc<Payments>,
    /// A writer without commands and deadlines goes after this time.
    pub(crate) idle: Duration,
}

/// What is known of a writer without asking it, and how to wake it without a letter.
#[derive(Default)]
pub(crate) struct Attention {
    called: Notify,
    /// Position of the last record of the inventory that the writer took in.
    seen: AtomicU64,
    /// Position of the last record of the inventory that was seen in the log.
    told: AtomicU64,
    /// The writer is at work: what it appends is in the log before it is `seen`.
    at_work: AtomicBool,
}

impl Attention {
    /// Has the writer look at the log and at the clock; many calls are one.
    pub(crate) fn call(&self) {
        self.called.notify_one();
    }

    /// Has the writer look at the log if it does not know the record at `position`, which is one
    /// of its inventory: another process wrote it.
    pub(crate) fn tell(&self, position: Position) {
        self.told.fetch_max(position.0, Ordering::SeqCst);
        // One that is at work may have written it, and finds out at the end.
        if !self.at_work.load(Ordering::SeqCst) {
            self.compare();
        }
    }

    fn begin(&self) {
        self.at_work.store(true, Ordering::SeqCst);
    }

    /// `seen` is absent when the log could not be read: then the writer tries again by itself.
    fn end(&self, seen: Option<Position>) {
        if let Some(seen) = seen {
            self.seen.store(seen.0, Ordering::SeqCst);
        }
        self.at_work.store(false, Ordering::SeqCst);
        if seen.is_some() {
            // Whoever tells of a record from here on compares by itself.
            self.compare();
        }
    }

    fn compare(&self) {
        if self.is_behind() {
            self.call();
        }
    }

    fn is_behind(&self) -> bool {
        self.seen.load(Ordering::SeqCst) < self.told.load(Ordering::SeqCst)
    }
}

pub(crate) struct Writer {
    event: EventId,
    unit: Unit<Inventory>,
    mailbox: mpsc::Receiver<Letter>,
    attention: Arc<Attention>,
    around: Arc<Surroundings>,
    /// When the inventory has to be looked after by its timer, as it was served last.
    due: Option<Time>,
    /// How long to wait before it is tried again, if the inventory could not be read or written.
    away_ms: Option<u64>,
}

enum Woken {
    Letters(Vec<Letter>),
    /// Something is due, or may be.
    Due,
    /// Nothing happened for long, or nobody can send any more.
    Done,
}

impl Writer {
    pub(crate) fn new(
        event: EventId,
        unit: Unit<Inventory>,
        mailbox: mpsc::Receiver<Letter>,
        attention: Arc<Attention>,
        around: Arc<Surroundings>,
    ) -> Self {
        Self { event, unit, mailbox, attention, around, due: None, away_ms: None }
    }

    /// Serves the mailbox until nothing comes for a while or the mailbox is closed, then answers
    /// what is still in it.
    pub(crate) async fn run(mut self) {
        // Whatever became due while nobody looked after this inventory.
        self.serve(vec![]).await;
        loop {
            // What comes meanwhile is decided with the rest.
            self.unit.let_others_write().await;
            match self.next().await {
                Woken::Letters(letters) => self.serve(letters).await,
                Woken::Due => self.serve(vec![]).await,
                Woken::Done => break,
            }
        }
        self.mailbox.close();
        let mut rest = vec![];
        while self.mailbox.recv_many(&mut rest, BATCH).await > 0 {
            self.serve(std::mem::take(&mut rest)).await;
        }
        // Told of a record too late to look at it: the next writer will.
        if self.attention.is_behind() {
            self.around.wake.at_latest(self.event, self.around.clock.now());
        }
    }

    async fn next(&mut self) -> Woken {
        // An event that does not exist is not worth a task for long.
        let idle = if self.unit.exists() { self.around.idle } else { IDLE_WITHOUT_EVENT };
        let idle = Instant::now() + idle;
        let due = self.due().map_or(idle, |due| self.instant(due));
        tokio::select! {
            biased;
            first = self.mailbox.recv() => match first {
                None => Woken::Done,
                Some(first) => Woken::Letters(self.with_all_that_come(first).await),
            },
            // While the log is away, calls wait for the next try.
            () = self.attention.called.notified(), if self.unit.state().is_some() => Woken::Due,
            () = tokio::time::sleep_until(due.min(idle)) => {
                if due <= idle && self.due().is_some() { Woken::Due } else { Woken::Done }
            }
        }
    }

    /// The letter and those that wait behind it, with those of clients whose requests are being read at this moment: one append
    /// serves them all. Where nothing else is to be done, nobody waits, nor does who comes alone.
    async fn with_all_that_come(&mut self, first: Letter) -> Vec<Letter> {
        if !self.mailbox.is_empty() {
            tokio::task::yield_now().await;
        }
        // Letters are large: no room is made for any that do not come.
        let mut letters = Vec::with_capacity((1 + self.mailbox.len()).min(BATCH));
        letters.push(first);
        while letters.len() < BATCH
            && let Ok(letter) = self.mailbox.try_recv()
        {
            letters.push(letter);
        }
        letters
    }

    /// When the inventory has to be looked after again: soon, if the log was away.
    fn due(&self) -> Option<Time> {
        match self.unit.state() {
            Some(_) => self.due,
            None => {
                let away_ms = self.away_ms.unwrap_or(LOG_AWAY_MS);
                Some(self.around.clock.now().plus_ms(away_ms))
            }
        }
    }

    fn instant(&self, due: Time) -> Instant {
        Instant::now() + Duration::from_millis(due.ms_since(self.around.clock.now()))
    }

    /// A hold that is past its deadline ends with whatever comes next. Of an inventory that was not
    /// in memory nobody knows.
    fn measure_lateness(&self) {
        let due = self.unit.state().and_then(Inventory::next_deadline);
        let now = self.around.clock.now();
        if let Some(due) = due.filter(|due| *due <= now) {
            METRICS.deadlines.took(Duration::from_millis(now.ms_since(due)));
        }
    }

    async fn serve(&mut self, letters: Vec<Letter>) {
        self.measure_lateness();
        let open = |Letter { job, reply, wait }| {
            drop(wait);
            (job, reply)
        };
        let (jobs, replies): (Vec<_>, Vec<_>) = letters.into_iter().map(open).unzip();
        let (around, event) = (self.around.clone(), self.event);
        self.attention.begin();
        let outcomes = self.unit.process(&jobs, |state: &Inventory| {
            // Before the append: a deadline must never be durable without somebody knowing of it.
            // What was due before stays until the append has brought it about.
            if let Some(due) = pending(state, around.clock.now()) {
                around.wake.at_latest(event, due);
            }
        });
        let outcomes = outcomes.await;
        measure(&outcomes);
        if let Some(last) = self.unit.take_went_back_from() {
            around.ahead.went_back(event, last);
        }
        self.away_ms = match self.unit.state() {
            Some(_) => None,
            None if self.unit.is_damaged() => Some(DAMAGED_MS),
            None => Some(self.away_ms.map_or(LOG_AWAY_MS, |ms| (ms * 2).min(LOG_AWAY_LONG_MS))),
        };
        self.attention.end(self.unit.state().map(|_| self.unit.position()));
        let mut steps = vec![];
        if let Some(state) = self.unit.state() {
            let now = around.clock.now();
            steps = state.payment_steps(now);
            self.due = next_due(state, now);
            around.wake.set(event, if steps.is_empty() { self.due } else { Some(now) });
        }
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // Nobody waits for the answer if the client went away.
            let _ = reply.send(outcome);
        }
        around.payments.notice(steps);
    }
}

/// Counts commands that were decided together.
fn measure(outcomes: &[Outcome<Inventory>]) {
    let (mut done, mut refused, mut unavailable) = (0, 0, 0);
    for outcome in outcomes {
        match outcome {
            Ok(_) => done += 1,
            Err(Failure::Refused(_)) => refused += 1,
            Err(_) => unavailable += 1,
        }
    }
    if !outcomes.is_empty() {
        METRICS.batches.count(outcomes.len() as u64);
    }
    METRICS.commands(metrics::Command::Done, done);
    METRICS.commands(metrics::Command::Refused, refused);
    METRICS.commands(metrics::Command::Unavailable, unavailable);
}

/// When the inventory has to be looked after by its timer: a deadline, or a charge that takes too
/// long. What the payment worker does by itself does not count.
fn next_due(state: &Inventory, now: Time) -> Option<Time> {
    state.next_due().into_iter().chain(state.next_payment_due(now)).min()
}

/// When the inventory has to be looked after, whoever does it: as [`next_due`], but at once if the
/// payment worker has something to do, so that it is told again until it is done.
fn pending(state: &Inventory, now: Time) -> Option<Time> {
    if state.payment_steps(now).is_empty() { next_due(state, now) } else { Some(now) }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn is_called(attention: &Attention) -> bool {
        attention.called.notified().now_or_never().is_some()
    }

    #[test]
    fn what_the_writer_wrote_itself_does_not_call_it() {
        let attention = Attention::default();
        attention.begin();
        attention.tell(Position(7));
        attention.end(Some(Position(7)));
        attention.tell(Position(7));
        assert!(!is_called(&attention));
    }

    #[test]
    fn what_another_process_wrote_calls_it_also_if_it_is_at_work() {
        let attention = Attention::default();
        attention.tell(Position(3));
        assert!(is_called(&attention));
        attention.begin();
        attention.tell(Position(8));
        assert!(!is_called(&attention), "it may be its own");
        attention.end(Some(Position(7)));
        assert!(is_called(&attention));
        assert!(attention.is_behind());
    }

    #[test]
    fn a_log_that_is_away_is_not_asked_again_at_once() {
        let attention = Attention::default();
        attention.begin();
        attention.tell(Position(8));
        attention.end(None);
        assert!(!is_called(&attention));
    }
}
