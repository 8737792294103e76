//! Small words for plans, commands and facts.

use super::*;
use crate::event::{DEFAULT_HOLD_TTL_S, DEFAULT_OFFER_TTL_S, Stock, Tier, default_refund_policy};
use crate::seating::{Row, Seats};
use crate::{PaymentId, WaitlistId};

pub(super) const EVENT: EventId = EventId::from_u128(7);
pub(super) const ANN: UserId = UserId::from_u128(1);
pub(super) const BOB: UserId = UserId::from_u128(2);
pub(super) const CY: UserId = UserId::from_u128(3);
pub(super) const ADMIN: UserId = UserId::from_u128(99);
/// Places to stand, 10 EUR each.
pub(super) const FLOOR: TierId = TierId::from_u128(11);
/// Seats A-1-1 to A-1-3, of which A-1-1 is accessible, and A-2-x, A-2-y; 25 EUR each.
pub(super) const STALLS: TierId = TierId::from_u128(12);
/// Free of charge.
pub(super) const LAWN: TierId = TierId::from_u128(13);

pub(super) const HOLD_S: u64 = DEFAULT_HOLD_TTL_S as u64;
pub(super) const OFFER_S: u64 = DEFAULT_OFFER_TTL_S as u64;
pub(super) const DAY_S: u64 = 86_400;
/// When the event begins and when it is over.
pub(super) const START_S: u64 = 30 * DAY_S;
pub(super) const END_S: u64 = START_S + 10_800;

// Plans

pub(super) fn tier(tier: TierId, price_minor: i64, stock: Stock) -> Tier {
    let (sale_starts_at, sale_ends_at, max_per_booking) = (None, None, None);
    let name = tier.to_string();
    Tier { tier, name, price_minor, stock, sale_starts_at, sale_ends_at, max_per_booking }
}

pub(super) fn floor(capacity: u32) -> Tier {
    tier(FLOOR, 1_000, Stock::Counted { capacity, section: None })
}

pub(super) fn lawn(capacity: u32) -> Tier {
    tier(LAWN, 0, Stock::Counted { capacity, section: None })
}

pub(super) fn stalls() -> Tier {
    let labels = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
    let rows = vec![
        Row { label: "1".into(), seats: Seats::Count(3), accessible: labels(&["1"]) },
        Row { label: "2".into(), seats: Seats::Labels(labels(&["x", "y"])), accessible: vec![] },
    ];
    tier(STALLS, 2_500, Stock::Seated { section: "A".into(), rows })
}

pub(super) fn plan(tiers: &[Tier]) -> Plan {
    Plan {
        starts_at: at(START_S),
        ends_at: at(END_S),
        currency: Currency::EUR,
        tiers: tiers.to_vec(),
        hold_ttl_s: DEFAULT_HOLD_TTL_S,
        offer_ttl_s: DEFAULT_OFFER_TTL_S,
        max_per_booking: 10,
        max_per_user: None,
        refund_policy: default_refund_policy(),
    }
}

// Commands

pub(super) fn bkg(number: u64) -> BookingId {
    BookingId { event: EVENT, number }
}

pub(super) fn pay(number: u64) -> PaymentId {
    PaymentId::from_u128(u128::from(number))
}

pub(super) fn wl(number: u64) -> WaitlistId {
    WaitlistId::from_u128(u128::from(number))
}

pub(super) fn some(tier: TierId, quantity: u32) -> Wanted {
    Wanted::Quantity { tier, quantity }
}

pub(super) fn named(seats: &[&str]) -> Wanted {
    Wanted::Seats(seats.iter().map(|seat| (*seat).to_owned()).collect())
}

pub(super) fn reserve(number: u64, user: UserId, wanted: Wanted) -> Command {
    Command::Reserve { booking: bkg(number), user, wanted, patience: None, request: None }
}

pub(super) fn start(number: u64, user: UserId, payment: u64) -> Command {
    Command::StartPayment { booking: bkg(number), user, payment: pay(payment), request: None }
}

pub(super) fn settle(number: u64, payment: u64, result: PaymentResult) -> Command {
    Command::SettlePayment { booking: bkg(number), payment: pay(payment), result }
}

pub(super) fn money(number: u64, payment: u64) -> Command {
    settle(number, payment, PaymentResult::Succeeded)
}

pub(super) fn no_money(number: u64, payment: u64) -> Command {
    settle(number, payment, PaymentResult::Failed(PaymentFailure::Declined))
}

