//! The command runtime: who decides, and how a decision becomes durable.

mod ahead;
mod damaged;
mod decider;
mod draft;
mod handle;
mod inventories;
mod records;
mod stats;
mod traced;
mod turns;
mod unit;
mod wake;
mod writer;

pub(crate) use ahead::Ahead;
pub use ahead::CLOCKS_APART;
pub(crate) use decider::{Decider, Done, Failure, Job, Origin, Outcome, Seen};
pub(crate) use inventories::Inventories;
pub(crate) use records::record_id;
pub use stats::CommandStats;
pub(crate) use unit::{Unit, Unread};
pub(crate) use wake::WakeList;
pub use wake::{LostEnd, followed_to};
pub(crate) use writer::Surroundings;
