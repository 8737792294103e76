//! What admins and operators order, with who and why: a stream for each thing or person that it is about.
//!
//! The order is written before it is carried out. What came of it is in the stream of what it is about.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::facts;
use crate::{
    Aggregate, BookingId, EventId, Request, Role, Scope, Sealed, ServiceKeyId, Time, UserId,
};

/// What an order is about; names its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A person.
    Person(UserId),
    /// An event, or a booking of it.
    Event(EventId),
    /// A service's key.
    Service(ServiceKeyId),
    /// All of it.
    Installation,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(user) => user.fmt(f),
            Self::Event(event) => event.fmt(f),
            Self::Service(key) => key.fmt(f),
            Self::Installation => f.write_str("installation"),
        }
    }
}

// Facts

/// A person was to be something more, or something no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolesOrdered {
    /// Who.
    pub user: UserId,
    /// What they were to be.
    pub grant: Vec<Role>,
    /// What they were to be no more.
    pub revoke: Vec<Role>,
    /// The admin; absent for the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// Why. Sealed with the key of the person whom it speaks of.
    pub reason: Sealed,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// A person was to be forgotten, and did not ask for it here themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErasureOrdered {
    /// Who.
    pub user: UserId,
    /// The admin; absent for the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// Why. Sealed with the key of the person, and destroyed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sealed>,
}

/// An admin wanted a booking cancelled that may be another's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BookingCancellationOrdered {
    /// Which booking.
    pub booking: BookingId,
    /// The admin.
    pub by: UserId,
    /// Why. Sealed with the admin's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sealed>,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// An admin wanted an event cancelled that may be another's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventCancellationOrdered {
    /// Which event.
    pub event: EventId,
    /// The admin.
    pub by: UserId,
    /// Why. Sealed with the admin's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sealed>,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// A key for another program was to be made, on the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceKeyOrdered {
    /// Which one.
    pub key: ServiceKeyId,
    /// What it is for, as the operator said.
    pub name: String,
    /// What it was to allow.
    pub scopes: Vec<Scope>,
}

/// A key of another program was to count no more, on the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceKeyRevocationOrdered {
    /// Which one.
    pub key: ServiceKeyId,
}

/// The keys of all persons were to be wrapped by another master key, on the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MasterKeyRotationOrdered {}

/// Access tokens were to be signed with another key, on the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SigningKeyRotationOrdered {
    /// Whether nothing that was signed before was to count any more, as after a leak.
    pub forgets_old: bool,
    /// Why, as the operator said: one word, which is not sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

facts! {
    /// What was ordered.
    Fact {
        RolesOrdered = 1,
        ErasureOrdered = 1,
        BookingCancellationOrdered = 1,
        EventCancellationOrdered = 1,
        ServiceKeyOrdered = 1,
        ServiceKeyRevocationOrdered = 1,
        MasterKeyRotationOrdered = 1,
        SigningKeyRotationOrdered = 1,
    }
}

impl Fact {
    /// What it is about.
    pub const fn subject(&self) -> Subject {
        match self {
            Self::RolesOrdered(fact) => Subject::Person(fact.user),
            Self::ErasureOrdered(fact) => Subject::Person(fact.user),
            Self::BookingCancellationOrdered(fact) => Subject::Event(fact.booking.event),
            Self::EventCancellationOrdered(fact) => Subject::Event(fact.event),
            Self::ServiceKeyOrdered(fact) => Subject::Service(fact.key),
            Self::ServiceKeyRevocationOrdered(fact) => Subject::Service(fact.key),
            Self::MasterKeyRotationOrdered(_) | Self::SigningKeyRotationOrdered(_) => {
                Subject::Installation
            }
        }
    }

    /// The key of the command, and who gave it.
    fn request(&self) -> Option<(UserId, &Request)> {
        let (by, request) = match self {
            Self::RolesOrdered(fact) => (fact.by?, fact.request.as_ref()),
            Self::BookingCancellationOrdered(fact) => (fact.by, fact.request.as_ref()),
            Self::EventCancellationOrdered(fact) => (fact.by, fact.request.as_ref()),
            _ => return None,
        };
        Some((by, request?))
    }
}

