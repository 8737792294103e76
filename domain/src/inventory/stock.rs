//! What is there to sell: tiers with counters, seats with their free set.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU16;

use super::places::{NO_SEAT, Place, Places};
use super::{Line, Refusal, Wanted};
use crate::event::{Stock as TierStock, Tier};
use crate::seating::{Row, Seats};
use crate::{TierId, Time};

/// A tier with what became of its places.
#[derive(Debug)]
pub(super) struct TierState {
    /// Its terms, but for a seated tier's rows: those are in [`Stock::rows`].
    pub(super) terms: Tier,
    pub(super) capacity: u32,
    pub(super) held: u32,
    pub(super) sold: u32,
    /// Free seats of a seated tier, the accessible ones last, so that they are kept longest.
    free: Option<BTreeSet<(bool, u32)>>,
}

impl TierState {
    pub(super) fn available(&self) -> u32 {
        self.capacity.saturating_sub(self.held.saturating_add(self.sold))
    }

    /// Whether it can be bought at `now`.
    pub(super) fn on_sale(&self, now: Time) -> Result<(), Refusal> {
        if let Some(opens_at) = self.terms.sale_starts_at.filter(|opens| now < *opens) {
            return Err(Refusal::SaleNotOpen { opens_at });
        }
        if let Some(closed_at) = self.terms.sale_ends_at.filter(|ends| *ends <= now) {
            return Err(Refusal::SaleClosed { closed_at });
        }
        Ok(())
    }
}

#[derive(Debug)]
struct RowState {
    first: u32,
    tier: u16,
    /// `section-row`, what the names of its seats begin with.
    name: String,
    seats: Seats,
    /// In ascending order.
    accessible: Vec<u32>,
}

impl RowState {
    fn is_accessible(&self, seat: u32) -> bool {
        self.accessible.binary_search(&seat).is_ok()
    }
}

/// All places of an event. A tier's and a seat's index never change.
#[derive(Debug, Default)]
pub(super) struct Stock {
    pub(super) tiers: Vec<TierState>,
    tier_index: HashMap<TierId, u16>,
    rows: Vec<RowState>,
    row_index: HashMap<String, u32>,
    seat_count: u32,
}

impl Stock {
    /// Takes in a plan's tiers: known ones keep their place and their seats, new ones are added.
    pub(super) fn plan(&mut self, tiers: &[Tier]) {
        for tier in tiers {
            match self.tier_index.get(&tier.tier) {
                Some(&index) => self.tiers[usize::from(index)].revise(tier),
                None => self.add(tier),
            }
        }
    }

    fn add(&mut self, tier: &Tier) {
        let index = u16::try_from(self.tiers.len()).unwrap_or(u16::MAX);
        let free = match &tier.stock {
            TierStock::Counted { .. } => None,
            TierStock::Seated { section, rows } => {
                Some(rows.iter().flat_map(|row| self.add_row(index, section, row)).collect())
            }
        };
        let capacity = tier.stock.capacity();
        self.tier_index.insert(tier.tier, index);
        let terms = tier.without_rows();
        self.tiers.push(TierState { terms, capacity, held: 0, sold: 0, free });
    }

    /// Adds a row and returns its seats, all free.
    fn add_row(&mut self, tier: u16, section: &str, row: &Row) -> Vec<(bool, u32)> {
        let first = self.seat_count;
        let places = row.accessible.iter().filter_map(|label| row.seats.place(label));
        let mut accessible: Vec<u32> = places.map(|place| first + place).collect();
        accessible.sort_unstable();
        self.seat_count += row.seats.len();
        let name = format!("{section}-{}", row.label);
        let at = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        self.row_index.insert(name.clone(), at);
        let row = RowState { first, tier, name, seats: row.seats.clone(), accessible };
        let seats = (first..self.seat_count).map(|seat| (row.is_accessible(seat), seat)).collect();
        self.rows.push(row);
        seats
    }

