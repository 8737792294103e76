//! What somebody who was erased has no use for any more (AC-3).

use super::waitlist::EntryStatus;
use super::{Fact, Inventory, WaitlistLeft};
use crate::UserId;

/// How much is given back at a time.
const AT_ONCE: usize = 16;

impl Inventory {
    /// The person does not wait any longer, and what they hold unpaid is free again. What is being
    /// paid becomes theirs, or dies at its deadline.
    pub(super) fn forget(&self, user: UserId) -> Vec<Fact> {
        let Some(event) = self.event else { return vec![] };
        let waits = self.waitlist.active(user).filter(|(_, it)| it.status == EntryStatus::Waiting);
        let left = waits.map(|(_, entry)| {
            Fact::from(WaitlistLeft { waitlist: entry.id, event, user, request: None })
        });
        let is_theirs = |index: &u32| {
            let booking = self.bookings.get(*index).filter(|booking| booking.user == user);
            booking.is_some_and(|booking| !self.is_being_paid(booking))
        };
        let held = self.deadlines.iter().map(|(_, index)| *index).filter(is_theirs);
        let given_back = held.map(|index| self.cancelled(index, 0, None).into());
        left.into_iter().chain(given_back).take(AT_ONCE).collect()
    }
}
