//! The one loop that loads, decides, appends and retries. Nothing else in the program retries a
//! decision.

mod reading;

use std::sync::Arc;

use domain::Time;
use infra::clock::Clock;
use infra::log::{AppendError, Appended, Expected, Log, NewRecord, Position};
use infra::trace::Answered;
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use super::decider::{Decider, Done, Failure, Job, Outcome};
use super::draft::{Draft, Found, Pending};
use super::traced;
use super::turns::Turns;

/// How often other writers may be first before the client is told to come again. They give way once
/// they know of this one, so that is rare.
const MOST_CONFLICTS: u32 = 500;

/// How often of these the log may not show what they wrote.
const MOST_IN_VAIN: u32 = 50;

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
    /// Time of the stream's last record. Decisions go back behind it only if a clock went wrong.
    at: Time,
    /// The time that a decision went back from, if one did since somebody asked.
    went_back_from: Option<Time>,
    /// Id of the last record that was read.
    last_read: Option<Uuid>,
    /// What was in the way when it was last tried to read it, which was reported.
    unread: Option<Unread>,
    turns: Turns,
}

/// Why a stream could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The log does not answer.
    Away,
    /// A record is not what the product wrote, and will not be.
    Damaged,
}

impl<R> From<Unread> for Failure<R> {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Away => Self::Unavailable,
            Unread::Damaged => Self::Damaged,
        }
    }
}

/// What became of an append that brought nothing, as far as one knows.
enum NotAppended {
    /// Another writer was first.
    Late,
    /// It may be in the log; why nobody knows.
    Unknown(String),
    /// The log did not take it; why, in words that are safe to tell.
    Failed(Option<String>),
}

