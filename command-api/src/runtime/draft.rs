//! An append in the making: what follows from commands, in the order they came.

use std::collections::HashMap;

use domain::Time;
use infra::log::{NewRecord, Position};
use uuid::Uuid;

use super::decider::{Decider, Executed, Job, Origin};
use super::records::{RECORDS_OF_A_COMMAND, Recorder, record_id};

/// How many bytes of data and metadata an append has before no further command goes into it. Log
/// servers take a megabyte at once unless they are told otherwise.
const MOST_BYTES: usize = 768 << 10;

/// Records of this program's own commands found when the state was read again.
pub(super) type Found<F> = HashMap<Uuid, (F, Position)>;

/// An append in the making: records, and which of them belong to which job.
pub(super) struct Draft<D: Decider> {
    pub(super) records: Vec<NewRecord>,
    /// Of data and metadata.
    bytes: usize,
    /// Of the first jobs, or of all.
    pub(super) outcomes: Vec<Pending<D>>,
    /// Another append has to follow at once.
    pub(super) is_full: bool,
}

impl<D: Decider> Default for Draft<D> {
    fn default() -> Self {
        Self { records: vec![], bytes: 0, outcomes: vec![], is_full: false }
    }
}

impl<D: Decider> Draft<D> {
    /// Executes the first of `jobs`, not more than `most`, or all, and takes what follows from them.
    pub(super) fn fill(
        &mut self,
        state: &mut D,
        jobs: &[Job<D::Command>],
        most: usize,
        now: Time,
        found: &Found<D::Fact>,
    ) {
        let system = Origin::system();
        let mut own = Recorder::new(&system, now);
        let (settled, is_settled) = state.settle_first(now);
        self.push(&mut own, &settled);
        self.is_full = !is_settled;
        for job in jobs {
            self.is_full |= self.bytes >= MOST_BYTES || self.outcomes.len() >= most;
            if self.is_full {
                break;
            }
            if let Some(recovered) = recover(state, job, found) {
                self.outcomes.push(recovered);
                continue;
            }
            let Executed { settled, decided } = state.execute(&job.command, now);
            self.push(&mut own, &settled);
            let outcome = match decided {
                Ok(facts) => {
                    if !facts.is_empty() {
                        self.push(&mut Recorder::new(&job.origin, now), &facts);
                    }
                    let last = (!facts.is_empty()).then(|| self.records.len() - 1);
                    let seen = state.see(&job.command, last.is_some());
                    Pending::Decided { facts, last, seen }
                }
                Err(refusal) => Pending::Refused(refusal),
            };
            self.outcomes.push(outcome);
        }
        if !self.is_full {
            let settled = state.settle(now);
            self.push(&mut own, &settled);
        }
    }

    fn push<'a>(
        &mut self,
        recorder: &mut Recorder<'_>,
        facts: impl IntoIterator<Item = &'a D::Fact>,
    ) where
        D::Fact: 'a,
    {
        for fact in facts {
            let record = recorder.record(fact);
            self.bytes += record.data.len() + record.metadata.len();
            self.records.push(record);
        }
    }
}

/// What will be answered once the records are durable.
pub(super) enum Pending<D: Decider> {
    /// Its last record is the n-th of the append; `None` if it has no record.
    Decided {
        facts: Vec<D::Fact>,
        last: Option<usize>,
        seen: D::Seen,
    },
    /// It was appended before, though the answer was lost.
    Recovered {
        facts: Vec<D::Fact>,
        position: Position,
        seen: D::Seen,
    },
    Refused(D::Refusal),
}

/// The outcome of a job whose records were found in the log.
fn recover<D: Decider>(
    state: &D,
    job: &Job<D::Command>,
    found: &Found<D::Fact>,
) -> Option<Pending<D>> {
    let records: Vec<_> = (0..RECORDS_OF_A_COMMAND)
        .map_while(|index| found.get(&record_id(job.origin.id, index)))
        .collect();
    let position = records.last().map(|(_, position)| *position)?;
    let facts = records.iter().map(|(fact, _)| fact.clone()).collect();
    Some(Pending::Recovered { facts, position, seen: state.see(&job.command, true) })
}

