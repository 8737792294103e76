//! What venues and events say, with every field and with the least.

use domain::event::{
    self, EventCancelled, EventChanged, EventDrafted, EventPublished, RefundRule, Stock, Terms,
    Tier,
};
use domain::seating::{Row, Seats, Section, SectionKind};
use domain::venue::{self, Profile, VenueChanged, VenueCreated};
use domain::{Currency, EventId, Request, TierId, UserId, VenueId};

use super::at;

const VENUE: VenueId = VenueId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cdef);
const EVENT: EventId = EventId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cd00);
const USER: UserId = UserId::from_u128(u128::MAX);
const TIER: TierId = TierId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cd01);

fn request() -> Option<Request> {
    Request::new("0b6f5d0e-Key~1", b"what was asked").ok()
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn rows() -> Vec<Row> {
    vec![
        Row { label: text("1"), seats: Seats::Count(30), accessible: vec![text("1"), text("2")] },
        Row {
            label: text("12"),
            seats: Seats::Labels(vec![text("x"), text("y")]),
            accessible: vec![],
        },
    ]
}

fn profile() -> Profile {
    Profile {
        name: text("Große \"Halle\" \\ 大阪"),
        address: text("Straße 1\nHinterhof"),
        city: text("Berlin"),
        state: Some(text("BE")),
        country: text("Germany"),
        postal_code: Some(text("10115")),
        latitude: Some(52.520_006_599_999_996),
        longitude: Some(-13.0),
        sections: vec![
            Section { name: text("A"), kind: SectionKind::Seated { rows: rows() } },
            Section { name: text("pit"), kind: SectionKind::Standing { capacity: 2_000 } },
            Section { name: text("lodge"), kind: SectionKind::Box { capacity: 12 } },
        ],
    }
}

/// With every field, and with the least.
pub(super) fn venues() -> (Vec<venue::Fact>, Vec<venue::Fact>) {
    let (venue, owner, by) = (VENUE, USER, USER);
    let bare = || Profile {
        state: None,
        postal_code: None,
        latitude: None,
        longitude: None,
        sections: vec![],
        ..profile()
    };
    let request = request();
    let most = vec![
        VenueCreated { venue, owner, profile: profile(), request: request.clone() }.into(),
        VenueChanged { venue, by, profile: profile(), request }.into(),
    ];
    let least = vec![
        VenueCreated { venue, owner, profile: bare(), request: None }.into(),
        VenueChanged { venue, by, profile: bare(), request: None }.into(),
    ];
    (most, least)
}

/// A tier of each kind of stock; the first with every field.
pub(super) fn tiers() -> Vec<Tier> {
    let stock = Stock::Seated { section: text("A"), rows: rows() };
    let most = Tier {
        tier: TIER,
        name: text("Stalls"),
        price_minor: 12_345,
        stock,
        sale_starts_at: Some(at()),
        sale_ends_at: Some(at().plus_s(60)),
        max_per_booking: Some(4),
    };
    let section = Some(text("pit"));
    let least = |tier: u128, section| Tier {
        tier: TierId::from_u128(tier),
        name: text("Floor"),
        price_minor: 0,
        stock: Stock::Counted { capacity: 500, section },
        sale_starts_at: None,
        sale_ends_at: None,
        max_per_booking: None,
    };
    vec![most, least(2, section), least(3, None)]
}

pub(super) fn refund_policy() -> Vec<RefundRule> {
    vec![
        RefundRule { until_s_before_start: 604_800, percent: 100 },
        RefundRule { until_s_before_start: 0, percent: 50 },
    ]
}

fn terms() -> Terms {
    Terms {
        name: text("Ärzte & Co"),
        description: text("Two\nlines"),
        venue: VENUE,
        event_type: text("concert"),
        genre: Some(text("punk")),
        language: Some(text("de")),
        age_group: Some(text("18+")),
        media_url: Some(text("https://example.org/a.jpg")),
        tags: vec![text("loud"), text("live")],
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

/// With every field, and with the least.
pub(super) fn events() -> (Vec<event::Fact>, Vec<event::Fact>) {
    let (event, organizer, by) = (EVENT, USER, USER);
    let bare = || Terms {
        description: String::new(),
        genre: None,
        language: None,
        age_group: None,
        media_url: None,
        tags: vec![],
        max_per_user: None,
        refund_policy: vec![],
        ..terms()
    };
    let most = vec![
        EventDrafted { event, organizer, terms: terms(), request: request() }.into(),
        EventChanged { event, by, terms: terms(), request: request() }.into(),
        EventPublished { event, by, request: request() }.into(),
        EventCancelled { event, by, request: request() }.into(),
    ];
    let least = vec![
        EventDrafted { event, organizer, terms: bare(), request: None }.into(),
        EventChanged { event, by, terms: bare(), request: None }.into(),
        EventPublished { event, by, request: None }.into(),
        EventCancelled { event, by, request: None }.into(),
    ];
    (most, least)
}
