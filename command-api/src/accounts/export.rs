//! All that is held on a person (AC-3), read from the log itself.

use std::collections::HashSet;

use domain::account::{self, Account};
use domain::inventory;
use domain::{Aggregate, BookingId, Request, StoredFact, UserId};
use infra::identity::{Field, Session};
use infra::log::{Position, Record};
use infra::shapes::AuditRecord;

use super::{AccountError, Accounts, Opened};

/// Records read at a time.
const PAGE: usize = 8_192;

/// All that is held on a person.
pub(crate) struct Export {
    pub(crate) account: Opened,
    pub(crate) sessions: Vec<Session>,
    /// Why roles were changed, as admins said: by position.
    pub(crate) reasons: Vec<(Position, String)>,
    /// Every record that names the person or one of their bookings.
    pub(crate) records: Vec<AuditRecord>,
}

impl Accounts {
    /// All that is held on a person. Reads the whole log.
    pub(crate) async fn export(&self, user: UserId) -> Result<Export, AccountError> {
        let account = self.of(user).await?;
        let sessions = self.vault.store().sessions(user).await?;
        let mut about = About::new(user);
        let mut records = vec![];
        let mut after = Position(0);
        loop {
            let page = self.log.read_all(after, PAGE).await;
            let page = page.map_err(|_| AccountError::LogUnavailable)?;
            let Some(last) = page.last() else { break };
            after = last.position;
            records.extend(page.into_iter().filter(|record| about.person(record)));
        }
        let mut reasons = vec![];
        for record in &records {
            if let Some(reason) = reason(&account, record)? {
                reasons.push((record.position, reason));
            }
        }
        let records = records.into_iter().map(AuditRecord::from).collect();
        Ok(Export { account, sessions, reasons, records })
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

/// An admin's reason in a record of the person's own account.
fn reason(account: &Opened, record: &Record) -> Result<Option<String>, AccountError> {
    if *record.stream != *Account::stream(account.user) {
        return Ok(None);
    }
    let fact = account::Fact::decode(&record.kind, record.version, &record.data);
    let sealed = match fact.map_err(|error| AccountError::Fault(error.into()))? {
        account::Fact::RoleGranted(fact) => fact.reason,
        account::Fact::RoleRevoked(fact) => fact.reason,
        _ => return Ok(None),
    };
    Ok(Some(account.key.open_text(Field::Reason, &sealed)?.to_string()))
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
        if !named && self.bookings.is_empty() || !record.stream.starts_with(inventory::CATEGORY) {
            return named;
        }
        let fact = inventory::Fact::decode(&record.kind, record.version, &record.data).ok();
        let booking = fact.as_ref().and_then(inventory::Fact::booking);
        if named {
            self.bookings.extend(booking);
        }
        named || booking.is_some_and(|booking| self.bookings.contains(&booking))
    }
}
