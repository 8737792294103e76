//! It makes no difference how records are cut into batches.

use std::collections::BTreeSet;

use domain::Fact;
use domain::inventory::Ledger;
use infra::log::Record;
use serde_json::json;
use sqlx::PgPool;

use super::shop::{histories, inventory_kinds, kinds};
use super::stage::Stage;
use super::tally::is_what_rows_say;
use crate::rebuild::make_copy;
use crate::views;

/// Random histories of two events, each applied in one batch, one by one, and in between.
pub async fn one_batch_is_as_good_as_one_by_one(pool: PgPool) {
    let stage = Stage::open(pool).await;
    let mut seen = BTreeSet::new();
    for seed in [3, 14, 159, 2_653] {
        let history = histories(2, seed, 150);
        seen.extend(kinds(&history));
        let after = stage.log.head().await.expect("the log can be read");
        for (at, fact) in &history {
            stage.append(*at, None, fact).await;
        }
        let records = stage.log.read_all(after, usize::MAX).await.expect("the log can be read");
        for view in views::ALL {
            one_view(&stage, view, &records).await;
        }
        stock_is_what_an_outsider_counts(&stage, &history).await;
        is_what_rows_say(&stage, "bookings_next").await;
    }
    assert_eq!(seen, inventory_kinds(), "the histories have every kind of fact");
}

async fn one_view(stage: &Stage, view: &'static dyn crate::Projection, records: &[Record]) {
    let mut expected = None;
    for at_once in [records.len(), 1, 7] {
        make_copy(&stage.pool, view).await.expect("the copy can be made");
        let next = stage.tables(view, &format!("{}_next", view.name()));
        stage.apply(&next, records, at_once).await;
        assert_eq!(stage.checkpoint(&next.name).await.parked, 0, "{}", view.name());
        let rows = stage.rows(&next.name).await;
        let filled = view.name() == "catalog" || rows.values().all(|rows| !rows.is_empty());
        assert!(filled, "{}: {rows:?}", view.name());
        let expected = expected.get_or_insert_with(|| rows.clone());
        assert_eq!(*expected, rows, "{} in batches of {at_once}", view.name());
    }
}

async fn stock_is_what_an_outsider_counts(stage: &Stage, history: &[(domain::Time, Fact)]) {
    for event in [1, 2] {
        let event = domain::EventId::from_u128(event);
        let mut ledger = Ledger::default();
        for (_, fact) in history {
            if let Fact::Inventory(fact) = fact
                && super::stage::stream_of(&Fact::Inventory(fact.clone()))
                    .ends_with(&event.to_string())
            {
                ledger.apply(fact).expect("the inventory breaks no rule");
            }
        }
        let query = format!(
            "SELECT capacity, held, sold FROM availability_next.tier WHERE event_id = '{}' \
             ORDER BY ordinal",
            event.as_uuid()
        );
        let count = |tier: &domain::inventory::TierCount| json!({"capacity": tier.capacity, "held": tier.held, "sold": tier.sold});
        let counted: Vec<_> = ledger.tiers().iter().map(count).collect();
        assert_eq!(stage.query(&query).await, counted);
        let query = format!(
            "SELECT waiting FROM availability_next.inventory WHERE event_id = '{}'",
            event.as_uuid()
        );
        assert_eq!(stage.query(&query).await, [json!({"waiting": ledger.waiting()})]);
    }
}
