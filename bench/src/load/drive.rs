//! One thread of the generator and its share of the connections.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, TryStreamExt};
use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::{JoinSet, LocalSet};

use super::{Connection, Expected, Load, LoadError, Pace, Requests};
use crate::cpu;

/// How long answers may be awaited after the last request.
const PATIENCE: Duration = Duration::from_secs(30);

/// The share of one thread.
pub(super) struct Part {
    pub(super) load: Load,
    pub(super) index: usize,
    pub(super) threads: usize,
}

/// What one thread saw.
pub(super) struct Measured {
    pub(super) latency_us: Histogram<u64>,
    pub(super) total: u64,
    /// Processor time of the thread within the measured time.
    pub(super) cpu: Option<Duration>,
}

/// From a microsecond to a minute and a half, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 90_000_000, 3).expect("the bounds are constants and sound")
}

impl Part {
    pub(super) fn run(
        self,
        addresses: &[SocketAddr],
        requests: &Arc<Requests>,
        connected: &Barrier,
    ) -> Result<Measured, LoadError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(LoadError::Thread);
        let ready = runtime.and_then(|runtime| {
            let connections = runtime.block_on(self.connect(addresses))?;
            Ok((runtime, connections))
        });
        // Whoever fails is waited for too: the others start when all are here.
        connected.wait();
        let (runtime, connections) = ready?;
        LocalSet::new().block_on(&runtime, self.drive(connections, requests))
    }

    async fn connect(&self, addresses: &[SocketAddr]) -> Result<Vec<Connection>, LoadError> {
        let count = (self.index..self.load.connections).step_by(self.threads).count();
        let mine = addresses.iter().cycle().skip(self.index).step_by(self.threads).take(count);
        let opening: FuturesUnordered<_> = mine.map(|to| Connection::open(*to)).collect();
        opening.try_collect().await.map_err(LoadError::Connect)
    }

    async fn drive(
        &self,
        connections: Vec<Connection>,
        requests: &Arc<Requests>,
    ) -> Result<Measured, LoadError> {
        let share = Rc::new(RefCell::new(Share::new(self)));
        let (begin, end) = share.borrow().window;
        let mut tasks = JoinSet::new();
        for connection in connections {
            let (share, requests) = (Rc::clone(&share), Arc::clone(requests));
            match self.load.pace {
                Pace::Closed => tasks.spawn_local(closed(connection, share, requests)),
                Pace::Open { .. } => tasks.spawn_local(open(connection, share, requests)),
            };
        }
        let watch = tokio::task::spawn_local(async move {
            tokio::time::sleep_until(begin.into()).await;
            let before = cpu::thread();
            tokio::time::sleep_until(end.into()).await;
            before.zip(cpu::thread()).map(|(before, after)| after.saturating_sub(before))
        });
        let all_answered = async {
            while let Some(task) = tasks.join_next().await {
                task.map_err(|error| LoadError::Thread(error.into()))??;
            }
            Ok(())
        };
        tokio::time::timeout_at((end + PATIENCE).into(), all_answered)
            .await
            .unwrap_or(Err(LoadError::Behind(PATIENCE)))?;
        let cpu = watch.await.ok().flatten();
        let share = share.borrow();
        Ok(Measured { latency_us: share.latency_us.clone(), total: share.total, cpu })
    }
}

/// What the connections of one thread have in common.
struct Share {
    /// What is measured.
    window: (Instant, Instant),
    latency_us: Histogram<u64>,
    /// Answers in all.
    total: u64,
    /// Number of the next request, and what to add: no two threads send the same number.
    next: u64,
    step: u64,
    /// When the next request is due, and the mean time to the one after it (open loop).
    due: Instant,
    mean_gap_s: f64,
    random: StdRng,
}

impl Share {
    fn new(part: &Part) -> Self {
        let start = Instant::now();
        let begin = start + part.load.warm_up;
        let rate = match part.load.pace {
            Pace::Closed => f64::INFINITY,
            Pace::Open { rate } => rate / part.threads as f64,
        };
        Self {
            window: (begin, begin + part.load.duration),
            latency_us: histogram(),
            total: 0,
            next: part.index as u64,
            step: part.threads as u64,
            due: start,
            mean_gap_s: 1.0 / rate,
            // The same moments in every run.
            random: StdRng::seed_from_u64(part.index as u64),
        }
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += self.step;
        number
    }

    /// The moment the next request is due; `None` when the load is over.
    fn due(&mut self) -> Option<Instant> {
        let due = self.due;
        let gap_s = -(1.0 - self.random.random::<f64>()).ln() * self.mean_gap_s;
        self.due += Duration::from_secs_f64(gap_s);
        (due < self.window.1).then_some(due)
    }

    /// Counts an answer that belongs to the measured time because of the moment `when`.
    fn record(&mut self, when: Instant, from: Instant, to: Instant) {
        self.total += 1;
        if (self.window.0..self.window.1).contains(&when) {
            let us = to.duration_since(from).as_micros();
            self.latency_us.saturating_record(u64::try_from(us).unwrap_or(u64::MAX));
        }
    }
}

type Shared = Rc<RefCell<Share>>;

async fn closed(
    mut connection: Connection,
    share: Shared,
    requests: Arc<Requests>,
) -> Result<(), LoadError> {
    let end = share.borrow().window.1;
    let mut sent = Instant::now();
    while sent < end {
        requests.write(share.borrow_mut().number(), &mut connection.request);
        exchange(&mut connection, requests.expected()).await?;
        let answered = Instant::now();
        share.borrow_mut().record(answered, sent, answered);
        sent = answered;
    }
    Ok(())
}

async fn open(
    mut connection: Connection,
    share: Shared,
    requests: Arc<Requests>,
) -> Result<(), LoadError> {
    loop {
        // Taken in order by whichever connection is free: a request is late only when none is.
        let (due, number) = {
            let mut share = share.borrow_mut();
            let Some(due) = share.due() else { return Ok(()) };
            (due, share.number())
        };
        requests.write(number, &mut connection.request);
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        exchange(&mut connection, requests.expected()).await?;
        share.borrow_mut().record(due, due, Instant::now());
    }
}

async fn exchange(connection: &mut Connection, expected: &Expected) -> Result<(), LoadError> {
    let answer = connection.exchange().await?;
    if expected.accepts(answer.status, answer.body) {
        return Ok(());
    }
    let beginning = &answer.body[..answer.body.len().min(300)];
    Err(LoadError::Unexpected {
        expected: expected.status,
        status: answer.status,
        body: String::from_utf8_lossy(beginning).into_owned(),
    })
}
