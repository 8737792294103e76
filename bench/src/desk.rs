//! An organizer who sets up what is measured, over HTTP like everybody else.

use std::io;
use std::net::SocketAddr;

use domain::{EventId, TierId, Time};
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::load::{Connection, ExchangeError};

/// Organizers at work at the same time.
const DESKS: usize = 20;
/// The most the product takes for a tier.
const CAPACITY: u32 = 10_000_000;

/// An event for sale with one tier of places that never run out.
#[derive(Debug, Clone, Copy)]
pub struct ForSale {
    /// The event.
    pub event: EventId,
    /// Its tier.
    pub tier: TierId,
}

impl ForSale {
    /// Ids that look like any others, for who does not look anything up.
    pub fn sample() -> Self {
        let bits = 0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cdef;
        Self { event: EventId::from_u128(bits), tier: TierId::from_u128(bits + 1) }
    }

    /// The body of a reservation of one place.
    pub fn reservation(&self) -> String {
        let Self { event, tier } = self;
        json!({"event_id": event, "tier_id": tier, "quantity": 1}).to_string()
    }
}

/// Why something could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// No connection.
    #[error("cannot connect to the product")]
    Connect(#[from] io::Error),
    /// No answer.
    #[error("the product did not answer")]
    Exchange(#[from] ExchangeError),
    /// Another answer than was hoped for.
    #[error("{method} {path} was answered with {status}: {body}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// Where.
        path: String,
        /// The answer's status.
        status: u16,
        /// The answer's body.
        body: String,
    },
}

/// One organizer's connection.
pub struct Desk {
    connection: Connection,
    token: String,
}

impl Desk {
    /// Connects.
    ///
    /// # Errors
    /// There is no server.
    pub async fn open(address: SocketAddr, token: &str) -> Result<Self, DeskError> {
        Ok(Self { connection: Connection::open(address).await?, token: token.to_owned() })
    }

    /// Sends a body, or none for null, and reads the answer's.
    ///
    /// # Errors
    /// See [`DeskError`]; a status of 300 and more is one.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value, DeskError> {
        parsed("POST", path, self.ask("POST", path, &[], Some(body)).await?)
    }

    /// Reads, with further headers `name: value`.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub async fn get(&mut self, path: &str, headers: &[String]) -> Result<Value, DeskError> {
        parsed("GET", path, self.ask("GET", path, headers, None).await?)
    }

    /// Reads what is there as it is sent.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub async fn get_bytes(&mut self, path: &str) -> Result<Vec<u8>, DeskError> {
        self.ask("GET", path, &[], None).await
    }

    async fn ask(
        &mut self,
        method: &'static str,
        path: &str,
        headers: &[String],
        body: Option<&Value>,
    ) -> Result<Vec<u8>, DeskError> {
        let token = &self.token;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        head.push_str(&format!("authorization: Bearer {token}\r\n"));
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        let text = body.filter(|body| !body.is_null()).map(Value::to_string).unwrap_or_default();
        if !text.is_empty() {
            let length = text.len();
            head.push_str(&format!(
                "content-type: application/json\r\ncontent-length: {length}\r\n"
            ));
        }
        self.connection.request = format!("{head}\r\n{text}").into_bytes();
        let answer = self.connection.exchange().await?;
        let (status, body) = (answer.status, answer.body.to_vec());
        if status < 300 { Ok(body) } else { Err(refused(method, path, status, &body)) }
    }

    async fn sell(&mut self, venue: &Value, opens: Time) -> Result<ForSale, DeskError> {
        let event = json!({
            "name": "Measured", "venue_id": venue, "event_type": "concert",
            "starts_at": opens.plus_s(30 * 86_400), "ends_at": opens.plus_s(31 * 86_400),
            "tiers": [{"name": "Floor", "price": 5000, "currency": "EUR", "capacity": CAPACITY}],
        });
        let drafted = self.post("/api/v1/events", &event).await?;
        let id = drafted["event_id"].as_str().unwrap_or_default();
        let path = format!("/api/v1/events/{id}/publish");
        let published = self.post(&path, &Value::Null).await?;
        let named = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let event = named(&published["event_id"]).parse();
        let tier = named(&published["tiers"][0]["tier_id"]).parse();
        event
            .ok()
            .zip(tier.ok())
            .map(|(event, tier)| ForSale { event, tier })
            .ok_or_else(|| refused("POST", &path, 200, published.to_string().as_bytes()))
    }
}

fn parsed(method: &'static str, path: &str, body: Vec<u8>) -> Result<Value, DeskError> {
    serde_json::from_slice(&body).map_err(|_| refused(method, path, 200, &body))
}

fn refused(method: &'static str, path: &str, status: u16, body: &[u8]) -> DeskError {
    let body = String::from_utf8_lossy(body).into_owned();
    DeskError::Refused { method, path: path.to_owned(), status, body }
}

/// Publishes so many events at a venue without a limit.
///
/// # Errors
/// See [`DeskError`].
pub async fn publish(
    address: SocketAddr,
    token: &str,
    now: Time,
    count: usize,
) -> Result<Vec<ForSale>, DeskError> {
    let mut first = Desk::open(address, token).await?;
    let venue = json!({"name": "Field", "address": "Way 1", "city": "Town", "country": "NL"});
    let venue = &first.post("/api/v1/venues", &venue).await?["venue_id"];
    let desks = (0..DESKS.min(count)).map(async |desk| {
        let mut organizer = Desk::open(address, token).await?;
        let mut published = Vec::new();
        for _ in (desk..count).step_by(DESKS) {
            published.push(organizer.sell(venue, now).await?);
        }
        Ok::<_, DeskError>(published)
    });
    Ok(try_join_all(desks).await?.concat())
}
