//! `GET /users/me/bookings`: the caller's own bookings, the latest first.

use axum::extract::State;
use axum::response::IntoResponse;
use infra::auth::Caller;
use infra::http::{Cursor, Json, Limit, MinPosition, Page, Problem, ProblemDocument, Query};
use infra::shapes::{Booking, BookingStatus, HistoryEntry, LineItem, Ticket};
use serde::Deserialize;
use sqlx::types::Json as Column;
use utoipa::IntoParams;

use super::at_row;
use super::booking::BookingRow;
use crate::QueryState;
use crate::freshness::View;

const LIST: &str = "my-bookings";

/// Which bookings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListMyBookings {
    /// Only those that stand like this.
    #[param(inline)]
    status: Option<BookingStatus>,
    /// Bookings on a page.
    #[serde(default)]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 100, default = 20)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// The caller's own bookings, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/users/me/bookings",
    tag = "bookings",
    params(
        ListMyBookings,
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    responses(
        (status = 200, description = "The latest first", body = Page<Booking>),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "DATABASE_UNAVAILABLE"),
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn list_my_bookings(
    State(state): State<QueryState>,
    caller: Caller,
    Query(query): Query<ListMyBookings>,
    MinPosition(min): MinPosition,
) -> Result<impl IntoResponse, Problem> {
    let limit = query.limit.items()?;
    let before: Option<i64> = query.cursor.map(|cursor| cursor.place(LIST)).transpose()?;
    state.views.at_least(View::Bookings, min).await?;
    let mut rows = sqlx::query_as!(
        BookingRow,
        r#"SELECT event_id, booking_number, user_id, status, expires_at,
              line_items AS "line_items: Column<Vec<LineItem>>",
              tickets AS "tickets: Column<Vec<Ticket>>",
              subtotal_minor, discount_minor, total_minor, currency, refund_minor, refund_status,
              history AS "history: Column<Vec<HistoryEntry>>", reserved_position,
              (SELECT position FROM projection.checkpoint WHERE name = 'bookings') AS upto
           FROM bookings.booking
           WHERE user_id = $1
              AND ($2::text IS NULL OR status = $2)
              AND reserved_position < $3
           ORDER BY reserved_position DESC
           LIMIT $4"#,
        caller.user.as_uuid(),
        query.status.map(name),
        before.unwrap_or(i64::MAX),
        super::one_more(limit),
    )
    .fetch_all(&state.sources.pool)
    .await
    .map_err(|error| state.views.failure(error))?;
    let more = super::cut(&mut rows, limit);
    let upto = rows.first().and_then(|row| row.upto);
    let last = rows.last().filter(|_| more).map(|row| row.reserved_position);
    let next_cursor = last.map(|position| Cursor::new(LIST, &position));
    let items: Vec<Booking> = rows.into_iter().map(Booking::from).collect();
    Ok((at_row(upto), Json(Page { items, next_cursor })))
}

/// As the view has it.
fn name(status: BookingStatus) -> &'static str {
    match status {
        BookingStatus::Held => "held",
        BookingStatus::Confirmed => "confirmed",
        BookingStatus::Cancelled => "cancelled",
        BookingStatus::Expired => "expired",
    }
}
