//! One event from its draft to its end, in which every kind of fact happens.

use domain::event::{
    EventCancelled, EventChanged, EventDrafted, EventPublished, RefundRule, Stock, Terms, Tier,
};
use domain::inventory::*;
use domain::seating::{Row, Seats, Section, SectionKind};
use domain::venue::{Profile, VenueChanged, VenueCreated};
use domain::{
    BookingId, Currency, EventId, Fact, PaymentId, TierId, Time, UserId, VenueId, WaitlistId,
};

use super::stage::at;

pub(super) const VENUE: VenueId = VenueId::from_u128(1);
pub(super) const EVENT: EventId = EventId::from_u128(2);
pub(super) const FLOOR: TierId = TierId::from_u128(3);
pub(super) const STALLS: TierId = TierId::from_u128(4);
pub(super) const BALCONY: TierId = TierId::from_u128(5);

pub(super) const ORGANIZER: UserId = UserId::from_u128(10);
pub(super) const ANN: UserId = UserId::from_u128(11);
pub(super) const BOB: UserId = UserId::from_u128(12);
pub(super) const CAY: UserId = UserId::from_u128(13);
pub(super) const DAN: UserId = UserId::from_u128(14);
pub(super) const EVE: UserId = UserId::from_u128(15);

/// A fact with its moment and who asked for it.
pub(super) type Told = (Time, Option<UserId>, Fact);

pub(super) const fn booking(number: u64) -> BookingId {
    BookingId { event: EVENT, number }
}

pub(super) const fn payment(number: u128) -> PaymentId {
    PaymentId::from_u128(number)
}

pub(super) const fn entry(number: u128) -> WaitlistId {
    WaitlistId::from_u128(number)
}

pub(super) fn profile(name: &str, city: &str) -> Profile {
    let text = |text: &str| text.to_owned();
    Profile {
        name: text(name),
        address: text("1 Main St"),
        city: text(city),
        state: None,
        country: text("DE"),
        postal_code: Some(text("10115")),
        latitude: Some(52.5),
        longitude: Some(13.4),
        sections: vec![Section { name: text("A"), kind: SectionKind::Seated { rows: rows() } }],
    }
}

fn rows() -> Vec<Row> {
    vec![Row { label: "1".into(), seats: Seats::Count(3), accessible: vec!["1".into()] }]
}

fn tier(tier: TierId, name: &str, price_minor: i64, stock: Stock) -> Tier {
    let (sale_starts_at, sale_ends_at, max_per_booking) = (None, Some(at(9_000)), None);
    Tier {
        tier,
        name: name.into(),
        price_minor,
        stock,
        sale_starts_at,
        sale_ends_at,
        max_per_booking,
    }
}

fn places(capacity: u32) -> Stock {
    Stock::Counted { capacity, section: None }
}

pub(super) fn tiers_at_first() -> Vec<Tier> {
    let stalls = Stock::Seated { section: "A".into(), rows: rows() };
    vec![tier(FLOOR, "Floor", 1_000, places(5)), tier(STALLS, "Stalls", 3_000, stalls)]
}

pub(super) fn tiers_later() -> Vec<Tier> {
    let mut tiers = tiers_at_first();
    tiers[0].stock = places(10);
    tiers[0].price_minor = 1_200;
    tiers.push(Tier { max_per_booking: Some(2), ..tier(BALCONY, "Balcony", 500, places(4)) });
    tiers
}

pub(super) fn terms(name: &str, tiers: Vec<Tier>) -> Terms {
    Terms {
        name: name.into(),
        description: "All night".into(),
        venue: VENUE,
        event_type: "Concert".into(),
        genre: Some("Rock".into()),
        language: None,
        age_group: Some("18+".into()),
        media_url: None,
        tags: vec!["loud".into(), "late".into()],
        starts_at: at(10_000),
        ends_at: at(20_000),
        currency: Currency::EUR,
        tiers,
        hold_ttl_s: 300,
        offer_ttl_s: 600,
        max_per_booking: 6,
        max_per_user: Some(8),
        refund_policy: vec![RefundRule { until_s_before_start: 100, percent: 50 }],
    }
}

fn plan(tiers: Vec<Tier>) -> Plan {
    let terms = terms("", tiers);
    Plan {
        starts_at: terms.starts_at,
        ends_at: terms.ends_at,
        currency: terms.currency,
        tiers: terms.tiers,
        hold_ttl_s: terms.hold_ttl_s,
        offer_ttl_s: terms.offer_ttl_s,
        max_per_booking: terms.max_per_booking,
        max_per_user: terms.max_per_user,
        refund_policy: terms.refund_policy,
    }
}

