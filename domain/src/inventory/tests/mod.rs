//! Given facts, when a command, then facts or a refusal.
//!
//! Moments are seconds after the inventory was opened; a fact stands beside the second it happened
//! at. Every row goes through [`When::new`], which also proves what holds for any command.

mod booking;
mod cancel;
mod due;
mod follow;
mod idempotency;
mod ledger;
mod limits;
mod paying;
mod samples;
mod waitlist;

use super::*;
use crate::{Currency, StoredFact};
use samples::*;

/// A fact and when it happened, in seconds.
type Then = (u64, Fact);

/// The moment so many seconds after the inventory was opened.
fn at(seconds: u64) -> Time {
    Time::from_ms(1_800_000_000_000).plus_s(seconds)
}

/// An inventory after these facts.
fn after(facts: &[Then]) -> Inventory {
    let mut inventory = Inventory::default();
    for (seconds, fact) in facts {
        inventory.evolve(at(*seconds), fact);
    }
    inventory
}

fn given(facts: &[Then]) -> Given {
    let mut ledger = Ledger::default();
    for (_, fact) in facts {
        assert_eq!(ledger.apply(fact), Ok(()), "the given facts break a rule: {fact:?}");
    }
    Given { facts: facts.to_vec(), ledger }
}

struct Given {
    facts: Vec<Then>,
    ledger: Ledger,
}

impl Given {
    /// Carries a command out at that second.
    #[track_caller]
    fn when(self, seconds: u64, command: Command) -> When {
        When::new(self, seconds, &command)
    }
}

/// What came of a command.
struct When {
    settled: Vec<Then>,
    decided: Result<Vec<Then>, Refusal>,
    /// All facts, given and new.
    facts: Vec<Then>,
    inventory: Inventory,
}

impl When {
    #[track_caller]
    fn new(given: Given, seconds: u64, command: &Command) -> Self {
        let Given { mut facts, mut ledger } = given;
        let mut inventory = after(&facts);
        let executed = inventory.execute(command, at(seconds));
        let stamped = |facts: Vec<Fact>| facts.into_iter().map(|fact| (seconds, fact)).collect();
        let settled: Vec<Then> = stamped(executed.settled);
        let decided: Result<Vec<Then>, Refusal> = executed.decided.map(stamped);
        for (seconds, fact) in settled.iter().chain(decided.iter().flatten()) {
            assert_eq!(ledger.apply(fact), Ok(()), "{fact:?}");
            let stored = Fact::decode(fact.kind(), fact.version(), &fact.encode());
            assert_eq!(&stored.expect("a fact reads back"), fact);
            facts.push((*seconds, fact.clone()));
        }
        let when = Self { settled, decided, facts, inventory };
        when.replays_alike();
        when.adds_nothing_twice(seconds, command);
        when
    }

    /// State read back from the facts equals the state that decided them.
    #[track_caller]
    fn replays_alike(&self) {
        let replayed = after(&self.facts);
        assert_eq!(replayed.facts(), self.inventory.facts());
        assert_eq!(replayed.waiting(), self.inventory.waiting());
        for booking in self.facts.iter().filter_map(|(_, fact)| fact.booking()) {
            assert_eq!(replayed.booking(booking), self.inventory.booking(booking));
        }
    }

    /// The same command again brings about nothing more (BK-6).
    #[track_caller]
    fn adds_nothing_twice(&self, seconds: u64, command: &Command) {
        let again = after(&self.facts).execute(command, at(seconds)).decided;
        assert!(again.as_ref().map_or(true, Vec::is_empty), "twice: {again:?}");
    }

    /// What time alone had brought about before.
    #[track_caller]
    fn settles(mut self, facts: &[Then]) -> Self {
        assert_eq!(std::mem::take(&mut self.settled), facts);
        self
    }

    /// What the command brought about.
    #[track_caller]
    fn then(self, facts: &[Then]) -> Self {
        assert_eq!(self.settled, [], "settled before");
        assert_eq!(self.decided.as_deref(), Ok(facts));
        self
    }

    #[track_caller]
    fn refused(self, refusal: Refusal) -> Self {
        assert_eq!(self.settled, [], "settled before");
        assert_eq!(self.decided, Err(refusal));
        self
    }

    /// Goes on from here.
    fn and(self) -> Given {
        given(&self.facts)
    }
}
