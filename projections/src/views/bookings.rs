//! Bookings with their history (BK-1 to BK-4, BK-9).

mod rows;
mod tally;

use std::collections::HashMap;

use domain::inventory::{CATEGORY, Fact, Line, Ticket};
use domain::{BookingId, FactError, PaymentId, TicketId, TierId, Time, UserId, WaitlistId};
use infra::log::Record;
use serde::Serialize;

use crate::columns::position;
use crate::projection::{category, decode};
use crate::{Changes, Projection};
use rows::Rows;
use tally::Tally;

/// One row per booking, and how many there are of each state.
#[derive(Debug, Clone, Copy)]
pub struct Bookings;

impl Projection for Bookings {
    fn name(&self) -> &'static str {
        "bookings"
    }

    fn version(&self) -> i32 {
        2
    }

    fn is_written_by_key(&self) -> bool {
        true
    }

    fn wants(&self, record: &Record) -> bool {
        const OTHERS: [&str; 5] = [
            "InventoryOpened",
            "InventoryRevised",
            "InventoryClosed",
            "WaitlistJoined",
            "WaitlistLeft",
        ];
        category(record) == CATEGORY && !OTHERS.contains(&&*record.kind)
    }

    fn apply(&self, records: &[Record]) -> Result<Box<dyn Changes>, FactError> {
        let mut changed = Changed::default();
        for record in records {
            if let Some(domain::Fact::Inventory(fact)) = decode(record)?
                && let Some(booking) = fact.booking()
            {
                changed.take(record, booking, &fact);
            }
        }
        Ok(Box::new(changed.into_rows()))
    }
}

/// Bookings that the batch is about, in the order they come up.
#[derive(Default)]
struct Changed {
    places: HashMap<BookingId, usize>,
    bookings: Vec<Change>,
    tally: Tally,
}

/// What becomes of one booking.
struct Change {
    booking: BookingId,
    /// Present if the batch makes it.
    made: Option<Made>,
    status: Option<&'static str>,
    lines: Option<String>,
    tickets: Option<String>,
    payment: Option<PaymentId>,
    refund_minor: Option<i64>,
    refund_status: Option<&'static str>,
    confirmed_at: Option<Time>,
    position: i64,
    history: Vec<Happened>,
}

struct Made {
    user: UserId,
    expires_at: Time,
    subtotal_minor: i64,
    discount_minor: i64,
    total_minor: i64,
    currency: String,
    waitlist: Option<WaitlistId>,
    at: Time,
    position: i64,
}

/// An entry of a booking's history as the API shows it.
#[derive(Serialize)]
struct Happened {
    r#type: &'static str,
    at: Time,
}

/// A line as the API shows it.
#[derive(Serialize)]
struct LineItem<'a> {
    tier_id: TierId,
    #[serde(skip_serializing_if = "Option::is_none")]
    seat: Option<&'a str>,
    quantity: u32,
    unit_price: i64,
    amount: i64,
}

/// A ticket as the API shows it.
#[derive(Serialize)]
struct TicketItem<'a> {
    ticket_id: TicketId,
    tier_id: TierId,
    #[serde(skip_serializing_if = "Option::is_none")]
    seat: Option<&'a str>,
}

impl Changed {
    fn take(&mut self, record: &Record, booking: BookingId, fact: &Fact) {
        let place = *self.places.entry(booking).or_insert_with(|| {
            self.bookings.push(Change::of(booking));
            self.bookings.len() - 1
        });
        self.bookings[place].take(record, fact);
        self.tally.take(fact);
    }

    fn into_rows(self) -> Rows {
        let mut rows = Rows::counting(self.tally);
        for change in self.bookings {
            rows.push(change);
        }
        rows
    }
}

impl Change {
    fn of(booking: BookingId) -> Self {
        Self {
            booking,
            made: None,
            status: None,
            lines: None,
            tickets: None,
            payment: None,
            refund_minor: None,
            refund_status: None,
            confirmed_at: None,
            position: 0,
            history: Vec::with_capacity(2),
        }
    }

    fn take(&mut self, record: &Record, fact: &Fact) {
        use domain::StoredFact;
        self.position = position(record.position);
        self.history.push(Happened { r#type: fact.kind(), at: record.at });
        match fact {
            Fact::Reserved(fact) => {
                self.make(
                    &fact.lines,
                    Made {
                        user: fact.user,
                        expires_at: fact.expires_at,
                        subtotal_minor: fact.subtotal_minor,
                        discount_minor: fact.discount_minor,
                        total_minor: fact.total_minor,
                        currency: fact.currency.to_string(),
                        waitlist: None,
                        at: record.at,
                        position: self.position,
                    },
                );
            }
            Fact::Offered(fact) => {
                self.make(
                    &fact.lines,
                    Made {
                        user: fact.user,
                        expires_at: fact.expires_at,
                        subtotal_minor: fact.lines.iter().map(Line::amount_minor).sum(),
                        discount_minor: 0,
                        total_minor: fact.total_minor,
                        currency: fact.currency.to_string(),
                        waitlist: Some(fact.waitlist),
                        at: record.at,
                        position: self.position,
                    },
                );
            }
            Fact::PaymentStarted(fact) => self.payment = Some(fact.payment),
            Fact::Confirmed(fact) => {
                self.status = Some("confirmed");
                self.tickets = Some(ticket_items(&fact.tickets));
                self.confirmed_at = Some(record.at);
            }
            Fact::Reinstated(fact) => {
                self.status = Some("held");
                self.lines = Some(line_items(&fact.lines));
            }
            Fact::Expired(_) => self.status = Some("expired"),
            Fact::Cancelled(fact) => {
                self.status = Some("cancelled");
                if fact.refund_minor > 0 {
                    self.owe(fact.refund_minor, "pending");
                }
            }
            Fact::RefundDue(fact) => self.owe(fact.amount_minor, "pending"),
            Fact::Refunded(fact) => self.owe(fact.amount_minor, "refunded"),
            Fact::PaymentFailed(_)
            | Fact::InventoryOpened(_)
            | Fact::InventoryRevised(_)
            | Fact::InventoryClosed(_)
            | Fact::WaitlistJoined(_)
            | Fact::WaitlistLeft(_) => {}
        }
    }

    fn make(&mut self, lines: &[Line], made: Made) {
        self.made = Some(made);
        self.status = Some("held");
        self.lines = Some(line_items(lines));
        self.tickets = Some("[]".to_owned());
    }

    fn owe(&mut self, amount_minor: i64, status: &'static str) {
        self.refund_minor = Some(amount_minor);
        self.refund_status = Some(status);
    }
}

fn line_items(lines: &[Line]) -> String {
    let items: Vec<_> = lines
        .iter()
        .map(|line| LineItem {
            tier_id: line.tier,
            seat: line.seat.as_deref(),
            quantity: line.quantity,
            unit_price: line.unit_price_minor,
            amount: line.amount_minor(),
        })
        .collect();
    json(&items)
}

fn ticket_items(tickets: &[Ticket]) -> String {
    let items: Vec<_> = tickets
        .iter()
        .map(|ticket| TicketItem {
            ticket_id: ticket.ticket,
            tier_id: ticket.tier,
            seat: ticket.seat.as_deref(),
        })
        .collect();
    json(&items)
}

fn json<T: Serialize>(items: &[T]) -> String {
    serde_json::to_string(items).expect("text keys and whole numbers")
}
