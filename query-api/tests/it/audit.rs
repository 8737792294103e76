//! `GET /audit/records` and `GET /audit/proof/{event_id}`.

use domain::administration::{
    self, Administration, MasterKeyRotationOrdered, RolesOrdered, Subject,
};
use domain::{Aggregate, UserId};
use infra::auth::Role;
use infra::clock::Clock;
use infra::identity::Field;
use infra::log::chain::Link;
use infra::log::{ChainHash, Expected, Log, Position};
use serde_json::{Value, json};

use crate::facts::{STANDING, Story, places, standing};
use crate::rows::{self, Place};
use crate::world::{World, record};

const RECORDS: &str = "/api/v1/audit/records";

fn auditor(world: &World) -> String {
    world.token(UserId::from_u128(9), &[Role::Auditor])
}

fn positions(page: &Value) -> Vec<u64> {
    page["items"].as_array().unwrap().iter().map(|r| r["position"].as_u64().unwrap()).collect()
}

/// Two events with an opening and three bookings each, taking turns, a second apart; and the view
/// of it. Users 1 to 3 book for themselves, what they book is acted on by user 50.
async fn two_stories(world: &World) -> (Story, Story) {
    let stories = [Story::of(1), Story::of(2)];
    let mut found = vec![];
    for number in 0..4 {
        for story in stories {
            let fact = match number {
                0 => story.opened(vec![standing(10)]),
                number => story.reserved(number, places(1)),
            };
            let at = world.clock.now();
            let position = world.append(&story.stream(), &[fact]).await;
            found.push((position, story, number, at));
            world.clock.advance_ms(1_000);
        }
    }
    let streams: Vec<String> = found.iter().map(|(_, story, ..)| story.stream()).collect();
    let place = |((position, story, number, at), stream): (&(Position, Story, u64, _), _)| Place {
        position: *position,
        stream,
        revision: *number,
        at: *at,
        event: Some(story.0),
        booking: (*number > 0).then(|| story.booking(*number)),
        user: (*number > 0).then(|| UserId::from_u128(u128::from(*number))),
        actor: (*number > 0).then(|| UserId::from_u128(50)),
    };
    let streams = streams.iter().map(String::as_str);
    let places: Vec<Place<'_>> = found.iter().zip(streams).map(place).collect();
    rows::places(&world.pool, &places).await;
    rows::checkpoint(&world.pool, "audit", Position(8)).await;
    (stories[0], stories[1])
}

#[tokio::test]
async fn records_are_found_by_what_they_are_about() {
    let Some(world) = World::with_database().await else { return };
    let (one, other) = two_stories(&world).await;
    let token = auditor(&world);
    let user = |number| UserId::from_u128(number).to_string();
    for (query, expected) in [
        (format!("event_id={}", one.0), vec![1, 3, 5, 7]),
        (format!("event_id={}&after=3", one.0), vec![5, 7]),
        (format!("booking_id={}", other.booking(2)), vec![6]),
        (format!("booking_id={}&event_id={}", other.booking(2), other.0), vec![6]),
        (format!("booking_id={}&event_id={}", other.booking(2), one.0), vec![]),
        (format!("user_id={}", user(3)), vec![7, 8]),
        (format!("user_id={}", user(50)), vec![3, 4, 5, 6, 7, 8]),
        (format!("user_id={}", user(51)), vec![]),
        ("from=2027-01-10T12:00:06Z".into(), vec![7, 8]),
        ("from=2027-01-10T12:00:01Z&to=2027-01-10T12:00:03Z".into(), vec![2, 3]),
        ("after=6".into(), vec![7, 8]),
        (String::new(), vec![1, 2, 3, 4, 5, 6, 7, 8]),
    ] {
        let answer = world.get_as(&format!("{RECORDS}?{query}"), &token).await;
        let has_position = answer.headers.contains_key("evently-position");
        assert_eq!(has_position, !expected.is_empty() && query.contains('=') && query != "after=6");
        assert_eq!(positions(&answer.ok()), expected, "{query}");
    }
}

#[tokio::test]
async fn records_come_in_pages() {
    let Some(world) = World::with_database().await else { return };
    let (one, _) = two_stories(&world).await;
    let token = auditor(&world);
    for (filter, expected) in [
        (format!("&event_id={}", one.0), vec![1, 3, 5, 7]),
        (String::new(), (1..=8).collect()),
        ("&from=2027-01-10T12:00:01Z".into(), (2..=8).collect()),
        ("&to=2027-01-10T12:00:07Z&after=1".into(), (2..=7).collect()),
    ] {
        let (mut found, mut path) = (vec![], format!("{RECORDS}?limit=3{filter}"));
        loop {
            let page = world.get_as(&path, &token).await.ok();
            found.extend(positions(&page));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("{RECORDS}?limit=3{filter}&cursor={cursor}");
        }
        assert_eq!(found, expected);
    }
}

