//! Remembers what was acknowledged, and holds it against the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::inventory::{
    BookingSnapshot, BookingStatus, Fact, Inventory, Ledger, PaymentStage, tickets_of,
};
use domain::{BookingId, EventId, PaymentId, Request, StoredFact as _, Time, UserId};
use infra::log::{Log, Position, Record};
use infra::payment::{self, MockProvider, PaymentStatus};
use infra::shapes::{Booking, LineItem, Ticket};
use parking_lot::Mutex;
use serde_json::Value;

use super::client::{Answer, Call, Client};

/// Everything that clients were told.
#[derive(Default)]
pub(crate) struct Witness(Mutex<Vec<Told>>);

#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) client: Client,
    pub(crate) call: Call,
    pub(crate) answer: Answer,
}

impl Witness {
    pub(super) fn note(self: &Arc<Self>, client: &Client, call: &Call, answer: &Answer) {
        let (client, call, answer) = (client.clone(), call.clone(), answer.clone());
        self.0.lock().push(Told { client, call, answer });
    }

    /// What was acknowledged so far, in the order of the answers.
    pub(crate) fn acknowledged(&self) -> Vec<Told> {
        let told = self.0.lock().clone();
        told.into_iter().filter(|told| told.answer.status.is_success()).collect()
    }
}

/// The log as it is now, each inventory folded from its beginning.
pub(crate) struct Story {
    pub(crate) records: Vec<Record>,
    inventories: HashMap<EventId, Inventory>,
}

impl Story {
    /// Reads the log and counts the stock at every position.
    pub(crate) async fn read(log: &dyn Log) -> Self {
        let mut records = vec![];
        loop {
            let after = records.last().map_or(Position(0), |record: &Record| record.position);
            let page = log.read_all(after, 5_000).await.unwrap();
            if page.is_empty() {
                break;
            }
            records.extend(page);
        }
        let mut story = Self { records, inventories: HashMap::new() };
        story.fold();
        story
    }

    fn fold(&mut self) {
        let mut ledgers: HashMap<EventId, Ledger> = HashMap::new();
        let mut carried_out: HashMap<(UserId, String), Vec<Position>> = HashMap::new();
        for record in &self.records {
            let Some((event, fact)) = fact(record) else { continue };
            let ledger = ledgers.entry(event).or_default();
            if let Err(violation) = ledger.apply(&fact) {
                panic!("at position {}: {violation}", record.position);
            }
            let inventory = self.inventories.entry(event).or_default();
            inventory.evolve(record.at, &fact);
            if let Some((user, request)) = carries(&fact, inventory) {
                carried_out.entry((user, request.key.clone())).or_default().push(record.position);
            }
        }
        for ((user, key), positions) in carried_out {
            assert_eq!(positions.len(), 1, "key {key} of {user} was executed at {positions:?}");
        }
    }

    pub(crate) fn facts(&self, event: EventId) -> Vec<(&Record, Fact)> {
        let of_event = self.records.iter().filter_map(|record| {
            let (id, fact) = fact(record)?;
            (id == event).then_some((record, fact))
        });
        of_event.collect()
    }

    /// How many records of each kind there are.
    pub(crate) fn kinds(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for record in &self.records {
            *kinds.entry(record.kind.to_string()).or_default() += 1;
        }
        kinds
    }

    pub(crate) fn kind(&self, kind: &str) -> usize {
        self.kinds().get(kind).copied().unwrap_or(0)
    }

    pub(crate) fn booking(&self, id: BookingId) -> BookingSnapshot {
        let found = self.inventories.get(&id.event).and_then(|inventory| inventory.booking(id));
        found.unwrap_or_else(|| panic!("{id} is not in the log"))
    }

    /// Whether every payment has come to its end.
    pub(crate) fn is_settled(&self) -> bool {
        let in_the_end = Time::from_ms(i64::MAX);
        self.inventories.values().all(|inventory| inventory.payment_steps(in_the_end).is_empty())
    }

