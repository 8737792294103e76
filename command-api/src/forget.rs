//! Places of those who were erased go to others (AC-3): what they wait for is left, and what they hold
//! unpaid is given back.
//!
//! Where they have anything only the log knows. It is read once for all who were erased lately, in the
//! background, by every node that decides: what one has done the others find done. Who has to be looked
//! for stays on the wake list until that is over, also after a crash.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::inventory::{self, Command};
use domain::{BookingId, EventId, UserId, WaitlistId};
use infra::log::{Position, Record};
use serde::Deserialize;

use crate::followup::FollowUp;
use crate::runtime::{Failure, Job, Origin};

/// For how long after the erasure, in seconds, a node may still take their token for valid.
const LATE_S: u64 = 2;
/// How often those are looked at who were erased a moment ago, or could not be let go of.
const AGAIN: Duration = Duration::from_secs(1);
/// Records read at a time.
const PAGE: usize = 8_192;

/// What they had once and may have still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Thing {
    Hold(BookingId),
    Place(WaitlistId),
}

/// Whose a fact is, and of what it tells.
#[derive(Deserialize)]
struct Whose {
    user: UserId,
    booking: Option<BookingId>,
    waitlist: Option<WaitlistId>,
}

impl FollowUp {
    /// Lets go of those who were erased, for ever.
    pub(crate) async fn forget_erased(self: Arc<Self>) {
        loop {
            let now = self.clock.now();
            let waiting = self.wake.to_forget();
            let ready = waiting.iter().filter(|(_, at)| at.plus_s(LATE_S) <= now);
            let ready: HashSet<UserId> = ready.map(|(user, _)| *user).collect();
            if !ready.is_empty() {
                let Some(forgotten) = self.stop.run_until_cancelled(self.forget(&ready)).await
                else {
                    return;
                };
                // Who failed is tried again; that the log is away was told.
                if forgotten.is_ok() {
                    ready.iter().for_each(|user| self.wake.has_forgotten(*user));
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.wake.has_to_forget() => {}
                () = tokio::time::sleep(AGAIN), if !waiting.is_empty() => {}
            }
        }
    }

    async fn forget(&self, erased: &HashSet<UserId>) -> Result<(), ()> {
        for (event, user) in self.left_over(erased).await? {
            let mut is_done = false;
            while !is_done {
                let job = Job { command: Command::Forget { user }, origin: Origin::system() };
                is_done = match self.inventories.execute(event, job).await {
                    Ok(done) => done.facts.is_empty(),
                    Err(Failure::Refused(_)) => true,
                    Err(_) => return Err(()),
                };
            }
        }
        Ok(())
    }

    /// In which inventories something of them is left, as the log says.
    async fn left_over(&self, erased: &HashSet<UserId>) -> Result<HashSet<(EventId, UserId)>, ()> {
        let (mut things, mut after) = (HashSet::new(), Position(0));
        loop {
            let page = self.log.read_all(after, PAGE).await.map_err(|error| {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "places of who was erased are given back later");
            })?;
            let Some(last) = page.last() else { break };
            after = last.position;
            page.iter().for_each(|record| note(record, erased, &mut things));
            // Selling goes before it.
            tokio::task::yield_now().await;
        }
        Ok(things.into_iter().map(|(event, user, _)| (event, user)).collect())
    }
}

fn note(record: &Record, erased: &HashSet<UserId>, things: &mut HashSet<(EventId, UserId, Thing)>) {
    let Some((inventory::CATEGORY, id)) = record.stream.split_once('-') else { return };
    let kind = &*record.kind;
    if !matches!(
        kind,
        "Reserved"
            | "Offered"
            | "Confirmed"
            | "Expired"
            | "Cancelled"
            | "WaitlistJoined"
            | "WaitlistLeft"
    ) {
        return;
    }
    // What cannot be read its inventory reports.
    let Ok(Whose { user, booking, waitlist }) = serde_json::from_slice(&record.data) else {
        return;
    };
    let Ok(event) = id.parse::<EventId>() else { return };
    if !erased.contains(&user) {
        return;
    }
    let hold = booking.map(|booking| (event, user, Thing::Hold(booking)));
    let place = waitlist.map(|waitlist| (event, user, Thing::Place(waitlist)));
    match kind {
        "Reserved" | "Offered" => {
            things.extend(hold);
            place.map(|place| things.remove(&place));
        }
        "WaitlistJoined" => things.extend(place),
        "WaitlistLeft" => {
            place.map(|place| things.remove(&place));
        }
        _ => {
            hold.map(|hold| things.remove(&hold));
        }
    }
}
