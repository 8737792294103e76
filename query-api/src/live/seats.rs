//! The seats of one event: which there are, and what became of each. One byte of state and the
//! position of the last change a seat; names are made when they are asked for.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use domain::event::{Stock, Tier};
use domain::inventory::SeatState as Owner;
use domain::seating::Row;
use domain::{EventId, TierId};
use infra::log::Position;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// What became of a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SeatState {
    /// It can be bought.
    Free,
    /// Someone is about to pay for it.
    Held,
    /// It is sold.
    Sold,
}

impl From<Owner> for SeatState {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::Free => Self::Free,
            Owner::Held(_) => Self::Held,
            Owner::Sold(_) => Self::Sold,
        }
    }
}

/// Every seat of an event with its state.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeatMap<'a> {
    /// Which event.
    #[schema(value_type = String)]
    pub event_id: EventId,
    /// Where in the log a seat changed last.
    #[schema(value_type = u64)]
    pub position: Position,
    /// The tiers that sell seats; none for an event without.
    pub tiers: Vec<TierSeats<'a>>,
}

/// The seats that one tier sells.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TierSeats<'a> {
    /// Which tier.
    #[schema(value_type = String)]
    pub tier_id: TierId,
    /// The section of the venue they are in.
    pub section: &'a str,
    /// From the front to the back.
    pub rows: Vec<RowSeats<'a>>,
}

/// A row of seats.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RowSeats<'a> {
    /// Its label.
    pub label: &'a str,
    /// From one end to the other.
    pub seats: Vec<Seat<'a>>,
}

/// A seat.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Seat<'a> {
    /// Its name, `section-row-seat`.
    #[schema(value_type = String, example = "A-12-7")]
    seat: Name<'a>,
    /// What became of it.
    state: SeatState,
    /// Whether it is kept accessible; absent if not.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(default = false)]
    accessible: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A seat that changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeatChange<'a> {
    /// Its name, `section-row-seat`.
    #[schema(value_type = String, example = "A-12-7")]
    seat: Name<'a>,
    /// What became of it.
    state: SeatState,
}

/// A seat's name, made while it is written.
#[derive(Debug, Clone, Copy)]
struct Name<'a> {
    section: &'a str,
    row: &'a Row,
    place: u32,
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.section, self.row.label, self.row.seats.label(self.place))
    }
}

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which seats there are. A tier keeps the seats it was set up with, so this only grows.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    blocks: Vec<Block>,
    by_section: HashMap<String, usize>,
    accessible: Vec<bool>,
}

#[derive(Debug, Clone)]
struct Block {
    tier: TierId,
    section: String,
    rows: Vec<(Row, usize)>,
    by_label: HashMap<String, usize>,
}

impl Layout {
    /// How many seats there are.
    fn len(&self) -> usize {
        self.accessible.len()
    }

    fn add(&mut self, tier: TierId, section: &str, rows: &[Row]) {
        let mut block = Block {
            tier,
            section: section.to_owned(),
            rows: Vec::with_capacity(rows.len()),
            by_label: HashMap::with_capacity(rows.len()),
        };
        for row in rows {
            block.by_label.insert(row.label.clone(), block.rows.len());
            block.rows.push((row.clone(), self.len()));
            let accessible: HashSet<&str> = row.accessible.iter().map(String::as_str).collect();
            let flags = (0..row.seats.len()).map(|place| {
                !accessible.is_empty() && accessible.contains(row.seats.label(place).as_str())
            });
            self.accessible.extend(flags);
        }
        self.by_section.insert(block.section.clone(), self.blocks.len());
        self.blocks.push(block);
    }

    fn index(&self, name: &str) -> Option<usize> {
        let (section, rest) = name.split_once('-')?;
        let (label, seat) = rest.split_once('-')?;
        let block = self.blocks.get(*self.by_section.get(section)?)?;
        let (row, first) = block.rows.get(*block.by_label.get(label)?)?;
        Some(first + usize::try_from(row.seats.place(seat)?).ok()?)
    }
}

/// The seats of an event and what became of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Seats {
    layout: Arc<Layout>,
    states: Vec<SeatState>,
    changed_at: Vec<Position>,
    /// Where in the log a seat changed last.
    version: Position,
    /// Where in the log seats were added last.
    extended_at: Position,
}

