//! The rules. Each function asks its questions in the order a person would.

use super::bookings::{Booking, BookingStatus};
use super::requests::Seek;
use super::waitlist::EntryStatus;
use super::{
    Cancelled, Command, Fact, Inventory, Line, Patience, Plan, Refusal, Reserved, WaitlistJoined,
    WaitlistLeft, Wanted,
};
use crate::event::RefundRule;
use crate::{BookingId, EventId, Request, TierId, Time, UserId, WaitlistId};

pub(super) type Decided = Result<Vec<Fact>, Refusal>;

impl Inventory {
    /// What follows from `command` on settled state. Private to the aggregate: see
    /// [`Inventory::execute`].
    pub(super) fn decide(&self, command: &Command, now: Time) -> Decided {
        match command {
            Command::Reserve { booking, user, wanted, patience, request } => {
                self.reserve(*booking, *user, wanted, *patience, request.as_ref(), now)
            }
            Command::StartPayment { booking, user, payment, request } => {
                self.start_payment(*booking, *user, *payment, request.as_ref(), now)
            }
            Command::SettlePayment { booking, payment, result } => {
                self.settle_payment(*booking, *payment, *result, now)
            }
            Command::SettleRefund { booking, payment } => self.settle_refund(*booking, *payment),
            Command::Cancel { booking, user, as_admin, request } => {
                self.cancel(*booking, *user, *as_admin, request.as_ref(), now)
            }
            Command::JoinWaitlist { waitlist, user, tier, quantity, patience, request } => {
                let wanted = (*tier, *quantity);
                self.join(*waitlist, *user, wanted, *patience, request.as_ref(), now)
            }
            Command::LeaveWaitlist { user, request } => self.leave(*user, request.as_ref()),
            Command::Forget { user } => Ok(self.forget(*user)),
            Command::Follow { event, event_version, plan } => {
                Ok(self.follow_event(*event, *event_version, plan.as_ref()))
            }
            Command::Find { booking } => self.own(*booking, None).map(|_| vec![]),
            Command::CheckPlan { plan } => self.check_plan(plan).map(|()| vec![]),
            Command::Settle => Ok(vec![]),
        }
    }

    pub(super) fn done_before(
        &self,
        user: UserId,
        request: Option<&Request>,
    ) -> Result<bool, Refusal> {
        match self.requests.seek(user, request) {
            Seek::New => Ok(false),
            Seek::Done(_) => Ok(true),
            Seek::Reused => Err(Refusal::KeyReused),
        }
    }

    /// The plan, if the event is published, takes place, and is not over.
    pub(super) fn takes_place(&self, now: Time) -> Result<(EventId, &Plan), Refusal> {
        let (Some(event), Some(plan)) = (self.event, &self.plan) else {
            return Err(Refusal::EventNotFound);
        };
        if self.closed {
            return Err(Refusal::EventCancelled);
        }
        if plan.ends_at <= now {
            return Err(Refusal::EventEnded { ends_at: plan.ends_at });
        }
        Ok((event, plan))
    }

    /// The plan, if the event is published, takes place, and has not begun (BK-7).
    pub(super) fn on_sale(&self, now: Time) -> Result<(EventId, &Plan), Refusal> {
        let (event, plan) = self.takes_place(now)?;
        if plan.starts_at <= now {
            return Err(Refusal::EventStarted { starts_at: plan.starts_at });
        }
        Ok((event, plan))
    }

    fn reserve(
        &self,
        booking: BookingId,
        user: UserId,
        wanted: &Wanted,
        patience: Option<Patience>,
        request: Option<&Request>,
        now: Time,
    ) -> Decided {
        if self.done_before(user, request)? {
            return Ok(vec![]);
        }
        let (event, plan) = self.on_sale(now)?;
        if event != booking.event {
            return Err(Refusal::EventNotFound);
        }
        if self.bookings.find(booking.number).is_some() {
            return Err(Refusal::BookingExists);
        }
        // Before the seats are looked up: a list of thousands is not worth a look.
        check_quantity(plan, wanted.tickets())?;
        for (tier, quantity) in self.stock.locate(wanted)? {
            self.check_tier(tier, quantity, now)?;
        }
        self.check_user(user, wanted.tickets())?;
        self.check_patience(user, patience, now)?;
        let places = self.stock.allocate(wanted)?;
        let lines = self.stock.lines(&places);
        let subtotal_minor = lines.iter().map(Line::amount_minor).sum();
        let reserved = Reserved {
            booking,
            user,
            lines,
            subtotal_minor,
            discount_minor: 0,
            total_minor: subtotal_minor,
            currency: plan.currency,
            expires_at: now.plus_s(u64::from(plan.hold_ttl_s)),
            request: request.cloned(),
        };
        Ok(vec![reserved.into()])
    }

    /// The sale window of a tier, and how many of it one booking can have (BK-7).
    fn check_tier(&self, tier: u16, requested: u32, now: Time) -> Result<(), Refusal> {
        let tier = &self.stock.tiers[usize::from(tier)];
        tier.on_sale(now)?;
        match tier.terms.max_per_booking {
            Some(limit) if requested > limit => Err(Refusal::LimitPerBooking { requested, limit }),
            _ => Ok(()),
        }
    }

    /// How many tickets one person can have (BK-7).
    fn check_user(&self, user: UserId, requested: u32) -> Result<(), Refusal> {
        match self.user_limit() {
            Some(limit) if self.over_limit(user, requested) => {
                Err(Refusal::LimitPerUser { requested, owned: self.owned(user), limit })
            }
            _ => Ok(()),
        }
    }

