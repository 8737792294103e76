//! The rules of selling tickets, as pure functions: no clock, no randomness, no input or output.
//!
//! Each aggregate is one module with the same parts in the same order: stream name, facts, state
//! and `evolve`, commands and `decide`. Facts are the stored contract; nothing else is stored.

pub mod account;
pub mod administration;
pub mod aggregate;
pub mod attempt;
mod base32;
pub mod email_claim;
pub mod event;
pub mod fact;
pub mod id;
pub mod inventory;
pub mod login_claim;
pub mod money;
pub mod request;
mod rfc3339;
pub mod role;
pub mod scope;
pub mod sealed;
pub mod seating;
pub mod text;
pub mod time;
pub mod venue;

pub use aggregate::Aggregate;
pub use email_claim::EmailHash;
pub use fact::{Fact, FactError, StoredFact};
pub use id::{
    AttemptId, BookingId, EventId, IdError, PaymentId, ServiceKeyId, TicketId, TierId, UserId,
    VenueId, WaitlistId,
};
pub use login_claim::LoginHash;
pub use money::Currency;
pub use request::{Request, RequestError};
pub use role::{Role, RoleError, Roles};
pub use scope::{Scope, ScopeError};
pub use sealed::Sealed;
pub use time::Time;
