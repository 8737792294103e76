//! Reading and appending with the official client, as other programs do.

use std::collections::HashSet;

use bytes::Bytes;
use eventstore::{
    AppendToStreamOptions, BatchAppendOptions, Client, CurrentRevision, Error, EventData, Position,
    ReadAllOptions, ReadStreamOptions, RecordedEvent, StreamPosition, StreamState,
    SubscriptionFilter, WriteResult,
};
use futures::future::join_all;
use infra::log::Log;
use serde_json::json;
use uuid::Uuid;

use super::Served;

pub(super) fn event(number: u64) -> EventData {
    let kind = if number.is_multiple_of(2) { "Even" } else { "Odd" };
    let id = Uuid::from_u128(u128::from(number) + 1);
    EventData::json(kind, &json!({"number": number})).unwrap().id(id)
}

pub(super) fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<EventData> {
    numbers.into_iter().map(event).collect()
}

pub(super) fn number(event: &RecordedEvent) -> u64 {
    event.as_json::<serde_json::Value>().unwrap()["number"].as_u64().unwrap()
}

pub(super) async fn append(
    client: &Client,
    stream: &str,
    expected: StreamState,
    events: Vec<EventData>,
) -> eventstore::Result<WriteResult> {
    let options = AppendToStreamOptions::default().stream_state(expected);
    client.append_to_stream(stream, &options, events).await
}

async fn read(client: &Client, stream: &str, options: ReadStreamOptions) -> Vec<u64> {
    let mut events = client.read_stream(stream, &options).await.unwrap();
    let mut numbers = vec![];
    while let Some(event) = events.next().await.unwrap() {
        numbers.push(number(event.get_original_event()));
    }
    numbers
}

async fn read_all(client: &Client, options: ReadAllOptions) -> Vec<u64> {
    let mut events = client.read_all(&options).await.unwrap();
    let mut numbers = vec![];
    while let Some(event) = events.next().await.unwrap() {
        numbers.push(number(event.get_original_event()));
    }
    numbers
}

