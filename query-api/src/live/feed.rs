//! The one subscription that keeps all events in memory up to date, and the telling of news.

use std::sync::Arc;
use std::time::Duration;

use domain::EventId;
use domain::inventory::CATEGORY;
use futures::StreamExt;
use infra::log::{Outage, Position, Record};

use super::event::Taken;
use super::{Live, LiveEvent};

/// Between two attempts to read a log that cannot be read.
const PAUSE: Duration = Duration::from_millis(200);

/// An event's audience is told what changed at most once in this time.
const PULSE: Duration = Duration::from_millis(100);

/// Follows the log from where it ends now, until the process stops.
pub(super) async fn follow(live: Live) {
    let stop = live.stop().clone();
    stop.run_until_cancelled(async {
        let mut outage = Outage::new("live availability is out of date");
        let (mut after, first) = ends(&live, &mut outage).await;
        live.0.changes.begin(after, first.as_ref());
        // From here on streams may be read: what the subscription does not bring is in them.
        live.0.position.send_replace(Some(after));
        loop {
            after = subscribed(&live, after, &mut outage).await;
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
}

/// The position of the log's last record, and its first.
async fn ends(live: &Live, outage: &mut Outage) -> (Position, Option<Record>) {
    loop {
        let first = live.0.log.read_all(Position(0), 1).await;
        match (live.0.log.head().await, first) {
            (Ok(head), Ok(mut first)) => return (head, first.pop()),
            (Err(error), _) | (_, Err(error)) => outage.failed(&error),
        };
        tokio::time::sleep(PAUSE).await;
    }
}

/// Takes in what comes after `after` until the subscription breaks off; the last position taken in.
async fn subscribed(live: &Live, mut after: Position, outage: &mut Outage) -> Position {
    let mut batches = live.0.log.subscribe_all(after);
    while let Some(batch) = batches.next().await {
        match batch {
            Ok(records) => {
                outage.works();
                live.take(&records);
                after = records.last().map_or(after, |record| record.position);
            }
            Err(error) => {
                outage.failed(&error);
                break;
            }
        }
    }
    after
}

/// The event whose inventory the stream is.
fn event_of(stream: &str) -> Option<EventId> {
    stream.strip_prefix(CATEGORY)?.strip_prefix('-')?.parse().ok()
}

impl Live {
    /// Takes in what the subscription brought. Records of events that are not in memory cost a
    /// look at their stream's name.
    fn take(&self, records: &[Record]) {
        let Some(last) = records.last() else { return };
        self.0.changes.take(records);
        let mut changed: Vec<Arc<LiveEvent>> = vec![];
        for record in records {
            let Some(event) = event_of(&record.stream) else { continue };
            let Some(live) = self.0.events.read().get(&event).cloned() else { continue };
            match live.take(record) {
                Taken::New { first, fault } => {
                    if let Some(fault) = fault {
                        self.report(event, record.position, &fault);
                    }
                    if first {
                        changed.push(live);
                    }
                }
                Taken::Known => {}
                Taken::Gap => {
                    tracing::warn!(%event, revision = record.revision, "records are missing");
                    self.forget(&live);
                }
            }
        }
        let mut news = vec![];
        for live in changed {
            if live.show(&self.0.bytes) {
                news.push(live);
            }
        }
        // After all is shown, so that nobody is promised what is not there.
        self.0.position.send_replace(Some(last.position));
        if !news.is_empty() {
            self.0.news.lock().append(&mut news);
            self.0.has_news.notify_one();
        }
    }
}

/// Tells the audiences of events what changed: at once, and then not before the next pulse.
pub(super) async fn tell(live: Live) {
    let stop = live.stop().clone();
    stop.run_until_cancelled(async {
        loop {
            live.0.has_news.notified().await;
            for event in std::mem::take(&mut *live.0.news.lock()) {
                event.tell();
            }
            tokio::time::sleep(PULSE).await;
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_inventories_are_looked_at() {
        let event = EventId::from_u128(7);
        assert_eq!(event_of(&domain::inventory::stream(event)), Some(event));
        for other in ["event-evt_00000000000000000000000007", "inventory-x", "inventory", ""] {
            assert_eq!(event_of(other), None, "{other}");
        }
    }
}
