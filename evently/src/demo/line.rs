//! Those who wait. Each would be told by a message that it is their turn; here one reader follows
//! the log and tells them.

use std::sync::Arc;

use domain::{BookingId, UserId};
use futures::StreamExt;
use infra::log::{Log, Position, Record};
use serde::Deserialize;
use tokio_util::task::TaskTracker;

use super::LOOK;
use super::buyer::Buyer;
use super::sale::Sale;

/// What of an `Offered` fact matters here.
#[derive(Deserialize)]
struct Offer {
    user: UserId,
    booking: BookingId,
}

/// Tells people of their offers, for ever. The log itself is read: queries are rationed, and who waits
/// has seconds.
pub(super) async fn serve(sale: Arc<Sale>, tasks: TaskTracker, log: Arc<dyn Log>) {
    let mut seen = Position(sale.stage.position);
    loop {
        let mut batches = log.subscribe_all(seen);
        while let Some(batch) = batches.next().await {
            let records = match batch {
                Ok(records) => records,
                Err(error) => {
                    sale.client.complain(format!("the waitlist was not followed: {error}"));
                    break;
                }
            };
            for (number, booking) in records.iter().filter_map(|record| offer(&sale, record)) {
                let Ok(token) = sale.token(number) else { return };
                let sale = sale.clone();
                tasks.spawn(async move {
                    Buyer::new(&sale, number, token).is_offered(booking).await;
                });
            }
            seen = records.last().map_or(seen, |record| record.position);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn offer(sale: &Sale, record: &Record) -> Option<(u32, BookingId)> {
    if &*record.kind != "Offered" {
        return None;
    }
    let Offer { user, booking } = serde_json::from_slice(&record.data).ok()?;
    Some((sale.number_of(user)?, booking))
}
