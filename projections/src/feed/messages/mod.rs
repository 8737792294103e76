//! The messages of the public feed: a contract of their own, apart from the facts they are made of.
//!
//! Facts are what the log keeps, and change with the product; messages are what others read, and a type
//! once sent keeps its form: what has to change becomes another version, sent as another type. None has
//! anything of a person in it, not even their id: who has a booking's id and the right to see it asks
//! the API whose it is. Amounts are whole minor units beside an ISO 4217 currency, times RFC 3339 in UTC.

mod booking;
mod event;
mod payment;
mod waitlist;

use std::fmt;

use domain::{EventId, Time};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

pub use booking::*;
pub use event::*;
pub use payment::*;
pub use waitlist::*;

/// A topic of the feed. Messages about one event stay in order within a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// What becomes of bookings.
    Booking,
    /// What becomes of events and of their stock.
    Event,
    /// What becomes of money.
    Payment,
    /// What becomes of places in waitlists.
    Waitlist,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Booking, Self::Event, Self::Payment, Self::Waitlist];

    /// As the brokers call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Booking => "evently.booking",
            Self::Event => "evently.event",
            Self::Payment => "evently.payment",
            Self::Waitlist => "evently.waitlist",
        }
    }

    /// What it is about, e.g. `booking`: one record gives at most one message of each.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Booking => "booking",
            Self::Event => "event",
            Self::Payment => "payment",
            Self::Waitlist => "waitlist",
        }
    }
}

/// What one type of message says. The first paragraph of its documentation describes it to readers.
pub(crate) trait Body: Serialize + JsonSchema {
    /// Where it is sent.
    const TOPIC: Topic;
    /// Its CloudEvents type, which ends in the version of its form.
    const TYPE: &'static str;

    /// What it is about: a booking, payment, place in a waitlist, or event.
    fn subject(&self) -> impl fmt::Display;

    /// The event of it all.
    fn event(&self) -> EventId;
}

/// Names the topic, the type and the subject of each body, and lists the schemas of all.
macro_rules! messages {
    ($($body:ident: $topic:ident $kind:literal of $subject:ident,)+) => {
        $(impl Body for $body {
            const TOPIC: Topic = Topic::$topic;
            const TYPE: &'static str = concat!("evently.", $kind);

            fn subject(&self) -> impl fmt::Display {
                self.$subject
            }

            fn event(&self) -> EventId {
                self.event_id
            }
        })+

        /// Every type of message: where it is sent, what it is called, and what it says.
        pub(crate) fn kinds(generator: &mut schemars::SchemaGenerator) -> Vec<MessageKind> {
            vec![$(MessageKind {
                topic: Topic::$topic,
                kind: concat!("evently.", $kind),
                schema: generator.root_schema_for::<$body>(),
            }),+]
        }
    };
}

messages! {
    BookingReserved: Booking "booking.reserved.v1" of booking_id,
    BookingOffered: Booking "booking.offered.v1" of booking_id,
    BookingConfirmed: Booking "booking.confirmed.v1" of booking_id,
    BookingReinstated: Booking "booking.reinstated.v1" of booking_id,
    BookingExpired: Booking "booking.expired.v1" of booking_id,
    BookingCancelled: Booking "booking.cancelled.v1" of booking_id,
    EventPublished: Event "event.published.v1" of event_id,
    EventChanged: Event "event.changed.v1" of event_id,
    EventCancelled: Event "event.cancelled.v1" of event_id,
    StockOpened: Event "event.stock_opened.v1" of event_id,
    StockRevised: Event "event.stock_revised.v1" of event_id,
    StockClosed: Event "event.stock_closed.v1" of event_id,
    PaymentStarted: Payment "payment.started.v1" of payment_id,
    PaymentSucceeded: Payment "payment.succeeded.v1" of payment_id,
    PaymentFailed: Payment "payment.failed.v1" of payment_id,
    RefundDue: Payment "payment.refund_due.v1" of payment_id,
    Refunded: Payment "payment.refunded.v1" of payment_id,
    WaitlistJoined: Waitlist "waitlist.joined.v1" of waitlist_id,
    WaitlistOffered: Waitlist "waitlist.offered.v1" of waitlist_id,
    WaitlistServed: Waitlist "waitlist.served.v1" of waitlist_id,
    WaitlistLapsed: Waitlist "waitlist.lapsed.v1" of waitlist_id,
    WaitlistLeft: Waitlist "waitlist.left.v1" of waitlist_id,
}

/// A type of message.
#[derive(Debug, Clone)]
pub struct MessageKind {
    /// Where it is sent.
    pub topic: Topic,
    /// Its CloudEvents type.
    pub kind: &'static str,
    /// What it says.
    pub schema: schemars::Schema,
}

/// A message as it is sent: a CloudEvent (1.0) in the binary mode of its Kafka binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it is sent.
    pub topic: Topic,
    /// The event that all this is about: the key, by which order is kept.
    pub event: EventId,
    /// Its CloudEvents type.
    pub kind: &'static str,
    /// What it is about, e.g. `bkg_...`.
    pub subject: String,
    /// The record that it was made of.
    pub record: Uuid,
    /// Where in the log that is.
    pub position: u64,
    /// When what it tells of was decided.
    pub at: Time,
    /// The W3C trace context in which it was decided.
    pub trace: Option<String>,
    /// What it says: JSON.
    pub data: Vec<u8>,
}

impl Message {
    /// Who speaks: CloudEvents ids are unique within it.
    pub const SOURCE: &'static str = "/evently";
    /// The version of CloudEvents.
    pub const SPEC_VERSION: &'static str = "1.0";
    /// What data is.
    pub const CONTENT_TYPE: &'static str = "application/json";

    /// The same however often it is sent: the record's id, which is given once and for all by whoever
    /// decided it, and which of the record's messages it is.
    pub fn id(&self) -> String {
        format!("{}/{}", self.record, self.topic.noun())
    }

    /// Names and values of its headers.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("ce_specversion", Self::SPEC_VERSION.to_owned()),
            ("ce_id", self.id()),
            ("ce_source", Self::SOURCE.to_owned()),
            ("ce_type", self.kind.to_owned()),
            ("ce_subject", self.subject.clone()),
            ("ce_time", self.at.to_string()),
            ("ce_eventlyposition", self.position.to_string()),
            ("content-type", Self::CONTENT_TYPE.to_owned()),
        ];
        // The extension "Distributed Tracing" of CloudEvents.
        headers.extend(self.trace.clone().map(|trace| ("ce_traceparent", trace)));
        headers
    }
}
