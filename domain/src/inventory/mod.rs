//! The inventory: one per event, owner of its stock, holds, bookings and waitlist.

mod facts;

pub use facts::*;

/// The stream's name is this, a dash, and the event's id.
pub const CATEGORY: &str = "inventory";
