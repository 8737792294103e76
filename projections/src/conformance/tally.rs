//! How many bookings are in which state.

use domain::inventory::{Confirmed, Reinstated};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::stage::{Stage, at};
use super::story::{DAN, Told, booking, confirmed, entry, floor, inventory, story};
use crate::Projection;
use crate::rebuild::make_copy;
use crate::views::Bookings;

/// The story, after which money comes for an offer that had died.
fn told() -> Vec<Told> {
    let lines = || floor(3, 1_200);
    let again = Reinstated { booking: booking(4), user: DAN, lines: lines() };
    let to_dan = Confirmed { waitlist: Some(entry(2)), ..confirmed(4, DAN, 9, lines()) };
    let mut told = story();
    told.push((at(70), None, inventory(again)));
    told.push((at(70), None, inventory(to_dan)));
    told
}

/// What is counted in `schema` is what its rows say, after every fact.
pub(super) async fn is_what_rows_say(stage: &Stage, schema: &str) -> Value {
    let tally = "held, offered, confirmed, cancelled, expired";
    let counted = stage.query(&format!("SELECT {tally} FROM {schema}.tally")).await;
    let rows = format!(
        "SELECT count(*) FILTER (WHERE status = 'held' AND waitlist_id IS NULL) AS held,
            count(*) FILTER (WHERE status = 'held' AND waitlist_id IS NOT NULL) AS offered,
            count(*) FILTER (WHERE status = 'confirmed') AS confirmed,
            count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
            count(*) FILTER (WHERE status = 'expired') AS expired
         FROM {schema}.booking HAVING count(*) > 0"
    );
    assert_eq!(counted, stage.query(&rows).await);
    json!(counted)
}

/// Every state, also that of an offer which is paid after its end.
pub async fn bookings_are_counted_by_state(pool: PgPool) {
    let stage = Stage::open(pool).await;
    for (at, actor, fact) in told() {
        stage.append(at, actor, &fact).await;
    }
    let records = stage.records().await;
    let tables = stage.tables(&Bookings, Bookings.name());
    let mut seen = vec![];
    for record in &records {
        stage.apply(&tables, std::slice::from_ref(record), 1).await;
        seen.push(is_what_rows_say(&stage, Bookings.name()).await);
    }
    for state in ["held", "offered", "confirmed", "cancelled", "expired"] {
        assert!(seen.iter().any(|counted| counted[0][state] == 1), "nobody was {state}");
    }
    let at_last = json!([{"held": 0, "offered": 0, "confirmed": 1, "cancelled": 4, "expired": 1}]);
    assert_eq!(seen.last(), Some(&at_last));
    make_copy(&stage.pool, &Bookings).await.expect("the copy can be made");
    stage.apply(&stage.tables(&Bookings, "bookings_next"), &records, records.len()).await;
    assert_eq!(is_what_rows_say(&stage, "bookings_next").await, at_last);
}
