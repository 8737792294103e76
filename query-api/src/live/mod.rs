//! Live availability: the stock of events that are asked for, kept in memory (CT-4).

use std::sync::Arc;

use infra::log::{Log, Position};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What live availability may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveLimits {
    /// Events kept in memory at most; beyond it those are dropped that nobody asked for longest.
    pub events: usize,
    /// About how many bytes all events kept may take together.
    pub bytes: usize,
    /// Event streams (server-sent events) open at once; beyond it 503.
    pub streams: usize,
}

impl Default for LiveLimits {
    fn default() -> Self {
        Self { events: 10_000, bytes: 1 << 30, streams: 20_000 }
    }
}

/// Figures of live availability, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveStats {
    /// Everything up to here has been taken in; `None` until the subscription has begun.
    pub position: Option<Position>,
    /// Events in memory.
    pub events: usize,
    /// Event streams open.
    pub streams: usize,
    /// Event streams cut off because the reader was too slow, since the start.
    pub streams_cut_off: u64,
    /// Facts that broke a rule of the stock (BK-5), since the start. Anything but 0 is an alarm.
    pub violations: u64,
    /// Records that are no facts this program knows, since the start.
    pub undecodable: u64,
}

/// Live availability. Cloning shares it.
#[derive(Clone)]
pub struct Live {
    _log: Arc<dyn Log>,
}

impl Live {
    /// Begins to follow `log`, in tasks of `tasks` that end with `stop`.
    pub fn start(
        log: Arc<dyn Log>,
        _limits: LiveLimits,
        _tasks: &TaskTracker,
        _stop: CancellationToken,
    ) -> Self {
        Self { _log: log }
    }

    /// Figures for metrics.
    pub fn stats(&self) -> LiveStats {
        LiveStats::default()
    }
}
