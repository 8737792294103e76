//! What came to nothing (AC-2): a log-in that was refused, a registration with an address that is known.
//!
//! How long the log is everybody sees who writes to it, and so how much was written in between. So as many
//! records are written for an address that has an account as for one that has none; where the account has
//! fewer to show, these make up for them. They say nothing of anybody.

use std::convert::Infallible;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::facts;
use crate::{Aggregate, AttemptId, Time};

/// How many records a log-in that is refused leaves: a wrong password that locks the account leaves two.
pub const OF_A_LOGIN: usize = 2;

/// How many a registration leaves: with an address that nobody has, its claim and the account.
pub const OF_A_REGISTRATION: usize = 2;

// Facts

/// Somebody tried, and was told nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptRefused {}

facts! {
    /// What can have become of an attempt.
    Fact { AttemptRefused = 1 }
}

// State and evolve

/// An attempt of which nothing is known.
#[derive(Debug, Clone, Default)]
pub struct Attempt;

// Commands and decide

/// Has so many records written.
#[derive(Debug, Clone)]
pub struct Refuse(pub usize);

impl Aggregate for Attempt {
    const CATEGORY: &'static str = "attempt";
    type Id = AttemptId;
    type Fact = Fact;
    type Command = Refuse;
    type Refusal = Infallible;

    fn evolve(&mut self, _at: Time, _fact: &Fact) {}

    fn decide(&self, Refuse(records): &Refuse, _now: Time) -> Result<Vec<Fact>, Infallible> {
        Ok(vec![AttemptRefused {}.into(); *records])
    }
}
