//! What inventories say, with every field and with the least.

use domain::inventory::{
    Cancelled, CancelledBy, Confirmed, Expired, Fact, InventoryClosed, InventoryOpened,
    InventoryRevised, Line, Offered, PaymentFailed, PaymentFailure, PaymentStarted, Plan,
    RefundDue, Refunded, Reinstated, Reserved, WaitlistJoined, WaitlistLeft, tickets_of,
};
use domain::{BookingId, Currency, EventId, PaymentId, Request, TierId, UserId, WaitlistId};

use super::at;
use super::organizer::{refund_policy, tiers};

const EVENT: EventId = EventId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cd00);
const BOOKING: BookingId = BookingId { event: EVENT, number: u64::MAX };
const USER: UserId = UserId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cd02);
const TIER: TierId = TierId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cd01);
const PAYMENT: PaymentId = PaymentId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cd03);
const WAITLIST: WaitlistId = WaitlistId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cd04);
const TOTAL_MINOR: i64 = 100_000_000_000_000;

fn request() -> Option<Request> {
    Request::new("0b6f5d0e-Key~1", b"what was asked").ok()
}

fn plan() -> Plan {
    Plan {
        starts_at: at(),
        ends_at: at().plus_s(7_200),
        currency: Currency::EUR,
        tiers: tiers(),
        hold_ttl_s: 300,
        offer_ttl_s: 600,
        max_per_booking: 10,
        max_per_user: Some(20),
        refund_policy: refund_policy(),
    }
}

fn lines() -> Vec<Line> {
    vec![
        Line { tier: TIER, seat: Some("A-12-x".into()), quantity: 1, unit_price_minor: 12_345 },
        Line { tier: TIER, seat: None, quantity: 1_000, unit_price_minor: 0 },
    ]
}

fn reserved(request: Option<Request>) -> Fact {
    Reserved {
        booking: BOOKING,
        user: USER,
        lines: lines(),
        subtotal_minor: TOTAL_MINOR,
        discount_minor: 5,
        total_minor: TOTAL_MINOR - 5,
        currency: Currency::EUR,
        expires_at: at(),
        request,
    }
    .into()
}

fn confirmed(
    payment: Option<PaymentId>,
    waitlist: Option<WaitlistId>,
    request: Option<Request>,
) -> Fact {
    let (booking, user, lines) = (BOOKING, USER, vec![lines().remove(0), short_line()]);
    let (total_minor, tickets) = (TOTAL_MINOR, tickets_of(BOOKING, &lines));
    let currency = Currency::EUR;
    Confirmed { booking, user, payment, lines, total_minor, currency, tickets, waitlist, request }
        .into()
}

fn short_line() -> Line {
    Line { tier: TIER, seat: None, quantity: 2, unit_price_minor: 500 }
}

fn cancelled(
    by: CancelledBy,
    payment: Option<PaymentId>,
    waitlist: Option<WaitlistId>,
    request: Option<Request>,
) -> Fact {
    Cancelled {
        booking: BOOKING,
        user: USER,
        by,
        lines: lines(),
        was_confirmed: payment.is_some(),
        payment,
        refund_minor: if payment.is_some() { TOTAL_MINOR } else { 0 },
        currency: Currency::EUR,
        waitlist,
        admin: None,
        request,
    }
    .into()
}

/// With the fields that came later; without them the facts read as before.
pub(super) fn later() -> Vec<(&'static str, Fact)> {
    let Fact::Cancelled(fact) = cancelled(CancelledBy::Buyer, None, None, request()) else {
        unreachable!()
    };
    vec![("admin", Cancelled { admin: Some(UserId::from_u128(2)), ..fact }.into())]
}

fn joined(tier: Option<TierId>, request: Option<Request>) -> Fact {
    let (waitlist, event, user, quantity, position) = (WAITLIST, EVENT, USER, 3, 4_000);
    WaitlistJoined { waitlist, event, user, tier, quantity, position, request }.into()
}

/// With every field, and with the least.
pub(super) fn facts() -> (Vec<Fact>, Vec<Fact>) {
    let (event, booking, user, payment) = (EVENT, BOOKING, USER, PAYMENT);
    let (waitlist, currency, amount_minor) = (WAITLIST, Currency::EUR, TOTAL_MINOR);
    let (lines, event_version) = (lines(), 3);
    let bare = || Plan { max_per_user: None, refund_policy: vec![], tiers: vec![], ..plan() };
    let (expires_at, total_minor) = (at(), TOTAL_MINOR);
    let most = vec![
        InventoryOpened { event, plan: plan(), event_version }.into(),
        InventoryRevised { event, plan: plan(), event_version }.into(),
        InventoryClosed { event, event_version }.into(),
        reserved(request()),
        Offered {
            waitlist,
            booking,
            user,
            lines: lines.clone(),
            total_minor,
            currency,
            expires_at,
        }
        .into(),
        PaymentStarted { booking, payment, amount_minor, currency, request: request() }.into(),
        PaymentFailed { booking, payment, reason: PaymentFailure::Declined }.into(),
        confirmed(Some(payment), Some(waitlist), request()),
        Reinstated { booking, user, lines: lines.clone() }.into(),
        Expired { booking, user, lines: lines.clone(), waitlist: Some(waitlist) }.into(),
        cancelled(CancelledBy::Buyer, Some(payment), Some(waitlist), request()),
        RefundDue { booking, user, payment, amount_minor, currency }.into(),
        Refunded { booking, payment, amount_minor }.into(),
        joined(Some(TIER), request()),
        WaitlistLeft { waitlist, event, user, request: request() }.into(),
    ];
    let least = vec![
        InventoryOpened { event, plan: bare(), event_version }.into(),
        InventoryRevised { event, plan: bare(), event_version }.into(),
        reserved(None),
        PaymentStarted { booking, payment, amount_minor, currency, request: None }.into(),
        PaymentFailed { booking, payment, reason: PaymentFailure::NeverArrived }.into(),
        confirmed(None, None, None),
        Expired { booking, user, lines, waitlist: None }.into(),
        cancelled(CancelledBy::Event, None, None, None),
        joined(None, None),
        WaitlistLeft { waitlist, event, user, request: None }.into(),
    ];
    (most, least)
}
