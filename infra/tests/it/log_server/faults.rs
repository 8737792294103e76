//! The log at the other end of a network that fails: what is told of an append is true.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use infra::log::chain::ChainVerifier;
use infra::log::eventstore::{EventStoreError, EventStoreLog, EventStoreOptions};
use infra::log::server::{Load, ServerOptions};
use infra::log::{AppendError, Expected, Log, NewRecord, Position, Record};

use super::official::{append, event, events};
use super::proxy::{Network, Weather};
use super::{Served, connect, soon, url};
use crate::log::record;

/// A log server, a network before it, and the log at its other end.
struct Distant {
    served: Served,
    network: Network,
    log: EventStoreLog,
}

impl Distant {
    async fn start() -> Self {
        Self::start_with(EventStoreOptions::default()).await
    }

    async fn start_with(options: EventStoreOptions) -> Self {
        let served = Served::start().await;
        let network = Network::before(served.address()).await;
        let log = EventStoreLog::open(&url(network.address), options).unwrap();
        // The connection is there.
        log.append("s", Expected::NoStream, vec![record(0)]).await.unwrap();
        Self { served, network, log }
    }

    /// What the server has.
    async fn stored(&self) -> Vec<Record> {
        verified(self.served.embedded().read_all(Position(0), 1_000).await.unwrap())
    }
}