    fn at(&self, position: u64) -> &Record {
        let found = self.records.binary_search_by_key(&position, |record| record.position.0);
        &self.records[found.unwrap_or_else(|_| panic!("no record at position {position}"))]
    }

    /// Everything acknowledged is in the log, where the answer says, as the answer says; and an
    /// inventory folded from the log knows it.
    pub(crate) fn confirm(&self, acknowledged: &[Told]) {
        for Told { client, call, answer } in acknowledged {
            let body = answer.json();
            match (call.method, call.path.as_str()) {
                ("POST", "/bookings/reserve") => self.held(client, answer),
                ("POST", "/bookings/confirm") => self.confirmed(client, answer),
                ("DELETE", path) if path.starts_with("/bookings/") => self.cancelled(answer),
                ("POST", "/waitlist/join") => self.waits(client, &body, answer),
                ("DELETE", path) if path.starts_with("/waitlist/") => self.left(&body, answer),
                _ => {
                    // What an event's inventory made of it comes right after.
                    let own = body["position"].as_u64().unwrap();
                    assert!(own <= answer.position());
                    self.at(own);
                    self.at(answer.position());
                }
            }
        }
    }

    fn held(&self, client: &Client, answer: &Answer) {
        let booking: Booking = serde_json::from_slice(&answer.body).unwrap();
        let (_, fact) = fact(self.at(answer.position())).unwrap();
        let Fact::Reserved(fact) = fact else { panic!("{fact:?} was told as {booking:?}") };
        let snapshot = self.booking(booking.booking_id);
        assert_eq!((fact.booking, fact.user), (booking.booking_id, client.user));
        assert_eq!((snapshot.user, snapshot.expires_at), (client.user, fact.expires_at));
        assert_eq!(booking.expires_at, Some(fact.expires_at));
        assert_eq!((booking.total, booking.position), (fact.total_minor, Some(answer.position())));
        let items: Vec<LineItem> = snapshot.lines.iter().map(LineItem::from).collect();
        assert_eq!(booking.line_items, items);
        assert_eq!(booking.reference, booking.booking_id.reference());
    }

    fn confirmed(&self, client: &Client, answer: &Answer) {
        let booking: Booking = serde_json::from_slice(&answer.body).unwrap();
        let (_, fact) = fact(self.at(answer.position())).unwrap();
        let Fact::Confirmed(fact) = fact else { panic!("{fact:?} was told as {booking:?}") };
        let snapshot = self.booking(booking.booking_id);
        assert_eq!((fact.booking, fact.user), (booking.booking_id, client.user));
        assert!(matches!(snapshot.status, BookingStatus::Confirmed | BookingStatus::Cancelled));
        assert_eq!(booking.tickets, Ticket::all(fact.booking, &fact.lines));
        assert_eq!(fact.tickets, tickets_of(fact.booking, &fact.lines));
        assert_eq!(snapshot.lines, fact.lines);
        assert_eq!(booking.total, fact.total_minor);
        let last = booking.history.unwrap().pop().unwrap();
        assert_eq!(last.kind, "Confirmed");
    }

    fn cancelled(&self, answer: &Answer) {
        let (body, record) = (answer.json(), self.at(answer.position()));
        let (_, fact) = fact(record).unwrap();
        let Fact::Cancelled(fact) = fact else { panic!("{fact:?} was told as {body}") };
        assert_eq!(body["booking_id"], fact.booking.to_string());
        assert_eq!(body["refund"]["amount"], fact.refund_minor);
        assert_eq!(self.booking(fact.booking).status, BookingStatus::Cancelled);
    }

