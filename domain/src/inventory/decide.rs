//! The rules. Each function asks its questions in the order a person would.

use super::bookings::{BookingStatus, PaymentStage, Seek};
use super::stock::{Place, Wanted};
use super::waitlist::EntryStatus;
use super::{
    CancelledBy, Command, Confirmed, Fact, Inventory, InventoryClosed, InventoryOpened,
    InventoryRevised, Line, PaymentFailed, PaymentResult, PaymentStarted, Plan, RefundDue,
    Refunded, Refusal, Reinstated, Reserved, WaitlistJoined, WaitlistLeft, tickets, tickets_of,
};
use crate::event::Stock as TierStock;
use crate::{BookingId, EventId, PaymentId, Request, TierId, Time, UserId, WaitlistId};

type Decided = Result<Vec<Fact>, Refusal>;

impl Inventory {
    /// What follows from `command` on settled state. Private to the aggregate: see
    /// [`Inventory::execute`].
    pub(super) fn decide(&self, command: &Command, now: Time) -> Decided {
        match command {
            Command::Reserve { booking, user, wanted, request } => {
                self.reserve(*booking, *user, wanted, request.as_ref(), now)
            }
            Command::StartPayment { booking, user, payment, request } => {
                self.start_payment(*booking, *user, *payment, request.as_ref())
            }
            Command::SettlePayment { booking, payment, result } => {
                self.settle_payment(*booking, *payment, *result, now)
            }
            Command::SettleRefund { booking, payment } => self.settle_refund(*booking, *payment),
            Command::Cancel { booking, user, as_admin, request } => {
                self.cancel(*booking, *user, *as_admin, request.as_ref(), now)
            }
            Command::JoinWaitlist { waitlist, user, tier, quantity, request } => {
                self.join(*waitlist, *user, *tier, *quantity, request.as_ref(), now)
            }
            Command::LeaveWaitlist { user, request } => self.leave(*user, request.as_ref()),
            Command::Follow { event, event_version, plan } => {
                Ok(self.follow_event(*event, *event_version, plan.as_ref()))
            }
            Command::CheckPlan { plan } => self.check_plan(plan).map(|()| vec![]),
            Command::Settle => Ok(vec![]),
        }
    }

    fn done_before(&self, user: UserId, request: Option<&Request>) -> Result<bool, Refusal> {
        match self.requests.seek(user, request) {
            Seek::New => Ok(false),
            Seek::Done(_) => Ok(true),
            Seek::Reused => Err(Refusal::KeyReused),
        }
    }

