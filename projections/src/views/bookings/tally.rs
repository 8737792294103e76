//! How many bookings are in which state, over all events.
//!
//! Facts say from which state they take a booking, so nothing has to be read to count them, but
//! whether one that is reinstated was an offer.

use domain::WaitlistId;
use domain::inventory::Fact;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::WriteError;

/// What is added to the numbers.
#[derive(Default)]
pub(super) struct Tally {
    held: i64,
    offered: i64,
    confirmed: i64,
    cancelled: i64,
    expired: i64,
    reinstated: Reinstated,
    /// Whether any booking came into another state.
    has_moved: bool,
}

/// Bookings that are held again.
#[derive(Default)]
struct Reinstated {
    event_id: Vec<Uuid>,
    booking_number: Vec<i64>,
}

impl Tally {
    pub(super) fn take(&mut self, fact: &Fact) {
        match fact {
            Fact::Reserved(_) => self.held += 1,
            Fact::Offered(_) => self.offered += 1,
            Fact::Confirmed(fact) => {
                *self.open(fact.waitlist) -= 1;
                self.confirmed += 1;
            }
            Fact::Expired(fact) => {
                *self.open(fact.waitlist) -= 1;
                self.expired += 1;
            }
            Fact::Cancelled(fact) => {
                match fact.was_confirmed {
                    true => self.confirmed -= 1,
                    false => *self.open(fact.waitlist) -= 1,
                }
                self.cancelled += 1;
            }
            Fact::Reinstated(fact) => {
                self.expired -= 1;
                self.reinstated.event_id.push(fact.booking.event.as_uuid());
                self.reinstated.booking_number.push(fact.booking.number.cast_signed());
            }
            Fact::PaymentStarted(_)
            | Fact::PaymentFailed(_)
            | Fact::RefundDue(_)
            | Fact::Refunded(_)
            | Fact::InventoryOpened(_)
            | Fact::InventoryRevised(_)
            | Fact::InventoryClosed(_)
            | Fact::WaitlistJoined(_)
            | Fact::WaitlistLeft(_) => return,
        }
        self.has_moved = true;
    }

    /// Where a booking is counted that is neither sold nor over: one that has a place in the
    /// waitlist is an offer.
    fn open(&mut self, waitlist: Option<WaitlistId>) -> &mut i64 {
        match waitlist {
            Some(_) => &mut self.offered,
            None => &mut self.held,
        }
    }

    /// To be called when the rows of the bookings are written.
    pub(super) async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if !self.has_moved {
            return Ok(());
        }
        let offers = self.reinstated.offers(connection).await?;
        sqlx::query!(
            "INSERT INTO tally (held, offered, confirmed, cancelled, expired)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (only_one) DO UPDATE SET
                held = tally.held + excluded.held,
                offered = tally.offered + excluded.offered,
                confirmed = tally.confirmed + excluded.confirmed,
                cancelled = tally.cancelled + excluded.cancelled,
                expired = tally.expired + excluded.expired",
            self.held + self.reinstated.event_id.len() as i64 - offers,
            self.offered + offers,
            self.confirmed,
            self.cancelled,
            self.expired,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl Reinstated {
    /// How many of them were offers.
    async fn offers(&self, connection: &mut PgConnection) -> Result<i64, WriteError> {
        if self.event_id.is_empty() {
            return Ok(0);
        }
        let offers = sqlx::query_scalar!(
            r#"SELECT count(*) AS "offers!"
               FROM UNNEST($1::uuid[], $2::bigint[]) AS again (event_id, booking_number)
               JOIN booking USING (event_id, booking_number)
               WHERE waitlist_id IS NOT NULL"#,
            &self.event_id,
            &self.booking_number,
        )
        .fetch_one(connection)
        .await?;
        Ok(offers)
    }
}