fn verified(records: Vec<Record>) -> Vec<Record> {
    let mut verifier = ChainVerifier::new();
    records.iter().for_each(|record| verifier.verify(record).unwrap());
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_is_lost_is_carried_out_once() {
    let distant = Distant::start().await;
    let expectations = [Expected::Revision(0), Expected::Any, Expected::Revision(4)];
    for (n, expected) in (1..).zip(expectations) {
        distant.network.turns(Weather::LoseAnswer);
        let new = vec![record(n * 2), record(n * 2 + 1)];
        let appended = distant.log.append("s", expected, new).await.unwrap();
        assert_eq!(appended.revision, n * 2);
        assert_eq!(distant.network.lost() as u64, n);
        let stored = distant.stored().await;
        assert_eq!(stored.len() as u64, n * 2 + 1);
        assert_eq!(stored.last().unwrap().position, appended.position);
    }
    assert_eq!(distant.log.read_stream("s", 0, 100).await.unwrap(), distant.stored().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_does_not_get_through_is_sent_again() {
    let distant = Distant::start().await;
    for n in 1..4 {
        distant.network.turns(Weather::LoseRequest);
        let expected = Expected::Revision(n - 1);
        let appended = distant.log.append("s", expected, vec![record(n)]).await.unwrap();
        assert_eq!((appended.revision, distant.network.lost() as u64), (n, n));
    }
    assert_eq!(distant.stored().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_an_answer_learns_that_others_were_first() {
    let distant = Distant::start().await;
    let other = connect(distant.served.address());
    other.append("s", Expected::Revision(0), vec![record(7)]).await.unwrap();
    distant.network.turns(Weather::LoseAnswer);
    let outcome = distant.log.append("s", Expected::Revision(0), vec![record(1)]).await;
    assert!(matches!(outcome, Err(AppendError::WrongRevision { actual: Some(1) })), "{outcome:?}");
    assert_eq!(distant.network.lost(), 1);
    assert_eq!(distant.stored().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_late_reads_no_more_than_they_have_to() {
    let load = Load::default();
    let options = ServerOptions { load: load.clone(), ..ServerOptions::default() };
    let served = Served::start_with(options).await;
    let (one, other) = (connect(served.address()), connect(served.address()));
    one.append("s", Expected::NoStream, vec![record(0)]).await.unwrap();
    other.append("s", Expected::Revision(0), vec![record(1)]).await.unwrap();
    // Where the stream ends the refusal says, or who looked for what to be chained to. Whether what is
    // there is one's own nobody has to read of whom nothing is under way.
    for (expected, reads) in [(Expected::Revision(0), 0), (Expected::Revision(7), 2)] {
        let before = load.reads();
        let outcome = one.append("s", expected, vec![record(2)]).await;
        assert!(
            matches!(outcome, Err(AppendError::WrongRevision { actual: Some(1) })),
            "{outcome:?}"
        );
        assert_eq!(load.reads() - before, reads, "{expected:?}");
    }
    let outcome = one.append("nobody's", Expected::Revision(0), vec![record(3)]).await;
    assert!(matches!(outcome, Err(AppendError::WrongRevision { actual: None })), "{outcome:?}");
}

fn impatient() -> EventStoreOptions {
    let (attempt, patience) = (Duration::from_millis(200), Duration::from_millis(300));
    EventStoreOptions { attempt, patience }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_still_come_is_unknown_and_found_later() {
    let distant = Distant::start_with(impatient()).await;
    // A machine under load may have taken the server for one that is away.
    soon(async { while distant.log.head().await.is_err() {} }).await;
    distant.network.turns(Weather::Silence);
    let outcome = distant.log.append("s", Expected::Revision(0), vec![record(1)]).await;
    assert!(matches!(outcome, Err(AppendError::OutcomeUnknown(_))), "{outcome:?}");
    assert!(distant.log.read_stream("s", 0, 10).await.is_err());
    distant.network.turns(Weather::Fair);
    // Who decides again has the same ids, and another time.
    let later = NewRecord { at: record(5).at, ..record(1) };
    let outcome = soon(async {
        loop {
            let again = distant.log.append("s", Expected::Revision(0), vec![later.clone()]).await;
            // A machine under load may take longer than this client waits.
            if !matches!(again, Err(AppendError::OutcomeUnknown(_) | AppendError::Unavailable(_))) {
                return again;
            }
        }
    })
    .await;
    let stored = distant.stored().await;
    assert_eq!(stored.len(), 2, "it is there once");
    match outcome {
        Ok(appended) => assert_eq!(appended.revision, 1),
        // The first came in between: its author has to look what it says.
        Err(AppendError::WrongRevision { actual }) => assert_eq!(actual, Some(1)),
        Err(other) => panic!("{other:?}"),
    }
    let next = Distant { log: connect(distant.served.address()), ..distant };
    next.log.append("s", Expected::Revision(1), vec![record(2)]).await.unwrap();
    assert_eq!(next.stored().await.len(), 3);
}

/// Patience is endless here: nobody would be told anything if they waited for it.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_stands_still_nobody_waits_for_it() {
    let patience = Duration::from_secs(3_600);
    let options = EventStoreOptions { attempt: Duration::from_secs(1), patience };
    let distant = Distant::start_with(options).await;
    let append = |number| {
        let expected = Expected::Revision(number - 1);
        distant.log.append("s", expected, vec![record(number)])
    };
    distant.network.turns(Weather::Silence);
    let first = soon(append(1)).await;
    assert!(matches!(first, Err(AppendError::OutcomeUnknown(_))), "{first:?}");
    let second = soon(append(1)).await;
    let Err(AppendError::Unavailable(why)) = second else { panic!("{second:?}") };
    let is_known = matches!(why.downcast_ref(), Some(EventStoreError::Away(_)));
    assert!(is_known, "{why:?}");
    // Who reads need not find out for themselves.
    let read = soon(distant.log.head()).await.unwrap_err();
    assert!(matches!(read.0.downcast_ref(), Some(EventStoreError::Away(_))), "{read:?}");
    distant.network.turns(Weather::Fair);
    soon(async { while distant.log.head().await.is_err() {} }).await;
    let stored = soon(async {
        loop {
            match distant.log.append("s", Expected::Revision(0), vec![record(1)]).await {
                Err(AppendError::OutcomeUnknown(_) | AppendError::Unavailable(_)) => {}
                _ => break distant.stored().await,
            }
        }
    });
    assert_eq!(stored.await.len(), 2, "it is there once");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_listens_nothing_was_written() {
    let mut served = Served::start().await;
    let log = EventStoreLog::open(&url(served.address()), impatient()).unwrap();
    served.stop().await;
    let outcome = log.append("s", Expected::NoStream, vec![record(0)]).await;
    assert!(matches!(outcome, Err(AppendError::Unavailable(_))), "{outcome:?}");
    assert!(log.head().await.is_err());
    // A client that could never connect is dead, but not the log.
    served.restart().await;
    soon(async { while log.head().await.is_err() {} }).await;
    let patient = connect(served.address());
    patient.append("s", Expected::NoStream, vec![record(0)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_server_is_not_seen() {
    let mut served = Served::start().await;
    let log = Arc::clone(&served);
    let mut followed = log.subscribe_all(Position(0));
    let mut seen = vec![];
    for round in 0..3 {
        for n in 0..4 {
            let number = round * 4 + n;
            log.append("s", Expected::Any, vec![record(number)]).await.unwrap();
        }
        while (seen.len() as u64) < (round + 1) * 4 {
            seen.extend(soon(followed.next()).await.unwrap().unwrap());
        }
        served.stop().await;
        served.restart().await;
    }
    assert_eq!(seen, log.read_stream("s", 0, 100).await.unwrap());
    assert_eq!(verified(seen).len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_end_when_the_log_is_closed() {
    let served = Served::start().await;
    let log = connect(served.address());
    let mut followed = log.subscribe_all(Position(0));
    log.append("s", Expected::NoStream, vec![record(0)]).await.unwrap();
    assert_eq!(soon(followed.next()).await.unwrap().unwrap().len(), 1);
    log.close();
    assert!(soon(followed.next()).await.unwrap().is_err());
    assert!(soon(followed.next()).await.is_none());
    assert!(log.head().await.is_err());
    let refused = log.append("s", Expected::Any, vec![record(1)]).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
}

/// What others have in the log is passed over, but not in a stream of the product.
#[tokio::test(flavor = "multi_thread")]
async fn records_of_others_are_passed_over() {
    let served = Served::start().await;
    let client = served.client();
    let any = eventstore::StreamState::Any;
    append(&client, "theirs", any, events(0..3)).await.unwrap();
    let mut followed = served.subscribe_all(Position(0));
    assert_eq!(served.head().await.unwrap(), Position(0));
    served.append("ours", Expected::NoStream, vec![record(0), record(1)]).await.unwrap();
    append(&client, "theirs", any, vec![event(3)]).await.unwrap();
    assert_eq!(served.head().await.unwrap(), Position(5));
    let ours = served.read_stream("ours", 0, 10).await.unwrap();
    assert_eq!(served.read_all(Position(0), 10).await.unwrap(), ours);
    assert_eq!(served.read_all(Position(0), 1).await.unwrap(), ours[..1]);
    let mut seen = vec![];
    while seen.len() < 2 {
        seen.extend(soon(followed.next()).await.unwrap().unwrap());
    }
    assert_eq!(seen, ours);

    append(&client, "ours", any, vec![event(4)]).await.unwrap();
    let error = served.read_stream("ours", 0, 10).await.unwrap_err();
    let cause = error.0.downcast_ref::<EventStoreError>();
    assert!(matches!(cause, Some(EventStoreError::Foreign { revision: 2, .. })), "{error:?}");
    let refused = served.append("ours", Expected::Revision(2), vec![record(2)]).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    // The file has them all, chained.
    let all = served.embedded().read_all(Position(0), 100).await.unwrap();
    assert_eq!(verified(all).len(), 7);
}

/// What the product wrote lies in the file as if it had been written there.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_does_not_show_the_way_by_which_a_record_came() {
    let served = Served::start().await;
    served.append("s", Expected::NoStream, vec![record(0), record(1)]).await.unwrap();
    served.embedded().append("s", Expected::Revision(1), vec![record(2)]).await.unwrap();
    served.append("s", Expected::Revision(2), vec![record(3)]).await.unwrap();
    let stored = verified(served.embedded().read_stream("s", 0, 10).await.unwrap());
    assert_eq!(served.read_stream("s", 0, 10).await.unwrap(), stored);
    for (number, stored) in (0..).zip(&stored) {
        let given = record(number);
        assert_eq!((stored.version, stored.at), (given.version, given.at));
        assert_eq!((&stored.metadata, &stored.data), (&given.metadata, &given.data));
    }
}

/// Whoever was late and read what others wrote knows where the stream ends, and appends at once.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_read_what_others_wrote_asks_for_nothing_before_they_append() {
    let load = Load::default();
    let options = ServerOptions { load: load.clone(), ..ServerOptions::default() };
    let served = Served::start_with(options).await;
    let (one, other) = (connect(served.address()), connect(served.address()));
    one.append("s", Expected::NoStream, vec![record(0)]).await.unwrap();
    other.append("s", Expected::Revision(0), vec![record(1)]).await.unwrap();
    let late = one.append("s", Expected::Revision(0), vec![record(2)]).await;
    assert!(matches!(late, Err(AppendError::WrongRevision { .. })), "{late:?}");
    assert_eq!(one.read_stream("s", 1, 100).await.unwrap().len(), 1);
    let before = load.reads();
    one.append("s", Expected::Revision(1), vec![record(2)]).await.unwrap();
    assert_eq!(load.reads() - before, 0);
    let stored = verified(one.read_stream("s", 0, 100).await.unwrap());
    assert_eq!(stored.len(), 3);
}

/// As when its volume is missing at the next start.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_log_gets_nothing_until_it_has_its_own_again() {
    let mut served = Served::start().await;
    let log = connect(served.address());
    log.append("s", Expected::NoStream, (0..5).map(record).collect()).await.unwrap();
    let mut followed = log.subscribe_all(Position(0));
    assert_eq!(soon(followed.next()).await.unwrap().unwrap().len(), 5);
    served.stop().await;
    served.restart_on("another.sqlite").await;
    // Who follows the log finds it out, and whoever writes before is told that it may be lost.
    soon(async {
        tokio::select! {
            _ = followed.next() => unreachable!("there is nothing new"),
            () = async {
                for number in 0.. {
                    let stream = format!("new-{number}");
                    let written = log.append(&stream, Expected::NoStream, vec![record(9)]);
                    let error = written.await.expect_err("the log is another one");
                    let cause = std::error::Error::source(&error).unwrap().to_string();
                    if cause.contains("away") {
                        return;
                    }
                    assert!(matches!(error, AppendError::OutcomeUnknown(_)), "{error:?}");
                    assert!(cause.contains("had position 5"), "{cause}");
                }
            } => {}
        }
    })
    .await;
    assert!(log.head().await.is_err());
    served.stop().await;
    served.restart().await;
    let next = soon(async {
        let (next, ()) = tokio::join!(followed.next(), async {
            while log.append("new", Expected::NoStream, vec![record(9)]).await.is_err() {
                tokio::task::yield_now().await;
            }
        });
        next
    });
    let records = next.await.unwrap().unwrap();
    assert_eq!((records.len(), records[0].position), (1, Position(6)));
}

/// A position that somebody names is not one that the log had.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_what_is_far_off_keeps_nobody_from_the_log() {
    let mut served = Served::start().await;
    let log = connect(served.address());
    log.append("s", Expected::NoStream, vec![record(0)]).await.unwrap();
    let mut far = log.subscribe_all(Position(1_000));
    assert!(futures::poll!(far.next()).is_pending());
    served.stop().await;
    served.restart().await;
    let (appended, waited) = soon(async {
        tokio::select! {
            next = far.next() => (None, next),
            appended = log.append("s", Expected::Revision(0), vec![record(1)]) => (Some(appended), None),
        }
    })
    .await;
    assert!(waited.is_none());
    assert_eq!(appended.unwrap().unwrap().position, Position(2));
    assert_eq!(log.head().await.unwrap(), Position(2));
}