    /// The plan, if the event is published, takes place, and has not begun (BK-7).
    fn on_sale(&self, now: Time) -> Result<(EventId, &Plan), Refusal> {
        let (Some(event), Some(plan)) = (self.event, &self.plan) else {
            return Err(Refusal::EventNotFound);
        };
        if self.closed {
            return Err(Refusal::EventCancelled);
        }
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
        request: Option<&Request>,
        now: Time,
    ) -> Decided {
        if self.done_before(user, request)? {
            return Ok(vec![]);
        }
        let (_, plan) = self.on_sale(now)?;
        if self.bookings.find(booking.number).is_some() {
            return Err(Refusal::BookingExists);
        }
        self.check_limits(plan, user, &self.stock.locate(wanted)?, now)?;
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

    /// Limits per booking, per tier and per person, and the sale window of each tier (BK-7).
    fn check_limits(
        &self,
        plan: &Plan,
        user: UserId,
        wanted: &[(u16, u32)],
        now: Time,
    ) -> Result<(), Refusal> {
        let requested =
            wanted.iter().fold(0u32, |sum, (_, quantity)| sum.saturating_add(*quantity));
        if requested == 0 {
            return Err(Refusal::NothingWanted);
        }
        if requested > plan.max_per_booking {
            return Err(Refusal::LimitPerBooking { requested, limit: plan.max_per_booking });
        }
        for (tier, quantity) in wanted {
            let tier = &self.stock.tiers[usize::from(*tier)];
            tier.on_sale(now)?;
            if let Some(limit) = tier.terms.max_per_booking.filter(|limit| quantity > limit) {
                return Err(Refusal::LimitPerBooking { requested: *quantity, limit });
            }
        }
        let owned = self.per_user.get(&user).copied().unwrap_or(0);
        match plan.max_per_user {
            Some(limit) if owned.saturating_add(requested) > limit => {
                Err(Refusal::LimitPerUser { requested, owned, limit })
            }
            _ => Ok(()),
        }
    }

    /// The booking, if it is this person's.
    fn own(&self, id: BookingId, user: Option<UserId>) -> Result<(u32, &super::Booking), Refusal> {
        let index = self.bookings.find(id.number).filter(|_| self.event == Some(id.event));
        let index = index.ok_or(Refusal::BookingNotFound)?;
        let booking = self.bookings.get(index).ok_or(Refusal::BookingNotFound)?;
        if user.is_some_and(|user| user != booking.user) {
            return Err(Refusal::BookingNotFound);
        }
        Ok((index, booking))
    }

    fn start_payment(
        &self,
        id: BookingId,
        user: UserId,
        payment: PaymentId,
        request: Option<&Request>,
    ) -> Decided {
        if self.done_before(user, request)? {
            return Ok(vec![]);
        }
        let (_, booking) = self.own(id, Some(user))?;
        match booking.status {
            BookingStatus::Held => {}
            BookingStatus::Confirmed => return Err(Refusal::AlreadyConfirmed),
            BookingStatus::Cancelled => return Err(Refusal::AlreadyCancelled),
            BookingStatus::Expired => {
                return Err(Refusal::HoldExpired { expired_at: booking.expires_at });
            }
        }
        if self.is_being_paid(booking) {
            return Err(Refusal::PaymentInProgress);
        }
        if booking.total_minor == 0 {
            let confirmed = self.confirm(id, booking, &booking.places, None, request.cloned());
            return Ok(vec![confirmed.into()]);
        }
        let (amount_minor, currency) = (booking.total_minor, self.currency());
        let request = request.cloned();
        let started = PaymentStarted { booking: id, payment, amount_minor, currency, request };
        Ok(vec![started.into()])
    }

    fn is_being_paid(&self, booking: &super::Booking) -> bool {
        let last = self.bookings.payment_of(booking);
        last.is_some_and(|payment| payment.stage == PaymentStage::Started)
    }

    fn confirm(
        &self,
        id: BookingId,
        booking: &super::Booking,
        places: &[Place],
        payment: Option<PaymentId>,
        request: Option<Request>,
    ) -> Confirmed {
        let lines = self.stock.lines(places);
        Confirmed {
            booking: id,
            user: booking.user,
            payment,
            tickets: tickets_of(id, &lines),
            lines,
            total_minor: booking.total_minor,
            currency: self.currency(),
            waitlist: self.waitlist.entry(booking.waitlist).map(|entry| entry.id),
            request,
        }
    }

    /// A charge is confirmed, or re-reserved from free stock, or owed back; never lost (PM-3).
    fn settle_payment(
        &self,
        id: BookingId,
        payment: PaymentId,
        result: PaymentResult,
        now: Time,
    ) -> Decided {
        let (_, booking) = self.own(id, None)?;
        let Some(asked) = self.bookings.payment_of(booking).filter(|asked| asked.id == payment)
        else {
            return Ok(vec![]);
        };
        if asked.stage != PaymentStage::Started {
            return Ok(vec![]);
        }
        if let PaymentResult::Failed(reason) = result {
            return Ok(vec![PaymentFailed { booking: id, payment, reason }.into()]);
        }
        let request = asked.request.as_deref().cloned();
        let confirmed = self.confirm(id, booking, &booking.places, Some(payment), request);
        let user = booking.user;
        match booking.status {
            BookingStatus::Held => Ok(vec![confirmed.into()]),
            BookingStatus::Expired if self.can_reinstate(booking, now) => {
                let lines = confirmed.lines.clone();
                let reinstated = Reinstated { booking: id, user, lines };
                Ok(vec![reinstated.into(), Confirmed { waitlist: None, ..confirmed }.into()])
            }
            BookingStatus::Expired | BookingStatus::Cancelled | BookingStatus::Confirmed => {
                let (amount_minor, currency) = (asked.amount_minor, self.currency());
                Ok(vec![RefundDue { booking: id, user, payment, amount_minor, currency }.into()])
            }
        }
    }

    /// Whether the very same places are free, nobody on the waitlist being owed them (settled),
    /// and the event is still on sale.
    fn can_reinstate(&self, booking: &super::Booking, now: Time) -> bool {
        !self.over_limit(booking.user, tickets(&booking.places))
            && self.on_sale(now).is_ok()
            && self.stock.all_free(&booking.places)
    }

    fn settle_refund(&self, id: BookingId, payment: PaymentId) -> Decided {
        let (_, booking) = self.own(id, None)?;
        let owed = self.bookings.payment_of(booking).filter(|owed| owed.id == payment);
        match owed.map(|owed| owed.stage) {
            Some(PaymentStage::RefundOwed(amount_minor)) => {
                Ok(vec![Refunded { booking: id, payment, amount_minor }.into()])
            }
            _ => Ok(vec![]),
        }
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
        // The key is remembered for the person whose booking it is, whoever asks for them.
        if self.done_before(booking.user, request)? {
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
            (BookingStatus::Confirmed, Some(plan)) => {
                if plan.ends_at <= now {
                    return Err(Refusal::EventEnded { ends_at: plan.ends_at });
                }
                refund_percent(plan, now)
            }
            _ => 0,
        };
        Ok(vec![self.cancelled(index, CancelledBy::Buyer, percent, request.cloned()).into()])
    }

    fn join(
        &self,
        waitlist: WaitlistId,
        user: UserId,
        tier: Option<TierId>,
        quantity: u32,
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
        self.check_wait(plan, user, &tiers, quantity, now)?;
        let (position, request) = (self.waitlist.waiting() + 1, request.cloned());
        let joined = WaitlistJoined { waitlist, event, user, tier, quantity, position, request };
        Ok(vec![joined.into()])
    }

    /// Waiting makes sense: some tier on sale could serve it one day, none can now (WL-1).
    fn check_wait(
        &self,
        plan: &Plan,
        user: UserId,
        tiers: &[u16],
        quantity: u32,
        now: Time,
    ) -> Result<(), Refusal> {
        let mut refused = Refusal::NeverEnough { requested: quantity, capacity: 0 };
        let mut useful = false;
        for index in tiers {
            let tier = &self.stock.tiers[usize::from(*index)];
            if let Err(refusal) = self.check_limits(plan, user, &[(*index, quantity)], now) {
                refused = refusal;
            } else if quantity > tier.capacity {
                refused = Refusal::NeverEnough { requested: quantity, capacity: tier.capacity };
            } else if quantity <= tier.available() {
                let available = tier.available();
                return Err(Refusal::TicketsAvailable { requested: quantity, available });
            } else {
                useful = true;
            }
        }
        if useful { Ok(()) } else { Err(refused) }
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
                Ok(vec![self.cancelled(index, CancelledBy::Buyer, 0, request).into()])
            }
            _ => {
                let (waitlist, request) = (entry.id, request.cloned());
                Ok(vec![WaitlistLeft { waitlist, event, user, request }.into()])
            }
        }
    }

    /// The inventory does what the event's organizer wants, but keeps what was bought (CT-2).
    fn follow_event(&self, event: EventId, event_version: u64, plan: Option<&Plan>) -> Vec<Fact> {
        let known = self.event.is_some();
        if known && (event_version <= self.event_version || self.closed) {
            return vec![];
        }
        match plan {
            None if known => vec![InventoryClosed { event, event_version }.into()],
            None => vec![],
            Some(plan) if known => {
                let plan = self.keep_bought(plan);
                vec![InventoryRevised { event, plan, event_version }.into()]
            }
            Some(plan) => {
                vec![InventoryOpened { event, plan: plan.clone(), event_version }.into()]
            }
        }
    }

    fn keep_bought(&self, plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        for tier in &mut plan.tiers {
            if let TierStock::Counted { capacity, .. } = &mut tier.stock
                && let Some((_, state)) = self.stock.tier(tier.tier)
            {
                *capacity = (*capacity).max(state.held + state.sold);
            }
        }
        plan
    }

    fn check_plan(&self, plan: &Plan) -> Result<(), Refusal> {
        for tier in &plan.tiers {
            // Seats of a published tier never change: only places can become fewer.
            let TierStock::Counted { capacity: requested, .. } = tier.stock else { continue };
            let Some((_, state)) = self.stock.tier(tier.tier) else { continue };
            let (sold, held) = (state.sold, state.held);
            if requested < sold + held {
                return Err(Refusal::CapacityBelowSold { tier: tier.tier, requested, sold, held });
            }
        }
        Ok(())
    }
}

/// The share of the price that is paid back at `now`: the first rule whose time is not over (BK-9).
fn refund_percent(plan: &Plan, now: Time) -> u8 {
    let left_ms = plan.starts_at.ms_since(now);
    let holds = |rule: &&crate::event::RefundRule| {
        now < plan.starts_at && left_ms >= rule.until_s_before_start.saturating_mul(1000)
    };
    plan.refund_policy.iter().find(holds).map_or(0, |rule| rule.percent)
}