#[tokio::test]
async fn every_kind_of_expectation_is_heeded() {
    let served = Served::start().await;
    let client = served.client();
    let wrong = async |expected, actual| {
        let refused = append(&client, "s", expected, events([9])).await.unwrap_err();
        let Error::WrongExpectedVersion { expected: told, current } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((told, current), (expected, actual));
    };
    let revision = StreamState::StreamRevision;
    wrong(StreamState::StreamExists, CurrentRevision::NoStream).await;
    wrong(revision(0), CurrentRevision::NoStream).await;
    let first = append(&client, "s", StreamState::NoStream, events([0, 1])).await.unwrap();
    let second = append(&client, "s", revision(1), events([2])).await.unwrap();
    let third = append(&client, "s", StreamState::Any, events([3])).await.unwrap();
    let fourth = append(&client, "s", StreamState::StreamExists, events([4])).await.unwrap();
    let places = [first, second, third, fourth]
        .map(|written| (written.next_expected_version, written.position.commit));
    assert_eq!(places, [(1, 2), (2, 3), (3, 4), (4, 5)]);
    wrong(StreamState::NoStream, CurrentRevision::Current(4)).await;
    wrong(revision(2), CurrentRevision::Current(4)).await;
    wrong(revision(5), CurrentRevision::Current(4)).await;
    // The same records at the same place are a repetition.
    let again = append(&client, "s", revision(1), events([2])).await.unwrap();
    assert_eq!((again.next_expected_version, again.position.commit), (2, 3));
    assert_eq!(read(&client, "s", ReadStreamOptions::default()).await, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_stream_is_read_in_both_directions_from_any_place() {
    let served = Served::start().await;
    let client = served.client();
    append(&client, "other", StreamState::Any, events([77])).await.unwrap();
    append(&client, "s", StreamState::Any, events(0..10)).await.unwrap();
    let options = ReadStreamOptions::default;
    let at = StreamPosition::Position;
    for (options, expected) in [
        (options(), (0..10).collect::<Vec<_>>()),
        (options().max_count(3), vec![0, 1, 2]),
        (options().position(at(8)), vec![8, 9]),
        (options().position(at(10)), vec![]),
        (options().position(at(4)).max_count(2), vec![4, 5]),
        (options().position(StreamPosition::End), (0..10).rev().collect()),
        (options().position(StreamPosition::End).max_count(1), vec![9]),
        (options().position(at(2)).backwards(), vec![2, 1, 0]),
        (options().position(at(100)).backwards().max_count(2), vec![9, 8]),
        (options().position(StreamPosition::Start).backwards(), vec![0]),
    ] {
        assert_eq!(read(&client, "s", options).await, expected);
    }
    for missing in ["nothing", "$ce-inventory", "$$s"] {
        let mut nothing = client.read_stream(missing, &options()).await.unwrap();
        assert!(matches!(nothing.next().await, Err(Error::ResourceNotFound)), "{missing}");
    }
}

#[tokio::test]
async fn the_whole_log_is_read_in_both_directions_from_any_place() {
    let served = Served::start().await;
    let client = served.client();
    for number in 0..10 {
        let stream = format!("s-{}", number % 3);
        append(&client, &stream, StreamState::Any, events([number])).await.unwrap();
    }
    let options = ReadAllOptions::default;
    // The record with the number n is at position n + 1.
    let at = |place| StreamPosition::Position(Position { commit: place, prepare: place });
    let odd = || SubscriptionFilter::on_event_type().add_prefix("Od");
    let of_two = || SubscriptionFilter::on_stream_name().regex("^s-[12]$");
    for (options, expected) in [
        (options(), (0..10).collect::<Vec<_>>()),
        (options().max_count(3), vec![0, 1, 2]),
        // Forwards the place is read too, backwards it is not.
        (options().position(at(8)), vec![7, 8, 9]),
        (options().position(at(11)), vec![]),
        (options().position(StreamPosition::End), (0..10).rev().collect()),
        (options().position(StreamPosition::End).max_count(2), vec![9, 8]),
        (options().position(at(3)).backwards(), vec![1, 0]),
        (options().position(at(1)).backwards(), vec![]),
        (options().filter(odd()), vec![1, 3, 5, 7, 9]),
        (options().filter(odd()).max_count(2), vec![1, 3]),
        (options().filter(of_two()).position(StreamPosition::End).max_count(3), vec![8, 7, 5]),
    ] {
        assert_eq!(read_all(&client, options).await, expected);
    }
}

#[tokio::test]
async fn records_are_what_was_given_with_all_that_the_protocol_tells() {
    let served = Served::start().await;
    let client = served.client();
    let metadata = Bytes::from_static("{ \"who\": \"Zoë\" }".as_bytes());
    let given = [event(0).metadata(metadata.clone()), event(1)];
    append(&client, "s", StreamState::NoStream, given.to_vec()).await.unwrap();
    let mut events = client.read_stream("s", &ReadStreamOptions::default()).await.unwrap();
    for (number, metadata) in [(0, metadata), (1, Bytes::new())] {
        let read = events.next().await.unwrap().unwrap().event.unwrap();
        assert_eq!(read.id, Uuid::from_u128(u128::from(number) + 1));
        assert_eq!((read.stream_id(), read.revision), ("s", number));
        assert_eq!(read.position, Position { commit: number + 1, prepare: number + 1 });
        assert_eq!(read.event_type, if number == 0 { "Even" } else { "Odd" });
        assert_eq!(read.data, format!("{{\"number\":{number}}}"));
        assert_eq!(read.custom_metadata, metadata);
        assert!(read.is_json && read.created.timestamp() > 1_700_000_000);
    }
    // In the file they are told from those of the product by their version.
    let stored = served.embedded().read_stream("s", 0, 10).await.unwrap();
    assert!(stored.iter().all(|record| record.version == 0));
    assert_eq!(&*stored[0].metadata, "{ \"who\": \"Zoë\" }");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_appends_go_over_one_call() {
    let served = Served::start().await;
    let client = served.client();
    let batch = client.batch_append(&BatchAppendOptions::default()).await.unwrap();
    let appends = (0..200).map(|n| {
        let stream = format!("s-{}", n % 7);
        let batch = &batch;
        async move { batch.append_to_stream(stream, StreamState::Any, events([n, n + 1_000])).await }
    });
    for outcome in join_all(appends).await {
        let written = outcome.unwrap();
        assert!(written.current_revision().is_some() && written.current_position().is_some());
    }
    let all: HashSet<u64> =
        read_all(&client, ReadAllOptions::default()).await.into_iter().collect();
    assert_eq!(all, (0..200).chain(1_000..1_200).collect());
    let refused = batch.append_to_stream("s-1", StreamState::NoStream, events([7_777])).await;
    let Error::Grpc { code, message } = refused.unwrap_err() else { panic!("another error") };
    assert_eq!((code, &*message), (tonic::Code::FailedPrecondition, "WrongExpectedVersion"));
}

#[tokio::test]
async fn a_batch_to_one_stream_keeps_its_order() {
    let served = Served::start().await;
    let client = served.client();
    let batch = client.batch_append(&BatchAppendOptions::default()).await.unwrap();
    // None waits for the one before it.
    let appends = (0..100).map(|n| {
        let expected = match n {
            0 => StreamState::NoStream,
            50 => StreamState::StreamExists,
            _ => StreamState::StreamRevision(n - 1),
        };
        batch.append_to_stream("s", expected, events([n]))
    });
    for outcome in join_all(appends).await {
        outcome.unwrap();
    }
    assert_eq!(read(&client, "s", ReadStreamOptions::default()).await, Vec::from_iter(0..100));
}

#[tokio::test]
async fn the_server_says_what_it_is() {
    let served = Served::start().await;
    let info = served.client().server_info().await.unwrap();
    assert_eq!(info.version().to_string(), "24.10.0");
    // A client of a cluster asks for its members first.
    let address = served.address();
    let url = format!("esdb://{address},{address}?tls=false&discoveryInterval=10");
    let client = super::client(&url);
    append(&client, "s", StreamState::Any, events([1])).await.unwrap();
    let discovered = super::client(&format!("esdb+discover://{address}?tls=false"));
    assert_eq!(read(&discovered, "s", ReadStreamOptions::default()).await, [1]);
}
