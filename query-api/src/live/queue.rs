//! Those who wait for an event, and how many are served before each (WL-1).

use std::collections::HashMap;

use domain::WaitlistId;

/// Those who wait, in the order of joining. Counting the rows of a table instead would take the
/// database's time for each person who looks, and many look often.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// A Fenwick tree over all who ever joined: how many of them still wait.
    counts: Vec<u32>,
    /// Place in `counts`, from 1, of those who wait.
    places: HashMap<WaitlistId, usize>,
}

/// The lowest bit that is set: how many places a node of the tree counts.
fn span(place: usize) -> usize {
    place & place.wrapping_neg()
}

impl Queue {
    pub(super) fn join(&mut self, entry: WaitlistId) {
        let place = self.counts.len() + 1;
        let counted = self.up_to(place - 1) - self.up_to(place - span(place));
        self.counts.push(counted + 1);
        self.places.insert(entry, place);
    }

    /// The person waits no longer: something was offered to them, or they left.
    pub(super) fn leave(&mut self, entry: WaitlistId) {
        let Some(mut place) = self.places.remove(&entry) else { return };
        while let Some(count) = self.counts.get_mut(place - 1) {
            *count -= 1;
            place += span(place);
        }
    }

    /// Nobody waits any longer.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }

    /// How many wait up to this one, itself included; `None` if it does not wait.
    pub(super) fn place(&self, entry: WaitlistId) -> Option<u32> {
        self.places.get(&entry).map(|place| self.up_to(*place))
    }

    fn up_to(&self, mut place: usize) -> u32 {
        let mut sum = 0;
        while place > 0 {
            sum += self.counts[place - 1];
            place -= span(place);
        }
        sum
    }

    /// About how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        const WAITING: usize = 40;
        self.counts.len() * size_of::<u32>() + self.places.len() * WAITING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: usize) -> WaitlistId {
        WaitlistId::from_u128(number as u128)
    }

    /// Against a list that is walked.
    #[test]
    fn everybody_has_the_place_that_counting_gives() {
        let (mut queue, mut list) = (Queue::default(), vec![]);
        for number in 0..300 {
            queue.join(entry(number));
            list.push(number);
            if number % 3 == 2 {
                let gone = list.remove(number * 7 % list.len());
                queue.leave(entry(gone));
                queue.leave(entry(gone));
            }
            for known in 0..=number + 1 {
                let place = list.iter().position(|waiting| *waiting == known);
                let place = place.map(|place| u32::try_from(place).unwrap() + 1);
                assert_eq!(queue.place(entry(known)), place, "{known} of {number}");
            }
        }
        queue.close();
        assert_eq!((queue.place(entry(299)), queue.bytes()), (None, 0));
        queue.join(entry(299));
        assert_eq!(queue.place(entry(299)), Some(1));
    }
}
