//! That an admin or a service wants something done with the views or the feed is written down before it
//! is done.

use std::error::Error;

use async_trait::async_trait;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::administration::{Fact, Operator, is_plain_word};
use infra::auth::Actor;
use infra::errors::chain;
use infra::http::{Problem, Query};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{AdminState, LOG_UNAVAILABLE};

/// Who writes orders into the log: the one place where all of them are written.
#[async_trait]
pub trait Orders: Send + Sync + 'static {
    /// Writes it down.
    ///
    /// # Errors
    /// [`NotWritten`]: then nothing is to be done.
    async fn write_down(&self, order: Fact) -> Result<(), NotWritten>;
}

/// The log did not take an order.
#[derive(Debug, thiserror::Error)]
#[error("an order cannot be written down")]
pub struct NotWritten(#[source] pub Box<dyn Error + Send + Sync>);

/// Why it is done.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhyQuery {
    /// Why, in one word of letters, digits and dashes. It stays readable in the log for ever.
    #[param(min_length = 1, max_length = 64, pattern = "^[0-9A-Za-z-]{1,64}$")]
    reason: Option<String>,
}

/// Who asks, and why.
pub(super) struct Ordering(Operator);

impl<S: Send + Sync> FromRequestParts<S> for Ordering {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(WhyQuery { reason }) = Query::from_request_parts(parts, state).await?;
        if !reason.as_deref().is_none_or(is_plain_word) {
            let problem = "must be one word of 1 to 64 letters, digits and dashes";
            return Err(Problem::invalid("reason", problem));
        }
        let Ok(actor) = Actor::from_request_parts(parts, state).await;
        let (by, service) = match actor {
            Actor::Person(user) => (Some(user), None),
            Actor::Service(key) => (None, Some(key)),
            Actor::Operator | Actor::Nobody => (None, None),
        };
        Ok(Self(Operator { by, service, reason }))
    }
}

impl AdminState {
    /// Writes down what is about to be done, as `order` says it of who and why. If that fails nothing is
    /// to be done; if the deed fails afterwards, it was ordered all the same.
    pub(super) async fn order(
        &self,
        Ordering(operator): Ordering,
        order: impl FnOnce(Operator) -> Fact,
    ) -> Result<(), Problem> {
        let order = order(operator);
        tracing::info!(?order, "as an admin orders");
        self.orders.write_down(order).await.map_err(|error| {
            let error = chain(&error);
            tracing::warn!(error, "what an admin ordered is not done");
            let detail =
                "It cannot be written down at the moment, and so it is not done. Ask again.";
            Problem::unavailable(LOG_UNAVAILABLE, detail, 2)
        })
    }
}