    pub(super) fn tier(&self, tier: TierId) -> Option<(u16, &TierState)> {
        let index = *self.tier_index.get(&tier)?;
        Some((index, &self.tiers[usize::from(index)]))
    }

    pub(super) fn tier_id(&self, index: u16) -> TierId {
        self.tiers[usize::from(index)].terms.tier
    }

    /// The seat called `section-row-seat`, and its tier.
    fn seat(&self, name: &str) -> Option<(u32, u16)> {
        let (row, label) = name.rsplit_once('-')?;
        let row = &self.rows[*self.row_index.get(row)? as usize];
        Some((row.first + row.seats.place(label)?, row.tier))
    }

    fn row_of(&self, seat: u32) -> &RowState {
        &self.rows[self.rows.partition_point(|row| row.first <= seat) - 1]
    }

    /// `section-row-seat`; `None` for a place without a seat.
    pub(super) fn seat_name(&self, seat: u32) -> Option<String> {
        (seat != NO_SEAT).then(|| {
            let row = self.row_of(seat);
            format!("{}-{}", row.name, row.seats.label(seat - row.first))
        })
    }

    /// Finds what is wanted without asking whether it is free: tiers and how many of each.
    pub(super) fn locate(&self, wanted: &Wanted) -> Result<Vec<(u16, u32)>, Refusal> {
        match wanted {
            Wanted::Quantity { tier, quantity } => {
                let (index, _) = self.tier(*tier).ok_or(Refusal::TierNotFound)?;
                Ok(vec![(index, *quantity)])
            }
            Wanted::Seats(names) => {
                let mut tiers: Vec<(u16, u32)> = Vec::new();
                for (at, name) in names.iter().enumerate() {
                    if names[..at].contains(name) {
                        return Err(Refusal::SeatTwice { seat: name.clone() });
                    }
                    let (_, tier) = self
                        .seat(name)
                        .ok_or_else(|| Refusal::SeatNotFound { seat: name.clone() })?;
                    match tiers.iter_mut().find(|(index, _)| *index == tier) {
                        Some((_, quantity)) => *quantity += 1,
                        None => tiers.push((tier, 1)),
                    }
                }
                Ok(tiers)
            }
        }
    }

    /// Chooses free places for what is wanted (BK-1), or says why there are none (BK-5).
    pub(super) fn allocate(&self, wanted: &Wanted) -> Result<Places, Refusal> {
        match wanted {
            Wanted::Quantity { tier, quantity } => {
                let (index, _) = self.tier(*tier).ok_or(Refusal::TierNotFound)?;
                self.next_free(index, *quantity)
            }
            Wanted::Seats(names) => names
                .iter()
                .map(|name| {
                    let (seat, tier) = self
                        .seat(name)
                        .ok_or_else(|| Refusal::SeatNotFound { seat: name.clone() })?;
                    if !self.is_free(seat, tier) {
                        return Err(Refusal::SeatTaken { seat: name.clone() });
                    }
                    Ok(self.place(tier, seat, NonZeroU16::MIN))
                })
                .collect(),
        }
    }

    fn is_free(&self, seat: u32, tier: u16) -> bool {
        let accessible = self.row_of(seat).is_accessible(seat);
        let free = self.tiers[usize::from(tier)].free.as_ref();
        free.is_some_and(|free| free.contains(&(accessible, seat)))
    }

    fn place(&self, tier: u16, seat: u32, quantity: NonZeroU16) -> Place {
        let unit_price_minor = self.tiers[usize::from(tier)].terms.price_minor;
        Place { unit_price_minor, seat, tier, quantity }
    }

