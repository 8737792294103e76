//! Who holds without buying: places that one person keeps from all others for nothing.

use super::Inventory;
use super::commands::{Patience, Refusal};
use crate::{Time, UserId};

/// How long what somebody let go is held against them, in seconds.
const DAY_S: u64 = 86_400;

/// What somebody holds and let go.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Holder {
    /// Holds that live.
    live: u32,
    /// Holds that were given back or died since `since`, with nothing bought.
    lapsed: u32,
    since: Time,
}

impl Holder {
    fn counts_until(&self) -> Time {
        self.since.plus_s(DAY_S)
    }
}

impl Inventory {
    /// Refuses another hold to who has enough of them, or let enough of them go.
    pub(super) fn check_patience(
        &self,
        user: UserId,
        patience: Option<Patience>,
        now: Time,
    ) -> Result<(), Refusal> {
        let (Some(patience), Some(holder)) = (patience, self.holders.get(&user)) else {
            return Ok(());
        };
        if holder.live >= patience.holds {
            return Err(Refusal::TooManyHolds { holding: holder.live, limit: patience.holds });
        }
        let until = holder.counts_until();
        if holder.lapsed >= patience.lapsed && now < until {
            return Err(Refusal::TooManyLapsed { limit: patience.lapsed, until });
        }
        Ok(())
    }

    pub(super) fn holds_more(&mut self, user: UserId) {
        self.holders.entry(user).or_default().live += 1;
    }

    /// They bought what they held: nothing is held against them any more.
    pub(super) fn bought_hold(&mut self, user: UserId) {
        let Some(holder) = self.holders.get_mut(&user) else { return };
        *holder = Holder { live: holder.live.saturating_sub(1), ..Holder::default() };
        if holder.live == 0 {
            self.holders.remove(&user);
        }
    }

    /// A hold of theirs is gone; `is_lapse` if it was of their own making.
    pub(super) fn lost_hold(&mut self, user: UserId, is_lapse: bool) {
        let now = self.clock;
        let Some(holder) = self.holders.get_mut(&user) else { return };
        holder.live = holder.live.saturating_sub(1);
        if is_lapse {
            if holder.lapsed == 0 || now >= holder.counts_until() {
                (holder.lapsed, holder.since) = (0, now);
            }
            holder.lapsed += 1;
        }
        if holder.live == 0 && holder.lapsed == 0 {
            self.holders.remove(&user);
        }
    }
}
