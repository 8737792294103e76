//! `GET /events/{id}/stream`.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use domain::seating::{Row, Seats};
use futures::StreamExt;
use infra::log::Position;
use query_api::LiveLimits;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};
use tower::ServiceExt;

use crate::facts::{SEATED, STANDING, Story, places, seated, seats, standing, tier};
use crate::world::{World, eventually};

/// A reader of an event stream.
struct Reader {
    body: BodyDataStream,
    text: String,
}

#[derive(Debug, PartialEq)]
struct Message {
    event: String,
    id: Option<Position>,
    data: Value,
}

impl Reader {
    async fn open(world: &World, story: Story, last: Option<Position>) -> Self {
        let mut request = Request::get(story.path("stream"));
        if let Some(last) = last {
            request = request.header("last-event-id", last.0);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next message; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Message> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let message = parse(block);
                self.text = rest.to_owned();
                if message.is_some() {
                    return message;
                }
            }
            let piece = tokio::time::timeout(Duration::from_secs(10), self.body.next());
            let piece = piece.await.expect("nothing came")?.unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    async fn expect(&mut self, event: &str) -> Message {
        let message = self.next().await.expect("the stream ended");
        assert_eq!(message.event, event, "{message:?}");
        message
    }
}

/// The message in a block; `None` for a comment.
fn parse(block: &str) -> Option<Message> {
    let field =
        |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Some(Message {
        event: field("event")?.into(),
        id: field("id").map(|id| Position(id.parse().unwrap())),
        data: serde_json::from_str(field("data")?).unwrap(),
    })
}

#[tokio::test]
async fn it_begins_with_all_and_goes_on_with_what_changes() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let opened = world.append(&story.stream(), &[story.opened(vec![standing(9), seated()])]).await;
    let mut reader = Reader::open(&world, story, None).await;
    let availability = reader.expect("availability").await;
    assert_eq!(availability.data, world.get(&story.path("availability")).await.ok());
    assert_eq!(availability.id, None, "the seats are not told yet");
    let map = reader.expect("seats").await;
    assert_eq!(map.data, world.get(&story.path("seats")).await.ok());
    assert_eq!(map.id, Some(opened));

    let facts = [story.reserved(1, seats(&["A-1-1", "A-2-3"]))];
    let held = world.append(&story.stream(), &facts).await;
    let availability = reader.expect("availability").await.data;
    assert_eq!((&availability["held"], &availability["position"]), (&json!(2), &json!(held.0)));
    let tiers = availability["tiers"].as_array().unwrap();
    assert_eq!(tiers.len(), 1, "only the tier that changed");
    assert_eq!(tiers[0]["tier_id"], SEATED.to_string());
    let changes = reader.expect("seats").await;
    let expected = json!({"event_id": story.0.to_string(), "position": held.0, "seats": [
        {"seat": "A-1-1", "state": "held"}, {"seat": "A-2-3", "state": "held"}]});
    assert_eq!((changes.data, changes.id), (expected, Some(held)));

    // No seat changes: no message about seats, and the position is with the availability.
    let sold = world.append(&story.stream(), &[story.reserved(2, places(1))]).await;
    let availability = reader.expect("availability").await;
    assert_eq!(availability.id, Some(sold));
    assert_eq!(availability.data["tiers"][0]["tier_id"], STANDING.to_string());
    let seat = world.append(&story.stream(), &[story.expired(1, seats(&["A-1-1", "A-2-3"]))]).await;
    assert_eq!(reader.expect("availability").await.id, None);
    assert_eq!(reader.expect("seats").await.id, Some(seat));
}

#[tokio::test]
async fn a_reader_that_comes_again_is_told_what_changed_since() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let mut at = vec![];
    for fact in [
        story.opened(vec![standing(9), seated()]),
        story.reserved(1, seats(&["A-1-1"])),
        story.reserved(2, seats(&["A-1-2"])),
        story.reserved(3, places(2)),
    ] {
        at.push(world.append(&story.stream(), &[fact]).await);
    }
    let since_first = |messages: (Message, Message)| (messages.0.data, messages.1);
    let mut reader = Reader::open(&world, story, Some(at[1])).await;
    let (availability, seats) =
        since_first((reader.expect("availability").await, reader.expect("seats").await));
    assert_eq!(availability["tiers"].as_array().unwrap().len(), 2);
    assert_eq!(seats.data["seats"], json!([{"seat": "A-1-2", "state": "held"}]));
    assert_eq!(seats.id, Some(at[3]));

    let mut reader = Reader::open(&world, story, Some(at[2])).await;
    let availability = reader.expect("availability").await;
    assert_eq!((availability.id, &availability.data["held"]), (Some(at[3]), &json!(4)));
    assert_eq!(availability.data["tiers"].as_array().unwrap().len(), 1);

    // Before the seats were known, and after all that is known, all is told.
    for last in [Position(0), Position(at[3].0 + 1_000)] {
        let mut reader = Reader::open(&world, story, Some(last)).await;
        reader.expect("availability").await;
        let map = reader.expect("seats").await;
        assert_eq!(map.data, world.get(&story.path("seats")).await.ok());
    }
}

#[tokio::test]
async fn new_seats_are_told_with_the_whole_map() {
    let world = World::without_database().await;
    let story = Story::of(1);
    world.append(&story.stream(), &[story.opened(vec![standing(9)])]).await;
    let mut reader = Reader::open(&world, story, None).await;
    assert!(reader.expect("availability").await.id.is_some(), "there are no seats");
    world.append(&story.stream(), &[story.revised(vec![standing(9), seated()])]).await;
    assert_eq!(reader.expect("availability").await.data["capacity"], 15);
    let map = reader.expect("seats").await;
    assert_eq!(map.data, world.get(&story.path("seats")).await.ok());
}

