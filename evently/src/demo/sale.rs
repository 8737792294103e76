//! A sale under way: what all buyers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::UserId;
use infra::auth::{IssueError, Keys, Role};
use infra::ids;
use reqwest::Method;
use serde_json::Value;

use super::client::{Ask, Client};
use super::stage::Stage;
use super::{DemoError, Left};

const TOKEN_TTL: Duration = Duration::from_secs(3600);

/// A sale under way.
pub(super) struct Sale {
    pub(super) client: Client,
    pub(super) stage: Stage,
    /// The first buyer; the others count up from here.
    first: u128,
    buyers: u32,
    keys: Arc<Keys>,
    pub(super) tally: Tally,
}

/// What happened that the server's counts do not tell.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) held: AtomicU64,
    pub(super) confirmed: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) let_die: AtomicU64,
    pub(super) waitlisted: AtomicU64,
    pub(super) offered: AtomicU64,
    pub(super) served: AtomicU64,
    pub(super) repeated: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Sale {
    pub(super) fn new(client: Client, keys: Arc<Keys>, stage: Stage, buyers: u32) -> Self {
        // The low half counts buyers.
        let first = ids::random_u128() >> 64 << 64;
        Self { client, stage, first, buyers, keys, tally: Tally::default() }
    }

    /// The number of a buyer of this sale.
    pub(super) fn number_of(&self, user: UserId) -> Option<u32> {
        let number = user.as_u128().checked_sub(self.first)?;
        u32::try_from(number).ok().filter(|number| *number < self.buyers)
    }

    /// A token of a buyer.
    pub(super) fn token(&self, number: u32) -> Result<String, IssueError> {
        let user = UserId::from_u128(self.first + u128::from(number));
        self.keys.issue(user, &[Role::Attendee], TOKEN_TTL)
    }

    /// What is left of both events.
    pub(super) async fn left(&self) -> Result<Left, DemoError> {
        let mut left = Left::default();
        for on_sale in self.stage.events() {
            let path = format!("/events/{}/availability", on_sale.event);
            let (method, token) = (Method::GET, self.stage.auditor.as_str());
            let command = "read availability";
            let ask = Ask { command, method, path: &path, token, key: None, body: None };
            let event = self.client.must(ask).await?;
            let number = |value: &Value| value.as_u64().unwrap_or(0);
            left.capacity += number(&event["capacity"]);
            left.available += number(&event["available"]);
            left.held += number(&event["held"]);
            left.sold += number(&event["sold"]);
            left.waitlisted += number(&event["waitlisted"]);
            for tier in event["tiers"].as_array().into_iter().flatten() {
                let taken = number(&tier["sold"]) + number(&tier["held"]);
                left.oversold += taken.saturating_sub(number(&tier["capacity"]));
            }
        }
        Ok(left)
    }
}
