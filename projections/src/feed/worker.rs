//! Keeps the brokers up to date: follows the log from the feed's checkpoint.
//!
//! Many messages are under way at once; the checkpoint moves only behind what all brokers that have to
//! have it acknowledged. Whatever goes wrong, it begins again at the checkpoint: what was under way may
//! arrive twice, with the same ids, and each time in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use domain::{Aggregate, StoredFact, event, inventory};
use futures::StreamExt;
use infra::clock::Clock;
use infra::errors::chain;
use infra::kafka::{Failed, OpenError, Outgoing, Producer, TopicsError};
use infra::log::{Log, ReadError, Record};
use infra::trace;
use sqlx::PgPool;
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::window::Window;
use super::{Feed, Message, NAME, Topic, VERSION, mapping, parked};
use crate::checkpoint::{self, Checkpoint};
use crate::identity::{self, CheckError};
use crate::projection::category;

/// Between two notes of how far it is.
const SAVE: Duration = Duration::from_millis(250);
/// So many times it is not looked whether somebody moved the checkpoint, while nothing is to be noted.
const UNSEEN: u32 = 4;
/// How long an orderly end waits for what is under way.
const FAREWELL: Duration = Duration::from_secs(2);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(5);
/// Records after which other tasks get their turn.
const TURN: usize = 200;

/// Keeps the brokers up to date.
pub(crate) struct Worker {
    pub(crate) feed: Feed,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) pool: PgPool,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Why it begins again.
