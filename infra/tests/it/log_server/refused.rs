//! What the log does not take, and what cannot be done to it.

use bytes::Bytes;
use eventstore::{
    AppendToStreamOptions, BatchAppendOptions, Client, DeleteStreamOptions, Error, EventData,
    ReadAllOptions, ReadStreamOptions, StreamMetadataBuilder, StreamState, SubscriptionFilter,
    TombstoneStreamOptions,
};
use infra::log::{Log, Position, Unfit};
use serde_json::json;

use super::Served;
use super::official::{append, event, events};

/// The server's words.
fn said<T: std::fmt::Debug>(outcome: eventstore::Result<T>) -> String {
    match outcome {
        Err(Error::Grpc { message, .. }) => message,
        other => panic!("expected a refusal with words, got {other:?}"),
    }
}

async fn refused(client: &Client, stream: &str, new: Vec<EventData>) -> String {
    said(append(client, stream, StreamState::Any, new).await)
}

#[tokio::test]
async fn what_is_not_json_is_refused_in_words() {
    let served = Served::start().await;
    let client = served.client();
    let binary = |data: &'static [u8]| EventData::binary("Scan", Bytes::from_static(data));
    let metadata = |text: &'static [u8]| event(1).metadata(Bytes::from_static(text));
    let long = "n".repeat(Unfit::MAX_NAME + 1);
    let large = json!({"pad": "x".repeat(Unfit::MAX_RECORD)});
    let large = EventData::json("Large", &large).unwrap();
    let content = "record 1 of the append has content type \"application/octet-stream\": \
         this log takes application/json only";
    for (stream, new, says) in [
        ("s", vec![event(0), binary(b"\x00\xff")], content),
        ("s", vec![event(0), binary(b"{}")], content),
        (
            "s",
            vec![metadata(b"\xff")],
            "record 0 of the append has metadata that is not a JSON text",
        ),
        ("s", vec![metadata(b"by me")], "has metadata that is not a JSON text"),
        ("$settings", events([0]), "the first not $"),
        ("$$s", events([0]), "not supported: this log is immutable, its streams have no metadata"),
        ("", events([0]), "the stream's name has to have 1 to 512 bytes"),
        (&long, events([0]), "the stream's name has to have 1 to 512 bytes"),
        ("s", vec![EventData::json("", &1).unwrap()], "the kind of record 0 has to have"),
        ("s", vec![EventData::json(&long, &1).unwrap()], "the kind of record 0 has to have"),
        ("s", vec![EventData::json("$>", &1).unwrap()], "the first not $"),
        ("s", vec![large], "has more than 16777216 bytes"),
        ("s", vec![], "it has no records"),
    ] {
        let said = refused(&client, stream, new.clone()).await;
        assert!(said.contains(says), "{said:?} instead of {says:?}");
        if !new.is_empty() {
            let batch = client.batch_append(&BatchAppendOptions::default()).await.unwrap();
            let said =
                super::refused::said(batch.append_to_stream(stream, StreamState::Any, new).await);
            assert!(said.contains(says), "{said:?} instead of {says:?}");
        }
    }
    assert_eq!(served.head().await.unwrap(), Position(0));
    // Nothing is of no type.
    append(&client, "s", StreamState::Any, vec![binary(b"")]).await.unwrap();
}

#[tokio::test]
async fn the_log_cannot_be_shortened() {
    let served = Served::start().await;
    let client = served.client();
    append(&client, "s", StreamState::Any, events(0..3)).await.unwrap();
    let immutable = "not supported: this log is immutable";
    let deleted = said(client.delete_stream("s", &DeleteStreamOptions::default()).await);
    assert!(deleted.starts_with(immutable), "{deleted}");
    let buried = said(client.tombstone_stream("s", &TombstoneStreamOptions::default()).await);
    assert!(buried.starts_with(immutable), "{buried}");
    let metadata = StreamMetadataBuilder::new().max_count(1).build();
    let cut = client.set_stream_metadata("s", &AppendToStreamOptions::default(), &metadata).await;
    assert!(said(cut).starts_with(immutable));
    let metadata = client.get_stream_metadata("s", &ReadStreamOptions::default()).await.unwrap();
    assert!(metadata.is_not_found());
    assert_eq!(served.embedded().read_stream("s", 0, 10).await.unwrap().len(), 3);
    // A service that there is not.
    let unknown = client.create_persistent_subscription("s", "g", &Default::default()).await;
    assert!(matches!(unknown, Err(Error::UnsupportedFeature)), "{unknown:?}");
}

#[tokio::test]
async fn a_filter_that_cannot_be_tested_is_refused_in_words() {
    let served = Served::start().await;
    let client = served.client();
    let filter = SubscriptionFilter::on_event_type().regex("(");
    let read = client.read_all(&ReadAllOptions::default().filter(filter)).await;
    let said = said(read.map(|_| ()));
    assert!(said.starts_with("the filter's expression is wrong"), "{said}");
}
