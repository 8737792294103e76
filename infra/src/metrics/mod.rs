//! Figures of this process, for Prometheus (OP-2). One set of them, for there is one process.
//!
//! Counting is done whether anybody asks or not, so it costs an atomic addition or two on a number
//! that was found before: nothing is looked up by name, allocated or locked while the product works.
//! What can be known by asking (mailboxes, views) is not counted, but asked when somebody looks.

mod histogram;
mod requests;
mod text;

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::StoredFact;
use domain::inventory::Fact;

pub use histogram::Histogram;
pub use requests::{Requests, RouteFigures};
pub use text::{CONTENT_TYPE, Kind, Text};

use crate::log::NewRecord;

/// What is counted in this process.
pub static METRICS: Metrics = Metrics::new();

/// In microseconds, around the objectives of 200 and 500 ms.
const DURATIONS_US: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];
/// Commands decided together.
const BATCHES: [u64; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// How long something took.
pub type Durations = Histogram<{ DURATIONS_US.len() }>;

const fn durations() -> Durations {
    Histogram::new(&DURATIONS_US, 1e6)
}

/// What became of a command on an inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// It was carried out, now or before.
    Done,
    /// The domain said no.
    Refused,
    /// The mailbox was full.
    Overloaded,
    /// The log could not be read or written.
    Unavailable,
}

impl Command {
    const ALL: [Self; 4] = [Self::Done, Self::Refused, Self::Overloaded, Self::Unavailable];

    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// It is durable.
    Written,
    /// Another writer was first.
    Late,
    /// Nothing was written.
    Unavailable,
    /// Nobody knows.
    Unknown,
    /// No log takes it.
    Unfit,
}

impl Append {
    const ALL: [Self; 5] =
        [Self::Written, Self::Late, Self::Unavailable, Self::Unknown, Self::Unfit];

    fn name(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Late => "late",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
            Self::Unfit => "unfit",
        }
    }
}

/// Where something was found that many read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheRead {
    /// In this process.
    Memory,
    /// In Redis.
    Shared,
    /// Nowhere: it was read from the view.
    View,
}

impl CacheRead {
    const ALL: [Self; 3] = [Self::Memory, Self::Shared, Self::View];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Shared => "redis",
            Self::View => "view",
        }
    }
}

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mail {
    /// Whoever delivers it has it.
    Sent,
    /// It was not taken, and is sent again.
    TriedAgain,
    /// It lies in a file, if anywhere.
    GivenUp,
}

impl Mail {
    const ALL: [Self; 3] = [Self::Sent, Self::TriedAgain, Self::GivenUp];

    fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::TriedAgain => "tried_again",
            Self::GivenUp => "given_up",
        }
    }
}

/// So many facts of each kind that can happen to a booking or a place in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts([u64; Fact::KINDS.len()]);

impl Facts {
    /// Of records that are about to be appended; what is no inventory's is left out.
    pub fn of(records: &[NewRecord]) -> Self {
        let mut counts = [0; Fact::KINDS.len()];
        // In a batch, neighbours are often of one kind.
        let mut last = 0;
        for record in records {
            if record.kind != Fact::KINDS[last].0 {
                let known = Fact::KINDS.iter().position(|(kind, _)| record.kind == *kind);
                let Some(known) = known else { continue };
                last = known;
            }
            counts[last] += 1;
        }
        Self(counts)
    }
}

/// The figures that are counted.
pub struct Metrics {
    /// Requests by route.
    pub requests: Requests,
    /// By [`Command`].
    commands: [AtomicU64; Command::ALL.len()],
    /// Commands decided together.
    pub batches: Histogram<{ BATCHES.len() }>,
    /// How late deadlines of holds and offers were acted on (BK-4).
    pub deadlines: Durations,
    /// By [`Append`].
    appends: [Durations; Append::ALL.len()],
    /// By [`CacheRead`].
    cache: [AtomicU64; CacheRead::ALL.len()],
    /// By [`Mail`].
    mails: [AtomicU64; Mail::ALL.len()],
    /// By [`Fact::KINDS`].
    facts: [AtomicU64; Fact::KINDS.len()],
}

impl Metrics {
    const fn new() -> Self {
        Self {
            requests: Requests::new(),
            commands: zeros(),
            batches: Histogram::new(&BATCHES, 1.0),
            deadlines: durations(),
            appends: [const { durations() }; Append::ALL.len()],
            cache: zeros(),
            mails: zeros(),
            facts: zeros(),
        }
    }

    /// So many commands ended so.
    pub fn commands(&self, outcome: Command, count: u64) {
        if count > 0 {
            self.commands[outcome as usize].fetch_add(count, Ordering::Relaxed);
        }
    }

    /// The log answered an append.
    pub fn append(&self, outcome: Append, took: Duration) {
        self.appends[outcome as usize].took(took);
    }

