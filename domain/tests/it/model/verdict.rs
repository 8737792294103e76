//! Whether the shop may accept a command.

use domain::event::Tier;
use domain::inventory::{Command, PaymentResult, Wanted};
use domain::{TierId, Time, UserId};

use super::shop::{Shop, Stage, State};

impl Shop {
    /// Whether the command brings something about, nothing, or is refused (`None`).
    pub(super) fn may(&self, command: &Command, now: Time) -> Option<bool> {
        let accepted = |sound: bool| sound.then_some(true);
        match command {
            Command::Reserve { booking, user, wanted, patience, .. } => accepted(
                self.booking(*booking).is_none()
                    && self.may_reserve(*user, wanted, now)
                    && self.holds_little(*user, *patience)
                    && self.is_trusted(*user, *patience, now),
            ),
            Command::StartPayment { booking, user, .. } => {
                let booking = self.booking(*booking).filter(|it| it.user == *user)?;
                let open = booking.state == State::Held && !self.is_being_paid(booking);
                accepted(open && self.takes_place(now))
            }
            Command::SettlePayment { booking, payment, result } => {
                let booking = self.booking(*booking)?;
                let stage = booking.payments.contains(payment).then(|| self.money[payment].stage);
                Some(match result {
                    PaymentResult::Succeeded => {
                        matches!(stage, Some(Stage::Asked | Stage::Failed))
                    }
                    PaymentResult::Failed(_) => stage == Some(Stage::Asked),
                })
            }
            Command::SettleRefund { booking, payment } => {
                let booking = self.booking(*booking)?;
                Some(booking.payments.contains(payment) && self.money[payment].owed > 0)
            }
            Command::Cancel { booking, user, as_admin, .. } => {
                let booking = self.booking(*booking).filter(|it| *as_admin || it.user == *user)?;
                let over = !self.closed && self.plan().ends_at <= now;
                accepted(match booking.state {
                    State::Held => !self.is_being_paid(booking),
                    State::Sold => !over,
                    State::Expired | State::Cancelled => false,
                })
            }
            Command::JoinWaitlist { user, tier, quantity, patience, .. } => accepted(
                self.may_join(*user, *tier, *quantity, now)
                    && self.is_trusted(*user, *patience, now),
            ),
            Command::LeaveWaitlist { user, .. } => {
                let waits = self.line.iter().any(|entry| entry.user == *user);
                let offer = self.offer_of(*user);
                accepted(waits || offer.is_some_and(|offer| !self.is_being_paid(offer)))
            }
            Command::Forget { user } => {
                let waits = self.line.iter().any(|entry| entry.user == *user);
                let mut bookings = self.bookings.iter().filter(|it| it.user == *user);
                let held = bookings.any(|it| it.state == State::Held && !self.is_being_paid(it));
                Some(self.plan.is_some() && (waits || held))
            }
            Command::Follow { event_version, plan, .. } => {
                let newer = *event_version > self.version && !self.closed;
                Some(newer && (self.plan.is_some() || plan.is_some()))
            }
            Command::Find { .. } | Command::CheckPlan { .. } | Command::Settle => Some(false),
        }
    }

    fn may_reserve(&self, user: UserId, wanted: &Wanted, now: Time) -> bool {
        if !self.on_sale(now) {
            return false;
        }
        let count = wanted.tickets();
        let sound = (1..=self.plan().max_per_booking).contains(&count);
        sound
            && self.user_may_have(user, count)
            && match wanted {
                Wanted::Quantity { tier, quantity } => self.tier(*tier).is_some_and(|tier| {
                    self.sells(tier, *quantity, now) && *quantity <= self.free(tier)
                }),
                Wanted::Seats(seats) => seats.iter().enumerate().all(|(at, seat)| {
                    let mine = |tier: &Tier| {
                        let same = |seat: &&String| {
                            self.seller(seat).is_some_and(|other| other.tier == tier.tier)
                        };
                        seats.iter().filter(same).count()
                    };
                    let count = |tier| u32::try_from(mine(tier)).expect("few");
                    !seats[..at].contains(seat)
                        && !self.is_taken(seat)
                        && self.seller(seat).is_some_and(|tier| self.sells(tier, count(tier), now))
                }),
            }
    }

    fn may_join(&self, user: UserId, tier: Option<TierId>, quantity: u32, now: Time) -> bool {
        let active = self.line.iter().any(|entry| entry.user == user);
        if active || self.offer_of(user).is_some() || !self.on_sale(now) {
            return false;
        }
        let plan = self.plan();
        let sound = (1..=plan.max_per_booking).contains(&quantity);
        let wanted = |it: &&Tier| tier.is_none_or(|tier| tier == it.tier);
        let tiers: Vec<&Tier> = plan.tiers.iter().filter(wanted).collect();
        let sold = |tier: &&&Tier| self.sells(tier, quantity, now);
        let useful = tiers.iter().filter(sold).any(|it| quantity <= it.stock.capacity());
        let served = tiers.iter().filter(sold).any(|it| quantity <= self.free(it));
        sound && self.user_may_have(user, quantity) && useful && !served
    }
}
