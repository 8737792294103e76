//! How many holds there are, and what became of those that are over (OP-2).

use crate::views::Bookings;
use crate::{Projection, Projections, StatusError};

/// Bookings of all events, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holds {
    /// Held by buyers who have not paid yet.
    pub held: i64,
    /// Offered to people who waited, and neither bought nor given back yet.
    pub offered: i64,
    /// Sold.
    pub confirmed: i64,
    /// Given back, before or after they were sold.
    pub cancelled: i64,
    /// Not paid in time.
    pub expired: i64,
}

impl Holds {
    /// Each state's name and number.
    pub fn by_state(self) -> [(&'static str, i64); 5] {
        [
            ("held", self.held),
            ("offered", self.offered),
            ("confirmed", self.confirmed),
            ("cancelled", self.cancelled),
            ("expired", self.expired),
        ]
    }
}

impl Projections {
    /// The holds there are, as the view of bookings has them; absent while it is being brought up to
    /// a version that counts them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn holds(&self) -> Result<Option<Holds>, StatusError> {
        let holds = sqlx::query_as!(
            Holds,
            r#"SELECT COALESCE(held, 0) AS "held!", COALESCE(offered, 0) AS "offered!",
                COALESCE(confirmed, 0) AS "confirmed!", COALESCE(cancelled, 0) AS "cancelled!",
                COALESCE(expired, 0) AS "expired!"
               FROM projection.checkpoint LEFT JOIN bookings.tally ON true
               WHERE name = $1 AND version = $2"#,
            Bookings.name(),
            Bookings.version(),
        );
        Ok(holds.fetch_optional(&self.pool).await?)
    }
}
