//! How busy the command side is, for metrics.

use std::time::Duration;

use super::damaged::DAMAGED;
use crate::CommandState;

/// How busy the command side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandStats {
    /// Inventories that have a writer on this node.
    pub inventories: usize,
    /// Commands that wait to be decided.
    pub waiting: usize,
    /// The same, of the inventory for which most wait.
    pub waiting_most: usize,
    /// How many may wait for one inventory.
    pub mailbox: usize,
}

impl CommandState {
    /// How busy it is at the moment.
    pub fn stats(&self) -> CommandStats {
        self.0.inventories.stats()
    }

    /// How many streams nothing is decided on because a record in them is not what the product wrote,
    /// and the first of them with what is wrong; nothing if this process met none.
    pub fn damaged_streams(&self) -> Option<(usize, String)> {
        DAMAGED.told()
    }

    /// How far the latest time of any record lies ahead of this machine's clock. More than
    /// [`CLOCKS_APART`](crate::CLOCKS_APART) if a clock is or was wrong.
    pub fn log_ahead(&self) -> Duration {
        self.0.inventories.ahead().lead()
    }
}
