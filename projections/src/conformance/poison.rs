//! Records that cannot be applied.

use domain::inventory;
use serde_json::json;
use sqlx::PgPool;

use super::shop::histories;
use super::stage::{Stage, at, record};
use super::story::{self, ANN, BOB};
use crate::Retried;

/// The stream stops at the damaged record, all else goes on.
pub async fn a_record_that_cannot_be_applied_is_parked_with_what_follows(pool: PgPool) {
    let stage = Stage::open(pool).await;
    let reserve = |number| story::reserved(number, ANN, story::floor(1, 1_000));
    let opening = story::story().into_iter().take(4);
    for (at, by, fact) in opening {
        stage.append(at, by, &fact).await;
    }
    stage.append(at(10), None, &reserve(1)).await;
    let mut damaged = record(at(11), None, &reserve(2));
    damaged.data = bytes::Bytes::from_static(b"{\"booking\":1}");
    let poison = stage.append_raw(&inventory::stream(story::EVENT), damaged).await;
    stage.append(at(12), None, &reserve(3)).await;
    for (at, fact) in histories(1, 9, 50) {
        stage.append(at, None, &fact).await;
    }
    stage.catch_up().await;
    // One that comes later is parked too, with what it was parked behind known from the database.
    stage.append(at(13), None, &reserve(4)).await;
    stage.catch_up().await;

    let bookings = format!(
        "SELECT booking_number AS number FROM bookings.booking WHERE event_id = '{}'",
        story::EVENT.as_uuid()
    );
    assert_eq!(stage.query(&bookings).await, [json!({"number": 1})]);
    let parked = "SELECT kind, attempts, position FROM projection.parked \
                  WHERE projection = 'bookings' ORDER BY position";
    let parked = stage.query(parked).await;
    let attempts: Vec<_> = parked.iter().map(|row| row["attempts"].clone()).collect();
    assert_eq!(attempts, [1, 0, 0]);
    assert_eq!(parked[0]["position"], json!(poison));
    let others = "SELECT count(*) > 3 AS many FROM bookings.booking \
                  WHERE event_id = '00000000-0000-0000-0000-000000000001'";
    assert_eq!(stage.query(others).await, [json!({"many": true})]);
    // All views that have to read it stop there; the audit index need not.
    let views = "SELECT name FROM projection.checkpoint WHERE parked > 0 ORDER BY name";
    let views = stage.query(views).await;
    assert_eq!(
        json!(views),
        json!([{"name": "availability"}, {"name": "bookings"}, {"name": "seats"}])
    );
    let status = stage.projections.status().await.expect("the database works");
    let bookings = status.iter().find(|status| status.name == "bookings").expect("it is there");
    assert_eq!(bookings.following.parked, 3);
    let first = bookings.following.first_parked.as_ref().expect("the one at fault");
    assert_eq!((first.position, &*first.kind, first.attempts), (poison.0, "Reserved", 1));
    assert!(first.error.contains("damaged"), "{}", first.error);
    // Trying again changes nothing but the count.
    let retried = stage.projections.retry("bookings").await.expect("the database works");
    assert_eq!(retried, Retried { applied: 0, still_parked: 3 });
    let status = stage.projections.status().await.expect("the database works");
    let first = status.into_iter().find_map(|status| status.following.first_parked);
    assert_eq!(first.expect("the one at fault").attempts, 1, "another view was not tried");
}

/// Somebody damaged the tables, and mended them.
pub async fn parked_records_are_applied_when_they_can_be(pool: PgPool) {
    let stage = Stage::open(pool).await;
    let told = story::story();
    for (at, by, fact) in &told[..9] {
        stage.append(*at, *by, fact).await;
    }
    stage.catch_up().await;
    stage.execute("CREATE TABLE saved AS SELECT * FROM bookings.booking").await;
    stage.execute("DELETE FROM bookings.booking").await;
    for (at, by, fact) in &told[9..] {
        stage.append(*at, *by, fact).await;
    }
    stage.catch_up().await;
    // The buyer's cancellation is the first that finds no row; the rest of the stream waits.
    let parked = stage.checkpoint("bookings").await.parked;
    assert!(parked > 3, "{parked}");
    let poison = "SELECT kind FROM projection.parked WHERE attempts = 1";
    assert_eq!(stage.query(poison).await, [json!({"kind": "Cancelled"})]);

    stage.execute("INSERT INTO bookings.booking SELECT * FROM saved").await;
    // Records go on coming in while the parked ones are applied.
    let running = stage.start();
    let retried = stage.projections.retry("bookings").await.expect("the database works");
    assert_eq!(
        retried,
        Retried { applied: u64::try_from(parked).expect("a count"), still_parked: 0 }
    );
    stage.append(at(100), None, &story::reserved(99, BOB, story::floor(1, 1_200))).await;
    stage.reach_head().await;
    running.stop().await;
    let last = "SELECT status FROM bookings.booking WHERE booking_number = 99";
    assert_eq!(stage.query(last).await, [json!({"status": "held"})]);
    stage.execute("DROP TABLE saved").await;
    super::runners::assert_exact(&stage).await;
}

/// The copy is put in place with the same records parked.
pub async fn a_rebuild_parks_what_cannot_be_applied(pool: PgPool) {
    let stage = Stage::open(pool).await;
    for (at, by, fact) in story::story().into_iter().take(8) {
        stage.append(at, by, &fact).await;
    }
    let fact = story::reserved(2, BOB, story::floor(1, 1_000));
    // A booking that was never made is paid: the row that changes is not there.
    let never = story::confirmed(7, BOB, 1, story::floor(1, 1_000));
    stage.append(at(9), None, &story::inventory(never)).await;
    stage.append(at(10), None, &fact).await;
    stage.catch_up().await;
    let live = stage.rows("bookings").await;
    assert_eq!(stage.checkpoint("bookings").await.parked, 2);
    stage.projections.rebuild("bookings", |_| {}).await.expect("it can be rebuilt");
    assert_eq!(stage.checkpoint("bookings").await.parked, 2);
    assert_eq!(stage.rows("bookings").await, live);
    let parked = "SELECT projection, attempts FROM projection.parked \
                  WHERE projection LIKE 'bookings%' ORDER BY position";
    let row = |attempts| json!({"projection": "bookings", "attempts": attempts});
    assert_eq!(stage.query(parked).await, [row(1), row(0)]);
}