    /// So many places of a tier, or its next free seats.
    pub(super) fn next_free(&self, tier: u16, quantity: u32) -> Result<Places, Refusal> {
        let state = &self.tiers[usize::from(tier)];
        let available = state.available();
        let short = Refusal::InsufficientSeats { requested: quantity, available };
        if quantity > available {
            return Err(short);
        }
        match &state.free {
            None => {
                let quantity = u16::try_from(quantity).ok().and_then(NonZeroU16::new);
                Ok(Places::One(self.place(tier, NO_SEAT, quantity.ok_or(short)?)))
            }
            Some(free) => {
                let seats = free.iter().take(quantity as usize);
                Ok(seats.map(|&(_, seat)| self.place(tier, seat, NonZeroU16::MIN)).collect())
            }
        }
    }

    /// Whether exactly these places are free.
    pub(super) fn all_free(&self, places: &[Place]) -> bool {
        let seats = places.iter().filter(|place| place.seat != NO_SEAT);
        let counted = places.iter().filter(|place| place.seat == NO_SEAT);
        seats.clone().all(|place| self.is_free(place.seat, place.tier))
            && counted.clone().all(|place| {
                let tier = &self.tiers[usize::from(place.tier)];
                place.tickets() <= tier.available()
            })
    }

    /// Takes places out of sale for a hold.
    pub(super) fn hold(&mut self, places: &[Place]) {
        self.count(places, |tier, quantity| tier.held = tier.held.saturating_add(quantity));
        self.each_seat(places, |free, seat| {
            free.remove(&seat);
        });
    }

    /// What was held is sold now.
    pub(super) fn sell(&mut self, places: &[Place]) {
        self.count(places, |tier, quantity| {
            tier.held = tier.held.saturating_sub(quantity);
            tier.sold = tier.sold.saturating_add(quantity);
        });
    }

    /// What was held is free again.
    pub(super) fn release_held(&mut self, places: &[Place]) {
        self.count(places, |tier, quantity| tier.held = tier.held.saturating_sub(quantity));
        self.free_seats(places);
    }

    /// What was sold is free again.
    pub(super) fn release_sold(&mut self, places: &[Place]) {
        self.count(places, |tier, quantity| tier.sold = tier.sold.saturating_sub(quantity));
        self.free_seats(places);
    }

    fn free_seats(&mut self, places: &[Place]) {
        self.each_seat(places, |free, seat| {
            free.insert(seat);
        });
    }

    fn count(&mut self, places: &[Place], change: impl Fn(&mut TierState, u32)) {
        for place in places {
            change(&mut self.tiers[usize::from(place.tier)], place.tickets());
        }
    }

    fn each_seat(
        &mut self,
        places: &[Place],
        change: impl Fn(&mut BTreeSet<(bool, u32)>, (bool, u32)),
    ) {
        for place in places.iter().filter(|place| place.seat != NO_SEAT) {
            let accessible = self.row_of(place.seat).is_accessible(place.seat);
            if let Some(free) = &mut self.tiers[usize::from(place.tier)].free {
                change(free, (accessible, place.seat));
            }
        }
    }

    pub(super) fn lines(&self, places: &[Place]) -> Vec<Line> {
        let line = |place: &Place| Line {
            tier: self.tier_id(place.tier),
            seat: self.seat_name(place.seat),
            quantity: place.tickets(),
            unit_price_minor: place.unit_price_minor,
        };
        places.iter().map(line).collect()
    }

    /// The places that a stored fact names.
    pub(super) fn places(&self, lines: &[Line]) -> Places {
        let place = |line: &Line| {
            let tier = self.tier_index.get(&line.tier).copied()?;
            let seat = match &line.seat {
                Some(name) => self.seat(name)?.0,
                None => NO_SEAT,
            };
            let quantity = NonZeroU16::new(u16::try_from(line.quantity).ok()?)?;
            Some(Place { unit_price_minor: line.unit_price_minor, seat, tier, quantity })
        };
        lines.iter().filter_map(place).collect()
    }
}

impl TierState {
    fn revise(&mut self, tier: &Tier) {
        if self.free.is_none() {
            self.capacity = tier.stock.capacity();
        }
        self.terms = tier.without_rows();
    }
}
