//! People in front of a server that may go away at any moment.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::UserId;
use infra::auth::{Keys, Role};
use infra::clock::SystemClock;
use parking_lot::Mutex;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::server::Server;
use crate::shop::read;

/// How long one person waits for an answer, through all that happens to the server.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long one attempt may take; no answer of the server does.
const ATTEMPT: Duration = Duration::from_secs(40);

/// Who answers at the moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doors {
    /// Any of these takes commands.
    pub(crate) commands: Vec<SocketAddr>,
    pub(crate) queries: Option<SocketAddr>,
    /// Of the projections.
    pub(crate) admin: Option<SocketAddr>,
}

impl Doors {
    fn of_one(address: Option<SocketAddr>) -> Self {
        let commands = address.into_iter().collect();
        Self { commands, queries: address, admin: address }
    }

    /// A different one each time, where there are several.
    fn of(&self, call: &Call) -> Option<SocketAddr> {
        if call.path.starts_with("/admin/") {
            return self.admin;
        }
        if call.method == Method::GET {
            return self.queries;
        }
        let count = self.commands.len().max(1);
        self.commands.get(infra::ids::random_u64() as usize % count).copied()
    }
}

/// Where the server is at the moment, and what it told.
pub(crate) struct Gate {
    doors: watch::Sender<Doors>,
    http: reqwest::Client,
    keys: Keys,
    told: Mutex<Vec<Told>>,
}

/// An answer of the server that promises something.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) user: UserId,
    token: String,
    pub(crate) call: Call,
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    /// `Evently-Position`.
    pub(crate) position: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Whether it says to come again; a payment that is pending is an answer.
    fn comes_again(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE && self.code() != "PAYMENT_PENDING"
    }

    pub(crate) fn text(&self, member: &str) -> String {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {self:?}")).to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
}

/// A request that can be sent again.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    key: Option<String>,
    body: Option<Value>,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>, body: Option<Value>) -> Self {
        Self { method, path: path.into(), key: None, body }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, None)
    }

    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::POST, path, Some(body))
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, None)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    pub(crate) fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl Gate {
    pub(crate) fn new(server: &Server) -> Arc<Self> {
        Self::with(Doors::of_one(Some(server.address())), &server.shared())
    }

    /// One with several doors, whose keys are in this folder.
    pub(crate) fn with(doors: Doors, keys: &Path) -> Arc<Self> {
        Arc::new(Self {
            doors: watch::Sender::new(doors),
            http: reqwest::Client::builder().timeout(ATTEMPT).build().unwrap(),
            keys: Keys::load_or_create(keys, Arc::new(SystemClock)).unwrap(),
            told: Mutex::default(),
        })
    }

    /// The server is gone, or there again.
    pub(crate) fn moved(&self, address: Option<SocketAddr>) {
        self.doors.send_replace(Doors::of_one(address));
    }

    /// Other doors than before.
    pub(crate) fn has(&self, doors: Doors) {
        self.doors.send_replace(doors);
    }

    /// What was acknowledged after the first `known`.
    pub(crate) fn told_since(&self, known: usize) -> Vec<Told> {
        self.told.lock()[known..].to_vec()
    }

    /// Who was told this.
    pub(crate) fn listener(self: &Arc<Self>, told: &Told) -> Person {
        Person { user: told.user, token: told.token.clone(), gate: self.clone() }
    }

    pub(crate) fn person(self: &Arc<Self>, role: Role) -> Person {
        let user = UserId::from_u128(infra::ids::random_u128());
        let token = self.keys.issue(user, &[role], Duration::from_secs(3_600)).unwrap();
        Person { user, token, gate: self.clone() }
    }
}

/// What became of attempts, for whoever wonders why there is no answer.
#[derive(Default)]
struct Last {
    attempts: usize,
    door: Option<SocketAddr>,
    reply: Option<Reply>,
    broken: Option<reqwest::Error>,
}

/// One person.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    token: String,
    gate: Arc<Gate>,
}

