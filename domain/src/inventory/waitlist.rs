//! Who waits for places to return, and whose turn it is (WL-1, WL-2).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{UserId, WaitlistId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryStatus {
    Waiting,
    Offered,
    Served,
    Left,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: WaitlistId,
    pub(super) user: UserId,
    /// Index of the tier waited for; any if absent.
    pub(super) tier: Option<u16>,
    pub(super) quantity: u16,
    pub(super) status: EntryStatus,
    /// Index of the offered booking, once there is one.
    pub(super) booking: Option<u32>,
}

/// What an entry waits for. All entries of one class can be served by the same stock.
type Class = (Option<u16>, u16);

#[derive(Debug, Default)]
pub(super) struct Waitlist {
    /// In the order of joining.
    entries: Vec<Entry>,
    /// Who waits or has an offer: one entry per person (WL-1).
    active: HashMap<UserId, u32>,
    /// Those who wait, by what they wait for, so that finding the next costs no walk past
    /// everybody who wants something else.
    waiting: BTreeMap<Class, BTreeSet<u32>>,
    count: u32,
}

impl Waitlist {
    /// How many wait.
    pub(super) fn waiting(&self) -> u32 {
        self.count
    }

    pub(super) fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)
    }

    /// The entry of a person who waits or has an offer.
    pub(super) fn active(&self, user: UserId) -> Option<(u32, &Entry)> {
        let index = *self.active.get(&user)?;
        Some((index, self.entry(index)?))
    }

    pub(super) fn join(&mut self, entry: Entry) {
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.active.insert(entry.user, index);
        self.waiting.entry((entry.tier, entry.quantity)).or_default().insert(index);
        self.count += 1;
        self.entries.push(entry);
    }

    /// The person got an offer: booking `booking`.
    pub(super) fn offer(&mut self, user: UserId, booking: u32) -> Option<u32> {
        let index = *self.active.get(&user)?;
        self.stop_waiting(index);
        let entry = self.entries.get_mut(index as usize)?;
        entry.status = EntryStatus::Offered;
        entry.booking = Some(booking);
        Some(index)
    }

    /// The entry came to its end: served, or left.
    pub(super) fn end(&mut self, index: u32, status: EntryStatus) {
        self.stop_waiting(index);
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        entry.status = status;
        if self.active.get(&entry.user) == Some(&index) {
            self.active.remove(&entry.user);
        }
    }

    /// Takes back the last entry.
    pub(super) fn take_last(&mut self) {
        let Some(last) = self.entries.len().checked_sub(1) else { return };
        self.end(u32::try_from(last).unwrap_or(u32::MAX), EntryStatus::Left);
        self.entries.pop();
    }

    /// Puts an entry back as it was.
    pub(super) fn put(&mut self, index: u32, entry: Entry) {
        self.stop_waiting(index);
        if matches!(entry.status, EntryStatus::Waiting | EntryStatus::Offered) {
            self.active.insert(entry.user, index);
        }
        if entry.status == EntryStatus::Waiting {
            self.waiting.entry((entry.tier, entry.quantity)).or_default().insert(index);
            self.count += 1;
        }
        if let Some(now) = self.entries.get_mut(index as usize) {
            *now = entry;
        }
    }

    fn stop_waiting(&mut self, index: u32) {
        let Some(entry) = self.entries.get(index as usize) else { return };
        let class = (entry.tier, entry.quantity);
        let Some(indexes) = self.waiting.get_mut(&class) else { return };
        self.count -= u32::from(indexes.remove(&index));
        if indexes.is_empty() {
            self.waiting.remove(&class);
        }
    }

    /// The first of those who are `ready` who can be served when `tier` has `available` places.
    pub(super) fn next(
        &self,
        tier: u16,
        available: u32,
        ready: impl Fn(&Entry) -> bool,
    ) -> Option<u32> {
        let is_ready = |index: &u32| self.entry(*index).is_some_and(&ready);
        let served = |(wanted, quantity): &Class| {
            wanted.is_none_or(|wanted| wanted == tier) && u32::from(*quantity) <= available
        };
        self.waiting
            .iter()
            .filter(|(class, _)| served(class))
            .filter_map(|(_, indexes)| indexes.iter().copied().find(is_ready))
            .min()
    }

    /// Nobody waits any more: the event does not take place.
    pub(super) fn close(&mut self) {
        for indexes in std::mem::take(&mut self.waiting).into_values() {
            for index in indexes {
                self.end(index, EntryStatus::Left);
            }
        }
        self.count = 0;
    }
}
