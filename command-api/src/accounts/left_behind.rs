//! Who and what would be left behind by somebody who goes: published events of theirs without an organizer,
//! everybody without an admin.
//!
//! Only the log knows. It is read when somebody goes who may ever have sold or run the platform, which is
//! seldom, and not for those who only buy.

use std::collections::{BTreeMap, HashSet};

use domain::event::{self, Event, Status};
use domain::{Aggregate, EventId, Role, Roles, StoredFact, UserId, account};
use infra::log::{Position, Record};

use super::{AccountError, Accounts};

/// Records read at a time.
const PAGE: usize = 8_192;

/// Those who may have events of their own.
pub(super) const SELLERS: &[Role] = &[Role::Organizer, Role::Admin];

/// Of admins of a node one at a time leaves: who holds it.
pub(super) type Leaving<'a> = tokio::sync::MutexGuard<'a, ()>;

impl Accounts {
    /// The events of a person that are published and not over. One that they publish while this is
    /// looked for may be missed: then admins look after it.
    pub(super) async fn events_of(&self, user: UserId) -> Result<Vec<EventId>, AccountError> {
        let mut theirs: BTreeMap<EventId, Event> = BTreeMap::new();
        self.read(Event::CATEGORY, |record, id| {
            let Ok(id) = id.parse::<EventId>() else { return };
            let is_drafted = &*record.kind == "EventDrafted";
            if !is_drafted && !theirs.contains_key(&id) {
                return;
            }
            // What cannot be read the proof of the event names.
            let Ok(fact) = event::Fact::decode(&record.kind, record.version, &record.data) else {
                return;
            };
            if !matches!(&fact, event::Fact::EventDrafted(fact) if fact.organizer != user) {
                Aggregate::evolve(theirs.entry(id).or_default(), record.at, &fact);
            }
        })
        .await?;
        let now = self.clock.now();
        let is_ahead = |event: &Event| {
            let ends_at = event.terms.as_ref().map(|terms| terms.ends_at);
            event.status == Status::Published && ends_at.is_some_and(|ends_at| now < ends_at)
        };
        Ok(theirs.into_iter().filter(|(_, event)| is_ahead(event)).map(|(id, _)| id).collect())
    }

    /// Sees that there is an admin without this one, and keeps others of this node from leaving meanwhile. Of
    /// two who go at the same moment on two nodes each may be told of the other: then the command line makes
    /// another (`evently admin create`).
    ///
    /// # Errors
    /// [`AccountError::LastAdmin`], or the log is away.
    pub(super) async fn leaves_an_admin(&self, user: UserId) -> Result<Leaving<'_>, AccountError> {
        let leaving = self.leaving.lock().await;
        match self.has_other_admin(user).await? {
            true => Ok(leaving),
            false => Err(AccountError::LastAdmin),
        }
    }

    /// Whether anybody else is an admin.
    async fn has_other_admin(&self, user: UserId) -> Result<bool, AccountError> {
        use account::Fact as F;
        let mut admins = HashSet::new();
        self.read(account::Account::CATEGORY, |record, _| {
            let kinds = ["AccountRegistered", "RoleGranted", "RoleRevoked", "AccountErased"];
            if !kinds.contains(&&*record.kind) {
                return;
            }
            // What cannot be read makes nobody an admin.
            let Ok(fact) = F::decode(&record.kind, record.version, &record.data) else { return };
            match fact {
                F::AccountRegistered(fact) if Roles::of(&fact.roles).has(Role::Admin) => {
                    admins.insert(fact.user);
                }
                F::RoleGranted(fact) if fact.role == Role::Admin => {
                    admins.insert(fact.user);
                }
                F::RoleRevoked(fact) if fact.role == Role::Admin => {
                    admins.remove(&fact.user);
                }
                F::AccountErased(fact) => {
                    admins.remove(&fact.user);
                }
                _ => {}
            }
        })
        .await?;
        admins.remove(&user);
        Ok(!admins.is_empty())
    }

    /// Has all records of a category looked at, with what their streams are named after.
    async fn read(
        &self,
        category: &str,
        mut look: impl FnMut(&Record, &str),
    ) -> Result<(), AccountError> {
        let mut after = Position(0);
        loop {
            let page = self.log.read_all(after, PAGE).await;
            let page = page.map_err(|_| AccountError::LogUnavailable)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.position;
            for record in &page {
                if let Some((of, id)) = record.stream.split_once('-')
                    && of == category
                {
                    look(record, id);
                }
            }
            // Selling goes before it.
            tokio::task::yield_now().await;
        }
    }
}
