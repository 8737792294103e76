//! Those who wait. Each would be told by a message that it is their turn; here one reader follows
//! the log and tells them.

use std::sync::Arc;
use std::time::Duration;

use domain::{BookingId, UserId};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::task::TaskTracker;

use super::buyer::Buyer;
use super::client::{Answer, Ask};
use super::sale::Sale;

/// Records on a page; the most there are.
const PAGE: usize = 100;
/// Before it is looked again whether something was written.
const PAUSE: Duration = Duration::from_millis(50);

/// What of an `Offered` fact matters here.
#[derive(Deserialize)]
struct Offer {
    user: UserId,
    booking: BookingId,
}

/// Tells people of their offers, for ever.
pub(super) async fn serve(sale: Arc<Sale>, tasks: TaskTracker) {
    let mut after = sale.stage.position;
    loop {
        let path = format!("/audit/records?after={after}&limit={PAGE}");
        let (method, token) = (Method::GET, sale.stage.auditor.as_str());
        let command = "read the log";
        let ask = Ask { command, method, path: &path, token, key: None, body: None };
        // What goes wrong is in the report.
        let Answer::Done(page) = sale.client.send(ask).await else { return };
        let records = page["items"].as_array().map_or(&[][..], Vec::as_slice);
        for record in records {
            after = record["position"].as_u64().unwrap_or(after);
            if let Some((number, booking)) = offer(&sale, record) {
                let Ok(token) = sale.token(number) else { return };
                let sale = sale.clone();
                tasks.spawn(async move {
                    Buyer::new(&sale, number, token).is_offered(booking).await;
                });
            }
        }
        if records.len() < PAGE {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn offer(sale: &Sale, record: &Value) -> Option<(u32, BookingId)> {
    if record["type"] != "Offered" {
        return None;
    }
    let Offer { user, booking } = serde_json::from_value(record["data"].clone()).ok()?;
    Some((sale.number_of(user)?, booking))
}
