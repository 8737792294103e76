//! The writer of one inventory: the only task that decides for it on this node.

use std::sync::Arc;
use std::time::Duration;

use domain::inventory::{self, Inventory};
use domain::{EventId, Time};
use infra::clock::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::decider::{Job, Outcome};
use super::unit::Unit;
use super::wake::WakeList;
use crate::payments::Payments;

/// How many commands are decided in one append at most. One fsync serves them all.
const BATCH: usize = 1_024;

/// How long a writer stays for an event that does not exist.
const IDLE_WITHOUT_EVENT: Duration = Duration::from_secs(1);

/// How long to wait before an inventory is read again when the log was away, in milliseconds.
const LOG_AWAY_MS: u64 = 500;

/// A command and where its answer goes.
pub(crate) struct Letter {
    pub(crate) job: Job<inventory::Command>,
    pub(crate) reply: oneshot::Sender<Outcome<Inventory>>,
}

/// What a writer needs besides its inventory.
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) wake: Arc<WakeList>,
    pub(crate) payments: Arc<Payments>,
    /// A writer without commands and deadlines goes after this time.
    pub(crate) idle: Duration,
}

pub(crate) struct Writer {
    event: EventId,
    unit: Unit<Inventory>,
    mailbox: mpsc::Receiver<Letter>,
    around: Arc<Surroundings>,
}

enum Woken {
    Letters(Vec<Letter>),
    /// Something is due.
    Due,
    /// Nothing happened for long, or nobody can send any more.
    Done,
}

impl Writer {
    pub(crate) fn new(
        event: EventId,
        unit: Unit<Inventory>,
        mailbox: mpsc::Receiver<Letter>,
        around: Arc<Surroundings>,
    ) -> Self {
        Self { event, unit, mailbox, around }
    }

    /// Serves the mailbox until nothing comes for a while or the mailbox is closed, then answers
    /// what is still in it.
    pub(crate) async fn run(mut self) {
        // Whatever became due while nobody looked after this inventory.
        self.serve(vec![]).await;
        loop {
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
    }

    async fn next(&mut self) -> Woken {
        // An event that does not exist is not worth a task for long.
        let idle = if self.unit.exists() { self.around.idle } else { IDLE_WITHOUT_EVENT };
        let idle = Instant::now() + idle;
        let due = self.due().map_or(idle, |due| self.instant(due));
        let mut letters = vec![];
        tokio::select! {
            biased;
            count = self.mailbox.recv_many(&mut letters, BATCH) => {
                if count == 0 { Woken::Done } else { Woken::Letters(letters) }
            }
            () = tokio::time::sleep_until(due.min(idle)) => {
                if due <= idle && self.due().is_some() { Woken::Due } else { Woken::Done }
            }
        }
    }

    /// When the inventory has to be looked after again: soon, if the log was away.
    fn due(&self) -> Option<Time> {
        let now = self.around.clock.now();
        match self.unit.state() {
            Some(state) => next_due(state, now),
            None => Some(now.plus_ms(LOG_AWAY_MS)),
        }
    }

    fn instant(&self, due: Time) -> Instant {
        Instant::now() + Duration::from_millis(due.ms_since(self.around.clock.now()))
    }

    async fn serve(&mut self, letters: Vec<Letter>) {
        let (jobs, replies): (Vec<_>, Vec<_>) =
            letters.into_iter().map(|letter| (letter.job, letter.reply)).unzip();
        let (around, event) = (self.around.clone(), self.event);
        let remember = |state: &Inventory| {
            // Before the append: a deadline must never be durable without somebody knowing of it.
            around.wake.set(event, pending(state, around.clock.now()));
        };
        let outcomes = self.unit.process(&jobs, remember).await;
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // Nobody waits for the answer if the client went away.
            let _ = reply.send(outcome);
        }
        if let Some(state) = self.unit.state() {
            let steps = state.payment_steps(self.around.clock.now());
            self.around.payments.notice(steps);
        }
    }
}

/// When the inventory has to be looked after by its timer: a deadline, or a charge that takes too
/// long. What the payment worker does by itself does not count.
fn next_due(state: &Inventory, now: Time) -> Option<Time> {
    state.next_due().into_iter().chain(state.next_payment_due(now)).min()
}

/// When the inventory has to be looked after if this process dies now: as [`next_due`], but at once
/// if a payment has not come to its end.
fn pending(state: &Inventory, now: Time) -> Option<Time> {
    if state.has_open_payments() { Some(now) } else { state.next_due() }
}
