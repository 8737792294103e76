//! `GET /venues`: all venues, in pages (CT-1).

use axum::extract::State;
use axum::response::IntoResponse;
use domain::VenueId;
use infra::http::{Cursor, Json, Limit, MinPosition, Page, Problem, ProblemDocument, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::at_row;
use crate::QueryState;
use crate::freshness::View;

const LIST: &str = "venues";

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListVenues {
    /// Venues on a page.
    #[serde(default)]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 100, default = 20)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// A venue without its sections.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VenueSummary {
    /// `ven_...`
    #[schema(value_type = String)]
    pub(super) venue_id: VenueId,
    /// As people call it.
    pub(super) name: String,
    /// Street and number.
    pub(super) address: String,
    /// City.
    pub(super) city: String,
    /// State or region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<String>,
    /// Country.
    pub(super) country: String,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) postal_code: Option<String>,
    /// Degrees north.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latitude: Option<f64>,
    /// Degrees east.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) longitude: Option<f64>,
}

/// All venues, in no particular but a lasting order.
#[utoipa::path(
    get,
    path = "/api/v1/venues",
    tag = "venues",
    params(
        ListVenues,
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    responses(
        (status = 200, description = "By name", body = Page<VenueSummary>),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "DATABASE_UNAVAILABLE"),
    ),
)]
pub(crate) async fn list_venues(
    State(state): State<QueryState>,
    Query(query): Query<ListVenues>,
    MinPosition(min): MinPosition,
) -> Result<impl IntoResponse, Problem> {
    let limit = query.limit.items()?;
    let after: Option<VenueId> = query.cursor.map(|cursor| cursor.place(LIST)).transpose()?;
    state.views.at_least(View::Catalog, min).await?;
    let mut rows = sqlx::query!(
        r#"SELECT venue_id, name, address, city, state, country, postal_code, latitude, longitude,
              (SELECT position FROM projection.checkpoint WHERE name = 'catalog') AS upto
           FROM catalog.venue
           WHERE venue_id > $1
           ORDER BY venue_id
           LIMIT $2"#,
        after.unwrap_or(VenueId::from_u128(0)).as_uuid(),
        super::one_more(limit),
    )
    .fetch_all(&state.sources.pool)
    .await
    .map_err(|error| state.views.failure(error))?;
    let more = super::cut(&mut rows, limit);
    let upto = rows.first().and_then(|row| row.upto);
    let items: Vec<_> = rows
        .into_iter()
        .map(|row| VenueSummary {
            venue_id: VenueId::from_u128(row.venue_id.as_u128()),
            name: row.name,
            address: row.address,
            city: row.city,
            state: row.state,
            country: row.country,
            postal_code: row.postal_code,
            latitude: row.latitude,
            longitude: row.longitude,
        })
        .collect();
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|venue| Cursor::new(LIST, &venue.venue_id));
    Ok((at_row(upto), Json(Page { items, next_cursor })))
}
