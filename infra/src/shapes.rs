//! Shapes that several answers of the API share (product.md, "Shapes that several answers share").

use domain::inventory::{Line, tickets_of};
use domain::{BookingId, Currency, EventId, TicketId, TierId, Time, UserId, WaitlistId};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::log::chain::ChainHashError;
use crate::log::{Position, Record};

/// A booking, as reserve, confirm and GET answer with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Booking {
    /// `bkg_...`
    #[schema(value_type = String)]
    pub booking_id: BookingId,
    /// What a person reads out at a counter, e.g. `K7QF-2M9D`.
    pub reference: String,
    /// `evt_...`
    #[schema(value_type = String)]
    pub event_id: EventId,
    /// `usr_...`
    #[schema(value_type = String)]
    pub user_id: UserId,
    /// Where it stands.
    pub status: BookingStatus,
    /// When the hold dies; only while it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Time>,
    /// One for each seat, or one for a number of places.
    pub line_items: Vec<LineItem>,
    /// Sum of the line items, in minor units.
    pub subtotal: i64,
    /// What is taken off, in minor units.
    pub discount: i64,
    /// What is to be paid or was, in minor units.
    pub total: i64,
    /// ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// One for each person; empty until it is confirmed.
    pub tickets: Vec<Ticket>,
    /// What is paid back after a cancellation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<Refund>,
    /// What happened to it; reserve answers without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<HistoryEntry>>,
    /// Where in the log the command is; only in the answer to a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}

/// Where a booking stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BookingStatus {
    /// Places are out of sale until the deadline.
    Held,
    /// Paid; has tickets.
    Confirmed,
    /// Given back.
    Cancelled,
    /// The hold died at its deadline.
    Expired,
}

/// Part of a booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineItem {
    /// `tier_...`
    #[schema(value_type = String)]
    pub tier_id: TierId,
    /// `section-row-seat`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
    /// Tickets; 1 for a seat.
    pub quantity: u32,
    /// Price of one ticket, in minor units.
    pub unit_price: i64,
    /// Price of the line, in minor units.
    pub amount: i64,
}

impl From<&Line> for LineItem {
    fn from(line: &Line) -> Self {
        Self {
            tier_id: line.tier,
            seat: line.seat.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price_minor,
            amount: line.amount_minor(),
        }
    }
}

/// What lets one person in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ticket {
    /// `tkt_...`
    #[schema(value_type = String)]
    pub ticket_id: TicketId,
    /// `tier_...`
    #[schema(value_type = String)]
    pub tier_id: TierId,
    /// `section-row-seat`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
}

impl Ticket {
    /// The tickets of a confirmed booking.
    pub fn all(booking: BookingId, lines: &[Line]) -> Vec<Self> {
        let ticket = |ticket: domain::inventory::Ticket| Self {
            ticket_id: ticket.ticket,
            tier_id: ticket.tier,
            seat: ticket.seat,
        };
        tickets_of(booking, lines).into_iter().map(ticket).collect()
    }
}

/// What is paid back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refund {
    /// In minor units.
    pub amount: i64,
    /// ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// How far it got.
    pub status: RefundStatus,
}

/// How far a refund got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RefundStatus {
    /// There is nothing to pay back.
    None,
    /// The payment provider is being asked.
    Pending,
    /// The payment provider paid it back.
    Refunded,
}

/// Something that happened to a booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// The fact's kind, e.g. `Reserved`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
}

/// A place in an event's waitlist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitlistEntry {
    /// `wl_...`
    #[schema(value_type = String)]
    pub waitlist_id: WaitlistId,
    /// `evt_...`
    #[schema(value_type = String)]
    pub event_id: EventId,
    /// The tier waited for; any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tier_id: Option<TierId>,
    /// Tickets.
    pub quantity: u32,
    /// How many are served before this one, plus one; 0 when it does not wait any more.
    pub position: u32,
    /// Where it stands.
    pub status: WaitlistStatus,
    /// The offered hold, confirmed like any other.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub booking_id: Option<BookingId>,
    /// When the offer dies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Time>,
    /// How long it may take until an offer; null while nothing is known.
    pub estimated_wait_seconds: Option<u64>,
}

