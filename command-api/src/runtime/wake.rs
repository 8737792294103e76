//! Which inventories have something due, and when: so that no hold outlives its deadline because
//! nobody touched its event, or because the process restarted (BK-4).
//!
//! A cache of the log. It is written to a file every few seconds with the position it has followed
//! to; after a restart it goes on from there, and without the file from the beginning. What was
//! followed was durable: a log that ends before that position lost records.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use domain::{EventId, Time, UserId};
use infra::log::Position;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// The list. Moments may be early, never late.
pub(crate) struct WakeList {
    file: PathBuf,
    state: Mutex<State>,
    changed: Notify,
    has_to_follow: Notify,
    has_to_forget: Notify,
}

#[derive(Default)]
struct State {
    due: HashMap<EventId, Time>,
    /// The same, earliest first.
    by_time: BTreeSet<(Time, EventId)>,
    /// Events whose inventories have to follow them, and their last facts.
    to_follow: HashMap<EventId, Position>,
    /// Who was erased, and when, and has not been let go of everywhere yet.
    to_forget: HashMap<UserId, Time>,
    followed: Position,
    /// The latest time of the records up to there.
    latest: Time,
    /// Changed since it was written to the file.
    unsaved: bool,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    followed: Position,
    due: HashMap<EventId, Time>,
    #[serde(default)]
    to_follow: HashMap<EventId, Position>,
    #[serde(default)]
    to_forget: HashMap<UserId, Time>,
    #[serde(default)]
    latest: Time,
}

/// The log ends before a position to which it was followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log ends at position {head}, but was followed to position {followed}, as {} says: records \
     are missing at its end, or it is another log. Have the log server start with the log it had, or restore \
     log.sqlite, together with its log.sqlite-wal if there is one, from a backup; or, when the loss is \
     accepted, delete {}",
    file.display(), file.display()
)]
pub struct LostEnd {
    /// The wake list.
    pub file: PathBuf,
    /// Position of a record that was durable.
    pub followed: Position,
    /// Position of the last record there is.
    pub head: Position,
}

impl LostEnd {
    /// Compares the end of a log with the position to which the wake list in `file` followed it.
    ///
    /// # Errors
    /// Records are missing.
    pub fn check(file: &Path, followed: Position, head: Position) -> Result<(), Self> {
        if followed <= head { Ok(()) } else { Err(Self { file: file.to_owned(), followed, head }) }
    }
}

/// To which position the log was followed, as the wake list in `file` says; absent if it says
/// nothing. The records up to there were durable.
pub fn followed_to(file: &Path) -> Option<Position> {
    read(file).map(|stored| stored.followed)
}

fn read(file: &Path) -> Option<Stored> {
    let stored: Result<Stored, _> = serde_json::from_slice(&std::fs::read(file).ok()?);
    stored
        .inspect_err(|error| {
            tracing::warn!(%error, "the wake list is damaged; it is built from the log again");
        })
        .ok()
}

impl State {
    /// Whether the inventory is due earlier than before.
    fn set(&mut self, event: EventId, due: Option<Time>) -> bool {
        let before = match due {
            Some(due) => self.due.insert(event, due),
            None => self.due.remove(&event),
        };
        if before == due {
            return false;
        }
        self.unsaved = true;
        before.map(|before| self.by_time.remove(&(before, event)));
        due.map(|due| self.by_time.insert((due, event)));
        due.is_some_and(|due| before.is_none_or(|before| due < before))
    }
}

impl WakeList {
    /// Reads the list back; a missing or damaged file means to follow the log from its beginning.
    ///
    /// # Errors
    /// The log lost its end.
    pub(crate) fn load(file: &Path, head: Position) -> Result<Self, LostEnd> {
        let stored = read(file);
        if let Some(stored) = &stored {
            LostEnd::check(file, stored.followed, head)?;
        }
        let state = stored.map_or_else(State::default, |stored| State {
            by_time: stored.due.iter().map(|(event, due)| (*due, *event)).collect(),
            due: stored.due,
            to_follow: stored.to_follow,
            to_forget: stored.to_forget,
            followed: stored.followed,
            latest: stored.latest,
            unsaved: false,
        });
        let (changed, has_to_follow, has_to_forget) = Default::default();
        let (file, state) = (file.to_owned(), Mutex::new(state));
        Ok(Self { file, state, changed, has_to_follow, has_to_forget })
    }

