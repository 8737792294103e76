//! The one loop that loads, decides, appends and retries. Nothing else in the program retries a
//! decision.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{StoredFact, Time};
use infra::clock::Clock;
use infra::log::{AppendError, Appended, Expected, Log, NewRecord, Position, Record};
use uuid::Uuid;

use super::decider::{Decider, Done, Executed, Failure, Job, Origin, Outcome};
use super::records::{RECORDS_OF_A_COMMAND, Recorder, is_of, record_id};

/// How many records are read at a time when a state is loaded.
const PAGE: usize = 10_000;

/// How often other writers may be first before the client is told to come again.
const MOST_CONFLICTS: u32 = 50;

/// One aggregate: its stream, its state, and where in the log that state is.
pub(crate) struct Unit<D> {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    stream: String,
    /// `None` before the first load, and when it was ahead of the log and could not go back.
    state: Option<D>,
    /// Another process may have written: the rest of the stream is read before anything is decided.
    may_be_behind: bool,
    /// How many records the state has taken in.
    records: u64,
    /// Position of the stream's last record.
    position: Position,
    /// Time of the stream's last record. Decisions never go back behind it, whatever the clock does.
    at: Time,
    /// It could not be read when that was last tried, which was reported.
    is_unreadable: bool,
}

/// Records of this program's own commands found when the state was read again.
type Found<F> = HashMap<Uuid, (F, Position)>;

/// An append in the making: records, and which of them belong to which job.
struct Draft<D: Decider> {
    records: Vec<NewRecord>,
    outcomes: Vec<Pending<D>>,
}

/// What will be answered once the records are durable.
enum Pending<D: Decider> {
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

impl<D: Decider> Unit<D> {
    pub(crate) fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>, stream: String) -> Self {
        let (records, position, at) = (0, Position::default(), Time::default());
        let (state, may_be_behind, is_unreadable) = (None, false, false);
        Self { log, clock, stream, state, may_be_behind, records, position, at, is_unreadable }
    }

    /// The state, if it was what the log has when that was last tried.
    pub(crate) fn state(&self) -> Option<&D> {
        self.state.as_ref().filter(|_| !self.may_be_behind)
    }

    /// The state as the log has it now, without deciding anything.
    pub(crate) async fn look(&mut self) -> Result<&D, ()> {
        self.load(&[], &mut Found::new()).await?;
        self.state.as_ref().ok_or(())
    }

    /// Whether the stream has a record.
    pub(crate) fn exists(&self) -> bool {
        self.records > 0
    }