    /// The booking, if it is this person's.
    pub(super) fn own(
        &self,
        id: BookingId,
        user: Option<UserId>,
    ) -> Result<(u32, &Booking), Refusal> {
        let index = self.bookings.find(id.number).filter(|_| self.event == Some(id.event));
        let index = index.ok_or(Refusal::BookingNotFound)?;
        let booking = self.bookings.get(index).ok_or(Refusal::BookingNotFound)?;
        if user.is_some_and(|user| user != booking.user) {
            return Err(Refusal::BookingNotFound);
        }
        Ok((index, booking))
    }

    fn cancel(
        &self,
        id: BookingId,
        user: UserId,
        as_admin: bool,
        request: Option<&Request>,
        now: Time,
    ) -> Decided {
        let (index, booking) = self.own(id, (!as_admin).then_some(user))?;
        if self.done_before(user, request)? {
            return Ok(vec![]);
        }
        match booking.status {
            BookingStatus::Cancelled => return Err(Refusal::AlreadyCancelled),
            BookingStatus::Expired => {
                return Err(Refusal::HoldExpired { expired_at: booking.expires_at });
            }
            BookingStatus::Held if self.is_being_paid(booking) => {
                return Err(Refusal::PaymentInProgress);
            }
            BookingStatus::Held | BookingStatus::Confirmed => {}
        }
        let percent = match (booking.status, &self.plan) {
            (BookingStatus::Confirmed, Some(plan)) if !self.closed => {
                if plan.ends_at <= now {
                    return Err(Refusal::EventEnded { ends_at: plan.ends_at });
                }
                refund_percent(plan, now)
            }
            _ => 0,
        };
        let admin = (user != booking.user).then_some(user);
        let cancelled = self.cancelled(index, percent, request.cloned());
        Ok(vec![Cancelled { admin, ..cancelled }.into()])
    }

    fn join(
        &self,
        waitlist: WaitlistId,
        user: UserId,
        (tier, quantity): (Option<TierId>, u32),
        patience: Option<Patience>,
        request: Option<&Request>,
        now: Time,
    ) -> Decided {
        if self.done_before(user, request)? {
            return Ok(vec![]);
        }
        let (event, plan) = self.on_sale(now)?;
        if self.waitlist.active(user).is_some() {
            return Err(Refusal::AlreadyWaiting);
        }
        let tiers: Vec<u16> = match tier {
            Some(tier) => vec![self.stock.tier(tier).ok_or(Refusal::TierNotFound)?.0],
            None => (0u16..).take(self.stock.tiers.len()).collect(),
        };
        check_quantity(plan, quantity)?;
        self.check_user(user, quantity)?;
        // An offer is a hold too; how many live is no matter, as it comes later.
        self.check_lapsed(user, patience, now)?;
        self.check_wait(&tiers, quantity, now)?;
        let (position, request) = (self.waitlist.waiting() + 1, request.cloned());
        let joined = WaitlistJoined { waitlist, event, user, tier, quantity, position, request };
        Ok(vec![joined.into()])
    }

    /// Waiting makes sense: some tier on sale could serve it one day, none can now (WL-1).
    fn check_wait(&self, tiers: &[u16], requested: u32, now: Time) -> Result<(), Refusal> {
        let (mut refused, mut most, mut useful) = (None, None, false);
        for index in tiers {
            let tier = &self.stock.tiers[usize::from(*index)];
            let (capacity, available) = (tier.capacity, tier.available());
            if let Err(refusal) = self.check_tier(*index, requested, now) {
                refused = Some(refusal);
            } else if requested > capacity {
                most = most.max(Some(capacity));
            } else if requested <= available {
                return Err(Refusal::TicketsAvailable { requested, available });
            } else {
                useful = true;
            }
        }
        if useful {
            return Ok(());
        }
        // Of what is on sale, the tier that comes nearest says why.
        Err(match (most, refused) {
            (None, Some(refused)) => refused,
            (most, _) => Refusal::NeverEnough { requested, capacity: most.unwrap_or(0) },
        })
    }

    fn leave(&self, user: UserId, request: Option<&Request>) -> Decided {
        if self.done_before(user, request)? {
            return Ok(vec![]);
        }
        let event = self.event.ok_or(Refusal::EventNotFound)?;
        let (_, entry) = self.waitlist.active(user).ok_or(Refusal::NotWaiting)?;
        match (entry.status, entry.booking) {
            (EntryStatus::Offered, Some(index)) => {
                let booking = self.bookings.get(index).ok_or(Refusal::NotWaiting)?;
                if self.is_being_paid(booking) {
                    return Err(Refusal::PaymentInProgress);
                }
                let request = request.cloned();
                Ok(vec![self.cancelled(index, 0, request).into()])
            }
            _ => {
                let (waitlist, request) = (entry.id, request.cloned());
                Ok(vec![WaitlistLeft { waitlist, event, user, request }.into()])
            }
        }
    }
}

/// How many tickets one booking can have, and that it has any (BK-7).
fn check_quantity(plan: &Plan, requested: u32) -> Result<(), Refusal> {
    if requested == 0 {
        return Err(Refusal::NothingWanted);
    }
    if requested > plan.max_per_booking {
        return Err(Refusal::LimitPerBooking { requested, limit: plan.max_per_booking });
    }
    Ok(())
}

/// The share of the price that is paid back at `now`: the first rule whose time is not over (BK-9).
fn refund_percent(plan: &Plan, now: Time) -> u8 {
    let left_ms = plan.starts_at.ms_since(now);
    let holds = |rule: &&RefundRule| {
        now < plan.starts_at && left_ms >= rule.until_s_before_start.saturating_mul(1000)
    };
    plan.refund_policy.iter().find(holds).map_or(0, |rule| rule.percent)
}
