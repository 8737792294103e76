//! What the log says is still to be done, whoever wrote it and whenever: inventories that have to
//! follow their event, deadlines of inventories nobody has touched since, open payments.
//!
//! The work takes no input, is idempotent, and is woken by a signal and by a period.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use domain::account::Account;
use domain::event::{Event, Status};
use domain::inventory::Command;
use domain::{Aggregate, EventId, Time, UserId};
use futures::StreamExt;
use infra::clock::Clock;
use infra::log::{Log, Outage, ReadError, Record};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::runtime::{Inventories, Job, Origin, Unit, WakeList};

/// How often the wake list is written to its file.
const SAVE_EVERY: Duration = Duration::from_secs(2);
/// How long the end of all work may take to read what was written last.
const END_WITHIN: Duration = Duration::from_secs(2);
/// How many records are read at once then.
const PAGE: usize = 1_000;
/// How long to wait before inventories are asked to follow again that could not.
const FOLLOW_AGAIN: Duration = Duration::from_secs(1);
/// How often the list is looked at even if nobody signalled: a dead hold is to be seen within a
/// second (BK-4), also when timers slept with the machine.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) struct FollowUp {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) inventories: Arc<Inventories>,
    pub(crate) wake: Arc<WakeList>,
    pub(crate) stop: CancellationToken,
}

/// The one thing of a fact that the wake list needs.
#[derive(Deserialize)]
struct Deadline {
    expires_at: Time,
}

impl FollowUp {
    /// Starts all of it; it ends when told to stop.
    pub(crate) fn start(self: Arc<Self>, tasks: &TaskTracker) {
        tasks.spawn(self.clone().follow_log());
        tasks.spawn(self.clone().follow_events());
        tasks.spawn(self.clone().forget_erased());
        tasks.spawn(self.clone().wake_up());
        tasks.spawn(self.keep_saved());
    }

