//! What a booking holds.

use std::num::NonZeroU16;
use std::ops::Deref;

/// Places of one tier, or one seat, as a booking holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) unit_price_minor: i64,
    /// Index of the seat, or [`NO_SEAT`].
    pub(super) seat: u32,
    pub(super) tier: u16,
    /// At most [`crate::event::MAX_LIMIT`].
    pub(super) quantity: NonZeroU16,
}

pub(super) const NO_SEAT: u32 = u32::MAX;

impl Place {
    pub(super) fn tickets(&self) -> u32 {
        u32::from(self.quantity.get())
    }
}

/// A list of places. Most bookings have one, which takes no memory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Places {
    One(Place),
    /// Boxed twice, so that it is no bigger than one place.
    Many(Box<Box<[Place]>>),
}

impl Places {
    /// How many people they are for.
    pub(super) fn tickets(&self) -> u32 {
        self.iter().map(Place::tickets).sum()
    }
}

impl Deref for Places {
    type Target = [Place];

    fn deref(&self) -> &[Place] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Many(places) => places,
        }
    }
}

impl FromIterator<Place> for Places {
    fn from_iter<I: IntoIterator<Item = Place>>(places: I) -> Self {
        let mut places = places.into_iter();
        match (places.next(), places.next()) {
            (Some(one), None) => Self::One(one),
            (first, second) => {
                let many = first.into_iter().chain(second).chain(places);
                Self::Many(Box::new(many.collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_places_is_as_small_as_one() {
        assert_eq!(size_of::<Place>(), 16);
        assert_eq!(size_of::<Places>(), 16);
    }

    #[test]
    fn one_or_many_read_alike() {
        let place = |seat| {
            let quantity = NonZeroU16::new(2).unwrap();
            Place { unit_price_minor: 1, seat, tier: 0, quantity }
        };
        for count in 0..4u32 {
            let places: Places = (0..count).map(place).collect();
            assert_eq!(places.to_vec(), (0..count).map(place).collect::<Vec<_>>());
            assert_eq!(places.tickets(), 2 * count);
        }
    }
}