/// Where a place in the waitlist stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WaitlistStatus {
    /// For places to return.
    Waiting,
    /// There is an offer to confirm.
    Offered,
    /// The offer was confirmed.
    Served,
    /// Left, or the offer was not taken.
    Left,
}

/// A record as the log has it, in answers and in exports. `data` and `metadata` are the stored
/// texts, unchanged: with `id`, `version` and the hash of the record before it in its stream, `hash`
/// can be computed again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditRecord {
    /// Place in the whole log.
    #[schema(value_type = u64)]
    pub position: Position,
    /// Name of its stream.
    pub stream: String,
    /// Place in its stream, from 0.
    pub revision: u64,
    /// Unique.
    #[schema(value_type = String, example = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")]
    pub id: Uuid,
    /// The fact's kind, e.g. `Reserved`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of the form of `data`.
    pub version: u16,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// The fact: an object, unless a program other than ours wrote the record.
    #[schema(value_type = serde_json::Value)]
    pub data: Box<RawValue>,
    /// Who asked, and why: likewise.
    #[schema(value_type = serde_json::Value)]
    pub metadata: Box<RawValue>,
    /// BLAKE3 over the record and the hash before it in its stream, in hexadecimal digits.
    pub hash: String,
    /// Why an admin did it, if the record has that sealed and whoever reads it may know: opened. `null` if
    /// it cannot be opened: the person it is about was erased, or their keys are away. It is not hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reason: Option<OpenedReason>,
}

/// What was sealed, or nothing if it cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpenedReason(pub Option<String>);

impl From<Record> for AuditRecord {
    fn from(record: Record) -> Self {
        Self {
            position: record.position,
            stream: record.stream.to_string(),
            revision: record.revision,
            id: record.id,
            kind: record.kind.to_string(),
            version: record.version,
            at: record.at,
            data: as_stored(String::from_utf8_lossy(&record.data).into_owned()),
            metadata: as_stored(record.metadata.as_ref().to_owned()),
            hash: record.hash.to_string(),
            reason: None,
        }
    }
}

/// The record that was shown.
impl TryFrom<AuditRecord> for Record {
    type Error = ChainHashError;

    fn try_from(shown: AuditRecord) -> Result<Self, ChainHashError> {
        Ok(Self {
            position: shown.position,
            stream: shown.stream.into(),
            revision: shown.revision,
            id: shown.id,
            kind: shown.kind.into(),
            version: shown.version,
            at: shown.at,
            metadata: shown.metadata.get().into(),
            data: shown.data.get().to_owned().into(),
            hash: shown.hash.parse()?,
        })
    }
}

/// The text itself; as a string if a foreign writer stored something other than JSON.
fn as_stored(text: String) -> Box<RawValue> {
    RawValue::from_string(text.clone())
        .or_else(|_| to_raw_value(&text))
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::ChainHash;

    #[test]
    fn what_is_no_json_is_shown_as_text() {
        assert_eq!(as_stored(r#"{"a": 1}"#.into()).get(), r#"{"a": 1}"#);
        assert_eq!(as_stored("{broken".into()).get(), r#""{broken""#);
    }

    #[test]
    fn a_record_survives_being_shown() {
        let record = Record {
            position: Position(7),
            stream: "inventory-evt_1".into(),
            revision: 3,
            id: Uuid::from_u128(9),
            kind: "Reserved".into(),
            version: 1,
            at: "2027-06-01T19:30:00.001Z".parse().unwrap(),
            metadata: r#"{"command" : 1.0}"#.into(),
            data: r#"{"b":1e2,"a":"\u00fc"}"#.into(),
            hash: ChainHash([7; 32]),
        };
        let line = serde_json::to_string(&AuditRecord::from(record.clone())).unwrap();
        let shown: AuditRecord = serde_json::from_str(&line).unwrap();
        assert_eq!(Record::try_from(shown), Ok(record));
    }
}