pub(super) fn paid_back(number: u64, payment: u64) -> Command {
    Command::SettleRefund { booking: bkg(number), payment: pay(payment) }
}

pub(super) fn cancel(number: u64, user: UserId) -> Command {
    Command::Cancel { booking: bkg(number), user, as_admin: false, request: None }
}

pub(super) fn cancel_for(number: u64, admin: UserId) -> Command {
    Command::Cancel { booking: bkg(number), user: admin, as_admin: true, request: None }
}

pub(super) fn join(number: u64, user: UserId, tier: Option<TierId>, quantity: u32) -> Command {
    let (waitlist, patience) = (wl(number), None);
    Command::JoinWaitlist { waitlist, user, tier, quantity, patience, request: None }
}

pub(super) fn leave(user: UserId) -> Command {
    Command::LeaveWaitlist { user, request: None }
}

pub(super) fn follow(event_version: u64, plan: Option<Plan>) -> Command {
    Command::Follow { event: EVENT, event_version, plan }
}

/// The command under a client's key; its body stands for what was asked.
pub(super) fn keyed(mut command: Command, key: &str, body: &str) -> Command {
    match &mut command {
        Command::Reserve { request, .. }
        | Command::StartPayment { request, .. }
        | Command::Cancel { request, .. }
        | Command::JoinWaitlist { request, .. }
        | Command::LeaveWaitlist { request, .. } => *request = self::request(key, body),
        other => panic!("{other:?} has no key"),
    }
    command
}

pub(super) fn request(key: &str, body: &str) -> Option<Request> {
    Some(Request::new(key, body.as_bytes()).unwrap())
}

// Facts

pub(super) fn opened(tiers: &[Tier]) -> Then {
    opened_with(plan(tiers))
}

pub(super) fn opened_with(plan: Plan) -> Then {
    (0, InventoryOpened { event: EVENT, plan, event_version: 2 }.into())
}

pub(super) fn revised(seconds: u64, event_version: u64, plan: Plan) -> Then {
    (seconds, InventoryRevised { event: EVENT, plan, event_version }.into())
}

pub(super) fn closed(seconds: u64, event_version: u64) -> Then {
    (seconds, InventoryClosed { event: EVENT, event_version }.into())
}

pub(super) fn places(tier: TierId, quantity: u32) -> Vec<Line> {
    let unit_price_minor = if tier == FLOOR { 1_000 } else { 0 };
    vec![Line { tier, seat: None, quantity, unit_price_minor }]
}

pub(super) fn seats(names: &[&str]) -> Vec<Line> {
    let line = |name: &&str| {
        let seat = Some((*name).to_owned());
        Line { tier: STALLS, seat, quantity: 1, unit_price_minor: 2_500 }
    };
    names.iter().map(line).collect()
}

pub(super) fn total(lines: &[Line]) -> i64 {
    lines.iter().map(Line::amount_minor).sum()
}

pub(super) fn reserved(s: u64, number: u64, user: UserId, lines: Vec<Line>) -> Then {
    let (total_minor, currency) = (total(&lines), Currency::EUR);
    let fact = Reserved {
        booking: bkg(number),
        user,
        lines,
        subtotal_minor: total_minor,
        discount_minor: 0,
        total_minor,
        currency,
        expires_at: at(s + HOLD_S),
        request: None,
    };
    (s, fact.into())
}

pub(super) fn started(s: u64, number: u64, payment: u64, amount_minor: i64) -> Then {
    let (booking, payment, currency) = (bkg(number), pay(payment), Currency::EUR);
    (s, PaymentStarted { booking, payment, amount_minor, currency, request: None }.into())
}

pub(super) fn failed(s: u64, number: u64, payment: u64) -> Then {
    let (booking, payment, reason) = (bkg(number), pay(payment), PaymentFailure::Declined);
    (s, PaymentFailed { booking, payment, reason }.into())
}

pub(super) fn confirmed(s: u64, number: u64, user: UserId, payment: u64, lines: Vec<Line>) -> Then {
    let booking = bkg(number);
    let fact = Confirmed {
        booking,
        user,
        payment: Some(pay(payment)),
        tickets: tickets_of(booking, &lines),
        total_minor: total(&lines),
        lines,
        currency: Currency::EUR,
        waitlist: None,
        request: None,
    };
    (s, fact.into())
}

pub(super) fn expired(s: u64, number: u64, user: UserId, lines: Vec<Line>) -> Then {
    (s, Expired { booking: bkg(number), user, lines, waitlist: None }.into())
}

