//! Who holds without buying: places that one person keeps from all others for nothing.

use super::Inventory;
use super::commands::{Patience, Refusal};
use crate::{Time, UserId};

/// How long what somebody let go is held against them, in seconds.
const DAY_S: u64 = 86_400;

/// What somebody holds and let go.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Holder {
    /// Holds and offers that live.
    live: u32,
    /// Those that were given back or died since `since`, and purchases that were given back, with
    /// nothing bought that made up for them.
    lapsed: u32,
    /// When the day began that they are counted in; 0 if nothing lapsed yet.
    since: Time,
}

/// What a purchase made up for: so many lapses, of the day that began then.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct MadeUpFor {
    lapsed: u16,
    /// In seconds, so that it is small: days are further apart.
    since_s: u32,
}

impl Holder {
    fn counts_until(&self) -> Time {
        self.since.plus_s(DAY_S)
    }

    fn since_s(&self) -> u32 {
        u32::try_from(self.since.as_ms() / 1_000).unwrap_or(u32::MAX)
    }

    /// One more lapsed, and with it what a purchase that is given back had made up for.
    fn lapse(&mut self, now: Time, again: MadeUpFor) {
        if now >= self.counts_until() {
            (self.lapsed, self.since) = (0, now);
        }
        let is_of_this_day = again.since_s == self.since_s();
        let again = if is_of_this_day { u32::from(again.lapsed) } else { 0 };
        self.lapsed = self.lapsed.saturating_add(again).saturating_add(1);
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
        let live = self.holders.get(&user).map_or(0, |holder| holder.live);
        if let Some(patience) = patience.filter(|patience| live >= patience.holds) {
            return Err(Refusal::TooManyHolds { holding: live, limit: patience.holds });
        }
        self.check_lapsed(user, patience, now)
    }

    /// Refuses to who let enough holds and offers go.
    pub(super) fn check_lapsed(
        &self,
        user: UserId,
        patience: Option<Patience>,
        now: Time,
    ) -> Result<(), Refusal> {
        let (Some(patience), Some(holder)) = (patience, self.holders.get(&user)) else {
            return Ok(());
        };
        let until = holder.counts_until();
        if holder.lapsed >= patience.lapsed && now < until {
            return Err(Refusal::TooManyLapsed { limit: patience.lapsed, until });
        }
        Ok(())
    }

    pub(super) fn holds_more(&mut self, user: UserId) {
        self.holders.entry(user).or_default().live += 1;
    }

    /// They bought what they held: what they let go before is not held against them as long as they
    /// keep it.
    pub(super) fn bought_hold(&mut self, user: UserId) -> MadeUpFor {
        let now = self.clock;
        let Some(holder) = self.holders.get_mut(&user) else { return MadeUpFor::default() };
        holder.live = holder.live.saturating_sub(1);
        if now >= holder.counts_until() {
            *holder = Holder { live: holder.live, ..Holder::default() };
        }
        let lapsed = std::mem::take(&mut holder.lapsed);
        let lapsed = u16::try_from(lapsed).unwrap_or(u16::MAX);
        let made_up = MadeUpFor { lapsed, since_s: holder.since_s() };
        self.forget_idle(user);
        made_up
    }

    /// A hold or an offer of theirs is gone; `is_lapse` if it was of their own making.
    pub(super) fn lost_hold(&mut self, user: UserId, is_lapse: bool) {
        let now = self.clock;
        let Some(holder) = self.holders.get_mut(&user) else { return };
        holder.live = holder.live.saturating_sub(1);
        if is_lapse {
            holder.lapse(now, MadeUpFor::default());
        }
        self.forget_idle(user);
    }

    /// They gave a purchase back: it makes up for nothing any more, and was one more hold that
    /// brought nothing.
    pub(super) fn gave_back_purchase(&mut self, user: UserId, made_up: MadeUpFor) {
        let now = self.clock;
        self.holders.entry(user).or_default().lapse(now, made_up);
    }

    fn forget_idle(&mut self, user: UserId) {
        let is_idle = |it: &Holder| it.live == 0 && it.lapsed == 0 && it.since == Time::default();
        if self.holders.get(&user).is_some_and(is_idle) {
            self.holders.remove(&user);
        }
    }
}