    /// Reads the log from where the wake list ends, for ever.
    async fn follow_log(self: Arc<Self>) {
        let mut outage = Outage::new("deadlines that others wrote are not seen");
        loop {
            let mut records = self.log.subscribe_all(self.wake.followed());
            loop {
                let batch = tokio::select! {
                    () = self.stop.cancelled() => return,
                    batch = records.next() => batch,
                };
                match batch {
                    Some(Ok(batch)) => {
                        outage.works();
                        self.note_all(&batch);
                    }
                    Some(Err(error)) => {
                        outage.failed(&error);
                        break;
                    }
                    None => break,
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn note_all(&self, batch: &[Record]) {
        batch.iter().for_each(|record| self.note(record));
        if let Some(latest) = batch.iter().map(|record| record.at).max() {
            self.wake.reached(latest);
        }
        if let Some(last) = batch.last() {
            self.wake.follow_to(last.position);
        }
    }

    fn note(&self, record: &Record) {
        let Some((category, id)) = record.stream.split_once('-') else { return };
        if category == Account::CATEGORY {
            if let Ok(user) = id.parse::<UserId>()
                && &*record.kind == "AccountErased"
            {
                self.wake.forget(user, record.at);
            }
            return;
        }
        let Ok(event) = id.parse::<EventId>() else { return };
        if category == Event::CATEGORY {
            if &*record.kind != "EventDrafted" {
                self.wake.follow(event, record.position);
            }
        } else if category == domain::inventory::CATEGORY {
            let is_looked_after = self.inventories.tell(event, record.position);
            if !is_looked_after && let Some(due) = due(record, self.clock.now()) {
                self.wake.at_latest(event, due);
            }
        }
    }

    /// Has inventories take over what their events say, until the log lets them. An event that
    /// cannot be read keeps no other from it.
    async fn follow_events(self: Arc<Self>) {
        loop {
            let mut is_done = true;
            for (event, position) in self.wake.to_follow() {
                let (log, clock, inventories) = (&self.log, &self.clock, &self.inventories);
                let origin = Origin::system();
                let following = follow(log, clock, inventories, event, &origin);
                let Some(followed) = self.stop.run_until_cancelled(following).await else { return };
                match followed {
                    Err(failure) if failure.is_of_log() => is_done = false,
                    Ok(_) | Err(_) => self.wake.has_followed(event, position),
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.wake.has_to_follow() => {}
                () = tokio::time::sleep(FOLLOW_AGAIN), if !is_done => {}
            }
        }
    }

    /// Calls the writers of inventories that have something due; they know what to do. Writers
    /// have timers of their own, but a timer does not notice when the clock jumps.
    async fn wake_up(self: Arc<Self>) {
        loop {
            self.inventories.ahead().look();
            let now = self.clock.now();
            let (events, next) = self.wake.due(now);
            for event in events {
                self.inventories.touch(event);
            }
            let pause = next.map_or(LOOK_EVERY, |next| {
                Duration::from_millis(next.ms_since(now)).min(LOOK_EVERY)
            });
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.wake.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Writes the wake list to its file every now and then.
    async fn keep_saved(self: Arc<Self>) {
        let mut failing = false;
        while self.stop.run_until_cancelled(tokio::time::sleep(SAVE_EVERY)).await.is_some() {
            let saved = self.save().await;
            let was_failing = std::mem::replace(&mut failing, saved.is_err());
            if let Err(error) = saved
                && !was_failing
            {
                tracing::warn!(%error, "the wake list cannot be saved; a restart will take longer");
            }
        }
    }

    async fn save(&self) -> io::Result<()> {
        let wake = self.wake.clone();
        tokio::task::spawn_blocking(move || wake.save()).await.map_err(io::Error::other)?
    }

    /// Takes note of all there is, so that the next start knows where the log ended, and saves it.
    /// To be called when nothing is written any more.
    pub(crate) async fn end(&self) {
        let reading = async {
            loop {
                let page = self.log.read_all(self.wake.followed(), PAGE).await?;
                if page.is_empty() {
                    return Ok::<_, ReadError>(());
                }
                self.note_all(&page);
            }
        };
        match tokio::time::timeout(END_WITHIN, reading).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(%error, "the end of the log was not read"),
            Err(_) => tracing::info!("the end of the log was not read in time"),
        }
        if let Err(error) = self.save().await {
            tracing::warn!(%error, "the wake list was not saved; the next start will take longer");
        }
    }
}

/// When an inventory has to be looked at because of this record, if it has to be. What depends on the
/// record's own time does not wait for it where a clock was ahead.
fn due(record: &Record, now: Time) -> Option<Time> {
    let at = record.at.min(now);
    match &*record.kind {
        "Reserved" | "Offered" => {
            serde_json::from_slice(&record.data).ok().map(|Deadline { expires_at }| expires_at)
        }
        "PaymentStarted" => Some(at.plus_s(domain::inventory::CHARGE_PATIENCE_S)),
        "Cancelled" | "RefundDue" | "InventoryClosed" | "InventoryRevised" => Some(at),
        _ => None,
    }
}

/// Has the inventory take over what its event says now, because of the event's last fact; who had
/// that written is `origin`.
pub(crate) async fn follow(
    log: &Arc<dyn Log>,
    clock: &Arc<dyn Clock>,
    inventories: &Arc<Inventories>,
    event: EventId,
    origin: &Origin,
) -> crate::runtime::Outcome<domain::inventory::Inventory> {
    let mut unit = Unit::<Event>::new(log.clone(), clock.clone(), Event::stream(event));
    let state = unit.look().await?;
    // Nobody can have bought anything of a draft: there is nothing to follow.
    let plan = state.plan();
    let event_version = if state.status == Status::Draft { 0 } else { state.version };
    let command = Command::Follow { event, event_version, plan };
    let origin = unit.last_read().map_or_else(Origin::system, |last| origin.because_of(last));
    inventories.execute(event, Job { command, origin }).await
}