#[cfg(test)]
mod tests {
    use domain::event::{Stock, Tier};
    use domain::inventory::{Command, Inventory, InventoryOpened, Plan, SETTLED_AT_ONCE, Wanted};
    use domain::{BookingId, Currency, EventId, Request, TierId, UserId};

    use super::*;

    const EVENT: EventId = EventId::from_u128(7);
    const TIER: TierId = TierId::from_u128(8);
    const HOLD_S: u32 = 300;

    fn opened() -> Inventory {
        let tier = Tier {
            tier: TIER,
            name: "Floor".into(),
            price_minor: 100,
            stock: Stock::Counted { capacity: 100_000, section: None },
            sale_starts_at: None,
            sale_ends_at: None,
            max_per_booking: None,
        };
        let plan = Plan {
            starts_at: Time::from_ms(1 << 40),
            ends_at: Time::from_ms(1 << 41),
            currency: Currency::EUR,
            tiers: vec![tier],
            hold_ttl_s: HOLD_S,
            offer_ttl_s: HOLD_S,
            max_per_booking: 10,
            max_per_user: None,
            refund_policy: vec![],
        };
        let mut inventory = Inventory::default();
        let opened = InventoryOpened { event: EVENT, plan, event_version: 1 };
        inventory.evolve(Time::default(), &opened.into());
        inventory
    }

    fn jobs(count: u64) -> Vec<Job<Command>> {
        let job = |number| {
            let request = Request::new(&format!("{number:0255}"), b"body");
            let command = Command::Reserve {
                booking: BookingId { event: EVENT, number },
                user: UserId::from_u128(u128::from(number)),
                wanted: Wanted::Quantity { tier: TIER, quantity: 1 },
                patience: None,
                request: Some(request.expect("a key")),
            };
            Job { command, origin: Origin::system() }
        };
        (0..count).map(job).collect()
    }

    fn filled(state: &mut Inventory, jobs: &[Job<Command>], now: Time) -> Draft<Inventory> {
        let mut draft = Draft::default();
        draft.fill(state, jobs, usize::MAX, now, &Found::new());
        draft
    }

    #[test]
    fn many_commands_go_into_appends_that_log_servers_take() {
        let (mut state, jobs) = (opened(), jobs(3_000));
        let (mut done, mut appends) = (0, 0);
        while done < jobs.len() {
            let draft = filled(&mut state, &jobs[done..], Time::default());
            let bytes = |record: &NewRecord| record.data.len() + record.metadata.len();
            let sum: usize = draft.records.iter().map(bytes).sum();
            assert!(sum < 1 << 20, "{sum}");
            assert_eq!(draft.records.len(), draft.outcomes.len());
            done += draft.outcomes.len();
            assert_eq!(draft.is_full, done < jobs.len());
            appends += 1;
        }
        assert!((2..10).contains(&appends), "{appends}");
        assert_eq!(state.booking_count(), jobs.len());
    }

    #[test]
    fn many_holds_die_before_the_next_command_is_looked_at() {
        let (mut state, holds) = (opened(), 2 * SETTLED_AT_ONCE as u64 + 1);
        let mut all = jobs(holds + 1);
        let last = all.split_off(holds as usize);
        for job in &all {
            state.execute(&job.command, Time::default());
        }
        let then = Time::default().plus_s(u64::from(HOLD_S));
        for dead in [SETTLED_AT_ONCE, SETTLED_AT_ONCE] {
            let draft = filled(&mut state, &last, then);
            assert_eq!((draft.records.len(), draft.outcomes.len()), (dead, 0));
            assert!(draft.is_full);
        }
        let draft = filled(&mut state, &last, then);
        assert_eq!((draft.records.len(), draft.outcomes.len(), draft.is_full), (2, 1, false));
    }
}