/// The clock of one writer was behind: what it wrote is found by its time all the same.
#[tokio::test]
async fn records_of_a_time_come_in_the_order_of_time() {
    let Some(world) = World::with_database().await else { return };
    let story = Story::of(1);
    let start = world.clock.now();
    let mut places = vec![];
    let stream = story.stream();
    for (revision, ms) in [0, 3_000, 1_000, 2_000, 1_000].into_iter().enumerate() {
        world.clock.set(start.plus_ms(ms));
        let fact = if revision == 0 {
            story.opened(vec![standing(9)])
        } else {
            story.reserved(revision as u64, crate::facts::places(1))
        };
        let position = world.append(&stream, &[fact]).await;
        let (at, revision) = (world.clock.now(), revision as u64);
        let (event, booking, user, actor) = (Some(story.0), None, None, None);
        let stream = stream.as_str();
        places.push(Place { position, stream, revision, at, event, booking, user, actor });
    }
    rows::places(&world.pool, &places).await;
    world.clock.set(start);
    let token = auditor(&world);
    let (mut found, mut path) = (vec![], format!("{RECORDS}?limit=2&from={}", start.plus_ms(500)));
    loop {
        let page = world.get_as(&path, &token).await.ok();
        found.extend(positions(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{RECORDS}?limit=2&from={}&cursor={cursor}", start.plus_ms(500));
    }
    assert_eq!(found, [3, 5, 4, 2]);
}

#[tokio::test]
async fn a_record_is_shown_as_it_is_stored() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let mut odd = record(&story.opened(vec![standing(1)]), world.clock.now());
    odd.data = "{ \"a\":  1.00, \"a\": 2 }".into();
    let mut foreign = record(&story.opened(vec![standing(1)]), world.clock.now());
    foreign.data = "no json".into();
    world
        .log
        .append(&story.stream(), Expected::NoStream, vec![odd.clone(), foreign])
        .await
        .unwrap();
    let answer = world.get_as(RECORDS, &auditor(&world)).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains("\"data\":{ \"a\":  1.00, \"a\": 2 }"), "{text}");
    let page = answer.ok();
    let (shown, foreign) = (&page["items"][0], &page["items"][1]);
    assert_eq!(foreign["data"], "no json");
    assert_eq!((&shown["type"], &shown["revision"]), (&json!("InventoryOpened"), &json!(0)));
    assert_eq!((&shown["stream"], &shown["version"]), (&json!(story.stream()), &json!(1)));
    assert_eq!((&shown["at"], &shown["id"]), (&json!(odd.at), &json!(odd.id)));
    // Whoever has the page can check the hash.
    let link = Link {
        id: odd.id,
        kind: &odd.kind,
        version: odd.version,
        revision: 0,
        at: odd.at,
        metadata: &odd.metadata,
        data: &odd.data,
    };
    let hash = link.hash(ChainHash::before_first(&story.stream()));
    assert_eq!(shown["hash"], hash.to_string());
}

#[tokio::test]
async fn an_intact_log_is_proved() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let facts = [
        story.opened(vec![standing(10)]),
        story.reserved(1, places(3)),
        story.confirmed(1, places(3)),
        story.reserved(2, places(2)),
    ];
    let position = world.append(&story.stream(), &facts).await;
    let last = world.log.read_stream(&story.stream(), 3, 1).await.unwrap().remove(0);
    let path = format!("/api/v1/audit/proof/{}", story.0);
    let expected = json!({
        "event_id": story.0.to_string(), "stream": story.stream(), "record_count": 4,
        "head": {"position": position.0, "revision": 3, "hash": last.hash.to_string()},
        "intact": true, "oversold": false, "finding_count": 0, "findings": [],
        "tiers": [{"tier_id": STANDING.to_string(), "capacity": 10, "held": 2, "sold": 3}],
    });
    assert_eq!(world.get_as(&path, &auditor(&world)).await.ok(), expected);
}