pub(super) fn floor(quantity: u32, unit_price_minor: i64) -> Vec<Line> {
    vec![Line { tier: FLOOR, seat: None, quantity, unit_price_minor }]
}

fn seats(names: &[&str]) -> Vec<Line> {
    let line = |name: &&str| {
        let seat = Some((*name).to_owned());
        Line { tier: STALLS, seat, quantity: 1, unit_price_minor: 3_000 }
    };
    names.iter().map(line).collect()
}

fn sum(lines: &[Line]) -> i64 {
    lines.iter().map(Line::amount_minor).sum()
}

pub(super) fn reserved(number: u64, user: UserId, lines: Vec<Line>) -> Fact {
    let total_minor = sum(&lines);
    Fact::Inventory(
        Reserved {
            booking: booking(number),
            user,
            lines,
            subtotal_minor: total_minor,
            discount_minor: 0,
            total_minor,
            currency: Currency::EUR,
            expires_at: at(300),
            request: None,
        }
        .into(),
    )
}

pub(super) fn confirmed(number: u64, user: UserId, paid: u128, lines: Vec<Line>) -> Confirmed {
    Confirmed {
        booking: booking(number),
        user,
        payment: Some(payment(paid)),
        total_minor: sum(&lines),
        currency: Currency::EUR,
        tickets: tickets_of(booking(number), &lines),
        lines,
        waitlist: None,
        request: None,
    }
}

fn started(number: u64, paying: u128, amount_minor: i64) -> Fact {
    let (booking, payment) = (booking(number), payment(paying));
    let (currency, request) = (Currency::EUR, None);
    inventory(PaymentStarted { booking, payment, amount_minor, currency, request })
}

/// `position` of them wait from now on.
fn joined(number: u128, user: UserId, tier: Option<TierId>, quantity: u32, position: u32) -> Fact {
    let (waitlist, event, request) = (entry(number), EVENT, None);
    inventory(WaitlistJoined { waitlist, event, user, tier, quantity, position, request })
}

fn offered(waiting: u128, number: u64, user: UserId, lines: Vec<Line>) -> Fact {
    inventory(Offered {
        waitlist: entry(waiting),
        booking: booking(number),
        user,
        total_minor: sum(&lines),
        lines,
        currency: Currency::EUR,
        expires_at: at(900),
    })
}

fn expired(number: u64, user: UserId, lines: Vec<Line>, waiting: Option<u128>) -> Fact {
    let (booking, waitlist) = (booking(number), waiting.map(entry));
    inventory(Expired { booking, user, lines, waitlist })
}

fn cancelled(number: u64, user: UserId, lines: Vec<Line>) -> Cancelled {
    Cancelled {
        booking: booking(number),
        user,
        by: CancelledBy::Event,
        lines,
        was_confirmed: false,
        payment: None,
        refund_minor: 0,
        currency: Currency::EUR,
        waitlist: None,
        admin: None,
        request: None,
    }
}

pub(super) fn inventory(fact: impl Into<domain::inventory::Fact>) -> Fact {
    Fact::Inventory(fact.into())
}

/// Which of them cancelled what and is paid back how much.
fn refunded(cancelled: Cancelled, paid: u128, refund_minor: i64) -> Fact {
    let payment = Some(payment(paid));
    inventory(Cancelled { was_confirmed: true, payment, refund_minor, ..cancelled })
}

/// The whole story: what happened when, and who asked for it.
pub(super) fn story() -> Vec<Told> {
    let mut told = opening();
    told.extend(first_bookings());
    told.extend(second_thoughts());
    told.extend(ending());
    told
}

fn opening() -> Vec<Told> {
    let (event, request) = (EVENT, None);
    let by = Some(ORGANIZER);
    let terms = terms("Night", tiers_at_first());
    let opened = InventoryOpened { event, plan: plan(tiers_at_first()), event_version: 2 };
    let profile = profile("Hall", "Berlin");
    let organizer = ORGANIZER;
    let drafted = EventDrafted { event, organizer, terms, request: None };
    let published = EventPublished { event, by: ORGANIZER, request: None };
    vec![
        (
            at(0),
            by,
            Fact::Venue(VenueCreated { venue: VENUE, owner: organizer, profile, request }.into()),
        ),
        (at(1), by, Fact::Event(drafted.into())),
        (at(2), by, Fact::Event(published.into())),
        (at(3), by, inventory(opened)),
    ]
}

