//! Given facts, when a command, then facts or a refusal.

mod life;
mod published;
mod terms;

use super::*;
use crate::seating::{Row, Seats, SectionKind};
use crate::{Currency, StoredFact, TierId, VenueId};

const OWNER: UserId = UserId::from_u128(1);
const OTHER: UserId = UserId::from_u128(2);
const EVENT: EventId = EventId::from_u128(7);
const VENUE: VenueId = VenueId::from_u128(9);
const FLOOR: TierId = TierId::from_u128(11);
const STALLS: TierId = TierId::from_u128(12);

/// The moment so many days after the first command.
fn day(days: u64) -> Time {
    Time::from_ms(1_800_000_000_000).plus_s(days * 86_400)
}

fn row(label: &str, seats: u32) -> Row {
    Row { label: label.into(), seats: Seats::Count(seats), accessible: vec![] }
}

fn section(name: &str, kind: SectionKind) -> Section {
    Section { name: name.into(), kind }
}

/// A pit for 100, a box for 10, and section A with five seats.
fn sections() -> Vec<Section> {
    vec![
        section("pit", SectionKind::Standing { capacity: 100 }),
        section("box", SectionKind::Box { capacity: 10 }),
        section("A", SectionKind::Seated { rows: vec![row("1", 3), row("2", 2)] }),
    ]
}

fn tier(tier: TierId, stock: Stock) -> Tier {
    let (sale_starts_at, sale_ends_at, max_per_booking) = (None, None, None);
    let name = tier.to_string();
    Tier { tier, name, price_minor: 1_000, stock, sale_starts_at, sale_ends_at, max_per_booking }
}

fn counted(capacity: u32, section: Option<&str>) -> Stock {
    Stock::Counted { capacity, section: section.map(str::to_owned) }
}

fn seated(rows: &[Row]) -> Stock {
    Stock::Seated { section: "A".into(), rows: rows.to_vec() }
}

/// Starts after ten days; sells 50 of the pit and the seats of section A.
fn terms() -> Terms {
    Terms {
        name: "Concert".into(),
        description: String::new(),
        venue: VENUE,
        event_type: "concert".into(),
        genre: None,
        language: None,
        age_group: None,
        media_url: None,
        tags: vec![],
        starts_at: day(10),
        ends_at: day(11),
        currency: Currency::EUR,
        tiers: vec![
            tier(FLOOR, counted(50, Some("pit"))),
            tier(STALLS, seated(&[row("1", 3), row("2", 2)])),
        ],
        hold_ttl_s: DEFAULT_HOLD_TTL_S,
        offer_ttl_s: DEFAULT_OFFER_TTL_S,
        max_per_booking: DEFAULT_MAX_PER_BOOKING,
        max_per_user: None,
        refund_policy: default_refund_policy(),
    }
}

fn owner() -> Caller {
    Caller { user: OWNER, as_admin: false, request: None }
}

fn draft(caller: Caller, terms: Terms) -> Command {
    Command::Draft { event: EVENT, caller, terms: Box::new(terms), sections: sections() }
}

fn change(caller: Caller, terms: Terms) -> Command {
    Command::Change { event: EVENT, caller, terms: Box::new(terms), sections: sections() }
}

fn publish(caller: Caller) -> Command {
    Command::Publish { event: EVENT, caller, sections: sections() }
}

fn cancel(caller: Caller) -> Command {
    Command::Cancel { event: EVENT, caller }
}

fn drafted(terms: Terms) -> Fact {
    EventDrafted { event: EVENT, organizer: OWNER, terms, request: None }.into()
}

fn changed(by: UserId, terms: Terms) -> Fact {
    EventChanged { event: EVENT, by, terms, request: None }.into()
}

fn published(by: UserId) -> Fact {
    EventPublished { event: EVENT, by, request: None }.into()
}

fn cancelled(by: UserId) -> Fact {
    EventCancelled { event: EVENT, by, request: None }.into()
}

fn after(facts: &[Fact]) -> Event {
    let mut event = Event::default();
    facts.iter().for_each(|fact| event.evolve(day(0), fact));
    event
}

/// What follows from a command on a day; also proves what holds for any.
#[track_caller]
fn when(facts: &[Fact], days: u64, command: &Command) -> Result<Vec<Fact>, Refusal> {
    let decided = after(facts).decide(command, day(days));
    for fact in decided.iter().flatten() {
        let stored = Fact::decode(fact.kind(), fact.version(), &fact.encode());
        assert_eq!(&stored.expect("a fact reads back"), fact);
    }
    decided
}

/// The field that a refusal names.
fn invalid(decided: Result<Vec<Fact>, Refusal>) -> Option<String> {
    match decided {
        Ok(_) => None,
        Err(Refusal::Invalid(invalid)) => {
            assert!(invalid.reads_after_must_be(), "must be {}", invalid.problem);
            Some(invalid.field)
        }
        Err(other) => panic!("{other:?}"),
    }
}