/// Whoever takes all in knows at the end what there is, however often they come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_readers_are_told_adds_up() {
    const BOOKINGS: u64 = 300;
    let world = World::without_database().await;
    let story = Story::of(1);
    let opened = story.opened(vec![seated()]);
    world.append(&story.stream(), &[opened]).await;
    let names: Vec<String> = ["A-1-1", "A-1-2", "A-1-3", "A-2-1", "A-2-2", "A-2-3"]
        .iter()
        .map(ToString::to_string)
        .collect();
    let write = async {
        let mut last = Position(0);
        for number in 1..=BOOKINGS {
            let name = names[number as usize % names.len()].as_str();
            // The last round is kept.
            let kept = number > BOOKINGS - 4;
            let mut facts = vec![story.reserved(number, seats(&[name]))];
            facts.push(match kept {
                true => story.confirmed(number, seats(&[name])),
                false => story.expired(number, seats(&[name])),
            });
            last = world.append(&story.stream(), &facts).await;
        }
        last
    };
    let read = async {
        let (mut known, mut last, mut reader) = (std::collections::BTreeMap::new(), None, None);
        let mut told = 0;
        loop {
            let open = match reader.take() {
                Some(reader) => reader,
                None => Reader::open(&world, story, last).await,
            };
            let mut open: Reader = open;
            let message = open.next().await.unwrap();
            take_in(&mut known, &message);
            last = message.id.or(last);
            told += 1;
            if known.values().filter(|state| *state == "sold").count() == 4 {
                return (known, last);
            }
            // Comes again now and then, in the middle of what is told together too.
            if told % 7 != 0 {
                reader = Some(open);
            }
        }
    };
    let (_, (known, _)) = tokio::join!(write, read);
    let map = world.get(&story.path("seats")).await.ok();
    let mut expected = std::collections::BTreeMap::new();
    take_in(&mut expected, &Message { event: "seats".into(), id: None, data: map });
    assert_eq!(known, expected);
}

fn take_in(known: &mut std::collections::BTreeMap<String, String>, message: &Message) {
    let rows = message.data["tiers"].as_array().into_iter().flatten();
    let rows = rows.flat_map(|tier| tier["rows"].as_array().into_iter().flatten());
    let whole = rows.flat_map(|row| row["seats"].as_array().unwrap());
    let changes = message.data["seats"].as_array().into_iter().flatten();
    for seat in whole.chain(changes) {
        let text = |name: &str| seat[name].as_str().unwrap().to_owned();
        known.insert(text("seat"), text("state"));
    }
}

#[tokio::test]
async fn an_unknown_event_and_bad_input_are_refused() {
    let world = World::without_database().await;
    let answer = world.get(&Story::of(1).path("stream")).await;
    assert_eq!(answer.problem(), (404, "EVENT_NOT_FOUND".into()));
    let answer = world.get("/api/v1/events/evt_x/stream").await;
    assert_eq!(answer.problem(), (400, "MALFORMED".into()));
    assert_eq!(world.stats().streams, 0);
}

#[tokio::test]
async fn no_more_streams_than_allowed_and_a_place_is_given_back() {
    let world = World::with_limits(LiveLimits { streams: 1, ..LiveLimits::default() }).await;
    let story = Story::of(1);
    world.append(&story.stream(), &[story.opened(vec![standing(9)])]).await;
    let mut reader = Reader::open(&world, story, None).await;
    reader.expect("availability").await;
    let answer = world.get(&story.path("stream")).await;
    assert_eq!(answer.problem(), (503, "TOO_MANY_STREAMS".into()));
    drop(reader);
    eventually(async || (world.stats().streams == 0).then_some(())).await;
    Reader::open(&world, story, None).await.expect("availability").await;
    assert_eq!(world.stats().streams_cut_off, 0, "going is not being cut off");
}

#[tokio::test]
async fn streams_end_when_the_event_makes_room_and_when_the_process_stops() {
    let world = World::with_limits(LiveLimits { events: 1, ..LiveLimits::default() }).await;
    let (story, other) = (Story::of(1), Story::of(2));
    for story in [story, other] {
        world.append(&story.stream(), &[story.opened(vec![standing(9)])]).await;
    }
    let mut first = Reader::open(&world, story, None).await;
    first.expect("availability").await;
    let mut second = Reader::open(&world, other, None).await;
    second.expect("availability").await;
    assert_eq!(first.next().await, None);
    world.stop.cancel();
    assert_eq!(second.next().await, None);
}

/// Serves over a real connection whose reader takes the head of the answer and then nothing.
async fn read_nothing(address: SocketAddr, story: Story) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut connection = socket.connect(address).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", story.path("stream"));
    connection.write_all(request.as_bytes()).await.unwrap();
    connection
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let patience = Duration::from_millis(200);
    let limits = LiveLimits { stream_patience: patience, ..LiveLimits::default() };
    let world = World::with_limits(limits).await;
    let story = Story::of(1);
    // A map of several megabytes: more than the connection takes by itself.
    let rows = (1..=200).map(|row| Row {
        label: row.to_string(),
        seats: Seats::Count(1_000),
        accessible: vec![],
    });
    let stock = domain::event::Stock::Seated { section: "A".into(), rows: rows.collect() };
    let large = story.opened(vec![tier(SEATED, "Seats", stock)]);
    world.append(&story.stream(), &[large]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = infra::http::serve(listener, world.router.clone(), world.stop.clone());
    let server = tokio::spawn(server);
    let connection = read_nothing(address, story).await;
    eventually(async || (world.stats().streams_cut_off == 1).then_some(())).await;
    assert_eq!(world.stats().streams, 0);
    drop(connection);
    world.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), server).await.unwrap().unwrap();
}
