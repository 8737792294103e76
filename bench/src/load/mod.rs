//! The load generator: connections that are kept alive, spread over threads of their own.
//!
//! Closed loop: every connection sends its next request when it has its answer; gives the most a
//! server can do. Open loop: requests are due at moments drawn beforehand, as from buyers who do
//! not know of each other; latency counts from the moment a request was due, also when the
//! generator or the server was late (no coordinated omission).

mod connection;
mod drive;
mod request;

use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

pub use connection::{Connection, ExchangeError};
pub(crate) use drive::histogram;
pub use request::{Expected, Requests};

use crate::cpu;

/// What to put on a server, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Connections in all.
    pub connections: usize,
    /// Threads that the connections are spread over.
    pub threads: usize,
    /// Before measuring begins.
    pub warm_up: Duration,
    /// What is measured.
    pub duration: Duration,
    /// When requests are sent.
    pub pace: Pace,
}

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// As soon as the connection has its answer.
    Closed,
    /// This many a second on average, at independent moments (a Poisson process).
    Open {
        /// Requests a second over all connections.
        rate: f64,
    },
}

/// What came of a load.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Answers within the measured time (closed loop), or to requests due in it (open loop).
    pub answers: u64,
    /// All answers, also those before and after the measured time.
    pub total: u64,
    /// Answers a second.
    pub rate: f64,
    /// Latency in microseconds.
    pub latency_us: Histogram<u64>,
    /// Where the processors' time went while measuring.
    pub cpu: Option<Cpu>,
}

/// Processor time while a load was measured.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    /// Microseconds of the generator for one answer.
    pub generator_us: f64,
    /// Microseconds of everything else in this process for one answer: the server.
    pub server_us: f64,
    /// Part of the machine taken by other processes, 0 to 1. Makes every figure worse.
    pub others: f64,
}

/// Why a load has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No connection could be made.
    #[error("cannot connect to the server")]
    Connect(#[source] std::io::Error),
    /// A request got no answer.
    #[error("a request got no answer")]
    Exchange(#[from] ExchangeError),
    /// An answer was not the one that counts.
    #[error("expected status {expected}, got {status}: {body}")]
    Unexpected {
        /// The status that is right.
        expected: u16,
        /// The status that came.
        status: u16,
        /// The beginning of the body that came.
        body: String,
    },
    /// The server was so far behind that not all answers came.
    #[error("answers were still missing {0:?} after the load had ended")]
    Behind(Duration),
    /// A thread of the generator could not be started or died.
    #[error("the load generator failed")]
    Thread(#[source] std::io::Error),
}

impl Outcome {
    /// Latency in milliseconds that this part (0 to 1) of the answers did not exceed.
    pub fn latency_ms(&self, quantile: f64) -> f64 {
        Duration::from_micros(self.latency_us.value_at_quantile(quantile)).as_secs_f64() * 1e3
    }

    /// The outcome, for the report.
    pub fn seen(&self) -> Value {
        let mut seen = json!({
            "rate": self.rate,
            "p50_ms": self.latency_ms(0.5),
            "p99_ms": self.latency_ms(0.99),
            "p999_ms": self.latency_ms(0.999),
            "max_ms": self.latency_ms(1.0),
        });
        if let Some(cpu) = self.cpu {
            seen["generator_us"] = cpu.generator_us.into();
            seen["server_us"] = cpu.server_us.into();
            seen["others"] = cpu.others.into();
        }
        seen
    }
}

impl Load {
    /// Puts the load on the servers at `addresses`, their connections in turn, and waits for all
    /// answers.
    ///
    /// # Errors
    /// See [`LoadError`]; one wrong answer is enough.
    pub fn run(
        &self,
        addresses: &[SocketAddr],
        requests: &Arc<Requests>,
    ) -> Result<Outcome, LoadError> {
        let threads = self.threads.clamp(1, self.connections.max(1));
        let connected = Arc::new(Barrier::new(threads + 1));
        let generators: Vec<_> = (0..threads)
            .map(|index| {
                let part = drive::Part { load: *self, index, threads };
                let (requests, connected) = (Arc::clone(requests), Arc::clone(&connected));
                let addresses = addresses.to_vec();
                thread::Builder::new()
                    .name(format!("load-{index}"))
                    .spawn(move || part.run(&addresses, &requests, &connected))
            })
            .collect::<Result<_, _>>()
            .map_err(LoadError::Thread)?;
        connected.wait();
        let used = cpu::over(self.warm_up, self.duration);
        let mut all = Vec::new();
        for generator in generators {
            let died = || LoadError::Thread(std::io::Error::other("it panicked"));
            all.push(generator.join().map_err(|_| died())??);
        }
        Ok(self.sum(&all, used))
    }

    fn sum(&self, parts: &[drive::Measured], used: Option<cpu::Used>) -> Outcome {
        let mut latency_us = drive::histogram();
        let mut generator = Some(Duration::ZERO);
        let total = parts.iter().map(|part| part.total).sum();
        for part in parts {
            // Same bounds on both sides: adding cannot fail.
            let _ = latency_us.add(&part.latency_us);
            generator = generator.zip(part.cpu).map(|(sum, part)| sum + part);
        }
        let answers = latency_us.len();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / answers.max(1) as f64;
        let cpu = used.zip(generator).map(|(used, generator)| Cpu {
            generator_us: each(generator),
            server_us: each(used.process.saturating_sub(generator)),
            others: used.others,
        });
        let rate = answers as f64 / self.duration.as_secs_f64();
        Outcome { answers, total, rate, latency_us, cpu }
    }
}