impl Seats {
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn version(&self) -> Position {
        self.version
    }

    /// Takes in the seats of tiers that are new in a plan.
    pub(super) fn plan(&mut self, tiers: &[Tier], at: Position) {
        for tier in tiers {
            let Stock::Seated { section, rows } = &tier.stock else { continue };
            if self.layout.blocks.iter().any(|block| block.tier == tier.tier) {
                continue;
            }
            Arc::make_mut(&mut self.layout).add(tier.tier, section, rows);
            self.states.resize(self.layout.len(), SeatState::Free);
            self.changed_at.resize(self.layout.len(), at);
            (self.version, self.extended_at) = (at, at);
        }
    }

    pub(super) fn set(&mut self, name: &str, state: SeatState, at: Position) {
        let Some(index) = self.layout.index(name) else { return };
        if self.states[index] != state {
            (self.states[index], self.changed_at[index]) = (state, at);
            self.version = at;
        }
    }

    /// The seats as they are now, to be written down while they go on changing.
    pub(super) fn picture(&self, event: EventId) -> Picture {
        let (layout, states) = (Arc::clone(&self.layout), self.states.clone());
        Picture { event, layout, states, version: self.version }
    }

    /// What became of the seats after `since`.
    pub(super) fn since(&self, event: EventId, since: Position) -> Changes {
        if self.version <= since {
            return Changes::None;
        }
        if self.extended_at > since {
            return Changes::Whole(self.picture(event));
        }
        let changed = self.changed_at.iter().enumerate().filter(|(_, at)| **at > since);
        let seats = changed.map(|(index, _)| (index, self.states[index])).collect();
        Changes::Some(Arc::clone(&self.layout), seats)
    }
}

/// What became of the seats after some position.
#[derive(Debug)]
pub(super) enum Changes {
    /// Nothing.
    None,
    /// These changed, by index.
    Some(Arc<Layout>, Vec<(usize, SeatState)>),
    /// Seats were added.
    Whole(Picture),
}

/// The seats of an event at one moment.
#[derive(Debug)]
pub(super) struct Picture {
    event: EventId,
    layout: Arc<Layout>,
    states: Vec<SeatState>,
    pub(super) version: Position,
}

impl Picture {
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// [`SeatMap`] as JSON.
    pub(super) fn render(&self) -> Vec<u8> {
        let tiers = self.layout.blocks.iter().map(|block| self.tier(block)).collect();
        let map = SeatMap { event_id: self.event, position: self.version, tiers };
        // Texts and numbers always become JSON.
        serde_json::to_vec(&map).unwrap_or_default()
    }

    fn tier<'a>(&'a self, block: &'a Block) -> TierSeats<'a> {
        let rows = block.rows.iter().map(|(row, first)| RowSeats {
            label: &row.label,
            seats: self.row(&block.section, row, *first),
        });
        TierSeats { tier_id: block.tier, section: &block.section, rows: rows.collect() }
    }

    fn row<'a>(&'a self, section: &'a str, row: &'a Row, first: usize) -> Vec<Seat<'a>> {
        let seats = (0..row.seats.len()).zip(first..).map(|(place, index)| Seat {
            seat: Name { section, row, place },
            state: self.states[index],
            accessible: self.layout.accessible[index],
        });
        seats.collect()
    }
}

