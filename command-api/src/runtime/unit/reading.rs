//! How the state of an aggregate comes to be what its stream says.

use std::error::Error;
use std::sync::Arc;

use domain::{StoredFact, Time};
use futures::{StreamExt, stream};
use infra::log::{Position, ReadError, Record};
use uuid::Uuid;

use super::{Unit, Unread};
use crate::runtime::ahead;
use crate::runtime::damaged::DAMAGED;
use crate::runtime::decider::Decider;
use crate::runtime::draft::Found;
use crate::runtime::records::is_of;

/// How many records are read at a time when a state is loaded: some 30 MB of them, and up to four
/// pages are there at once. After each page reading and decoding wait for each other.
const PAGE: usize = 49_152;

/// How many pages are read at the same time while one is decoded: checking a page takes longer than
/// decoding one.
const READ_AHEAD: usize = 2;

impl<D: Decider> Unit<D> {
    /// Reads the stream unless the state is known to be what the log has, and looks for records of
    /// these commands in it. Returns the time to decide at.
    pub(super) async fn load(
        &mut self,
        looked_for: &[Uuid],
        found: &mut Found<D::Fact>,
    ) -> Result<Time, Unread> {
        if self.state.is_none() {
            (self.records, self.position, self.at) = Default::default();
        }
        if self.state.is_none() || self.may_be_behind {
            self.read(looked_for, found).await?;
        }
        Ok(self.moment())
    }

    /// When what comes next is decided: now, but not before the last record, as clocks are a little
    /// apart and step back a little. A record that is further ahead is of a clock that went wrong: to
    /// wait for its time would hold up all deadlines until then.
    fn moment(&mut self) -> Time {
        let now = self.clock.now();
        if ahead::is_wrong(self.at, now) {
            self.went_back_from = Some(self.at);
            return now;
        }
        now.max(self.at)
    }

    /// Takes in what others wrote since the state was read; whether there was anything.
    pub(super) async fn catch_up(&mut self, is_fresh: bool) -> Result<bool, Unread> {
        let known = self.records;
        if !is_fresh {
            self.read(&[], &mut Found::new()).await?;
        }
        Ok(self.records != known)
    }

    async fn read(
        &mut self,
        looked_for: &[Uuid],
        found: &mut Found<D::Fact>,
    ) -> Result<(), Unread> {
        let read = self.fold_rest(looked_for, found).await;
        self.may_be_behind = read.is_err();
        let Err(error) = read else {
            DAMAGED.is_whole(&self.stream);
            self.unread = None;
            return Ok(());
        };
        let unread = if is_damage(&*error) { Unread::Damaged } else { Unread::Away };
        if self.unread.replace(unread) != Some(unread) {
            let error: &dyn Error = &*error;
            tracing::error!(stream = self.stream, error, "an aggregate cannot be loaded");
        }
        if unread == Unread::Damaged {
            DAMAGED.note(&self.stream, innermost(&*error).to_string());
        }
        Err(unread)
    }

    /// Takes the rest of the stream into the state, or all of it if there is no state. After a record
    /// that cannot be read there is none.
    async fn fold_rest(
        &mut self,
        looked_for: &[Uuid],
        found: &mut Found<D::Fact>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut page = self.log.read_stream(&self.stream, self.records, PAGE).await?;
        let mut state = self.state.take().unwrap_or_default();
        // Most streams are over with their first page, and nothing is asked for beyond it.
        let (log, name, from) = (Arc::clone(&self.log), self.stream.clone(), self.records);
        let read = |n| log.read_stream(&name, from + n * PAGE as u64, PAGE);
        let mut further = stream::iter((1..).map(read)).buffered(READ_AHEAD);
        while let Some(last) = page.last() {
            let (records, position, at) = (last.revision + 1, last.position, last.at);
            self.last_read = Some(last.id);
            let whole = page.len() == PAGE;
            // The next pages are read while this one is decoded.
            let next = async { if whole { further.next().await } else { None } };
            let wanted = looked_for.to_vec();
            let first = self.records;
            let folded = tokio::task::spawn_blocking(move || fold(state, first, &page, &wanted));
            let (next, folded) = tokio::join!(next, folded);
            let (folded, mine) = folded??;
            found.extend(mine);
            (self.records, self.position, self.at) = (records, position, at);
            page = match next.transpose() {
                Ok(next) => next.unwrap_or_default(),
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
}

/// Whether the stream is not what the product wrote, so that reading it again is of no use.
fn is_damage(error: &(dyn Error + 'static)) -> bool {
    error.is::<Unsound>() || error.downcast_ref().is_some_and(ReadError::is_of_damage)
}

fn innermost<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

type Folded<D> = (D, Vec<(Uuid, (<D as Decider>::Fact, Position))>);

/// Why a stream is not taken for what happened.
#[derive(Debug, thiserror::Error)]
enum Unsound {
    #[error("a record cannot be read as a fact")]
    Fact(#[from] domain::FactError),
    #[error(
        "the record at position {position} has revision {found} where its stream should have \
         {expected}: restore the log from a backup"
    )]
    Revision { position: Position, found: u64, expected: u64 },
}

/// Takes a page of records in, the first of which has to have revision `first`, and picks those
/// whose ids belong to the commands looked for.
fn fold<D: Decider>(
    mut state: D,
    first: u64,
    page: &[Record],
    looked_for: &[Uuid],
) -> Result<Folded<D>, Unsound> {
    let mut mine = vec![];
    for (expected, record) in (first..).zip(page) {
        if record.revision != expected {
            let (position, found) = (record.position, record.revision);
            return Err(Unsound::Revision { position, found, expected });
        }
        let fact = D::Fact::decode(&record.kind, record.version, &record.data)?;
        state.evolve(record.at, &fact);
        if looked_for.iter().any(|id| is_of(record.id, *id)) {
            mine.push((record.id, (fact, record.position)));
        }
    }
    Ok((state, mine))
}
