//! What a reservation would be refused for, whoever asks (BK-7, CT-4).

use domain::event::Stock;
use domain::{TierId, Time};

use super::availability::Availability;

/// The codes with which `POST /bookings/reserve` refuses, of what needs no knowledge of the person.
const CANCELLED: &str = "EVENT_CANCELLED";
const ENDED: &str = "EVENT_ENDED";
const STARTED: &str = "EVENT_STARTED";
const NOT_OPEN: &str = "SALE_NOT_OPEN";
const CLOSED: &str = "SALE_CLOSED";
const PER_BOOKING: &str = "LIMIT_PER_BOOKING";
const PER_USER: &str = "LIMIT_PER_USER";
const TOO_FEW: &str = "INSUFFICIENT_SEATS";

impl Availability {
    /// Why nobody can reserve `quantity` places at `now` in one booking: of a tier that exists, or of
    /// whichever tiers can serve them. Questions are asked in the order of the command.
    pub(crate) fn refusal(
        &self,
        tier: Option<TierId>,
        quantity: u64,
        now: Time,
    ) -> Option<&'static str> {
        let terms = &self.terms;
        if self.closed {
            return Some(CANCELLED);
        }
        if terms.ends_at <= now {
            return Some(ENDED);
        }
        if terms.starts_at <= now {
            return Some(STARTED);
        }
        if quantity > u64::from(terms.max_per_booking) {
            return Some(PER_BOOKING);
        }
        let refused = match tier {
            Some(tier) => {
                let index = terms.tiers.iter().position(|terms| terms.tier == tier)?;
                self.of_tier(index, quantity, now).err()
            }
            None => self.of_any(quantity, now).err(),
        };
        // A person's limit comes after the tier's window and limit, and before its places.
        let alone = terms.max_per_user.is_some_and(|limit| quantity > u64::from(limit));
        match refused {
            None | Some(TOO_FEW) if alone => Some(PER_USER),
            refused => refused,
        }
    }

    fn of_tier(&self, index: usize, quantity: u64, now: Time) -> Result<(), &'static str> {
        if quantity > self.most(index, now)? {
            return Err(PER_BOOKING);
        }
        if quantity > u64::from(self.left(index)) { Err(TOO_FEW) } else { Ok(()) }
    }

    /// Places come from one tier, and named seats from several.
    fn of_any(&self, quantity: u64, now: Time) -> Result<(), &'static str> {
        let (mut refused, mut seats) = (None, 0);
        for (index, tier) in self.terms.tiers.iter().enumerate() {
            match self.of_tier(index, quantity, now) {
                Ok(()) => return Ok(()),
                Err(other) => refused = refused.filter(|it| *it == TOO_FEW).or(Some(other)),
            }
            if let (Stock::Seated { .. }, Ok(most)) = (&tier.stock, self.most(index, now)) {
                seats += most.min(u64::from(self.left(index)));
            }
        }
        if quantity <= seats { Ok(()) } else { Err(refused.unwrap_or(TOO_FEW)) }
    }

    /// How many places of a tier that is on sale one booking can have.
    fn most(&self, index: usize, now: Time) -> Result<u64, &'static str> {
        let tier = &self.terms.tiers[index];
        if tier.sale_starts_at.is_some_and(|opens| now < opens) {
            return Err(NOT_OPEN);
        }
        if tier.sale_ends_at.is_some_and(|ends| ends <= now) {
            return Err(CLOSED);
        }
        Ok(tier.max_per_booking.map_or(u64::MAX, u64::from))
    }
}
