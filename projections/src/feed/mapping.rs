//! What the feed tells of a fact: pure, and the same for ever for the same records.

use domain::event::Terms;
use domain::inventory::Fact;
use domain::{EventId, event};
use infra::log::Record;
use infra::trace::TraceContext;

use super::messages::{
    Body, BookingCancelled, BookingConfirmed, BookingExpired, BookingOffered, BookingReinstated,
    BookingReserved, EventCancelled, EventChanged, EventPublished, LapseReason, Message,
    PaymentFailed, PaymentStarted, PaymentSucceeded, RefundDue, Refunded, StockClosed, StockOpened,
    StockRevised, WaitlistJoined, WaitlistLapsed, WaitlistLeft, WaitlistOffered, WaitlistServed,
};
use crate::columns::event_of;

/// What is told of a fact of an inventory: one message, or one in each of several topics.
pub fn of_inventory(record: &Record, fact: Fact) -> Vec<Message> {
    let mut teller = Teller::new(record);
    match fact {
        Fact::InventoryOpened(fact) => teller.tell(&StockOpened::from(fact)),
        Fact::InventoryRevised(fact) => teller.tell(&StockRevised::from(fact)),
        Fact::InventoryClosed(fact) => teller.tell(&StockClosed::from(fact)),
        Fact::Reserved(fact) => teller.tell(&BookingReserved::from(fact)),
        Fact::Offered(fact) => {
            let place = WaitlistOffered::from(&fact);
            teller.tell(&BookingOffered::from(fact));
            teller.tell(&place);
        }
        Fact::PaymentStarted(fact) => teller.tell(&PaymentStarted::from(fact)),
        Fact::PaymentFailed(fact) => teller.tell(&PaymentFailed::from(fact)),
        Fact::Confirmed(fact) => {
            let (paid, served) = (PaymentSucceeded::of(&fact), WaitlistServed::of(&fact));
            teller.tell(&BookingConfirmed::from(fact));
            teller.tell_if(paid);
            teller.tell_if(served);
        }
        Fact::Reinstated(fact) => teller.tell(&BookingReinstated::from(fact)),
        Fact::Expired(fact) => {
            let lapsed = WaitlistLapsed::of(fact.booking, fact.waitlist, LapseReason::Expired);
            teller.tell(&BookingExpired::from(fact));
            teller.tell_if(lapsed);
        }
        Fact::Cancelled(fact) => {
            let due = RefundDue::of(&fact);
            let lapsed = WaitlistLapsed::of(fact.booking, fact.waitlist, LapseReason::Cancelled);
            teller.tell(&BookingCancelled::from(fact));
            teller.tell_if(due);
            teller.tell_if(lapsed);
        }
        Fact::RefundDue(fact) => teller.tell(&RefundDue::from(fact)),
        Fact::Refunded(fact) => teller.tell(&Refunded::from(fact)),
        Fact::WaitlistJoined(fact) => teller.tell(&WaitlistJoined::from(fact)),
        Fact::WaitlistLeft(fact) => teller.tell(&WaitlistLeft::from(fact)),
    }
    teller.told
}

/// What is told of the last of an event's facts, given with all before it. Nothing is told of an event
/// that was never published: others do not know of it.
pub fn of_event(record: &Record, mut story: Vec<event::Fact>) -> Vec<Message> {
    let mut teller = Teller::new(record);
    let Some(last) = story.pop() else { return vec![] };
    let is_known = story.iter().any(|fact| matches!(fact, event::Fact::EventPublished(_)));
    match last {
        event::Fact::EventPublished(fact) => {
            let terms = story.into_iter().rev().find_map(terms_of);
            let published =
                |terms: Terms| EventPublished { event_id: fact.event, details: terms.into() };
            teller.tell_if(terms.map(published));
        }
        event::Fact::EventChanged(fact) if is_known => {
            teller.tell(&EventChanged { event_id: fact.event, details: fact.terms.into() });
        }
        event::Fact::EventCancelled(fact) if is_known => {
            teller.tell(&EventCancelled { event_id: fact.event });
        }
        event::Fact::EventDrafted(_)
        | event::Fact::EventChanged(_)
        | event::Fact::EventCancelled(_) => {}
    }
    teller.told
}

fn terms_of(fact: event::Fact) -> Option<Terms> {
    match fact {
        event::Fact::EventDrafted(fact) => Some(fact.terms),
        event::Fact::EventChanged(fact) => Some(fact.terms),
        event::Fact::EventPublished(_) | event::Fact::EventCancelled(_) => None,
    }
}

/// Makes messages of one record.
struct Teller<'a> {
    record: &'a Record,
    /// Whose stream it is in, where the stream says so: the key is what keeps a stream's order.
    event: Option<EventId>,
    trace: Option<TraceContext>,
    told: Vec<Message>,
}

impl<'a> Teller<'a> {
    fn new(record: &'a Record) -> Self {
        let trace = TraceContext::of_record(record);
        Self { record, event: event_of(record), trace, told: Vec::with_capacity(1) }
    }

    fn tell_if<B: Body>(&mut self, body: Option<B>) {
        if let Some(body) = body {
            self.tell(&body);
        }
    }

    fn tell<B: Body>(&mut self, body: &B) {
        self.told.push(Message {
            topic: B::TOPIC,
            event: self.event.unwrap_or_else(|| body.event()),
            kind: B::TYPE,
            subject: body.subject().to_string(),
            record: self.record.id,
            position: self.record.position.0,
            at: self.record.at,
            trace: self.trace.map(|trace| trace.to_string()),
            data: serde_json::to_vec(body).expect("a message has only text keys"),
        });
    }
}
