//! All that is held on a person (AC-3), read from the log itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::account::{self, Account};
use domain::{Aggregate, BookingId, Fact, Request, StoredFact, UserId, administration};
use infra::identity::{Field, PersonKey, Session};
use infra::log::{Position, Record};
use infra::shapes::AuditRecord;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{AccountError, Accounts, Opened};

/// Records read at a time.
const PAGE: usize = 8_192;

/// Exports that are under way at once. Who takes theirs slowly keeps nobody else from the log, but costs
/// the memory of a page.
const MOST: usize = 32;

/// How long whoever asked may take for a page, and for all of it.
const SLOWEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(600);

/// Whose exports are under way: one of each person.
#[derive(Default)]
pub(super) struct Exports {
    people: Mutex<HashSet<UserId>>,
    /// The turn of whoever has a page of the log read for them, in the order in which they came.
    turn: tokio::sync::Mutex<()>,
}

/// An export that is under way until this is dropped.
struct UnderWay {
    exports: Arc<Exports>,
    user: UserId,
}

impl Exports {
    fn begin(self: &Arc<Self>, user: UserId) -> Result<UnderWay, AccountError> {
        let mut people = self.people.lock();
        if people.len() >= MOST || !people.insert(user) {
            return Err(AccountError::ExportUnderWay);
        }
        Ok(UnderWay { exports: self.clone(), user })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.exports.people.lock().remove(&self.user);
    }
}

/// All that is held on a person.
pub(crate) struct Export {
    pub(crate) account: Opened,
    pub(crate) sessions: Vec<Session>,
    /// What the log has. It is all there when [`Piece::Reasons`] came.
    pub(crate) pieces: mpsc::Receiver<Piece>,
}

/// A piece of what the log has of a person.
pub(crate) enum Piece {
    /// Records that name the person or one of their bookings.
    Records(Vec<AuditRecord>),
    /// Why admins did something, as they said: by position.
    Reasons(Vec<(Position, String)>),
}

impl Accounts {
    /// All that is held on a person. Reads the whole log, page by page in turn with others who have it
    /// read, and as fast as it is taken.
    ///
    /// # Errors
    /// [`AccountError::ExportUnderWay`] if theirs is, or very many are; there is no such account, or something is away.
    pub(crate) async fn export(self: &Arc<Self>, user: UserId) -> Result<Export, AccountError> {
        let under_way = self.exports.begin(user)?;
        let account = self.of(user).await?;
        let key = self.vault.person(user).await?;
        let sessions = self.vault.store().sessions(user).await?;
        let (sender, pieces) = mpsc::channel(1);
        let accounts = self.clone();
        self.work.spawn(async move {
            let _under_way = under_way;
            let reading = accounts.read_for(user, &key, &sender);
            match tokio::time::timeout(LONGEST, reading).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, %user, "an export was broken off");
                }
                Err(_) => tracing::warn!(%user, "an export was taken too slowly"),
            }
        });
        Ok(Export { account, sessions, pieces })
    }

    /// Ends early when nobody takes it.
    async fn read_for(
        &self,
        user: UserId,
        key: &PersonKey,
        to: &mpsc::Sender<Piece>,
    ) -> Result<(), AccountError> {
        let (mut about, mut reasons) = (About::new(user), vec![]);
        let mut after = Position(0);
        loop {
            let mut records = vec![];
            {
                let _turn = self.exports.turn.lock().await;
                let page = self.log.read_all(after, PAGE).await;
                let page = page.map_err(|_| AccountError::LogUnavailable)?;
                let Some(last) = page.last() else { break };
                after = last.position;
                for record in page.into_iter().filter(|record| about.person(record)) {
                    if let Some(reason) = reason(user, key, &record)? {
                        reasons.push((record.position, reason));
                    }
                    records.push(AuditRecord::from(record));
                }
            }
            if !records.is_empty()
                && to.send_timeout(Piece::Records(records), SLOWEST).await.is_err()
            {
                return Ok(());
            }
            if to.is_closed() {
                return Ok(());
            }
        }
        // Nobody may be there to take it any more.
        let _ = to.send_timeout(Piece::Reasons(reasons), SLOWEST).await;
        Ok(())
    }

    /// The account right after the command of this request; an error if it was not carried out.
    pub(super) async fn after(
        &self,
        user: UserId,
        request: &Request,
    ) -> Result<Opened, AccountError> {
        let before = self.of(user).await?;
        let mut account = Account::default();
        let (mut found, mut position) = (false, Position(0));
        for record in self.stream(user).await? {
            let fact = account::Fact::decode(&record.kind, record.version, &record.data);
            let fact = fact.map_err(|error| AccountError::Fault(error.into()))?;
            let is_it = fact.request().is_some_and(|(_, known)| known == request);
            if found && !is_it {
                break;
            }
            found |= is_it;
            Aggregate::evolve(&mut account, record.at, &fact);
            position = record.position;
        }
        if !found {
            return Err(AccountError::NotFound);
        }
        Ok(Opened { account, position, ..before })
    }

    /// The same for a command that brought nothing about: it was carried out before, or there was
    /// nothing to do.
    pub(super) async fn right_after(
        &self,
        now: Opened,
        request: &Request,
    ) -> Result<Opened, AccountError> {
        match self.after(now.user, request).await {
            Err(AccountError::NotFound) => Ok(now),
            after => after,
        }
    }

    async fn stream(&self, user: UserId) -> Result<Vec<Record>, AccountError> {
        let stream = Account::stream(user);
        let records = self.log.read_stream(&stream, 0, usize::MAX >> 1).await;
        records.map_err(|_| AccountError::LogUnavailable)
    }
}

/// A reason in a record that is sealed with the person's key: what admins said of what they did to them,
/// and what they said themselves as an admin of what is nobody's any more.
fn reason(user: UserId, key: &PersonKey, record: &Record) -> Result<Option<String>, AccountError> {
    let fact = Fact::decode(&record.stream, &record.kind, record.version, &record.data);
    let fact = fact.map_err(|error| AccountError::Fault(error.into()))?;
    let sealed = fact.as_ref().and_then(Fact::reason).filter(|(whose, _)| *whose == user);
    let open = |(_, sealed)| Ok(key.open_text(Field::Reason, sealed)?.to_string());
    sealed.map(open).transpose()
}

/// Tells which records are about a person.
struct About {
    user: String,
    /// Their bookings, which later facts name without them.
    bookings: HashSet<BookingId>,
}

impl About {
    fn new(user: UserId) -> Self {
        Self { user: user.to_string(), bookings: HashSet::new() }
    }

    fn person(&mut self, record: &Record) -> bool {
        let named = record.stream.contains(&self.user)
            || record.metadata.contains(&self.user)
            || std::str::from_utf8(&record.data).is_ok_and(|data| data.contains(&self.user));
        if !named && self.bookings.is_empty() {
            return false;
        }
        let fact = Fact::decode(&record.stream, &record.kind, record.version, &record.data).ok();
        let booking = match fact.flatten() {
            Some(Fact::Inventory(fact)) => fact.booking(),
            Some(Fact::Admin(administration::Fact::BookingCancellationOrdered(fact))) => {
                return named || self.bookings.contains(&fact.booking);
            }
            _ => None,
        };
        if named {
            self.bookings.extend(booking);
        }
        named || booking.is_some_and(|booking| self.bookings.contains(&booking))
    }
}
