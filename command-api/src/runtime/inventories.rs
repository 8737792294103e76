//! Which inventories have a writer on this node, and how commands reach it.

use std::collections::HashMap;
use std::sync::Arc;

use domain::EventId;
use domain::inventory::{self, Inventory};
use infra::log::{Log, Position};
use infra::metrics::{self, METRICS};
use infra::trace;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;
use tracing::Span;

use super::ahead::Ahead;
use super::decider::{Decider, Failure, Job, Outcome};
use super::stats::CommandStats;
use super::traced::tell;
use super::unit::Unit;
use super::writer::{Attention, Letter, Surroundings, Writer};

/// The writers of this node.
pub(crate) struct Inventories {
    log: Arc<dyn Log>,
    around: Arc<Surroundings>,
    /// How many commands may wait for one inventory.
    mailbox: usize,
    tasks: TaskTracker,
    writers: Mutex<Writers>,
}

/// How a writer is reached.
#[derive(Clone)]
struct Address {
    letters: mpsc::Sender<Letter>,
    attention: Arc<Attention>,
}

impl Address {
    /// Whether it takes no more letters.
    fn is_gone(&self) -> bool {
        self.letters.is_closed()
    }

    /// How many letters wait.
    fn waiting(&self) -> usize {
        self.letters.max_capacity() - self.letters.capacity()
    }
}

#[derive(Default)]
struct Writers {
    by_event: HashMap<EventId, Address>,
    /// No new writer is started any more.
    stopping: bool,
}

impl Inventories {
    pub(crate) fn new(
        log: Arc<dyn Log>,
        around: Arc<Surroundings>,
        mailbox: usize,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        let writers = Mutex::default();
        Arc::new(Self { log, around, mailbox, tasks, writers })
    }

    /// Has a command executed. It is on its way when this returns; what this returns waits for the
    /// answer, and has no room for a command: it is part of a future for each request.
    pub(crate) fn execute(
        self: &Arc<Self>,
        event: EventId,
        mut job: Job<inventory::Command>,
    ) -> impl Future<Output = Outcome<Inventory>> + use<> {
        let span = job.trace(inventory::CATEGORY, Inventory::name, Some(event));
        let delivered = self.deliver(event, job, trace::mailbox(&span));
        async move {
            let outcome = match delivered {
                Ok(answer) => answer.await.unwrap_or(Err(Failure::Unavailable)),
                Err(failure) => Err(failure),
            };
            tell::<Inventory>(&span, &outcome);
            outcome
        }
    }

    /// Where the answer will come from.
    fn deliver(
        self: &Arc<Self>,
        event: EventId,
        job: Job<inventory::Command>,
        wait: Span,
    ) -> Result<oneshot::Receiver<Outcome<Inventory>>, Failure<inventory::Refusal>> {
        let (reply, answer) = oneshot::channel();
        let mut letter = Letter { job, reply, wait };
        loop {
            let Some(writer) = self.writer(event) else { return Err(Failure::Unavailable) };
            match writer.letters.try_send(letter) {
                Ok(()) => return Ok(answer),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    METRICS.commands(metrics::Command::Overloaded, 1);
                    return Err(Failure::Overloaded);
                }
                // It was just going for idleness: the next one takes the letter.
                Err(mpsc::error::TrySendError::Closed(back)) => letter = back,
            }
        }
    }

    /// Has an inventory look at the log and at the clock for itself, whatever its writer believes.
    pub(crate) fn touch(self: &Arc<Self>, event: EventId) {
        while let Some(writer) = self.writer(event) {
            writer.attention.call();
            // One that was just going may not have heard it.
            if !writer.is_gone() {
                return;
            }
        }
    }

    /// Tells the writer of the inventory on this node, if there is one, that there is a record of
    /// its at `position`, whoever wrote it. Whether there is one who heard it.
    pub(crate) fn tell(&self, event: EventId, position: Position) -> bool {
        let writers = self.writers.lock();
        let Some(writer) = writers.by_event.get(&event) else { return false };
        writer.attention.tell(position);
        // One that was just going may not have heard it.
        !writer.is_gone()
    }

    fn writer(self: &Arc<Self>, event: EventId) -> Option<Address> {
        let mut writers = self.writers.lock();
        if writers.stopping {
            return None;
        }
        if let Some(writer) = writers.by_event.get(&event).filter(|writer| !writer.is_gone()) {
            return Some(writer.clone());
        }
        let (letters, mailbox) = mpsc::channel(self.mailbox);
        let address = Address { letters, attention: Arc::default() };
        let stream = inventory::stream(event);
        let unit = Unit::new(self.log.clone(), self.around.clock.clone(), stream);
        let (attention, around) = (address.attention.clone(), self.around.clone());
        let writer = Writer::new(event, unit, mailbox, attention, around);
        let these = self.clone();
        self.tasks.spawn(async move {
            writer.run().await;
            these.forget(event);
        });
        writers.by_event.insert(event, address.clone());
        Some(address)
    }

    /// How far the log is ahead of the clock.
    pub(crate) fn ahead(&self) -> &Ahead {
        &self.around.ahead
    }

    /// How much waits for the writers of this node.
    pub(crate) fn stats(&self) -> CommandStats {
        let writers = self.writers.lock();
        let waiting = writers.by_event.values().map(|writer| writer.waiting());
        let (all, most) =
            waiting.fold((0, 0), |(all, most), waiting| (all + waiting, most.max(waiting)));
        let (inventories, mailbox) = (writers.by_event.len(), self.mailbox);
        CommandStats { inventories, waiting: all, waiting_most: most, mailbox }
    }

    /// Removes a writer that went, unless another has taken its place.
    fn forget(&self, event: EventId) {
        let mut writers = self.writers.lock();
        if writers.by_event.get(&event).is_some_and(Address::is_gone) {
            writers.by_event.remove(&event);
        }
    }

    /// Takes no more commands; what waits is still answered. The tasks end by themselves.
    pub(crate) fn stop(&self) {
        let mut writers = self.writers.lock();
        writers.stopping = true;
        writers.by_event.clear();
    }
}