impl Person {
    /// One attempt; an error if the connection broke.
    async fn attempt(&self, address: SocketAddr, call: &Call) -> reqwest::Result<Reply> {
        let url = format!("http://{address}/api/v1{}", call.path);
        let mut request = self.gate.http.request(call.method.clone(), url).bearer_auth(&self.token);
        if let Some(key) = &call.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, headers, body) = read(&call.method, response).await?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let fault = status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE;
        assert!(!fault, "{status} {body} for {call:?}");
        let promises = status.is_success() && call.method != Method::GET;
        if let (true, Some(position)) = (promises, headers.get("evently-position")) {
            let position = position.to_str().unwrap().parse().unwrap();
            let (user, token) = (self.user, self.token.clone());
            let (call, body) = (call.clone(), body.clone());
            self.gate.told.lock().push(Told { user, token, call, status, body, position });
        }
        Ok(Reply { status, body })
    }

    /// Asks until there is an answer other than "come again".
    pub(crate) async fn ask(&self, call: &Call) -> Reply {
        let mut doors = self.gate.doors.subscribe();
        let mut pulse = tokio::time::interval(Duration::from_millis(50));
        let mut last = Last::default();
        let asking = async {
            loop {
                pulse.tick().await;
                let is_open = |doors: &Doors| doors.of(call).is_some();
                let door = doors.wait_for(is_open).await.unwrap().of(call).unwrap();
                last.attempts += 1;
                last.door = Some(door);
                match self.attempt(door, call).await {
                    Ok(reply) if reply.comes_again() => last.reply = Some(reply),
                    Ok(reply) => return reply,
                    Err(broken) => last.broken = Some(broken),
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, asking).await;
        let Last { attempts, door, reply, broken } = last;
        answer.unwrap_or_else(|_| {
            panic!("no answer to {call:?} in {attempts} attempts at {door:?}: {reply:?} {broken:?}")
        })
    }
}

/// A published event with places and seats.
#[derive(Debug, Clone)]
pub(crate) struct Sale {
    pub(crate) event: String,
    pub(crate) floor: String,
    pub(crate) seated: String,
}

impl Sale {
    /// Sets it up: `places` on the floor, `seats` in row `A-1`.
    pub(crate) async fn open(gate: &Arc<Gate>, places: u32, seats: u32, hold_s: u32) -> Self {
        let organizer = gate.person(Role::Organizer);
        let venue = json!({
            "name": "Arena", "address": "1 Long Street", "city": "Graz", "country": "AT",
            "sections": [
                {"name": "A", "kind": "seated", "rows": [{"label": "1", "seats": seats}]},
            ],
        });
        let venue = organizer.ask(&Call::post("/venues", venue)).await.expect(201);
        let tier = |name| json!({"name": name, "price": 2_500, "currency": "EUR"});
        let (mut floor, mut seated) = (tier("Floor"), tier("Seats"));
        floor["capacity"] = json!(places);
        seated["section"] = json!("A");
        let event = json!({
            "name": "Concert", "event_type": "concert", "venue_id": venue.text("venue_id"),
            "starts_at": "2100-01-01T20:00:00Z", "ends_at": "2100-01-01T23:00:00Z",
            "tiers": [floor, seated],
            "hold_ttl_seconds": hold_s, "waitlist_offer_seconds": hold_s,
        });
        let drafted = organizer.ask(&Call::post("/events", event)).await.expect(201);
        let event = drafted.text("event_id");
        let publish = Call::new(Method::POST, format!("/events/{event}/publish"), None);
        organizer.ask(&publish).await.expect(200);
        let tier = |index| drafted.body["tiers"][index]["tier_id"].as_str().unwrap().to_owned();
        Self { event, floor: tier(0), seated: tier(1) }
    }

    pub(crate) fn reserve(&self, tier: &str, quantity: usize) -> Call {
        let body = json!({"event_id": self.event, "tier_id": tier, "quantity": quantity});
        Call::post("/bookings/reserve", body)
    }

    pub(crate) fn seats(&self, seats: &[usize]) -> Call {
        let seats: Vec<String> = seats.iter().map(|seat| format!("A-1-{seat}")).collect();
        Call::post("/bookings/reserve", json!({"event_id": self.event, "seats": seats}))
    }

    /// For one tier, or for any.
    pub(crate) fn join(&self, tier: Option<&str>, quantity: usize) -> Call {
        let mut body = json!({"event_id": self.event, "quantity": quantity});
        if let Some(tier) = tier {
            body["tier_id"] = json!(tier);
        }
        Call::post("/waitlist/join", body)
    }

    pub(crate) fn place_in_line(&self) -> Call {
        Call::get(format!("/waitlist/position?event_id={}", self.event))
    }

    pub(crate) fn leave(&self) -> Call {
        Call::delete(format!("/waitlist/leave?event_id={}", self.event))
    }
}

pub(crate) fn confirm(booking: &str, token: &str) -> Call {
    Call::post("/bookings/confirm", json!({"booking_id": booking, "payment_token": token}))
}

pub(crate) fn cancel(booking: &str) -> Call {
    Call::delete(format!("/bookings/{booking}"))
}
