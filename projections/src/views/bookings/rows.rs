//! Rows of bookings.

use async_trait::async_trait;
use domain::{PaymentId, WaitlistId};
use sqlx::PgConnection;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};

use super::tally::Tally;
use super::{Change, Made, json};
use crate::columns::moment;
use crate::{Changes, WriteError};

/// What becomes of bookings, as columns: the table's parameters.
#[derive(Default)]
pub(super) struct Rows {
    new: NewRows,
    old: OldRows,
    tally: Tally,
}

#[derive(Default)]
struct NewRows {
    event_id: Vec<Uuid>,
    booking_number: Vec<i64>,
    user_id: Vec<Uuid>,
    status: Vec<&'static str>,
    expires_at: Vec<DateTime<Utc>>,
    line_items: Vec<String>,
    tickets: Vec<String>,
    subtotal_minor: Vec<i64>,
    discount_minor: Vec<i64>,
    total_minor: Vec<i64>,
    currency: Vec<String>,
    payment_id: Vec<Option<Uuid>>,
    refund_minor: Vec<Option<i64>>,
    refund_status: Vec<Option<&'static str>>,
    waitlist_id: Vec<Option<Uuid>>,
    reserved_at: Vec<DateTime<Utc>>,
    confirmed_at: Vec<Option<DateTime<Utc>>>,
    reserved_position: Vec<i64>,
    position: Vec<i64>,
    history: Vec<String>,
}

#[derive(Default)]
struct OldRows {
    event_id: Vec<Uuid>,
    booking_number: Vec<i64>,
    status: Vec<Option<&'static str>>,
    line_items: Vec<Option<String>>,
    tickets: Vec<Option<String>>,
    payment_id: Vec<Option<Uuid>>,
    refund_minor: Vec<Option<i64>>,
    refund_status: Vec<Option<&'static str>>,
    confirmed_at: Vec<Option<DateTime<Utc>>>,
    position: Vec<i64>,
    history: Vec<String>,
}

impl Rows {
    /// None yet, of bookings that are counted so.
    pub(super) fn counting(tally: Tally) -> Self {
        Self { tally, ..Self::default() }
    }

    pub(super) fn push(&mut self, mut change: Change) {
        match change.made.take() {
            Some(made) => self.new.push(change, made),
            None => self.old.push(change),
        }
    }
}

impl NewRows {
    fn push(&mut self, change: Change, made: Made) {
        self.event_id.push(change.booking.event.as_uuid());
        self.booking_number.push(change.booking.number.cast_signed());
        self.user_id.push(made.user.as_uuid());
        self.status.push(change.status.unwrap_or("held"));
        self.expires_at.push(made.expires_at.as_chrono());
        self.line_items.push(change.lines.unwrap_or_default());
        self.tickets.push(change.tickets.unwrap_or_default());
        self.subtotal_minor.push(made.subtotal_minor);
        self.discount_minor.push(made.discount_minor);
        self.total_minor.push(made.total_minor);
        self.currency.push(made.currency);
        self.payment_id.push(change.payment.map(PaymentId::as_uuid));
        self.refund_minor.push(change.refund_minor);
        self.refund_status.push(change.refund_status);
        self.waitlist_id.push(made.waitlist.map(WaitlistId::as_uuid));
        self.reserved_at.push(made.at.as_chrono());
        self.confirmed_at.push(moment(change.confirmed_at));
        self.reserved_position.push(made.position);
        self.position.push(change.position);
        self.history.push(json(&change.history));
    }

    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.event_id.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO booking (
                event_id, booking_number, user_id, status, expires_at, line_items, tickets,
                subtotal_minor, discount_minor, total_minor, currency, payment_id, refund_minor,
                refund_status, waitlist_id, reserved_at, confirmed_at, reserved_position, position,
                history)
             SELECT
                event_id, booking_number, user_id, status, expires_at, line_items::json,
                tickets::json, subtotal_minor, discount_minor, total_minor, currency, payment_id,
                refund_minor, refund_status, waitlist_id, reserved_at, confirmed_at,
                reserved_position, position, history::jsonb
             FROM UNNEST(
                $1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[],
                $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::uuid[],
                $13::bigint[], $14::text[], $15::uuid[], $16::timestamptz[], $17::timestamptz[],
                $18::bigint[], $19::bigint[], $20::text[]
             ) AS new (
                event_id, booking_number, user_id, status, expires_at, line_items, tickets,
                subtotal_minor, discount_minor, total_minor, currency, payment_id, refund_minor,
                refund_status, waitlist_id, reserved_at, confirmed_at, reserved_position, position,
                history)",
            &self.event_id,
            &self.booking_number,
            &self.user_id,
            &self.status as &[&str],
            &self.expires_at,
            &self.line_items,
            &self.tickets,
            &self.subtotal_minor,
            &self.discount_minor,
            &self.total_minor,
            &self.currency,
            &self.payment_id as &[Option<Uuid>],
            &self.refund_minor as &[Option<i64>],
            &self.refund_status as &[Option<&str>],
            &self.waitlist_id as &[Option<Uuid>],
            &self.reserved_at,
            &self.confirmed_at as &[Option<DateTime<Utc>>],
            &self.reserved_position,
            &self.position,
            &self.history,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl OldRows {
    fn push(&mut self, change: Change) {
        self.event_id.push(change.booking.event.as_uuid());
        self.booking_number.push(change.booking.number.cast_signed());
        self.status.push(change.status);
        self.line_items.push(change.lines);
        self.tickets.push(change.tickets);
        self.payment_id.push(change.payment.map(PaymentId::as_uuid));
        self.refund_minor.push(change.refund_minor);
        self.refund_status.push(change.refund_status);
        self.confirmed_at.push(moment(change.confirmed_at));
        self.position.push(change.position);
        self.history.push(json(&change.history));
    }

    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.event_id.is_empty() {
            return Ok(());
        }
        let done = sqlx::query!(
            "UPDATE booking SET
                status = COALESCE(new.status, booking.status),
                line_items = COALESCE(new.line_items::json, booking.line_items),
                tickets = COALESCE(new.tickets::json, booking.tickets),
                payment_id = COALESCE(new.payment_id, booking.payment_id),
                refund_minor = COALESCE(new.refund_minor, booking.refund_minor),
                refund_status = COALESCE(new.refund_status, booking.refund_status),
                confirmed_at = COALESCE(new.confirmed_at, booking.confirmed_at),
                position = new.position,
                history = booking.history || new.history::jsonb
             FROM UNNEST(
                $1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::uuid[],
                $7::bigint[], $8::text[], $9::timestamptz[], $10::bigint[], $11::text[]
             ) AS new (
                event_id, booking_number, status, line_items, tickets, payment_id, refund_minor,
                refund_status, confirmed_at, position, history)
             WHERE booking.event_id = new.event_id
               AND booking.booking_number = new.booking_number",
            &self.event_id,
            &self.booking_number,
            &self.status as &[Option<&str>],
            &self.line_items as &[Option<String>],
            &self.tickets as &[Option<String>],
            &self.payment_id as &[Option<Uuid>],
            &self.refund_minor as &[Option<i64>],
            &self.refund_status as &[Option<&str>],
            &self.confirmed_at as &[Option<DateTime<Utc>>],
            &self.position,
            &self.history,
        )
        .execute(connection)
        .await?;
        WriteError::unless_all("booking", self.event_id.len(), done.rows_affected())
    }
}

#[async_trait]
impl Changes for Rows {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        self.new.write(connection).await?;
        self.old.write(connection).await?;
        self.tally.write(connection).await
    }
}
