//! A load of the product between two loads of what it is compared with.

use crate::load::Outcome;
use crate::report::Sample;

/// What the product did, and what axum echoed right before and right after it: a machine that others
/// share is not equally fast for long, and what it does meanwhile falls on both.
pub(super) struct BesideEcho {
    pub(super) before: Outcome,
    pub(super) load: Outcome,
    pub(super) after: Outcome,
}

impl BesideEcho {
    /// Compared with the mean of the two.
    pub(super) fn sample(&self) -> Sample {
        Sample::against(self.load.rate, f64::midpoint(self.before.rate, self.after.rate))
            .with("load", self.load.seen())
            .with("echo_before", self.before.seen())
            .with("echo_after", self.after.seen())
    }
}