    /// How far the log has been followed.
    pub(crate) fn followed(&self) -> Position {
        self.state.lock().followed
    }

    pub(crate) fn follow_to(&self, position: Position) {
        let mut state = self.state.lock();
        state.followed = position;
        state.unsaved = true;
    }

    /// The latest time of the records that were followed.
    pub(crate) fn latest(&self) -> Time {
        self.state.lock().latest
    }

    /// A record of this time was followed.
    pub(crate) fn reached(&self, at: Time) {
        let mut state = self.state.lock();
        state.latest = state.latest.max(at);
        state.unsaved = true;
    }

    /// The event has a fact at `position` that its inventory has to follow.
    pub(crate) fn follow(&self, event: EventId, position: Position) {
        let mut state = self.state.lock();
        state.to_follow.insert(event, position);
        state.unsaved = true;
        self.has_to_follow.notify_one();
    }

    /// The events whose inventories have to follow them, and where the last of their facts is.
    pub(crate) fn to_follow(&self) -> Vec<(EventId, Position)> {
        self.state.lock().to_follow.iter().map(|(event, at)| (*event, *at)).collect()
    }

    /// The event's inventory has followed it up to `position`.
    pub(crate) fn has_followed(&self, event: EventId, position: Position) {
        let mut state = self.state.lock();
        if state.to_follow.get(&event) == Some(&position) {
            state.to_follow.remove(&event);
            state.unsaved = true;
        }
    }

    /// Waits until an inventory has to follow its event.
    pub(crate) async fn has_to_follow(&self) {
        self.has_to_follow.notified().await;
    }

    /// The person was erased then.
    pub(crate) fn forget(&self, user: UserId, at: Time) {
        let mut state = self.state.lock();
        state.to_forget.insert(user, at);
        state.unsaved = true;
        self.has_to_forget.notify_one();
    }

    /// Who was erased and when, of whom something may be left.
    pub(crate) fn to_forget(&self) -> Vec<(UserId, Time)> {
        self.state.lock().to_forget.iter().map(|(user, at)| (*user, *at)).collect()
    }

    /// Nothing is left of them.
    pub(crate) fn has_forgotten(&self, user: UserId) {
        let mut state = self.state.lock();
        state.to_forget.remove(&user);
        state.unsaved = true;
    }

    /// Waits until somebody was erased.
    pub(crate) async fn has_to_forget(&self) {
        self.has_to_forget.notified().await;
    }

    /// The inventory is due then, and not before; or not at all.
    pub(crate) fn set(&self, event: EventId, due: Option<Time>) {
        if self.state.lock().set(event, due) {
            self.changed.notify_one();
        }
    }

    /// The inventory is due then, or before.
    pub(crate) fn at_latest(&self, event: EventId, due: Time) {
        let mut state = self.state.lock();
        let before = state.due.get(&event).copied();
        if before.is_none_or(|before| due < before) && state.set(event, Some(due)) {
            self.changed.notify_one();
        }
    }

    /// The inventories due by `now`, and when the next one is. They stay on the list until their
    /// writers say what is due next.
    pub(crate) fn due(&self, now: Time) -> (Vec<EventId>, Option<Time>) {
        let state = self.state.lock();
        let mut by_time = state.by_time.iter();
        let mut events = vec![];
        for (due, event) in by_time.by_ref() {
            if *due > now {
                return (events, Some(*due));
            }
            events.push(*event);
        }
        (events, None)
    }

    /// Waits until something may be due earlier than was said.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Writes the list to its file, whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written; the list before it stays, and is right, only older.
    pub(crate) fn save(&self) -> io::Result<()> {
        let stored = {
            let mut state = self.state.lock();
            if !std::mem::take(&mut state.unsaved) {
                return Ok(());
            }
            let (due, to_follow) = (state.due.clone(), state.to_follow.clone());
            let to_forget = state.to_forget.clone();
            let State { followed, latest, .. } = *state;
            Stored { followed, due, to_follow, to_forget, latest }
        };
        let written = self.write(&stored);
        if written.is_err() {
            self.state.lock().unsaved = true;
        }
        written
    }

