//! `GET /venues/{id}`: a venue with its sections (CT-1).

use axum::extract::State;
use axum::response::IntoResponse;
use domain::VenueId;
use infra::http::{Json, MinPosition, Path, Problem, ProblemDocument};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::types::Json as Column;
use utoipa::ToSchema;

use super::at_row;
use super::venues::VenueSummary;
use crate::QueryState;
use crate::freshness::View;
use crate::problems::VENUE_NOT_FOUND;

/// A venue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Venue {
    /// All but its sections.
    #[serde(flatten)]
    summary: VenueSummary,
    /// `{name, kind: "standing" | "box", capacity}` or `{name, kind: "seated", rows: [{label,
    /// seats: 30 or ["1", "2", ...], accessible?: ["1"]}]}`.
    #[schema(value_type = Vec<Object>)]
    sections: Box<RawValue>,
}

/// A venue with its sections.
#[utoipa::path(
    get,
    path = "/api/v1/venues/{venue_id}",
    tag = "venues",
    params(
        ("venue_id" = String, Path, description = "`ven_...`"),
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    responses(
        (status = 200, description = "All that is known of it", body = Venue),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "VENUE_NOT_FOUND"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "DATABASE_UNAVAILABLE"),
    ),
)]
pub(crate) async fn get_venue(
    State(state): State<QueryState>,
    Path(venue): Path<VenueId>,
    MinPosition(min): MinPosition,
) -> Result<impl IntoResponse, Problem> {
    state.views.at_least(View::Catalog, min).await?;
    let row = sqlx::query!(
        r#"SELECT name, address, city, state, country, postal_code, latitude, longitude,
              sections AS "sections: Column<Box<RawValue>>",
              (SELECT position FROM projection.checkpoint WHERE name = 'catalog') AS upto
           FROM catalog.venue
           WHERE venue_id = $1"#,
        venue.as_uuid(),
    )
    .fetch_optional(&state.sources.pool)
    .await
    .map_err(|error| state.views.failure(error))?
    .ok_or_else(|| Problem::not_found(VENUE_NOT_FOUND, "venue"))?;
    let summary = VenueSummary {
        venue_id: venue,
        name: row.name,
        address: row.address,
        city: row.city,
        state: row.state,
        country: row.country,
        postal_code: row.postal_code,
        latitude: row.latitude,
        longitude: row.longitude,
    };
    Ok((at_row(row.upto), Json(Venue { summary, sections: row.sections.0 })))
}
