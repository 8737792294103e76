//! One large inventory: how much memory it takes, and how soon it sells after a restart.

use std::path::Path;
use std::time::Instant;

use domain::Time;
use domain::inventory::{Fact, Inventory};
use serde_json::json;

use super::MeasureError;
use crate::desk::Desk;
use crate::memory;
use crate::product::{Product, Roles};
use crate::report::Sample;
use crate::sale;

/// Facts of the inventory that is measured.
pub(super) const FACTS: usize = 1_000_000;
/// Below this many bookings what does not grow with them weighs too much.
const ENOUGH_BOOKINGS: usize = 50_000;

/// Bytes for each booking, of any status, once all facts are taken in; `worst` is the most at any
/// moment before, which is where tables have just grown.
pub(super) fn memory(facts: &[(Time, Fact)]) -> Sample {
    let (bytes, worst, bookings) = memory::live(|bytes| {
        let mut inventory = Inventory::default();
        let mut worst = 0.0_f64;
        let each = |inventory: &Inventory| bytes() as f64 / inventory.booking_count() as f64;
        for (at, fact) in facts {
            inventory.evolve(*at, fact);
            if inventory.booking_count() >= ENOUGH_BOOKINGS {
                worst = worst.max(each(&inventory));
            }
        }
        (each(&inventory), worst, inventory.booking_count())
    });
    Sample::of(bytes).with("worst", worst).with("bookings", bookings).with("facts", facts.len())
}

/// Seconds from the start on a data folder with the inventory's facts to the first booking made.
pub(super) async fn load(folder: &Path, token: &str) -> Result<Sample, MeasureError> {
    let begin = Instant::now();
    let product = Product::start(folder, Roles::Commands).await?;
    let started = begin.elapsed().as_secs_f64();
    let mut buyer = Desk::open(product.address, token).await?;
    let (event, tier) = (sale::event(0), sale::FLOOR);
    let body = json!({"event_id": event, "tier_id": tier, "quantity": 1});
    buyer.post("/api/v1/bookings/reserve", &body).await?;
    let seconds = begin.elapsed().as_secs_f64();
    drop(buyer);
    product.stop().await;
    Ok(Sample::of(seconds).with("started_after_s", started).with("facts", FACTS))
}
