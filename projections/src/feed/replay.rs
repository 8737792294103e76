//! Sending again what was sent before.

use infra::log::Position;
use infra::postgres::{begin, commit};
use serde::Serialize;
use utoipa::ToSchema;

use super::NAME;
use crate::Projections;
use crate::checkpoint;
use crate::columns::position;
use crate::parked::count;

/// What is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Replayed {
    /// What is after this position.
    pub from: u64,
    /// Up to where it had been sent.
    pub position: u64,
}

/// Why nothing is sent again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It was not sent yet.
    #[error("the feed is at position {position}: only what was sent can be sent again")]
    Ahead {
        /// Up to where it has been sent.
        position: u64,
    },
    /// The database failed.
    #[error("the database cannot be asked how far the feed is")]
    Database(#[from] sqlx::Error),
}

impl Projections {
    /// Has the feed send everything after `from` again, with the same ids: moves its checkpoint back.
    /// Whoever keeps it sees that within a second or two, or the next one that does.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub async fn replay_feed(&self, from: Position) -> Result<Replayed, ReplayError> {
        let mut transaction = begin(&self.pool, "BEGIN").await?;
        let at = checkpoint::lock(&mut transaction, NAME).await?;
        let at = at.map_or(Position(0), |at| at.position);
        if from > at {
            return Err(ReplayError::Ahead { position: at.0 });
        }
        sqlx::query!(
            "UPDATE projection.checkpoint SET position = $2, updated_at = $3 WHERE name = $1",
            NAME,
            position(from),
            self.clock.now().as_chrono(),
        )
        .execute(&mut *transaction)
        .await?;
        // They are tried again.
        sqlx::query!(
            "DELETE FROM projection.parked WHERE projection = $1 AND position > $2",
            NAME,
            position(from),
        )
        .execute(&mut *transaction)
        .await?;
        count(&mut transaction, NAME).await?;
        commit(transaction).await?;
        Ok(Replayed { from: from.0, position: at.0 })
    }
}