fn first_bookings() -> Vec<Told> {
    let pair = || seats(&["A-1-1", "A-1-2"]);
    let failed = PaymentFailed {
        booking: booking(1),
        payment: payment(1),
        reason: PaymentFailure::Declined,
    };
    let to_cay = Confirmed { waitlist: Some(entry(1)), ..confirmed(3, CAY, 4, pair()) };
    vec![
        (at(10), Some(ANN), reserved(1, ANN, floor(2, 1_000))),
        (at(11), Some(ANN), started(1, 1, 2_000)),
        (at(12), None, inventory(failed)),
        (at(13), Some(ANN), started(1, 2, 2_000)),
        (at(14), None, inventory(confirmed(1, ANN, 2, floor(2, 1_000)))),
        (at(20), Some(BOB), reserved(2, BOB, pair())),
        (at(21), Some(CAY), joined(1, CAY, Some(STALLS), 2, 1)),
        (at(22), Some(DAN), joined(2, DAN, None, 3, 2)),
        (at(23), Some(EVE), joined(3, EVE, Some(FLOOR), 5, 3)),
        (at(24), Some(BOB), started(2, 3, 6_000)),
        (at(30), None, expired(2, BOB, pair(), None)),
        (at(30), None, offered(1, 3, CAY, pair())),
        (at(31), Some(CAY), started(3, 4, 6_000)),
        (at(32), None, inventory(to_cay)),
    ]
}

fn second_thoughts() -> Vec<Told> {
    let due = RefundDue {
        booking: booking(2),
        user: BOB,
        payment: payment(3),
        amount_minor: 6_000,
        currency: Currency::EUR,
    };
    let paid_back = Refunded { booking: booking(2), payment: payment(3), amount_minor: 6_000 };
    let left = WaitlistLeft { waitlist: entry(3), event: EVENT, user: EVE, request: None };
    let terms = terms("Long night", tiers_later());
    let changed = EventChanged { event: EVENT, by: ORGANIZER, terms, request: None };
    let revised = InventoryRevised { event: EVENT, plan: plan(tiers_later()), event_version: 3 };
    let both = || [floor(1, 1_200), seats(&["A-1-3"])].concat();
    let reinstated = Reinstated { booking: booking(5), user: BOB, lines: both() };
    let by_ann = Cancelled { by: CancelledBy::Buyer, ..cancelled(1, ANN, floor(2, 1_000)) };
    vec![
        (at(40), None, inventory(due)),
        (at(41), None, inventory(paid_back)),
        (at(42), Some(EVE), inventory(left)),
        (at(43), Some(ORGANIZER), Fact::Event(changed.into())),
        (at(44), Some(ORGANIZER), inventory(revised)),
        (at(45), None, offered(2, 4, DAN, floor(3, 1_200))),
        (at(50), None, expired(4, DAN, floor(3, 1_200), Some(2))),
        (at(51), Some(BOB), reserved(5, BOB, both())),
        (at(52), Some(BOB), started(5, 5, 4_200)),
        (at(53), None, expired(5, BOB, both(), None)),
        (at(54), None, inventory(reinstated)),
        (at(54), None, inventory(confirmed(5, BOB, 5, both()))),
        (at(55), Some(ANN), refunded(by_ann, 2, 1_000)),
        (at(56), Some(EVE), joined(4, EVE, Some(FLOOR), 6, 1)),
        (at(57), Some(EVE), reserved(6, EVE, floor(1, 1_200))),
    ]
}

fn ending() -> Vec<Told> {
    let changed = VenueChanged {
        venue: VENUE,
        by: ORGANIZER,
        profile: profile("Great Hall", "München"),
        request: None,
    };
    let called_off = EventCancelled { event: EVENT, by: ORGANIZER, request: None };
    let closed = InventoryClosed { event: EVENT, event_version: 4 };
    let (pair, both) = (seats(&["A-1-1", "A-1-2"]), [floor(1, 1_200), seats(&["A-1-3"])].concat());
    vec![
        (at(60), Some(ORGANIZER), Fact::Venue(changed.into())),
        (at(61), Some(ORGANIZER), Fact::Event(called_off.into())),
        (at(62), Some(ORGANIZER), inventory(closed)),
        (at(62), None, inventory(cancelled(6, EVE, floor(1, 1_200)))),
        (at(62), None, refunded(cancelled(5, BOB, both), 5, 4_200)),
        (at(62), None, refunded(cancelled(3, CAY, pair), 4, 6_000)),
    ]
}