#[tokio::test]
async fn an_oversold_tier_and_an_altered_record_are_named() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let facts = [
        story.opened(vec![standing(3)]),
        story.reserved(1, places(2)),
        story.reserved(2, places(2)),
    ];
    world.append(&story.stream(), &facts).await;
    let path = format!("/api/v1/audit/proof/{}", story.0);
    let proof = world.get_as(&path, &auditor(&world)).await.ok();
    assert_eq!((&proof["intact"], &proof["oversold"]), (&json!(true), &json!(true)));
    assert_eq!(
        (&proof["finding_count"], &proof["findings"][0]["revision"]),
        (&json!(1), &json!(2))
    );

    // Somebody makes the books fit.
    let file = rusqlite::Connection::open(world.log_file()).unwrap();
    let alter = r#"DROP TRIGGER records_never_change;
        UPDATE records SET data = replace(data, '"capacity":3', '"capacity":4') WHERE position = 1"#;
    file.execute_batch(alter).unwrap();
    let proof = world.get_as(&path, &auditor(&world)).await.ok();
    assert_eq!((&proof["intact"], &proof["oversold"]), (&json!(false), &json!(false)));
    assert_eq!(
        (&proof["broken"]["position"], &proof["broken"]["revision"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn only_auditors_and_admins_read_the_log() {
    let world = World::without_database().await;
    let story = Story::of(1);
    world.append(&story.stream(), &[story.opened(vec![standing(3)])]).await;
    let proof = format!("/api/v1/audit/proof/{}", story.0);
    let user = UserId::from_u128(1);
    for path in [RECORDS, &proof] {
        assert_eq!(world.get(path).await.problem(), (401, "UNAUTHORIZED".into()));
        let others = world.token(user, &[Role::Attendee, Role::Organizer, Role::BoxOffice]);
        assert_eq!(world.get_as(path, &others).await.problem(), (403, "FORBIDDEN".into()));
        world.get_as(path, &world.token(user, &[Role::Admin])).await.ok();
    }
}

#[tokio::test]
async fn unknown_ids_and_bad_input_are_refused() {
    let world = World::without_database().await;
    let token = auditor(&world);
    for (path, status, code) in [
        (format!("/api/v1/audit/proof/{}", Story::of(404).0), 404, "EVENT_NOT_FOUND"),
        ("/api/v1/audit/proof/1".into(), 400, "MALFORMED"),
        (format!("{RECORDS}?event_id=1"), 400, "MALFORMED"),
        (format!("{RECORDS}?booking_id=bkg_1"), 400, "MALFORMED"),
        (format!("{RECORDS}?from=today"), 400, "MALFORMED"),
        (format!("{RECORDS}?after=-1"), 422, "INVALID"),
        (format!("{RECORDS}?limit=101"), 422, "INVALID"),
        (format!("{RECORDS}?kind=Reserved"), 400, "MALFORMED"),
        (format!("{RECORDS}?cursor=x"), 422, "INVALID"),
        (format!("{RECORDS}?event_id={}", Story::of(1).0), 503, "DATABASE_UNAVAILABLE"),
    ] {
        let answer = world.get_as(&path, &token).await;
        assert_eq!(answer.problem(), (status, code.into()), "{path}");
    }
    let far = world.get_as(&format!("{RECORDS}?after={}", u64::MAX), &token).await.ok();
    assert_eq!(far["items"], json!([]));
}

#[tokio::test]
async fn why_an_admin_did_it_stands_opened_beside_what_is_sealed() {
    let world = World::without_database().await;
    let vault = world.vault();
    let (ada, bob) = (UserId::from_u128(11), UserId::from_u128(12));
    for user in [ada, bob] {
        let key = vault.make_person(user).await.unwrap();
        let order = RolesOrdered {
            user,
            grant: vec![Role::Organizer],
            revoke: vec![],
            by: Some(UserId::from_u128(5)),
            reason: key.seal(Field::Reason, b"sells concerts").unwrap(),
            request: None,
        };
        let stream = Administration::stream(Subject::Person(user));
        world.append(&stream, &[administration::Fact::from(order)]).await;
    }
    let order = MasterKeyRotationOrdered {};
    let stream = Administration::stream(Subject::Installation);
    world.append(&stream, &[administration::Fact::from(order)]).await;
    vault.destroy_person(bob).await.unwrap();
    let page = world.get_as(RECORDS, &auditor(&world)).await.ok();
    let [of_ada, of_bob, of_nobody] = &page["items"].as_array().unwrap()[..] else { panic!() };
    assert_eq!(of_ada["reason"], "sells concerts");
    assert!(!of_ada["data"].to_string().contains("concerts"), "{of_ada}");
    // There is one, and nobody will ever read it.
    assert_eq!(of_bob.get("reason"), Some(&Value::Null), "{of_bob}");
    assert_eq!(of_nobody.get("reason"), None, "{of_nobody}");
}
