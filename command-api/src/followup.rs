//! What the log says is still to be done, whoever wrote it and whenever: inventories that have to
//! follow their event, deadlines of inventories nobody has touched since, open payments.
//!
//! The work takes no input, is idempotent, and is woken by a signal and by a period.

use std::sync::Arc;
use std::time::Duration;

use domain::event::{Event, Status};
use domain::inventory::Command;
use domain::{Aggregate, EventId, Time};
use futures::StreamExt;
use infra::clock::Clock;
use infra::log::{Log, Record};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::runtime::{Failure, Inventories, Job, Origin, Unit, WakeList};

/// How often the wake list is written to its file.
const SAVE_EVERY: Duration = Duration::from_secs(2);
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
    /// Reads the log from where the wake list ends, for ever.
    pub(crate) async fn follow_log(self: Arc<Self>) {
        loop {
            let mut records = self.log.subscribe_all(self.wake.followed());
            loop {
                let batch = tokio::select! {
                    () = self.stop.cancelled() => return,
                    batch = records.next() => batch,
                };
                match batch {
                    Some(Ok(batch)) => {
                        batch.iter().for_each(|record| self.note(record));
                        if let Some(last) = batch.last() {
                            self.wake.follow_to(last.position);
                        }
                    }
                    Some(Err(error)) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(error, "the log cannot be followed; trying again");
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

    fn note(&self, record: &Record) {
        let Some((category, id)) = record.stream.split_once('-') else { return };
        let Ok(event) = id.parse::<EventId>() else { return };
        if category == Event::CATEGORY {
            if &*record.kind != "EventDrafted" {
                self.wake.follow(event, record.position);
            }
        } else if category == domain::inventory::CATEGORY {
            let is_looked_after = self.inventories.tell(event, record.position);
            if !is_looked_after && let Some(due) = due(record) {
                self.wake.at_latest(event, due);
            }
        }
    }

    /// Has inventories take over what their events say, until the log lets them. An event that
    /// cannot be read keeps no other from it.
    pub(crate) async fn follow_events(self: Arc<Self>) {
        loop {
            let mut is_done = true;
            for (event, position) in self.wake.to_follow() {
                let (log, clock, inventories) = (&self.log, &self.clock, &self.inventories);
                let following = follow(log, clock, inventories, event, Origin::system());
                let Some(followed) = self.stop.run_until_cancelled(following).await else { return };
                match followed {
                    Ok(_) | Err(Failure::Refused(_)) => self.wake.has_followed(event, position),
                    Err(Failure::Overloaded | Failure::Unavailable | Failure::Unwritable(_)) => {
                        is_done = false;
                    }
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
    pub(crate) async fn wake_up(self: Arc<Self>) {
        loop {
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

    /// Writes the wake list to its file, until and at the end.
    pub(crate) async fn save(self: Arc<Self>) {
        let mut failing = false;
        loop {
            let stopping = tokio::select! {
                () = self.stop.cancelled() => true,
                () = tokio::time::sleep(SAVE_EVERY) => false,
            };
            let wake = self.wake.clone();
            let saved = tokio::task::spawn_blocking(move || wake.save()).await;
            let was_failing = std::mem::replace(&mut failing, matches!(saved, Ok(Err(_))));
            if let Ok(Err(error)) = saved
                && !was_failing
            {
                tracing::warn!(%error, "the wake list cannot be saved; a restart will take longer");
            }
            if stopping {
                return;
            }
        }
    }
}

/// When an inventory has to be looked at because of this record, if it has to be.
fn due(record: &Record) -> Option<Time> {
    match &*record.kind {
        "Reserved" | "Offered" => {
            serde_json::from_slice(&record.data).ok().map(|Deadline { expires_at }| expires_at)
        }
        "PaymentStarted" => Some(record.at.plus_s(domain::inventory::CHARGE_PATIENCE_S)),
        "Cancelled" | "RefundDue" | "InventoryClosed" | "InventoryRevised" => Some(record.at),
        _ => None,
    }
}

/// Has the inventory take over what its event says now.
pub(crate) async fn follow(
    log: &Arc<dyn Log>,
    clock: &Arc<dyn Clock>,
    inventories: &Arc<Inventories>,
    event: EventId,
    origin: Origin,
) -> crate::runtime::Outcome<domain::inventory::Inventory> {
    let mut unit = Unit::<Event>::new(log.clone(), clock.clone(), Event::stream(event));
    let state = unit.look().await.map_err(|()| Failure::Unavailable)?;
    // Nobody can have bought anything of a draft: there is nothing to follow.
    let plan = state.plan();
    let event_version = if state.status == Status::Draft { 0 } else { state.version };
    let command = Command::Follow { event, event_version, plan };
    inventories.execute(event, Job { command, origin }).await
}