// State and evolve

/// What was ordered of one thing or person.
#[derive(Debug, Clone, Default)]
pub struct Administration {
    requests: Vec<(UserId, Request)>,
    is_erasure_ordered: bool,
    is_revocation_ordered: bool,
}

// Commands and decide

/// Write this order down.
#[derive(Debug, Clone)]
pub struct Order(pub Fact);

/// Why it is not written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The key was used for something else (BK-6).
    KeyReused,
}

impl Aggregate for Administration {
    const CATEGORY: &'static str = "admin";
    type Id = Subject;
    type Fact = Fact;
    type Command = Order;
    type Refusal = Refusal;

    fn evolve(&mut self, _at: Time, fact: &Fact) {
        match fact {
            Fact::ErasureOrdered(_) => self.is_erasure_ordered = true,
            Fact::ServiceKeyRevocationOrdered(_) => self.is_revocation_ordered = true,
            _ => {}
        }
        self.requests.extend(fact.request().map(|(by, request)| (by, request.clone())));
    }

    fn decide(&self, Order(fact): &Order, _now: Time) -> Result<Vec<Fact>, Refusal> {
        let is_repeated = match fact {
            Fact::ErasureOrdered(_) => self.is_erasure_ordered,
            Fact::ServiceKeyRevocationOrdered(_) => self.is_revocation_ordered,
            fact => self.has_request(fact)?,
        };
        Ok(if is_repeated { vec![] } else { vec![fact.clone()] })
    }
}

impl Administration {
    fn has_request(&self, fact: &Fact) -> Result<bool, Refusal> {
        let Some((by, request)) = fact.request() else { return Ok(false) };
        match crate::request::find(&self.requests, by, Some(request)) {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => Err(Refusal::KeyReused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIN: UserId = UserId::from_u128(1);
    const EVENT: EventId = EventId::from_u128(2);

    fn cancel(by: UserId, request: Option<&str>, body: &[u8]) -> Fact {
        let request = request.and_then(|key| Request::new(key, body).ok());
        EventCancellationOrdered { event: EVENT, by, reason: None, request }.into()
    }

    #[test]
    fn an_order_is_written_down_once() {
        let (user, key) = (UserId::from_u128(3), ServiceKeyId::from_u128(4));
        let erase = |by| Fact::from(ErasureOrdered { user, by, reason: None });
        let revoke = Fact::from(ServiceKeyRevocationOrdered { key });
        let other = UserId::from_u128(9);
        let table = [
            (vec![], cancel(ADMIN, Some("k"), b"1"), Ok(true)),
            (vec![cancel(ADMIN, Some("k"), b"1")], cancel(ADMIN, Some("k"), b"1"), Ok(false)),
            (
                vec![cancel(ADMIN, Some("k"), b"1")],
                cancel(ADMIN, Some("k"), b"2"),
                Err(Refusal::KeyReused),
            ),
            (vec![cancel(ADMIN, Some("k"), b"1")], cancel(other, Some("k"), b"2"), Ok(true)),
            // Without a key nobody knows that it is the same.
            (vec![cancel(ADMIN, None, b"")], cancel(ADMIN, None, b""), Ok(true)),
            (vec![erase(None)], erase(Some(ADMIN)), Ok(false)),
            (vec![], revoke.clone(), Ok(true)),
            (vec![revoke.clone()], revoke, Ok(false)),
        ];
        for (given, order, then) in table {
            let mut state = Administration::default();
            given.iter().for_each(|fact| state.evolve(Time::default(), fact));
            let decided = state.decide(&Order(order.clone()), Time::default());
            let wanted = then.map(|new| if new { vec![order.clone()] } else { vec![] });
            assert_eq!(decided, wanted, "{given:?} {order:?}");
        }
    }
}