    fn write(&self, stored: &Stored) -> io::Result<()> {
        let bytes = serde_json::to_vec(stored).map_err(io::Error::other)?;
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, bytes)?;
        std::fs::rename(&beside, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: EventId = EventId::from_u128(7);

    fn at(s: u64) -> Time {
        Time::default().plus_s(s)
    }

    #[test]
    fn the_list_survives_a_restart_and_misses_records_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wake.json");
        let list = WakeList::load(&file, Position(0)).unwrap();
        list.at_latest(EVENT, at(9));
        list.at_latest(EVENT, at(5));
        list.at_latest(EVENT, at(7));
        list.follow_to(Position(3));
        list.reached(at(9));
        list.reached(at(8));
        list.save().unwrap();
        let again = WakeList::load(&file, Position(3)).unwrap();
        assert_eq!((again.followed(), again.latest()), (Position(3), at(9)));
        assert_eq!(again.due(at(5)), (vec![EVENT], None));
        assert_eq!(again.due(at(4)), (vec![], Some(at(5))));
        assert_eq!(followed_to(&file), Some(Position(3)));
        let lost = WakeList::load(&file, Position(2)).err().expect("a record is missing");
        assert_eq!((lost.followed, lost.head), (Position(3), Position(2)));
        std::fs::write(&file, b"{").unwrap();
        assert_eq!(WakeList::load(&file, Position(3)).unwrap().followed(), Position(0));
        assert_eq!(followed_to(&file), None);
    }

    #[test]
    fn what_could_not_be_saved_is_saved_later() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wake.json");
        let list = WakeList::load(&file, Position(0)).unwrap();
        list.at_latest(EVENT, at(5));
        std::fs::create_dir(file.with_extension("new")).unwrap();
        list.save().unwrap_err();
        list.save().unwrap_err();
        std::fs::remove_dir(file.with_extension("new")).unwrap();
        list.save().unwrap();
        assert_eq!(WakeList::load(&file, Position(0)).unwrap().due(at(5)), (vec![EVENT], None));
    }

    #[test]
    fn what_has_to_be_followed_survives_a_restart_until_all_of_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wake.json");
        let list = WakeList::load(&file, Position(0)).unwrap();
        list.follow(EVENT, Position(1));
        list.follow(EVENT, Position(2));
        list.has_followed(EVENT, Position(1));
        list.follow_to(Position(2));
        list.save().unwrap();
        let again = WakeList::load(&file, Position(2)).unwrap();
        assert_eq!(again.to_follow(), [(EVENT, Position(2))]);
        again.has_followed(EVENT, Position(2));
        assert_eq!(again.to_follow(), []);
        std::fs::write(&file, r#"{"followed":2,"due":{}}"#).unwrap();
        assert_eq!(WakeList::load(&file, Position(2)).unwrap().to_follow(), []);
    }

    #[test]
    fn who_has_to_be_forgotten_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wake.json");
        let (list, user) = (WakeList::load(&file, Position(0)).unwrap(), UserId::from_u128(7));
        list.forget(user, at(5));
        list.save().unwrap();
        let again = WakeList::load(&file, Position(0)).unwrap();
        assert_eq!(again.to_forget(), [(user, at(5))]);
        again.has_forgotten(user);
        again.save().unwrap();
        assert_eq!(WakeList::load(&file, Position(0)).unwrap().to_forget(), []);
    }

    #[test]
    fn a_writer_knows_better_than_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let list = WakeList::load(&folder.path().join("wake.json"), Position(0)).unwrap();
        list.at_latest(EVENT, at(5));
        list.set(EVENT, Some(at(9)));
        assert_eq!(list.due(at(6)), (vec![], Some(at(9))));
        let other = EventId::from_u128(8);
        list.at_latest(other, at(7));
        assert_eq!(list.due(at(6)), (vec![], Some(at(7))));
        assert_eq!(list.due(at(7)), (vec![other], Some(at(9))));
        assert_eq!(list.due(at(9)), (vec![other, EVENT], None));
        list.set(EVENT, None);
        list.set(other, None);
        assert_eq!(list.due(at(99)), (vec![], None));
    }
}