    fn waits(&self, client: &Client, body: &Value, answer: &Answer) {
        let (_, fact) = fact(self.at(answer.position())).unwrap();
        let Fact::WaitlistJoined(fact) = fact else { panic!("{fact:?} was told as {body}") };
        assert_eq!(body["waitlist_id"], fact.waitlist.to_string());
        assert_eq!((fact.user, body["position"].as_u64()), {
            (client.user, Some(u64::from(fact.position)))
        });
    }

    fn left(&self, body: &Value, answer: &Answer) {
        let (_, fact) = fact(self.at(answer.position())).unwrap();
        let waitlist = match fact {
            Fact::WaitlistLeft(fact) => fact.waitlist,
            Fact::Cancelled(fact) => fact.waitlist.unwrap(),
            _ => panic!("{fact:?} was told as {body}"),
        };
        assert_eq!(body["waitlist_id"], waitlist.to_string());
    }

    /// Every charge has a confirmed booking or was paid back once, and nothing else was paid back.
    /// Holds once all payments have come to their end.
    pub(crate) async fn agrees_with(&self, provider: &MockProvider) {
        let payment::Ledger { charges, refunds } = provider.ledger().await.unwrap();
        let mut confirmed: HashMap<PaymentId, BookingId> = HashMap::new();
        let mut refunded: BTreeMap<PaymentId, i64> = BTreeMap::new();
        for (_, fact) in self.records.iter().filter_map(fact) {
            match fact {
                Fact::Confirmed(fact) => {
                    let before = fact.payment.and_then(|it| confirmed.insert(it, fact.booking));
                    assert_eq!(before, None, "paid two bookings");
                }
                Fact::Refunded(fact) => {
                    let before = refunded.insert(fact.payment, fact.amount_minor);
                    assert_eq!(before, None, "{} was paid back twice", fact.payment);
                }
                _ => {}
            }
        }
        let paid_back: BTreeMap<_, _> =
            refunds.iter().map(|refund| (refund.payment, refund.amount_minor)).collect();
        assert_eq!(paid_back.len(), refunds.len(), "{refunds:?}");
        assert_eq!(paid_back, refunded);
        for charge in charges.iter().filter(|it| it.status == PaymentStatus::Succeeded) {
            match confirmed.get(&charge.payment) {
                Some(booking) => {
                    let paid = self.booking(*booking);
                    let cancelled = paid.status == BookingStatus::Cancelled;
                    assert!(cancelled || paid.status == BookingStatus::Confirmed);
                    let stage = paid.payment.map(|(_, stage)| stage);
                    let back = paid_back.contains_key(&charge.payment);
                    assert_eq!(back, stage == Some(PaymentStage::Refunded), "{charge:?}");
                }
                None => {
                    let back = paid_back.get(&charge.payment);
                    assert_eq!(back, Some(&charge.amount_minor), "paid and nothing");
                }
            }
        }
    }
}

/// The fact in a record of an inventory.
pub(crate) fn fact(record: &Record) -> Option<(EventId, Fact)> {
    let (category, id) = record.stream.split_once('-')?;
    if category != domain::inventory::CATEGORY {
        return None;
    }
    let fact = Fact::decode(&record.kind, record.version, &record.data).unwrap();
    Some((id.parse().unwrap(), fact))
}

/// The key under which a command was carried out by this fact. A payment's key is carried out when
/// it starts; that the confirmation carries it too is no second time.
fn carries(fact: &Fact, inventory: &Inventory) -> Option<(UserId, Request)> {
    let (user, request) = match fact {
        Fact::Reserved(fact) => (fact.user, &fact.request),
        Fact::PaymentStarted(fact) => (inventory.booking(fact.booking)?.user, &fact.request),
        Fact::Confirmed(fact) if fact.payment.is_none() => (fact.user, &fact.request),
        Fact::Cancelled(fact) => (fact.user, &fact.request),
        Fact::WaitlistJoined(fact) => (fact.user, &fact.request),
        Fact::WaitlistLeft(fact) => (fact.user, &fact.request),
        _ => return None,
    };
    Some((user, request.clone()?))
}
