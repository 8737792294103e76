//! Moments that tell nothing of what was done until then.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Whole numbers of steps since somebody asked for what they must not learn of. What is to be seen of it,
/// records and the answer, comes at one of them; all that takes its time is done in between.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    begun: Instant,
    /// `None` where there is nothing to hide.
    step: Option<Duration>,
}

impl Steps {
    /// From now on.
    pub(super) fn begin(step: Duration) -> Self {
        Self { begun: Instant::now(), step: Some(step) }
    }

    /// For whom there is nothing to hide from, and who never waits.
    pub(super) fn none() -> Self {
        Self { begun: Instant::now(), step: None }
    }

    /// Whether there is anything to hide.
    pub(super) fn hide(&self) -> bool {
        self.step.is_some()
    }

    /// Waits for the next one.
    pub(super) async fn next(&self) {
        if let Some(step) = self.step {
            sleep_until(self.begun + whole(step, self.begun.elapsed())).await;
        }
    }
}

/// The least multiple of `step` that is longer than `elapsed`.
fn whole(step: Duration, elapsed: Duration) -> Duration {
    let steps = elapsed.as_nanos().checked_div(step.as_nanos()).map_or(0, |steps| steps + 1);
    step.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_step_is_later_than_now() {
        let ms = Duration::from_millis;
        let table =
            [(300, 0, 300), (300, 299, 300), (300, 300, 600), (300, 1_000, 1_200), (0, 5, 0)];
        for (step, elapsed, expected) in table {
            assert_eq!(whole(ms(step), ms(elapsed)), ms(expected), "{step} {elapsed}");
        }
    }
}