/// The seats of `changed`, which is in the order of the layout, with their names.
pub(super) fn named<'a>(layout: &'a Layout, changed: &[(usize, SeatState)]) -> Vec<SeatChange<'a>> {
    let mut rows = layout.blocks.iter().flat_map(|block| {
        block.rows.iter().map(|(row, first)| (block.section.as_str(), row, *first))
    });
    let mut row = rows.next();
    let mut named = Vec::with_capacity(changed.len());
    for &(index, state) in changed {
        while let Some((section, seats, first)) = row {
            let place = u32::try_from(index - first).unwrap_or(u32::MAX);
            if place < seats.seats.len() {
                named.push(SeatChange { seat: Name { section, row: seats, place }, state });
                break;
            }
            row = rows.next();
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use domain::seating::Seats as RowOfSeats;
    use serde_json::json;

    use super::*;

    fn event() -> EventId {
        EventId::from_u128(1)
    }

    fn tier(number: u128, section: &str, rows: Vec<Row>) -> Tier {
        Tier {
            tier: TierId::from_u128(number),
            name: section.into(),
            price_minor: 1,
            stock: Stock::Seated { section: section.into(), rows },
            sale_starts_at: None,
            sale_ends_at: None,
            max_per_booking: None,
        }
    }

    fn row(label: &str, seats: RowOfSeats, accessible: &[&str]) -> Row {
        let accessible = accessible.iter().map(|&label| label.into()).collect();
        Row { label: label.into(), seats, accessible }
    }

    fn two_sections() -> Seats {
        let mut seats = Seats::default();
        let labels = RowOfSeats::Labels(vec!["x".into(), "y \"z\"".into()]);
        let stalls = vec![row("1", RowOfSeats::Count(2), &["2"]), row("2", labels, &[])];
        let circle = vec![row("1", RowOfSeats::Count(1), &[])];
        let tiers = [tier(1, "Stalls", stalls), tier(2, "Circle", circle)];
        seats.plan(&tiers, Position(3));
        seats
    }

    #[test]
    fn the_map_names_every_seat_in_order() {
        let mut seats = two_sections();
        seats.set("Stalls-1-2", SeatState::Held, Position(4));
        seats.set("Circle-1-1", SeatState::Sold, Position(5));
        let map: serde_json::Value =
            serde_json::from_slice(&seats.picture(event()).render()).unwrap();
        let expected = json!({
            "event_id": event().to_string(), "position": 5, "tiers": [
            {"tier_id": TierId::from_u128(1).to_string(), "section": "Stalls", "rows": [
                {"label": "1", "seats": [
                    {"seat": "Stalls-1-1", "state": "free"},
                    {"seat": "Stalls-1-2", "state": "held", "accessible": true}]},
                {"label": "2", "seats": [
                    {"seat": "Stalls-2-x", "state": "free"},
                    {"seat": "Stalls-2-y \"z\"", "state": "free"}]}]},
            {"tier_id": TierId::from_u128(2).to_string(), "section": "Circle", "rows": [
                {"label": "1", "seats": [{"seat": "Circle-1-1", "state": "sold"}]}]}]});
        assert_eq!(map, expected);
    }

    #[test]
    fn only_what_changed_since_is_told() {
        let mut seats = two_sections();
        assert!(matches!(seats.since(event(), Position(2)), Changes::Whole(_)));
        assert!(matches!(seats.since(event(), Position(3)), Changes::None));
        seats.set("Stalls-1-1", SeatState::Held, Position(4));
        seats.set("Circle-1-1", SeatState::Held, Position(5));
        seats.set("Circle-1-1", SeatState::Held, Position(6));
        seats.set("Stalls-9-1", SeatState::Held, Position(6));
        let changed = |since| {
            let Changes::Some(layout, seats) = seats.since(event(), since) else {
                panic!("nothing changed after {since}")
            };
            serde_json::to_value(named(&layout, &seats)).unwrap()
        };
        let stalls = json!({"seat": "Stalls-1-1", "state": "held"});
        let circle = json!({"seat": "Circle-1-1", "state": "held"});
        assert_eq!(changed(Position(3)), json!([stalls, circle]));
        assert_eq!(changed(Position(4)), json!([circle]));
        assert!(matches!(seats.since(event(), Position(5)), Changes::None));
    }

    #[test]
    fn a_later_plan_adds_seats_and_keeps_the_others() {
        let mut seats = two_sections();
        seats.set("Stalls-1-1", SeatState::Sold, Position(4));
        let more = tier(3, "Balcony", vec![row("1", RowOfSeats::Count(1), &[])]);
        let again = tier(1, "Stalls", vec![row("1", RowOfSeats::Count(9), &[])]);
        seats.plan(&[again, more], Position(7));
        assert_eq!((seats.len(), seats.version()), (6, Position(7)));
        let Changes::Whole(picture) = seats.since(event(), Position(4)) else { panic!() };
        let map: serde_json::Value = serde_json::from_slice(&picture.render()).unwrap();
        assert_eq!(map["tiers"][0]["rows"][0]["seats"][0]["state"], "sold");
        assert_eq!(map["tiers"][2]["rows"][0]["seats"][0]["seat"], "Balcony-1-1");
    }
}