    /// Position of the last record that the state has taken in.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Executes `jobs` one after the other on the state as changed by those before, appends all
    /// their facts in one call, and answers each. Without jobs it does what is due by now.
    /// `before_append` sees the state that is about to become durable.
    pub(crate) async fn process(
        &mut self,
        jobs: &[Job<D::Command>],
        mut before_append: impl FnMut(&D) + Send,
    ) -> Vec<Outcome<D>> {
        let mut found = Found::new();
        let mut looked_for: Vec<Uuid> = vec![];
        // Whether the log was read since the jobs came.
        let mut is_fresh = self.state.is_none();
        // Why the log could not be written.
        let mut reason = None;
        for _ in 0..MOST_CONFLICTS {
            let Ok(now) = self.load(&looked_for, &mut found).await else {
                return self.give_up(jobs);
            };
            let draft = self.draft(jobs, now, &found);
            if let Some(state) = &self.state {
                before_append(state);
            }
            if draft.records.is_empty() {
                if let Some(state) = &mut self.state {
                    state.commit();
                }
                // No append will tell that the state is out of date, and then a refusal may be
                // wrong: what another process wrote is asked for.
                let Ok(is_behind) = self.catch_up(is_fresh).await else {
                    return self.give_up(jobs);
                };
                if !is_behind {
                    return self.answer(draft.outcomes, None);
                }
                is_fresh = true;
                continue;
            }
            let expected = match self.records - draft.records.len() as u64 {
                0 => Expected::NoStream,
                records => Expected::Revision(records - 1),
            };
            let count = draft.records.len();
            match self.log.append(&self.stream, expected, draft.records).await {
                Ok(appended) => {
                    if let Some(state) = &mut self.state {
                        state.commit();
                    }
                    self.position = appended.position;
                    self.at = now;
                    return self.answer(draft.outcomes, Some((appended, count)));
                }
                Err(AppendError::WrongRevision { actual }) => {
                    tracing::debug!(stream = self.stream, ?actual, "another writer was first");
                }
                Err(AppendError::OutcomeUnknown(source)) => {
                    // As below: the log has told of it.
                    let error: &dyn std::error::Error = &*source;
                    tracing::debug!(stream = self.stream, error, "outcome of an append is unknown");
                    reason = Some(source.to_string());
                }
                Err(error @ (AppendError::Unavailable(_) | AppendError::Unfit(_))) => {
                    // The log tells operators of its failure, once. What is unfit is our fault.
                    self.take_back(count);
                    if let Some(reason) = error.reason() {
                        tracing::debug!(stream = self.stream, reason, "an append was refused");
                        return self.give_up_for(jobs, || Failure::Unwritable(reason.clone()));
                    }
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(stream = self.stream, error, "the log cannot be written");
                    return self.give_up(jobs);
                }
            }
            self.take_back(count);
            is_fresh = true;
            looked_for = jobs.iter().map(|job| job.origin.id).collect();
        }
        match reason {
            Some(reason) => self.give_up_for(jobs, || Failure::Unwritable(reason.clone())),
            None => self.give_up(jobs),
        }
    }

    /// Goes back to what the log had before an append of `count` records that failed, or may have.
    fn take_back(&mut self, count: usize) {
        self.records -= count as u64;
        self.may_be_behind = true;
        self.state = self.state.take().and_then(|mut state| state.roll_back().then_some(state));
    }

    /// Tells everybody to come again.
    fn give_up(&self, jobs: &[Job<D::Command>]) -> Vec<Outcome<D>> {
        self.give_up_for(jobs, || Failure::Unavailable)
    }

    fn give_up_for(
        &self,
        jobs: &[Job<D::Command>],
        why: impl Fn() -> Failure<D::Refusal>,
    ) -> Vec<Outcome<D>> {
        jobs.iter().map(|_| Err(why())).collect()
    }

    /// Reads the stream unless the state is known to be what the log has, and looks for records of
    /// these commands in it. Returns the time to decide at.
    async fn load(&mut self, looked_for: &[Uuid], found: &mut Found<D::Fact>) -> Result<Time, ()> {
        if self.state.is_none() {
            (self.records, self.position, self.at) = Default::default();
        }
        if self.state.is_none() || self.may_be_behind {
            self.read(looked_for, found).await?;
        }
        Ok(self.clock.now().max(self.at))
    }

    /// Takes in what others wrote since the state was read; whether there was anything.
    async fn catch_up(&mut self, is_fresh: bool) -> Result<bool, ()> {
        let known = self.records;
        if !is_fresh {
            self.read(&[], &mut Found::new()).await?;
        }
        Ok(self.records != known)
    }

    async fn read(&mut self, looked_for: &[Uuid], found: &mut Found<D::Fact>) -> Result<(), ()> {
        let read = self.fold_rest(looked_for, found).await;
        self.may_be_behind = read.is_err();
        let was_unreadable = std::mem::replace(&mut self.is_unreadable, read.is_err());
        read.map_err(|error| {
            let error: &dyn std::error::Error = &*error;
            if !was_unreadable {
                tracing::error!(stream = self.stream, error, "an aggregate cannot be loaded");
            }
        })
    }