pub(super) fn reinstated(s: u64, number: u64, user: UserId, lines: Vec<Line>) -> Then {
    (s, Reinstated { booking: bkg(number), user, lines }.into())
}

/// A hold given back by its owner.
pub(super) fn released(s: u64, number: u64, user: UserId, lines: Vec<Line>) -> Then {
    let fact = Cancelled {
        booking: bkg(number),
        user,
        by: CancelledBy::Buyer,
        lines,
        was_confirmed: false,
        payment: None,
        refund_minor: 0,
        currency: Currency::EUR,
        waitlist: None,
        admin: None,
        request: None,
    };
    (s, fact.into())
}

/// The same done by an admin for them.
pub(super) fn by_admin((s, fact): Then, admin: UserId) -> Then {
    let Fact::Cancelled(fact) = fact else { panic!("{fact:?}") };
    (s, Cancelled { admin: Some(admin), ..fact }.into())
}

/// A ticket given back by its owner, with so much owed of `payment`.
pub(super) fn given_back((s, fact): Then, payment: u64, refund_minor: i64) -> Then {
    let Fact::Cancelled(fact) = fact else { panic!("{fact:?}") };
    let payment = (refund_minor > 0).then(|| pay(payment));
    (s, Cancelled { was_confirmed: true, payment, refund_minor, ..fact }.into())
}

/// The same because the event does not take place.
pub(super) fn by_event((s, fact): Then) -> Then {
    let Fact::Cancelled(fact) = fact else { panic!("{fact:?}") };
    (s, Cancelled { by: CancelledBy::Event, ..fact }.into())
}

pub(super) fn owed(s: u64, number: u64, user: UserId, payment: u64, amount_minor: i64) -> Then {
    let (booking, payment, currency) = (bkg(number), pay(payment), Currency::EUR);
    (s, RefundDue { booking, user, payment, amount_minor, currency }.into())
}

pub(super) fn refunded(s: u64, number: u64, payment: u64, amount_minor: i64) -> Then {
    (s, Refunded { booking: bkg(number), payment: pay(payment), amount_minor }.into())
}

/// Alone in the line; see [`nth`].
pub(super) fn joined(
    s: u64,
    number: u64,
    user: UserId,
    tier: Option<TierId>,
    quantity: u32,
) -> Then {
    let (waitlist, event, position, request) = (wl(number), EVENT, 1, None);
    (s, WaitlistJoined { waitlist, event, user, tier, quantity, position, request }.into())
}

/// The same fact, with this place in the line.
pub(super) fn nth(place: u32, (s, fact): Then) -> Then {
    let Fact::WaitlistJoined(fact) = fact else { panic!("{fact:?}") };
    (s, WaitlistJoined { position: place, ..fact }.into())
}

pub(super) fn left(s: u64, number: u64, user: UserId) -> Then {
    (s, WaitlistLeft { waitlist: wl(number), event: EVENT, user, request: None }.into())
}

/// The number of the booking that serves a place in the waitlist.
pub(super) fn served(number: u64) -> u64 {
    crate::request::Fingerprint::of(&wl(number).as_u128().to_be_bytes()).0
}

pub(super) fn offered(s: u64, number: u64, user: UserId, lines: Vec<Line>) -> Then {
    let fact = Offered {
        waitlist: wl(number),
        booking: bkg(served(number)),
        user,
        total_minor: total(&lines),
        lines,
        currency: Currency::EUR,
        expires_at: at(s + OFFER_S),
    };
    (s, fact.into())
}

/// The same fact, about the booking that serves a place in the waitlist.
pub(super) fn of_offer((s, mut fact): Then, number: u64) -> Then {
    match &mut fact {
        Fact::Expired(fact) => fact.waitlist = Some(wl(number)),
        Fact::Cancelled(fact) => fact.waitlist = Some(wl(number)),
        Fact::Confirmed(fact) => fact.waitlist = Some(wl(number)),
        other => panic!("{other:?}"),
    }
    (s, fact)
}

/// The same fact, carrying a client's key.
pub(super) fn under((s, mut fact): Then, key: &str, body: &str) -> Then {
    let request = self::request(key, body);
    match &mut fact {
        Fact::Reserved(fact) => fact.request = request,
        Fact::PaymentStarted(fact) => fact.request = request,
        Fact::Confirmed(fact) => fact.request = request,
        Fact::Cancelled(fact) => fact.request = request,
        Fact::WaitlistJoined(fact) => fact.request = request,
        Fact::WaitlistLeft(fact) => fact.request = request,
        other => panic!("{other:?}"),
    }
    (s, fact)
}