impl<D: Decider> Unit<D> {
    pub(crate) fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>, stream: String) -> Self {
        let (records, position, at) = (0, Position::default(), Time::default());
        let (state, may_be_behind, unread) = (None, false, None);
        let (last_read, went_back_from, turns) = (None, None, Turns::default());
        Self {
            log,
            clock,
            stream,
            state,
            may_be_behind,
            records,
            position,
            at,
            went_back_from,
            last_read,
            unread,
            turns,
        }
    }

    /// The state, if it was what the log has when that was last tried.
    pub(crate) fn state(&self) -> Option<&D> {
        self.state.as_ref().filter(|_| !self.may_be_behind)
    }

    /// The state as the log has it now, without deciding anything.
    pub(crate) async fn look(&mut self) -> Result<&D, Unread> {
        self.load(&[], &mut Found::new()).await?;
        self.state.as_ref().ok_or(Unread::Away)
    }

    /// Whether the stream was damaged when it was read last.
    pub(crate) fn is_damaged(&self) -> bool {
        self.unread == Some(Unread::Damaged)
    }

    /// Id of the last record that was read: what the state that was looked at ends with.
    pub(crate) fn last_read(&self) -> Option<Uuid> {
        self.last_read
    }

    /// The time of the record before a decision that was of an earlier time, if there was one since
    /// this was asked last.
    pub(crate) fn take_went_back_from(&mut self) -> Option<Time> {
        self.went_back_from.take()
    }

    /// Whether the stream has a record.
    pub(crate) fn exists(&self) -> bool {
        self.records > 0
    }

    /// Position of the last record that the state has taken in.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Gives way to others who write to the same stream, if it is their turn.
    pub(crate) async fn let_others_write(&self) {
        if let Some(until) = self.turns.others_until() {
            tokio::time::sleep_until(until).await;
        }
    }

    /// Executes `jobs` one after the other on the state as changed by those before, appends all
    /// their facts in one call, or in a few if they are large, and answers each. Without jobs it
    /// does what is due by now. `before_append` sees the state that is about to become durable.
    pub(crate) async fn process(
        &mut self,
        jobs: &[Job<D::Command>],
        mut before_append: impl FnMut(&D) + Send,
    ) -> Vec<Outcome<D>> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        let mut found = Found::new();
        loop {
            let rest = &jobs[outcomes.len()..];
            let (some, is_full) = self.process_some(rest, &mut found, &mut before_append).await;
            outcomes.extend(some);
            if !is_full {
                return outcomes;
            }
        }
    }

    /// One append: the outcomes of the first of `jobs`, or of all, and whether another has to follow.
    /// `found` is what of the jobs, and of those after them, turned out to be in the log already.
    async fn process_some(
        &mut self,
        jobs: &[Job<D::Command>],
        found: &mut Found<D::Fact>,
        before_append: &mut (impl FnMut(&D) + Send),
    ) -> (Vec<Outcome<D>>, bool) {
        let mut looked_for: Vec<Uuid> = vec![];
        // Whether the log was read since the jobs came.
        let mut is_fresh = self.state.is_none();
        // Why the log could not be written.
        let mut reason = None;
        // How many commands are decided at once, and whether others were first.
        let (mut most, mut was_late, mut in_vain) = (jobs.len(), false, 0);
        self.let_others_write().await;
        for _ in 0..MOST_CONFLICTS {
            let (began, known) = (Instant::now(), self.records);
            let now = match self.load(&looked_for, found).await {
                Ok(now) => now,
                Err(unread) => return (self.give_up_for(jobs, || unread.into()), false),
            };
            in_vain += u32::from(was_late && self.records == known);
            if in_vain > MOST_IN_VAIN {
                return (self.give_up(jobs), false);
            }
            let draft = self.draft(jobs, most, now, found);
            if let Some(state) = &self.state {
                before_append(state);
            }
            if draft.records.is_empty() {
                if let Some(state) = &mut self.state {
                    state.commit();
                }
                // No append will tell that the state is out of date, and then a refusal may be
                // wrong: what another process wrote is asked for.
                let is_behind = match self.catch_up(is_fresh).await {
                    Ok(is_behind) => is_behind,
                    Err(unread) => return (self.give_up_for(jobs, || unread.into()), false),
                };
                if !is_behind {
                    return (self.answer(draft.outcomes, &[]), draft.is_full);
                }
                is_fresh = true;
                continue;
            }
            let commands = jobs.iter().take(draft.outcomes.len());
            let span = traced::append(&self.stream, commands, draft.records.len());
            let appended = self.append(draft.records, now).instrument(span.clone()).await;
            span.answered(told(&appended), appended.is_err());
            match appended {
                Ok(places) => {
                    self.turns.won(began, Instant::now(), was_late);
                    return (self.answer(draft.outcomes, &places), draft.is_full);
                }
                Err(NotAppended::Late) => {
                    self.turns.lost(Instant::now());
                    (most, was_late) = ((most / 2).max(1), true);
                }
                Err(NotAppended::Unknown(why)) => reason = Some(why),
                Err(NotAppended::Failed(Some(reason))) => {
                    let unwritable = || Failure::Unwritable(reason.clone());
                    return (self.give_up_for(jobs, unwritable), false);
                }
                Err(NotAppended::Failed(None)) => return (self.give_up(jobs), false),
            }
            is_fresh = true;
            looked_for = jobs.iter().map(|job| job.origin.id).collect();
        }
        let outcomes = match reason {
            Some(reason) => self.give_up_for(jobs, || Failure::Unwritable(reason.clone())),
            None => self.give_up_for(jobs, || Failure::Overloaded),
        };
        (outcomes, false)
    }

    /// Appends the records of a draft, and says where each went. If that fails, or may have, the
    /// state goes back to what the log had before.
    async fn append(
        &mut self,
        records: Vec<NewRecord>,
        now: Time,
    ) -> Result<Vec<Position>, NotAppended> {
        let count = records.len();
        let expected = match self.records - count as u64 {
            0 => Expected::NoStream,
            before => Expected::Revision(before - 1),
        };
        let error = match self.log.append(&self.stream, expected, records).await {
            Ok(appended) => {
                if let Some(state) = &mut self.state {
                    state.commit();
                }
                self.position = appended.position;
                self.at = now;
                return self.places(appended, count).await;
            }
            Err(error) => error,
        };
        self.take_back(count);
        match error {
            AppendError::WrongRevision { actual } => {
                tracing::debug!(stream = self.stream, ?actual, "another writer was first");
                Err(NotAppended::Late)
            }
            AppendError::OutcomeUnknown(source) => {
                // As below: the log has told of it.
                let error: &dyn std::error::Error = &*source;
                tracing::debug!(stream = self.stream, error, "outcome of an append is unknown");
                Err(NotAppended::Unknown(source.to_string()))
            }
            // The log tells operators of its failure, once. What is unfit is our fault.
            AppendError::Unavailable(_) | AppendError::Unfit(_) => {
                let reason = error.reason();
                if let Some(reason) = &reason {
                    tracing::debug!(stream = self.stream, reason, "an append was refused");
                } else {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(stream = self.stream, error, "the log cannot be written");
                }
                Err(NotAppended::Failed(reason))
            }
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

    fn draft(
        &mut self,
        jobs: &[Job<D::Command>],
        most: usize,
        now: Time,
        found: &Found<D::Fact>,
    ) -> Draft<D> {
        let mut draft = Draft::default();
        if let Some(state) = &mut self.state {
            state.begin();
            draft.fill(state, jobs, most, now, found);
        }
        self.records += draft.records.len() as u64;
        draft
    }

    /// Where each of the last `count` records went: a repetition is told the same place as the first
    /// time, which is that of its own record (BK-6).
    async fn places(
        &mut self,
        appended: Appended,
        count: usize,
    ) -> Result<Vec<Position>, NotAppended> {
        if appended.contiguous || count == 1 {
            let back = (0..count as u64).rev();
            return Ok(back.map(|back| Position(appended.position.0 - back)).collect());
        }
        let first = appended.revision + 1 - count as u64;
        let records = self.log.read_stream(&self.stream, first, count).await.unwrap_or_default();
        if records.len() != count {
            // Read again from the beginning, the records are found by the ids of their commands.
            self.state = None;
            return Err(NotAppended::Late);
        }
        Ok(records.iter().map(|record| record.position).collect())
    }

    fn answer(&self, outcomes: Vec<Pending<D>>, places: &[Position]) -> Vec<Outcome<D>> {
        let place = |last: Option<usize>| {
            last.and_then(|last| places.get(last).copied()).unwrap_or(self.position)
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

/// What became of an append, in its span.
fn told<T>(appended: &Result<T, NotAppended>) -> &'static str {
    match appended {
        Ok(_) => "written",
        Err(NotAppended::Late) => "late",
        Err(NotAppended::Unknown(_)) => "unknown",
        Err(NotAppended::Failed(_)) => "unavailable",
    }
}
