//! What every aggregate has in common, for the one loop that loads, decides and appends.

use crate::{StoredFact, Time};

/// State folded from one stream, and the decisions made on it.
pub trait Aggregate: Default + Send + 'static {
    /// The stream's name is this, a dash, and the id: `inventory-evt_...`.
    const CATEGORY: &'static str;
    /// What identifies one of them.
    type Id: Copy + std::fmt::Display;
    /// What can have happened.
    type Fact: StoredFact + Send;
    /// What can be asked.
    type Command: Send;
    /// Why the domain says no, with numbers.
    type Refusal: Send;

    /// The stream that holds the facts of `id`.
    fn stream(id: Self::Id) -> String {
        format!("{}-{id}", Self::CATEGORY)
    }

    /// Takes in what happened `at` that moment. Never fails: what is in the log is true.
    fn evolve(&mut self, at: Time, fact: &Self::Fact);

    /// What follows from `command` at `now`: new facts, none if it was carried out before, or a
    /// refusal.
    ///
    /// # Errors
    /// The domain says no.
    fn decide(&self, command: &Self::Command, now: Time) -> Result<Vec<Self::Fact>, Self::Refusal>;
}
