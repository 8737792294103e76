//! `GET /venues` and `GET /venues/{venue_id}`.

use domain::VenueId;
use infra::log::Position;
use serde_json::json;

use crate::rows;
use crate::world::World;

#[tokio::test]
async fn venues_come_in_pages() {
    let Some(world) = World::with_database().await else { return };
    for number in 1..=5 {
        rows::venue(&world.pool, number).await;
    }
    rows::checkpoint(&world.pool, "catalog", Position(9)).await;
    let (mut names, mut path) = (vec![], "/api/v1/venues?limit=2".to_owned());
    let sizes = loop {
        let answer = world.get(&path).await;
        assert_eq!(answer.position(), Position(9));
        let page = answer.ok();
        for venue in page["items"].as_array().unwrap() {
            names.push(venue["name"].as_str().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/venues?limit=2&cursor={cursor}"),
            None => break page["items"].as_array().unwrap().len(),
        }
    };
    assert_eq!(names, ["Venue 1", "Venue 2", "Venue 3", "Venue 4", "Venue 5"]);
    assert_eq!(sizes, 1);
}

#[tokio::test]
async fn a_venue_has_its_sections() {
    let Some(world) = World::with_database().await else { return };
    rows::venue(&world.pool, 1).await;
    let id = VenueId::from_u128(1).to_string();
    let expected = json!({
        "venue_id": id, "name": "Venue 1", "address": "Street 1", "city": "Berlin",
        "country": "Germany", "postal_code": "10115", "latitude": 52.5, "longitude": 13.25,
        "sections": [
            {"name": "Floor", "kind": "standing", "capacity": 500},
            {"name": "A", "kind": "seated", "rows": [{"label": "1", "seats": 30}]},
        ],
    });
    assert_eq!(world.get(&format!("/api/v1/venues/{id}")).await.ok(), expected);
}

#[tokio::test]
async fn an_unknown_venue_and_bad_input_are_refused() {
    let Some(world) = World::with_database().await else { return };
    let unknown = VenueId::from_u128(404);
    for (path, status, code) in [
        (format!("/api/v1/venues/{unknown}"), 404, "VENUE_NOT_FOUND"),
        ("/api/v1/venues/evt_1".into(), 400, "MALFORMED"),
        ("/api/v1/venues?limit=0".into(), 422, "INVALID"),
        ("/api/v1/venues?limit=101".into(), 422, "INVALID"),
        ("/api/v1/venues?limit=many".into(), 400, "MALFORMED"),
        ("/api/v1/venues?cursor=abc".into(), 422, "INVALID"),
        ("/api/v1/venues?page=2".into(), 400, "MALFORMED"),
    ] {
        assert_eq!(world.get(&path).await.problem(), (status, code.into()), "{path}");
    }
}

#[tokio::test]
async fn without_the_database_it_is_unavailable_for_now() {
    let world = World::without_database().await;
    for path in ["/api/v1/venues".into(), format!("/api/v1/venues/{}", VenueId::from_u128(1))] {
        assert_eq!(world.get(&path).await.problem(), (503, "DATABASE_UNAVAILABLE".into()));
    }
}
