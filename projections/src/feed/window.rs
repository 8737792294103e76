//! What is under way to the brokers, and up to where all has arrived.

use std::collections::VecDeque;

use infra::kafka::{Deliveries, Failed};
use infra::log::Position;
use infra::trace::Spans;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Topic;

/// Messages under way at most, and bytes of what they say.
const MOST: usize = 20_000;
const MOST_BYTES: usize = 32 << 20;

/// Messages under way, by number. Acknowledgements come in any order.
pub(super) struct Window {
    state: Mutex<State>,
    changed: Notify,
    told: Box<dyn Fn(Topic) + Send + Sync>,
}

struct State {
    /// Number of the first of them.
    first: usize,
    under_way: VecDeque<UnderWay>,
    bytes: usize,
    /// Everything up to here has arrived, or had nothing to be sent.
    done: Position,
    failed: Option<Failed>,
    /// Whoever sends waits for room.
    is_awaited: bool,
}

struct UnderWay {
    topic: Topic,
    bytes: usize,
    has_arrived: bool,
    /// Where the log is done when this and all before it have arrived. Not there if the record has
    /// another message behind this one.
    completes: Option<Position>,
    /// What is kept of its way there, which ends when it has arrived.
    spans: Option<Spans>,
}

impl Window {
    /// Nothing is under way, and everything up to `done` has arrived. `told` is called for every message
    /// that arrives.
    pub(super) fn new(done: Position, told: impl Fn(Topic) + Send + Sync + 'static) -> Self {
        let state = State {
            first: 0,
            under_way: VecDeque::new(),
            bytes: 0,
            done,
            failed: None,
            is_awaited: false,
        };
        Self { state: Mutex::new(state), changed: Notify::new(), told: Box::new(told) }
    }

    /// Whether another record may be sent. If not, [`Self::changed`] tells when.
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.state.lock();
        state.is_awaited = !state.has_room();
        !state.is_awaited
    }

    /// Notes a message that is about to be sent; its number.
    pub(super) fn take(
        &self,
        topic: Topic,
        bytes: usize,
        completes: Option<Position>,
        spans: Option<Spans>,
    ) -> usize {
        let mut state = self.state.lock();
        state.bytes += bytes;
        let has_arrived = false;
        state.under_way.push_back(UnderWay { topic, bytes, has_arrived, completes, spans });
        state.first + state.under_way.len() - 1
    }

    /// Notes a record of which nothing is sent.
    pub(super) fn pass(&self, position: Position) {
        let state = &mut *self.state.lock();
        match state.under_way.back_mut() {
            Some(last) => last.completes = Some(position),
            None => state.done = position,
        }
    }

    /// Notes that a message will not be sent, and nobody is to wait for it.
    pub(super) fn gave_up(&self, number: usize) {
        self.state.lock().arrive(number);
    }

    /// Up to where everything has arrived.
    pub(super) fn done(&self) -> Position {
        self.state.lock().done
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().under_way.is_empty()
    }

    /// Why nothing more will arrive, if that is so.
    pub(super) fn failed(&self) -> Option<Failed> {
        self.state.lock().failed.clone()
    }

    /// Waits until there is room that somebody looked for, nothing is under way any more, or something
    /// failed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.under_way.len() < MOST && self.bytes < MOST_BYTES
    }

    /// Enough that it is worth going on.
    fn has_much_room(&self) -> bool {
        self.under_way.len() <= MOST / 2 && self.bytes <= MOST_BYTES / 2
    }

    fn arrive(&mut self, number: usize) -> Option<Topic> {
        let arrived = self.under_way.get_mut(number.checked_sub(self.first)?)?;
        arrived.has_arrived = true;
        if let Some(spans) = arrived.spans.take() {
            spans.end(false);
        }
        let topic = arrived.topic;
        while let Some(first) = self.under_way.front().filter(|first| first.has_arrived) {
            self.bytes -= first.bytes;
            self.done = first.completes.unwrap_or(self.done);
            self.under_way.pop_front();
            self.first += 1;
        }
        Some(topic)
    }
}

impl Deliveries for Window {
    fn acknowledged(&self, number: usize) {
        let mut state = self.state.lock();
        let topic = state.arrive(number);
        let is_news = state.under_way.is_empty() || (state.is_awaited && state.has_much_room());
        state.is_awaited &= !is_news;
        drop(state);
        if is_news {
            self.changed.notify_one();
        }
        if let Some(topic) = topic {
            (self.told)(topic);
        }
    }

    fn failed(&self, _: usize, why: Failed) {
        // The first one is the cause of all others.
        self.state.lock().failed.get_or_insert(why);
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        Window::new(Position(10), |_| {})
    }

    #[test]
    fn it_is_done_up_to_where_all_before_has_arrived() {
        let window = window();
        let one = window.take(Topic::Booking, 1, None, None);
        let also_one = window.take(Topic::Payment, 1, Some(Position(11)), None);
        let two = window.take(Topic::Booking, 1, Some(Position(12)), None);
        window.pass(Position(13));
        let three = window.take(Topic::Booking, 1, Some(Position(14)), None);
        for (arrives, done) in [(two, 10), (also_one, 10), (one, 13), (one, 13), (three, 14)] {
            window.acknowledged(arrives);
            assert_eq!(window.done(), Position(done));
        }
        assert!(window.is_empty());
        window.pass(Position(15));
        assert_eq!(window.done(), Position(15));
        // What it never had.
        window.acknowledged(99);
    }

    #[test]
    fn there_is_room_for_so_many_and_so_much() {
        let many = window();
        let numbers: Vec<_> =
            (0..MOST).map(|_| many.take(Topic::Booking, 1, Some(Position(11)), None)).collect();
        assert!(!many.has_room());
        many.acknowledged(numbers[1]);
        assert!(!many.has_room());
        many.acknowledged(numbers[0]);
        assert!(many.has_room());
        let large = window();
        let number = large.take(Topic::Booking, MOST_BYTES, Some(Position(11)), None);
        assert!(!large.has_room());
        large.acknowledged(number);
        assert!(large.has_room());
    }

    #[tokio::test]
    async fn who_waits_for_room_is_told() {
        let window = window();
        let numbers: Vec<_> =
            (0..MOST).map(|_| window.take(Topic::Booking, 1, Some(Position(11)), None)).collect();
        assert!(!window.has_room());
        numbers[..=MOST / 2].iter().for_each(|number| window.acknowledged(*number));
        window.changed().await;
        assert!(window.has_room());
    }
}