    /// Takes the rest of the stream into the state, or all of it if there is no state. After a record
    /// that cannot be read there is none.
    async fn fold_rest(
        &mut self,
        looked_for: &[Uuid],
        found: &mut Found<D::Fact>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut page = self.log.read_stream(&self.stream, self.records, PAGE).await?;
        let mut state = self.state.take().unwrap_or_default();
        while let Some(last) = page.last() {
            let (records, position, at) = (last.revision + 1, last.position, last.at);
            let whole = page.len() == PAGE;
            // The next page is read while this one is decoded.
            let next = async {
                if whole {
                    self.log.read_stream(&self.stream, records, PAGE).await
                } else {
                    Ok(vec![])
                }
            };
            let wanted = looked_for.to_vec();
            let folded = tokio::task::spawn_blocking(move || fold(state, &page, &wanted));
            let (next, folded) = tokio::join!(next, folded);
            let (folded, mine) = folded??;
            found.extend(mine);
            (self.records, self.position, self.at) = (records, position, at);
            page = match next {
                Ok(next) => next,
                Err(error) => {
                    self.state = Some(folded);
                    return Err(error.into());
                }
            };
            state = folded;
        }
        self.state = Some(state);
        Ok(())
    }

    fn draft(&mut self, jobs: &[Job<D::Command>], now: Time, found: &Found<D::Fact>) -> Draft<D> {
        let mut draft = Draft { records: vec![], outcomes: Vec::with_capacity(jobs.len()) };
        let Some(state) = &mut self.state else { return draft };
        state.begin();
        let system = Origin::system();
        let mut own = Recorder::new(&system, now);
        for job in jobs {
            if let Some(recovered) = recover(state, job, found) {
                draft.outcomes.push(recovered);
                continue;
            }
            let Executed { settled, decided } = state.execute(&job.command, now);
            draft.records.extend(settled.iter().map(|fact| own.record(fact)));
            draft.outcomes.push(match decided {
                Ok(facts) => {
                    if !facts.is_empty() {
                        let mut recorder = Recorder::new(&job.origin, now);
                        draft.records.extend(facts.iter().map(|fact| recorder.record(fact)));
                    }
                    let last = (!facts.is_empty()).then(|| draft.records.len() - 1);
                    let seen = state.see(&job.command, last.is_some());
                    Pending::Decided { facts, last, seen }
                }
                Err(refusal) => Pending::Refused(refusal),
            });
        }
        let settled = state.settle(now);
        draft.records.extend(settled.iter().map(|fact| own.record(fact)));
        self.records += draft.records.len() as u64;
        draft
    }

    fn answer(
        &self,
        outcomes: Vec<Pending<D>>,
        appended: Option<(Appended, usize)>,
    ) -> Vec<Outcome<D>> {
        let place = |last: Option<usize>| match (last, appended) {
            (Some(last), Some((appended, count))) if appended.contiguous => {
                Position(appended.position.0 - (count - 1 - last) as u64)
            }
            _ => self.position,
        };
        let answer = |pending| match pending {
            Pending::Decided { facts, last, seen } => {
                Ok(Done { facts, position: place(last), seen })
            }
            Pending::Recovered { facts, position, seen } => Ok(Done { facts, position, seen }),
            Pending::Refused(refusal) => Err(Failure::Refused(refusal)),
        };
        outcomes.into_iter().map(answer).collect()
    }
}

type Folded<D> = (D, Vec<(Uuid, (<D as Decider>::Fact, Position))>);

/// Takes a page of records in, and picks those whose ids belong to the commands looked for.
fn fold<D: Decider>(
    mut state: D,
    page: &[Record],
    looked_for: &[Uuid],
) -> Result<Folded<D>, domain::FactError> {
    let mut mine = vec![];
    for record in page {
        let fact = D::Fact::decode(&record.kind, record.version, &record.data)?;
        state.evolve(record.at, &fact);
        if looked_for.iter().any(|id| is_of(record.id, *id)) {
            mine.push((record.id, (fact, record.position)));
        }
    }
    Ok((state, mine))
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
