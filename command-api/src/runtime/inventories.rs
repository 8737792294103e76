//! Which inventories have a writer on this node, and how commands reach it.

use std::collections::HashMap;
use std::sync::Arc;

use domain::EventId;
use domain::inventory::{self, Inventory};
use infra::log::Log;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::decider::{Failure, Job, Outcome};
use super::unit::Unit;
use super::writer::{Letter, Surroundings, Writer};

/// The writers of this node.
pub(crate) struct Inventories {
    log: Arc<dyn Log>,
    around: Arc<Surroundings>,
    /// How many commands may wait for one inventory.
    mailbox: usize,
    tasks: TaskTracker,
    writers: Mutex<Writers>,
}

#[derive(Default)]
struct Writers {
    by_event: HashMap<EventId, mpsc::Sender<Letter>>,
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

    /// Has a command executed and waits for the answer.
    pub(crate) async fn execute(
        self: &Arc<Self>,
        event: EventId,
        job: Job<inventory::Command>,
    ) -> Outcome<Inventory> {
        let (reply, answer) = oneshot::channel();
        let mut letter = Letter { job, reply };
        loop {
            let Some(writer) = self.writer(event) else { return Err(Failure::Unavailable) };
            match writer.try_send(letter) {
                Ok(()) => break,
                Err(mpsc::error::TrySendError::Full(_)) => return Err(Failure::Overloaded),
                // It was just going for idleness: the next one takes the letter.
                Err(mpsc::error::TrySendError::Closed(back)) => letter = back,
            }
        }
        answer.await.unwrap_or(Err(Failure::Unavailable))
    }

    /// Has an inventory look for itself what is due.
    pub(crate) fn touch(self: &Arc<Self>, event: EventId) {
        self.writer(event);
    }

    /// Whether this node looks after the inventory at the moment.
    pub(crate) fn is_active(&self, event: EventId) -> bool {
        self.writers.lock().by_event.get(&event).is_some_and(|writer| !writer.is_closed())
    }

    fn writer(self: &Arc<Self>, event: EventId) -> Option<mpsc::Sender<Letter>> {
        let mut writers = self.writers.lock();
        if writers.stopping {
            return None;
        }
        if let Some(writer) = writers.by_event.get(&event).filter(|writer| !writer.is_closed()) {
            return Some(writer.clone());
        }
        let (sender, mailbox) = mpsc::channel(self.mailbox);
        let stream = inventory::stream(event);
        let unit = Unit::new(self.log.clone(), self.around.clock.clone(), stream);
        let writer = Writer::new(event, unit, mailbox, self.around.clone());
        let these = self.clone();
        self.tasks.spawn(async move {
            writer.run().await;
            these.forget(event);
        });
        writers.by_event.insert(event, sender.clone());
        Some(sender)
    }

    /// Removes a writer that went, unless another has taken its place.
    fn forget(&self, event: EventId) {
        let mut writers = self.writers.lock();
        if writers.by_event.get(&event).is_some_and(mpsc::Sender::is_closed) {
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
