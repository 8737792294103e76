//! Following the log, through restarts of the server and changes of the leader.

use std::sync::Arc;

use eventstore::{RecordedEvent, SubscribeToAllOptions, SubscriptionEvent};
use futures::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::Shared;
use super::connection::{Connection, Pauses};
use super::error::EventStoreError;
use super::reach::Reach;
use super::read::{Decoder, place, see_end, without_system_records};
use crate::log::{Outage, Position, ReadError, Record};

/// Records in one batch at most, and as many again wait for the reader.
const BATCH: usize = 2_048;

/// What comes over the connection.
enum News {
    Event(Box<RecordedEvent>),
    /// All up to here was looked at.
    Passed(Position),
}

struct Subscription {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    /// Absent until somebody waits, and after the connection failed.
    listening: Option<Listening>,
    after: Position,
    pauses: Pauses,
    outage: Arc<Mutex<Outage>>,
    decoder: Decoder,
}

struct Listening {
    news: mpsc::Receiver<News>,
    /// Ends with this.
    _task: AbortOnDropHandle<()>,
}

/// All records after `after`, for ever. It ends, with an error, when the log is closed.
pub(super) fn subscribe(
    shared: Arc<Shared>,
    after: Position,
) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
    let connection = Arc::new(Connection::new(shared.settings.clone()));
    let outage = Arc::new(Mutex::new(Outage::new("what follows it falls behind")));
    let subscription = Subscription {
        shared,
        connection,
        listening: None,
        after,
        pauses: Pauses::new(),
        outage,
        decoder: Decoder::default(),
    };
    stream::unfold(Some(subscription), |subscription| async {
        let mut subscription = subscription?;
        match subscription.next().await {
            Some(records) => Some((Ok(records), Some(subscription))),
            None => Some((Err(EventStoreError::Closed.into()), None)),
        }
    })
    .fuse()
    .boxed()
}

impl Subscription {
    /// The next records; nothing when the log is closed.
    async fn next(&mut self) -> Option<Vec<Record>> {
        let closed = self.shared.closed.clone();
        closed.run_until_cancelled(self.batch()).await
    }

    async fn batch(&mut self) -> Vec<Record> {
        let mut news = Vec::new();
        loop {
            let after = self.after;
            let (connection, outage, reach) = (&self.connection, &self.outage, &self.shared.reach);
            let listen = || listen(connection, outage, reach, after);
            let listening = self.listening.get_or_insert_with(listen);
            if listening.news.recv_many(&mut news, BATCH).await == 0 {
                self.listening = None;
                self.pauses.pause().await;
                continue;
            }
            self.pauses = Pauses::new();
            let mut records = Vec::with_capacity(news.len());
            for news in news.drain(..) {
                let position = match &news {
                    News::Event(event) => Position(event.position.commit),
                    News::Passed(position) => *position,
                };
                if position > self.after {
                    self.after = position;
                    records.extend(match news {
                        News::Event(event) => self.decoder.record(*event),
                        News::Passed(_) => None,
                    });
                }
            }
            if self.after > after {
                self.shared.reach.saw(self.after);
            }
            if !records.is_empty() {
                return records;
            }
        }
    }
}

/// Listens until the connection fails. On a task of its own: the client loses its place when it is
/// interrupted.
fn listen(
    connection: &Arc<Connection>,
    outage: &Arc<Mutex<Outage>>,
    reach: &Arc<Reach>,
    after: Position,
) -> Listening {
    let (sender, news) = mpsc::channel(BATCH);
    let (connection, outage, reach) =
        (Arc::clone(connection), Arc::clone(outage), Arc::clone(reach));
    let task = tokio::spawn(async move {
        if let Err(error) = pump(&connection, &outage, &reach, after, sender).await {
            outage.lock().failed(&error);
        }
    });
    Listening { news, _task: AbortOnDropHandle::new(task) }
}

/// Passes on what comes until the connection fails, or nobody listens any more.
async fn pump(
    connection: &Connection,
    outage: &Mutex<Outage>,
    reach: &Reach,
    after: Position,
    sender: mpsc::Sender<News>,
) -> Result<(), EventStoreError> {
    let client = connection.client().await?;
    if let Err(error) = see_end(&client, reach).await {
        connection.judge(&client, &error).await;
        return Err(connection.explained(error).await);
    }
    // It would try again by itself, but with the client that may be dead.
    let options = SubscribeToAllOptions::default()
        .position(place(after))
        .filter(without_system_records().max(BATCH as u32));
    let mut subscription = client.subscribe_to_all(&options).await;
    loop {
        let next = subscription.next_subscription_event().await;
        if next.is_ok() {
            outage.lock().works();
        }
        let news = match next {
            Ok(SubscriptionEvent::EventAppeared(resolved)) => {
                let Some(event) = resolved.link.or(resolved.event) else { continue };
                News::Event(Box::new(event))
            }
            Ok(SubscriptionEvent::Checkpoint(place)) => News::Passed(Position(place.commit)),
            Ok(_) => continue,
            Err(error) => {
                let error = EventStoreError::from(error);
                connection.judge(&client, &error).await;
                return Err(connection.explained(error).await);
            }
        };
        connection.works(Instant::now());
        if sender.send(news).await.is_err() {
            return Ok(());
        }
    }
}
