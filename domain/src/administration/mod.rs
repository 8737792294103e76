//! What admins and operators order, with who and why: a stream for each thing or person that it is about.
//!
//! The order is written before it is carried out. What came of it is in the stream of what it is about.

mod facts;

use std::fmt;

pub use facts::*;

use crate::{Aggregate, EventId, Request, Sealed, ServiceKeyId, Time, UserId, VenueId};

/// What an order is about; names its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A person.
    Person(UserId),
    /// An event, or a booking of it.
    Event(EventId),
    /// A venue.
    Venue(VenueId),
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
            Self::Venue(venue) => venue.fmt(f),
            Self::Service(key) => key.fmt(f),
            Self::Installation => f.write_str("installation"),
        }
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
            Self::EventChangeOrdered(fact) => Subject::Event(fact.event),
            Self::EventPublicationOrdered(fact) => Subject::Event(fact.event),
            Self::VenueChangeOrdered(fact) => Subject::Venue(fact.venue),
            Self::ServiceKeyOrdered(fact) => Subject::Service(fact.key),
            Self::ServiceKeyRevocationOrdered(fact) => Subject::Service(fact.key),
            Self::MasterKeyRotationOrdered(_)
            | Self::KeysRenewalOrdered(_)
            | Self::SigningKeyRotationOrdered(_)
            | Self::ViewRebuildOrdered(_)
            | Self::ViewRetryOrdered(_)
            | Self::FeedReplayOrdered(_) => Subject::Installation,
        }
    }

    /// To whom it is done, or to whose thing, where it says so.
    pub const fn person(&self) -> Option<UserId> {
        match self {
            Self::RolesOrdered(fact) => Some(fact.user),
            Self::ErasureOrdered(fact) => Some(fact.user),
            Self::BookingCancellationOrdered(fact) => fact.owner,
            Self::EventCancellationOrdered(fact) => fact.owner,
            Self::EventChangeOrdered(fact) => fact.owner,
            Self::EventPublicationOrdered(fact) => fact.owner,
            Self::VenueChangeOrdered(fact) => fact.owner,
            Self::ServiceKeyOrdered(_)
            | Self::ServiceKeyRevocationOrdered(_)
            | Self::MasterKeyRotationOrdered(_)
            | Self::KeysRenewalOrdered(_)
            | Self::SigningKeyRotationOrdered(_)
            | Self::ViewRebuildOrdered(_)
            | Self::ViewRetryOrdered(_)
            | Self::FeedReplayOrdered(_) => None,
        }
    }

    /// The person who ordered it; nobody for the command line and services.
    pub fn by(&self) -> Option<UserId> {
        match self {
            Self::RolesOrdered(fact) => fact.by,
            Self::ErasureOrdered(fact) => fact.by,
            Self::BookingCancellationOrdered(fact) => Some(fact.by),
            Self::EventCancellationOrdered(fact) => Some(fact.by),
            Self::EventChangeOrdered(fact) => Some(fact.by),
            Self::EventPublicationOrdered(fact) => Some(fact.by),
            Self::VenueChangeOrdered(fact) => Some(fact.by),
            Self::ViewRebuildOrdered(fact) => fact.operator.by,
            Self::ViewRetryOrdered(fact) => fact.operator.by,
            Self::FeedReplayOrdered(fact) => fact.operator.by,
            Self::ServiceKeyOrdered(_)
            | Self::ServiceKeyRevocationOrdered(_)
            | Self::MasterKeyRotationOrdered(_)
            | Self::KeysRenewalOrdered(_)
            | Self::SigningKeyRotationOrdered(_) => None,
        }
    }

    /// Why, in words that are sealed, and with whose key: theirs to whom it is done, so that it goes with
    /// them; the admin's where nobody is named.
    pub fn reason(&self) -> Option<(UserId, &Sealed)> {
        let reason = match self {
            Self::RolesOrdered(fact) => Some(&fact.reason),
            Self::ErasureOrdered(fact) => fact.reason.as_ref(),
            Self::BookingCancellationOrdered(fact) => fact.reason.as_ref(),
            Self::EventCancellationOrdered(fact) => fact.reason.as_ref(),
            Self::EventChangeOrdered(fact) => Some(&fact.reason),
            Self::EventPublicationOrdered(fact) => Some(&fact.reason),
            Self::VenueChangeOrdered(fact) => Some(&fact.reason),
            _ => None,
        };
        Some((self.person().or(self.by())?, reason?))
    }

    /// The key of the command, and who gave it.
    fn request(&self) -> Option<(UserId, &Request)> {
        let request = match self {
            Self::RolesOrdered(fact) => fact.request.as_ref(),
            Self::BookingCancellationOrdered(fact) => fact.request.as_ref(),
            Self::EventCancellationOrdered(fact) => fact.request.as_ref(),
            Self::EventChangeOrdered(fact) => fact.request.as_ref(),
            Self::EventPublicationOrdered(fact) => fact.request.as_ref(),
            Self::VenueChangeOrdered(fact) => fact.request.as_ref(),
            _ => None,
        };
        Some((self.by()?, request?))
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
        EventCancellationOrdered { event: EVENT, by, owner: None, reason: None, request }.into()
    }

    #[test]
    fn an_order_is_written_down_once() {
        let (user, key) = (UserId::from_u128(3), ServiceKeyId::from_u128(4));
        let erase = |by| {
            let (ground, events, reason) = (Some(ErasureGround::Law), vec![], None);
            Fact::from(ErasureOrdered { user, by, ground, events, reason })
        };
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
