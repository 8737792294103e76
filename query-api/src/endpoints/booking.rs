//! `GET /bookings/{id}`: a booking as it stands, with its history (BK-1 to BK-4).

use axum::extract::State;
use axum::response::IntoResponse;
use domain::{BookingId, Currency, EventId, Time, UserId};
use infra::auth::Caller;
use infra::http::{Json, MinPosition, Path, Problem, ProblemDocument};
use infra::shapes::{Booking, BookingStatus, HistoryEntry, LineItem, Refund, RefundStatus, Ticket};
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::types::{Json as Column, Uuid};

use super::at_row;
use crate::QueryState;
use crate::freshness::View;
use crate::problems::BOOKING_NOT_FOUND;

/// A booking as it stands. Its owner finds it, and so do box office, auditors and admins.
#[utoipa::path(
    get,
    path = "/api/v1/bookings/{booking_id}",
    tag = "bookings",
    params(
        ("booking_id" = String, Path, description = "`bkg_...`"),
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    responses(
        (status = 200, description = "As it stands", body = Booking),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "BOOKING_NOT_FOUND: there is none, or it belongs to someone else"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "DATABASE_UNAVAILABLE"),
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn get_booking(
    State(state): State<QueryState>,
    caller: Caller,
    Path(booking): Path<BookingId>,
    MinPosition(min): MinPosition,
) -> Result<impl IntoResponse, Problem> {
    state.views.at_least(View::Bookings, min).await?;
    let row = sqlx::query_as!(
        BookingRow,
        r#"SELECT event_id, booking_number, user_id, status, expires_at,
              line_items AS "line_items: Column<Vec<LineItem>>",
              tickets AS "tickets: Column<Vec<Ticket>>",
              subtotal_minor, discount_minor, total_minor, currency, refund_minor, refund_status,
              history AS "history: Column<Vec<HistoryEntry>>", reserved_position,
              (SELECT position FROM projection.checkpoint WHERE name = 'bookings') AS upto
           FROM bookings.booking
           WHERE event_id = $1 AND booking_number = $2"#,
        booking.event.as_uuid(),
        booking.number.cast_signed(),
    )
    .fetch_optional(&state.sources.pool)
    .await
    .map_err(|error| state.views.failure(error))?
    .filter(|row| caller.may_with(UserId::from_u128(row.user_id.as_u128())))
    .ok_or_else(|| Problem::not_found(BOOKING_NOT_FOUND, "booking"))?;
    Ok((at_row(row.upto), Json(Booking::from(row))))
}

/// A row of the view.
pub(super) struct BookingRow {
    pub(super) event_id: Uuid,
    pub(super) booking_number: i64,
    pub(super) user_id: Uuid,
    pub(super) status: String,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) line_items: Column<Vec<LineItem>>,
    pub(super) tickets: Column<Vec<Ticket>>,
    pub(super) subtotal_minor: i64,
    pub(super) discount_minor: i64,
    pub(super) total_minor: i64,
    pub(super) currency: String,
    pub(super) refund_minor: Option<i64>,
    pub(super) refund_status: Option<String>,
    pub(super) history: Column<Vec<HistoryEntry>>,
    pub(super) reserved_position: i64,
    pub(super) upto: Option<i64>,
}

/// The status that the view calls `name`; it has no others.
fn status_named(name: &str) -> BookingStatus {
    match name {
        "confirmed" => BookingStatus::Confirmed,
        "cancelled" => BookingStatus::Cancelled,
        "expired" => BookingStatus::Expired,
        _ => BookingStatus::Held,
    }
}

impl From<BookingRow> for Booking {
    fn from(row: BookingRow) -> Self {
        let event_id = EventId::from_u128(row.event_id.as_u128());
        let booking_id = BookingId { event: event_id, number: row.booking_number.cast_unsigned() };
        let status = status_named(&row.status);
        // What the view has as a currency was one when it was written.
        let currency = row.currency.parse().unwrap_or(Currency::EUR);
        let refund_status = match row.refund_status.as_deref() {
            Some("refunded") => RefundStatus::Refunded,
            _ => RefundStatus::Pending,
        };
        let refund = |amount| Refund { amount, currency, status: refund_status };
        Self {
            booking_id,
            reference: booking_id.reference(),
            event_id,
            user_id: UserId::from_u128(row.user_id.as_u128()),
            status,
            expires_at: (status == BookingStatus::Held).then(|| Time::from(row.expires_at)),
            line_items: row.line_items.0,
            subtotal: row.subtotal_minor,
            discount: row.discount_minor,
            total: row.total_minor,
            currency,
            // Those of a booking that was given back let nobody in.
            tickets: if status == BookingStatus::Confirmed { row.tickets.0 } else { vec![] },
            refund: row.refund_minor.map(refund),
            history: Some(row.history.0),
            position: None,
        }
    }
}