    /// Something was found that many read.
    pub fn cache(&self, from: CacheRead) {
        self.cache[from as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// This became of a mail.
    pub fn mail(&self, outcome: Mail) {
        self.mails[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// These facts are durable.
    pub fn facts(&self, facts: &Facts) {
        for (counter, count) in self.facts.iter().zip(facts.0) {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// Writes all of them.
    pub fn write(&self, text: &mut Text) {
        self.requests.write(text);
        let name = "evently_commands_total";
        text.family(name, Kind::Counter, "Commands on inventories by outcome.");
        for (outcome, count) in Command::ALL.into_iter().zip(&self.commands) {
            let count = count.load(Ordering::Relaxed);
            text.sample(name, &[("outcome", outcome.name())], count as f64);
        }
        let name = "evently_batch_commands";
        text.family(name, Kind::Histogram, "Commands decided together, for one append.");
        self.batches.write(text, name, &[]);
        let name = "evently_deadline_lateness_seconds";
        let help = "How late the deadlines of holds and offers were acted on.";
        text.family(name, Kind::Histogram, help);
        self.deadlines.write(text, name, &[]);
        let name = "evently_append_duration_seconds";
        text.family(name, Kind::Histogram, "Time that the log took for an append, by outcome.");
        for (outcome, took) in Append::ALL.into_iter().zip(&self.appends) {
            took.write(text, name, &[("outcome", outcome.name())]);
        }
        let name = "evently_cache_reads_total";
        text.family(name, Kind::Counter, "Event details and lists read, by where they were found.");
        for (from, count) in CacheRead::ALL.into_iter().zip(loaded(&self.cache)) {
            text.sample(name, &[("from", from.name())], count as f64);
        }
        let name = "evently_mails_total";
        text.family(name, Kind::Counter, "Mails by what became of them.");
        for (outcome, count) in Mail::ALL.into_iter().zip(loaded(&self.mails)) {
            text.sample(name, &[("outcome", outcome.name())], count as f64);
        }
        let name = "evently_facts_total";
        let help = "Facts made durable by this process: holds, and what became of them.";
        text.family(name, Kind::Counter, help);
        for ((kind, _), count) in Fact::KINDS.iter().zip(&self.facts) {
            text.sample(name, &[("kind", kind)], count.load(Ordering::Relaxed) as f64);
        }
    }
}

/// Zeros that can be counted up.
const fn zeros<const N: usize>() -> [AtomicU64; N] {
    [const { AtomicU64::new(0) }; N]
}

/// What was counted so far.
fn loaded<const N: usize>(counts: &[AtomicU64; N]) -> [u64; N] {
    array::from_fn(|index| counts[index].load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use domain::Time;
    use uuid::Uuid;

    use super::*;

    fn record(kind: &'static str) -> NewRecord {
        NewRecord {
            id: Uuid::from_u128(1),
            kind: kind.into(),
            version: 1,
            at: Time::from_ms(0),
            metadata: "".into(),
            data: Bytes::new(),
        }
    }

    #[test]
    fn facts_are_counted_by_kind_and_others_left_out() {
        let kinds = ["Reserved", "Reserved", "VenueCreated", "Reserved", "Confirmed"];
        let metrics = Metrics::new();
        metrics.facts(&Facts::of(&kinds.map(record)));
        metrics.facts(&Facts::of(&[record("Expired")]));
        metrics.facts(&Facts::of(&[]));
        let counted: Vec<_> = Fact::KINDS.iter().zip(loaded(&metrics.facts)).collect();
        for ((kind, _), count) in counted {
            let expected = match *kind {
                "Reserved" => 3,
                "Confirmed" | "Expired" => 1,
                _ => 0,
            };
            assert_eq!(count, expected, "{kind}");
        }
    }

    #[test]
    fn outcomes_stand_where_their_numbers_say() {
        for (index, outcome) in Command::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
        for (index, from) in CacheRead::ALL.into_iter().enumerate() {
            assert_eq!(from as usize, index);
        }
        for (index, outcome) in Append::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
        for (index, outcome) in Mail::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
        let metrics = Metrics::new();
        metrics.mail(Mail::GivenUp);
        metrics.commands(Command::Overloaded, 2);
        metrics.append(Append::Late, Duration::from_millis(3));
        let mut text = Text::new();
        metrics.write(&mut text);
        let text = text.finish();
        for line in [
            "evently_commands_total{outcome=\"overloaded\"} 2\n",
            "evently_commands_total{outcome=\"done\"} 0\n",
            "evently_mails_total{outcome=\"given_up\"} 1\n",
            "evently_append_duration_seconds_bucket{outcome=\"late\",le=\"0.0025\"} 0\n",
            "evently_append_duration_seconds_bucket{outcome=\"late\",le=\"0.005\"} 1\n",
            "evently_append_duration_seconds_sum{outcome=\"late\"} 0.003\n",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }
}
