//! What happened to an inventory, as the command side would have written it.

use domain::event::{Stock, Tier};
use domain::inventory::{
    Cancelled, CancelledBy, Confirmed, Expired, Fact, InventoryClosed, InventoryOpened,
    InventoryRevised, Line, Offered, Plan, Reserved, WaitlistJoined, WaitlistLeft, stream,
    tickets_of,
};
use domain::seating::{Row, Seats};
use domain::{BookingId, Currency, EventId, TierId, Time, UserId, WaitlistId};

/// An event whose facts are being told.
#[derive(Clone, Copy)]
pub(crate) struct Story(pub(crate) EventId);

pub(crate) const STANDING: TierId = TierId::from_u128(0x51);
pub(crate) const SEATED: TierId = TierId::from_u128(0x52);

pub(crate) fn standing(capacity: u32) -> Tier {
    tier(STANDING, "Standing", Stock::Counted { capacity, section: None })
}

/// Rows `1` and `2` of section `A`, three seats each, the first of row 2 accessible.
pub(crate) fn seated() -> Tier {
    let row = |label: &str, accessible: &[&str]| Row {
        label: label.into(),
        seats: Seats::Count(3),
        accessible: accessible.iter().map(|&label| label.into()).collect(),
    };
    let rows = vec![row("1", &[]), row("2", &["1"])];
    tier(SEATED, "Seats", Stock::Seated { section: "A".into(), rows })
}

pub(crate) fn tier(tier: TierId, name: &str, stock: Stock) -> Tier {
    Tier {
        tier,
        name: name.into(),
        price_minor: 4_500,
        stock,
        sale_starts_at: None,
        sale_ends_at: None,
        max_per_booking: None,
    }
}

pub(crate) fn places(quantity: u32) -> Vec<Line> {
    vec![Line { tier: STANDING, seat: None, quantity, unit_price_minor: 4_500 }]
}

pub(crate) fn seats(names: &[&str]) -> Vec<Line> {
    let line = |name: &&str| Line {
        tier: SEATED,
        seat: Some((*name).into()),
        quantity: 1,
        unit_price_minor: 4_500,
    };
    names.iter().map(line).collect()
}

pub(crate) fn plan(tiers: Vec<Tier>) -> Plan {
    Plan {
        starts_at: "2027-06-01T19:30:00Z".parse().unwrap(),
        ends_at: "2027-06-01T23:00:00Z".parse().unwrap(),
        currency: Currency::EUR,
        tiers,
        hold_ttl_s: 300,
        offer_ttl_s: 600,
        max_per_booking: 10,
        max_per_user: None,
        refund_policy: vec![],
    }
}

impl Story {
    pub(crate) fn of(number: u128) -> Self {
        Self(EventId::from_u128(number))
    }

    pub(crate) fn stream(self) -> String {
        stream(self.0)
    }

    pub(crate) fn path(self, rest: &str) -> String {
        format!("/api/v1/events/{}/{rest}", self.0)
    }

    pub(crate) fn booking(self, number: u64) -> BookingId {
        BookingId { event: self.0, number }
    }

    pub(crate) fn opened(self, tiers: Vec<Tier>) -> Fact {
        self.opened_on(plan(tiers))
    }

    pub(crate) fn opened_on(self, plan: Plan) -> Fact {
        InventoryOpened { event: self.0, plan, event_version: 2 }.into()
    }

    pub(crate) fn revised(self, tiers: Vec<Tier>) -> Fact {
        InventoryRevised { event: self.0, plan: plan(tiers), event_version: 3 }.into()
    }

    pub(crate) fn closed(self) -> Fact {
        InventoryClosed { event: self.0, event_version: 4 }.into()
    }

    pub(crate) fn reserved(self, number: u64, lines: Vec<Line>) -> Fact {
        let total_minor = lines.iter().map(Line::amount_minor).sum();
        Reserved {
            booking: self.booking(number),
            user: UserId::from_u128(u128::from(number)),
            lines,
            subtotal_minor: total_minor,
            discount_minor: 0,
            total_minor,
            currency: Currency::EUR,
            expires_at: Time::from_ms(1_900_000_000_000),
            request: None,
        }
        .into()
    }

    pub(crate) fn confirmed(self, number: u64, lines: Vec<Line>) -> Fact {
        Confirmed {
            booking: self.booking(number),
            user: UserId::from_u128(u128::from(number)),
            payment: None,
            total_minor: lines.iter().map(Line::amount_minor).sum(),
            currency: Currency::EUR,
            tickets: tickets_of(self.booking(number), &lines),
            lines,
            waitlist: None,
            request: None,
        }
        .into()
    }

    pub(crate) fn expired(self, number: u64, lines: Vec<Line>) -> Fact {
        let user = UserId::from_u128(u128::from(number));
        Expired { booking: self.booking(number), user, lines, waitlist: None }.into()
    }

    /// A confirmed booking was cancelled.
    pub(crate) fn cancelled(self, number: u64, lines: Vec<Line>) -> Fact {
        Cancelled {
            booking: self.booking(number),
            user: UserId::from_u128(u128::from(number)),
            by: CancelledBy::Buyer,
            lines,
            was_confirmed: true,
            payment: None,
            refund_minor: 0,
            currency: Currency::EUR,
            waitlist: None,
            admin: None,
            request: None,
        }
        .into()
    }

    pub(crate) fn joined(self, number: u64) -> Fact {
        WaitlistJoined {
            waitlist: WaitlistId::from_u128(u128::from(number)),
            event: self.0,
            user: UserId::from_u128(u128::from(number)),
            tier: None,
            quantity: 1,
            position: 1,
            request: None,
        }
        .into()
    }

    pub(crate) fn left(self, number: u64) -> Fact {
        let waitlist = WaitlistId::from_u128(u128::from(number));
        let user = UserId::from_u128(u128::from(number));
        WaitlistLeft { waitlist, event: self.0, user, request: None }.into()
    }

    pub(crate) fn offered(self, number: u64, lines: Vec<Line>) -> Fact {
        Offered {
            waitlist: WaitlistId::from_u128(u128::from(number)),
            booking: self.booking(number),
            user: UserId::from_u128(u128::from(number)),
            total_minor: lines.iter().map(Line::amount_minor).sum(),
            lines,
            currency: Currency::EUR,
            expires_at: Time::from_ms(1_900_000_000_000),
        }
        .into()
    }
}
