//! Subscriptions of the official client: what is there, the news that this was all, what comes.

use eventstore::{
    Position, StreamPosition, StreamState, SubscribeToAllOptions, SubscribeToStreamOptions,
    Subscription, SubscriptionEvent, SubscriptionFilter,
};

use super::official::{append, events, number};
use super::{Served, soon};

/// What a subscription brings.
#[derive(Debug, Clone, PartialEq)]
enum News {
    Record(u64),
    Checkpoint(u64),
    /// With the place that was told.
    Live(Option<u64>),
}

async fn next(subscription: &mut Subscription) -> News {
    loop {
        match soon(subscription.next_subscription_event()).await.unwrap() {
            SubscriptionEvent::EventAppeared(event) => {
                return News::Record(number(event.get_original_event()));
            }
            SubscriptionEvent::Checkpoint(place) => return News::Checkpoint(place.commit),
            SubscriptionEvent::CaughtUp(told) => {
                let told = told.expect("it says when");
                let place = told.position.map(|place| place.commit).or(told.stream_revision);
                return News::Live(place);
            }
            SubscriptionEvent::Confirmed(id) => assert!(!id.is_empty()),
            other => panic!("{other:?}"),
        }
    }
}

async fn take(subscription: &mut Subscription, count: usize) -> Vec<News> {
    let mut taken = vec![];
    for _ in 0..count {
        taken.push(next(subscription).await);
    }
    taken
}

use News::{Checkpoint, Live, Record};

#[tokio::test]
async fn a_stream_is_followed_from_any_place() {
    let served = Served::start().await;
    let client = served.client();
    append(&client, "s", StreamState::Any, events(0..3)).await.unwrap();
    append(&client, "other", StreamState::Any, events([77])).await.unwrap();
    let follow = async |position| {
        let options = SubscribeToStreamOptions::default().start_from(position);
        client.subscribe_to_stream("s", &options).await
    };
    let mut from_start = follow(StreamPosition::Start).await;
    let mut after_0 = follow(StreamPosition::Position(0)).await;
    let mut from_end = follow(StreamPosition::End).await;
    let options = SubscribeToStreamOptions::default();
    let mut to_be = client.subscribe_to_stream("later", &options).await;
    let there = [Record(0), Record(1), Record(2), Live(Some(2))];
    assert_eq!(take(&mut from_start, 4).await, there);
    assert_eq!(take(&mut after_0, 3).await, there[1..]);
    assert_eq!(take(&mut from_end, 1).await, there[3..]);
    assert_eq!(take(&mut to_be, 1).await, [Live(None)]);
    append(&client, "other", StreamState::Any, events([78])).await.unwrap();
    append(&client, "s", StreamState::Any, events(3..5)).await.unwrap();
    append(&client, "later", StreamState::NoStream, events([9])).await.unwrap();
    for subscription in [&mut from_start, &mut after_0, &mut from_end] {
        assert_eq!(take(subscription, 2).await, [Record(3), Record(4)]);
    }
    assert_eq!(take(&mut to_be, 1).await, [Record(9)]);
}

#[tokio::test]
async fn the_whole_log_is_followed_from_any_place() {
    let served = Served::start().await;
    let client = served.client();
    let mut of_nothing = client.subscribe_to_all(&SubscribeToAllOptions::default()).await;
    assert_eq!(take(&mut of_nothing, 1).await, [Live(Some(0))]);
    for number in 0..5 {
        append(&client, &format!("s-{number}"), StreamState::Any, events([number])).await.unwrap();
    }
    let follow = async |position| {
        client.subscribe_to_all(&SubscribeToAllOptions::default().position(position)).await
    };
    let mut from_start = follow(StreamPosition::Start).await;
    // After the place that is named, unlike a read.
    let place = Position { commit: 3, prepare: 3 };
    let mut after_3 = follow(StreamPosition::Position(place)).await;
    let mut from_end = follow(StreamPosition::End).await;
    let there = [Record(0), Record(1), Record(2), Record(3), Record(4), Live(Some(5))];
    assert_eq!(take(&mut of_nothing, 5).await, there[..5]);
    assert_eq!(take(&mut from_start, 6).await, there);
    assert_eq!(take(&mut after_3, 3).await, there[3..]);
    assert_eq!(take(&mut from_end, 1).await, there[5..]);
    append(&client, "t", StreamState::Any, events([5])).await.unwrap();
    for subscription in [&mut of_nothing, &mut from_start, &mut after_3, &mut from_end] {
        assert_eq!(take(subscription, 1).await, [Record(5)]);
    }
}

#[tokio::test]
async fn the_server_filters_and_tells_how_far_it_is() {
    let served = Served::start().await;
    let client = served.client();
    for number in 0..20 {
        let stream = format!("s-{}", number % 5);
        append(&client, &stream, StreamState::Any, events([number])).await.unwrap();
    }
    let follow = async |filter: SubscriptionFilter| {
        client.subscribe_to_all(&SubscribeToAllOptions::default().filter(filter.max(8))).await
    };
    let odd = || SubscriptionFilter::on_event_type().regex("^Odd$");
    let mut odd = follow(odd()).await;
    let mut of_two =
        follow(SubscriptionFilter::on_stream_name().add_prefix("s-1").add_prefix("s-4")).await;
    let mut none = follow(SubscriptionFilter::on_stream_name().add_prefix("nothing")).await;
    let records = |numbers: &[u64]| numbers.iter().map(|n| Record(*n)).collect::<Vec<_>>();
    let of = |parts: [Vec<News>; 3]| {
        let [first, second, third] = parts;
        let ends = [Checkpoint(20), Live(Some(20))];
        [first, vec![Checkpoint(8)], second, vec![Checkpoint(16)], third, ends.to_vec()].concat()
    };
    let expected = of([records(&[1, 3, 5, 7]), records(&[9, 11, 13, 15]), records(&[17, 19])]);
    assert_eq!(take(&mut odd, expected.len()).await, expected);
    let expected = of([records(&[1, 4, 6]), records(&[9, 11, 14]), records(&[16, 19])]);
    assert_eq!(take(&mut of_two, expected.len()).await, expected);
    let expected = of([vec![], vec![], vec![]]);
    assert_eq!(take(&mut none, expected.len()).await, expected);
    // What passes comes at once when it is written, and what does not is told of now and then.
    for number in 20..30 {
        append(&client, "s-1", StreamState::Any, events([number])).await.unwrap();
    }
    let expected = [records(&[21, 23, 25, 27]), vec![Checkpoint(28)], records(&[29])].concat();
    assert_eq!(take(&mut odd, expected.len()).await, expected);
    assert_eq!(take(&mut none, 1).await, [Checkpoint(28)]);
}

#[tokio::test]
async fn a_subscription_that_is_dropped_ends_at_the_server() {
    let mut served = Served::start().await;
    let client = served.client();
    for _ in 0..20 {
        let mut dropped = client.subscribe_to_all(&SubscribeToAllOptions::default()).await;
        assert_eq!(take(&mut dropped, 1).await, [Live(Some(0))]);
    }
    // And one that is not ends with the server.
    let mut kept = client.subscribe_to_all(&SubscribeToAllOptions::default()).await;
    assert_eq!(take(&mut kept, 1).await, [Live(Some(0))]);
    soon(served.stop()).await;
    assert!(soon(kept.next()).await.is_err());
}