#[derive(Debug, thiserror::Error)]
enum End {
    /// Somebody wants something sent again, or another process is at it.
    #[error("the feed's checkpoint was moved")]
    Moved,
    #[error(
        "the feed's checkpoint has version {found}, this evently knows {VERSION}; start the newer"
    )]
    Newer { found: i32 },
    #[error(transparent)]
    Identity(#[from] CheckError),
    #[error("the feed's checkpoint cannot be kept")]
    Database(#[from] sqlx::Error),
    #[error("the log cannot be followed")]
    Log(#[from] ReadError),
    #[error("the log's subscription ended")]
    Ended,
    #[error(transparent)]
    Topics(#[from] TopicsError),
    #[error(transparent)]
    Kafka(#[from] OpenError),
    #[error(transparent)]
    Refused(#[from] Failed),
}

impl Worker {
    /// Runs until `stop`. Can be dropped at any moment: what was not noted is sent again.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut backoff = FIRST_BACKOFF;
        while let Some(began) = stop.run_until_cancelled(self.begin()).await {
            let end = match began {
                Ok(mut session) => {
                    let end = session.run(&stop).await;
                    if session.has_moved {
                        backoff = FIRST_BACKOFF;
                    }
                    session.producer.close().await;
                    end
                }
                Err(end) => Err(end),
            };
            let pause = match end {
                Ok(()) => return,
                Err(End::Moved) => continue,
                Err(end) => {
                    self.feed.goes_wrong(&chain(&end));
                    let next = (backoff * 2).min(LAST_BACKOFF);
                    std::mem::replace(&mut backoff, next)
                }
            };
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    async fn begin(&self) -> Result<Session<'_>, End> {
        self.feed.kafka().ensure_topics(&Topic::ALL.map(Topic::name)).await?;
        // What another log's checkpoint says is nothing to begin at.
        identity::check(&self.pool, &*self.log).await?;
        let at = self.checkpoint().await?;
        let feed = self.feed.clone();
        let window = Arc::new(Window::new(at.position, move |topic| feed.has_sent(topic)));
        let producer = self.feed.kafka().producer(window.clone())?;
        let (waiting, has_moved) = (VecDeque::new(), false);
        Ok(Session { worker: self, at, window, producer, waiting, unseen: 0, has_moved })
    }

    async fn checkpoint(&self) -> Result<Checkpoint, End> {
        let mut connection = self.pool.acquire().await?;
        let at = loop {
            if let Some(at) = checkpoint::load(&mut connection, NAME).await? {
                break at;
            }
            checkpoint::create(&mut connection, NAME, VERSION, self.clock.now()).await?;
        };
        if at.version > VERSION {
            return Err(End::Newer { found: at.version });
        }
        Ok(at)
    }

    /// What is told of a record, or why nothing ever will be.
    async fn told(&self, record: &Record) -> Result<Result<Vec<Message>, String>, End> {
        let told = match category(record) {
            inventory::CATEGORY => {
                let fact = StoredFact::decode(&record.kind, record.version, &record.data);
                fact.map(|fact| mapping::of_inventory(record, fact))
            }
            // Nobody hears of a draft, and there are rows of seats in it.
            event::Event::CATEGORY if &*record.kind != "EventDrafted" => {
                let revisions = usize::try_from(record.revision).unwrap_or(usize::MAX);
                let all = revisions.saturating_add(1);
                let story = self.log.read_stream(&record.stream, 0, all).await?;
                let facts = story.iter();
                let facts = facts.map(|it| StoredFact::decode(&it.kind, it.version, &it.data));
                let facts: Result<Vec<_>, _> = facts.collect();
                facts.map(|facts| mapping::of_event(record, facts))
            }
            _ => Ok(vec![]),
        };
        Ok(told.map_err(|error| chain(&error)))
    }
}

/// From one beginning at the checkpoint to the next.
struct Session<'a> {
    worker: &'a Worker,
    at: Checkpoint,
    window: Arc<Window>,
    producer: Producer,
    /// Records that are to be sent next.
    waiting: VecDeque<Record>,
    /// How often it was not looked who else moves the checkpoint.
    unseen: u32,
    /// Whether anything was noted.
    has_moved: bool,
}

impl Session<'_> {
    async fn run(&mut self, stop: &CancellationToken) -> Result<(), End> {
        let mut subscription = self.worker.log.subscribe_all(self.at.position);
        let mut ticks = interval(SAVE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.send_waiting().await?;
            let goes_on = !self.waiting.is_empty() && self.window.has_room();
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.finish().await,
                _ = ticks.tick() => self.save().await?,
                () = self.window.changed() => self.is_well()?,
                // Others had their turn.
                () = yield_now(), if goes_on => {}
                next = subscription.next(), if self.waiting.is_empty() => {
                    self.waiting = next.ok_or(End::Ended)??.into();
                }
            }
        }
    }

    /// Sends as much as there is room for; a turn at a time.
    async fn send_waiting(&mut self) -> Result<(), End> {
        for _ in 0..TURN {
            if self.waiting.is_empty() || !self.window.has_room() {
                return Ok(());
            }
            if let Some(record) = self.waiting.pop_front() {
                self.send(&record).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, record: &Record) -> Result<(), End> {
        let messages = match self.worker.told(record).await? {
            Ok(messages) => messages,
            Err(error) => {
                self.park(record, &error).await?;
                self.window.pass(record.position);
                return Ok(());
            }
        };
        let Some(last) = messages.len().checked_sub(1) else {
            self.window.pass(record.position);
            return Ok(());
        };
        for (index, message) in messages.iter().enumerate() {
            let completes = (index == last).then_some(record.position);
            // One for the record, which is told when the last of its messages has arrived.
            let spans = completes.map(|_| trace::applied(NAME, std::slice::from_ref(record)));
            let number = self.window.take(message.topic, message.data.len(), completes, spans);
            let outgoing = Outgoing {
                number,
                topic: message.topic.name(),
                key: &message.event.to_string(),
                headers: &message.headers(),
                payload: &message.data,
            };
            match self.producer.send(&outgoing) {
                Ok(()) => {}
                Err(failed) if failed.is_too_large() => {
                    self.window.gave_up(number);
                    self.park(record, &chain(&failed)).await?;
                }
                Err(failed) => return Err(failed.into()),
            }
        }
        Ok(())
    }

    /// Sets a record aside of which nothing can be told; what follows goes on.
    async fn park(&self, record: &Record, error: &str) -> Result<(), End> {
        let now = self.worker.clock.now();
        if parked::park(&self.worker.pool, record, error, now).await? {
            tracing::error!(
                position = record.position.0,
                stream = %record.stream,
                kind = %record.kind,
                error,
                "nothing can be told of a record, which is parked; replay the feed from before it \
                 when that is mended"
            );
        }
        Ok(())
    }

    fn is_well(&self) -> Result<(), End> {
        self.window.failed().map_or(Ok(()), |failed| Err(failed.into()))
    }

    /// Notes how far it is, and learns whether somebody moved the checkpoint.
    async fn save(&mut self) -> Result<(), End> {
        self.is_well()?;
        let done = self.window.done();
        if done == self.at.position {
            self.unseen += 1;
            if self.unseen < UNSEEN {
                return Ok(());
            }
        }
        self.unseen = 0;
        let mut connection = self.worker.pool.acquire().await?;
        if done == self.at.position {
            let found = checkpoint::load(&mut connection, NAME).await?;
            let is_there = found.is_some_and(|found| found.position == done);
            return if is_there { Ok(()) } else { Err(End::Moved) };
        }
        let now = self.worker.clock.now();
        let moved = checkpoint::advance(&mut connection, NAME, self.at, done, None, now).await?;
        if moved.is_none() {
            return Err(End::Moved);
        }
        self.at.position = done;
        self.has_moved = true;
        self.worker.feed.goes_well();
        Ok(())
    }

    /// Lets what is under way arrive, and notes it.
    async fn finish(&mut self) -> Result<(), End> {
        let arrived = async {
            while !self.window.is_empty() {
                self.window.changed().await;
            }
        };
        // What has not arrived by then is sent again.
        let _ = timeout(FAREWELL, arrived).await;
        self.save().await
    }
}
