//! What came to nothing (AC-2): a log-in that was refused, a registration with an address that is known.
//!
//! How long the log is everybody sees who writes to it or reads, and so how much was written in between. So a
//! log-in that is refused leaves one record, and a registration two, one after the other, whether the address
//! has an account or not: where the account has none to show, this stands instead. It says nothing of anybody.

use std::convert::Infallible;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::facts;
use crate::{Aggregate, AttemptId, Time};

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

/// Has it written down.
#[derive(Debug, Clone)]
pub struct Refuse;

impl Aggregate for Attempt {
    const CATEGORY: &'static str = "attempt";
    type Id = AttemptId;
    type Fact = Fact;
    type Command = Refuse;
    type Refusal = Infallible;

    fn evolve(&mut self, _at: Time, _fact: &Fact) {}

    fn decide(&self, _refuse: &Refuse, _now: Time) -> Result<Vec<Fact>, Infallible> {
        Ok(vec![AttemptRefused {}.into()])
    }
}
