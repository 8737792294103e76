//! What came of a demo.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::client::Measured;
use super::sale::Sale;
use super::{Left, Size, Took};
use crate::audit::verify::{Finding, Proven};

/// Failures named one by one.
const NAMED: usize = 5;

/// What came of a demo. Times in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    buyers: u32,
    capacity: u64,
    /// Until the last buyer had an answer.
    rush_seconds: f64,
    /// Until the last hold had come to its end.
    seconds: f64,
    sold: u64,
    held: u64,
    available: u64,
    /// Places sold or held that do not exist.
    oversold: u64,
    bookings: Bookings,
    waitlist: Waitlist,
    /// How often the server refused, by code.
    refused: BTreeMap<String, u64>,
    /// What should never happen: no answer, or a fault of the server.
    failed: u64,
    failures: Vec<String>,
    latency_ms: BTreeMap<&'static str, Latency>,
    audit: Audit,
    /// The data folder whose log this was, if the log is no server's.
    data: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Bookings {
    held: u64,
    confirmed: u64,
    cancelled: u64,
    let_die: u64,
    /// Reservations sent twice at once under one key.
    sent_twice: u64,
}

#[derive(Debug, Serialize)]
struct Waitlist {
    joined: u64,
    offered: u64,
    served: u64,
    still_waiting: u64,
}

#[derive(Debug, Serialize)]
struct Latency {
    count: u64,
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct Audit {
    intact: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    proven: Option<Proven>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Report {
    pub(super) fn new(
        sale: &Sale,
        size: Size,
        took: Took,
        left: Left,
        audit: Result<Proven, Finding>,
        data: Option<&Path>,
    ) -> Self {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (tally, failures) = (&sale.tally, sale.client.failed());
        Self {
            buyers: size.buyers,
            capacity: left.capacity,
            rush_seconds: took.rush.as_secs_f64(),
            seconds: took.all.as_secs_f64(),
            sold: left.sold,
            held: left.held,
            available: left.available,
            oversold: left.oversold,
            bookings: Bookings {
                held: read(&tally.held),
                confirmed: read(&tally.confirmed),
                cancelled: read(&tally.cancelled),
                let_die: read(&tally.let_die),
                sent_twice: read(&tally.repeated),
            },
            waitlist: Waitlist {
                joined: read(&tally.waitlisted),
                offered: read(&tally.offered),
                served: read(&tally.served),
                still_waiting: left.waitlisted,
            },
            refused: sale.client.refused(),
            failed: failures.len() as u64,
            failures: failures.into_iter().take(NAMED).collect(),
            latency_ms: sale.client.measured().iter().map(|(c, m)| (*c, latency(m))).collect(),
            audit: match audit {
                Ok(proven) => Audit { intact: true, proven: Some(proven), problem: None },
                Err(finding) => {
                    Audit { intact: false, proven: None, problem: Some(finding.to_string()) }
                }
            },
            data: data.map(Path::to_owned),
        }
    }

    /// Why the product did not do what it promises, if it did not.
    pub(crate) fn broken_promise(&self) -> Option<String> {
        if let Some(problem) = &self.audit.problem {
            return Some(format!("the audit failed: {problem}"));
        }
        if self.oversold > 0 {
            return Some(format!("{} places were sold that do not exist", self.oversold));
        }
        if let Some(first) = self.failures.first() {
            return Some(format!("{} requests failed, the first: {first}", self.failed));
        }
        (self.held > 0)
            .then(|| format!("{} places are still held, long after the last buyer came", self.held))
    }
}

fn latency(measured: &Measured) -> Latency {
    let histogram = &measured.latency_us;
    let ms = |us: u64| Duration::from_micros(us).as_secs_f64() * 1e3;
    let quantile = |quantile| ms(histogram.value_at_quantile(quantile));
    Latency {
        count: histogram.len(),
        p50: quantile(0.5),
        p95: quantile(0.95),
        p99: quantile(0.99),
        max: ms(histogram.max()),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { buyers, capacity, sold, held, available, oversold, .. } = self;
        let (rush, all) = (self.rush_seconds, self.seconds);
        writeln!(
            f,
            "{buyers} buyers came for {capacity} places and were answered in {rush:.1} s;"
        )?;
        writeln!(f, "the last hold came to its end after {all:.1} s")?;
        writeln!(f)?;
        writeln!(f, "  places")?;
        writeln!(f, "    sold      {sold:>8}   held {held}, free {available}")?;
        writeln!(f, "    oversold  {oversold:>8}")?;
        let Bookings { held, confirmed, cancelled, let_die, sent_twice } = &self.bookings;
        let Waitlist { joined, offered, served, still_waiting } = &self.waitlist;
        writeln!(
            f,
            "  bookings\n    reserved  {held:>8}   {sent_twice} of them sent twice at once\n    \
             offered   {offered:>8}   from the waitlist\n    \
             confirmed {confirmed:>8}   {served} of them offers\n    \
             cancelled {cancelled:>8}   before or after they were paid\n    \
             left      {let_die:>8}   to die"
        )?;
        writeln!(f, "  people\n    waitlisted{joined:>8}   still waiting {still_waiting}")?;
        writeln!(f, "  requests\n    refused   {:>8}", self.refused.values().sum::<u64>())?;
        for (code, times) in &self.refused {
            writeln!(f, "      {times:>8}   {code}")?;
        }
        writeln!(f, "    failed    {:>8}", self.failed)?;
        writeln!(f)?;
        writeln!(f, "  {:<18} {:>8} {:>8} {:>8} {:>8}", "ms", "requests", "p50", "p95", "p99")?;
        for (command, Latency { count, p50, p95, p99, .. }) in &self.latency_ms {
            writeln!(f, "  {command:<18} {count:>8} {p50:>8.1} {p95:>8.1} {p99:>8.1}")?;
        }
        writeln!(f)?;
        match (&self.audit.proven, &self.audit.problem) {
            (Some(proven), _) => {
                let Proven { records, streams, .. } = proven;
                writeln!(
                    f,
                    "  audit: {records} records in {streams} streams are unaltered, and at no \
                     position was anything oversold"
                )?;
            }
            (None, problem) => {
                writeln!(f, "  audit: FAILED: {}", problem.as_deref().unwrap_or_default())?;
            }
        }
        write!(f, "  see for yourself: evently audit verify")?;
        match &self.data {
            Some(data) => writeln!(f, " --data {}", data.display()),
            None => writeln!(f),
        }
    }
}
