//! What is told of a log that cannot be followed: at once, then ever more rarely, and when it is back.

use std::error::Error;
use std::time::Duration;

use tokio::time::Instant;

/// Between the first two times that it is told; then twice as long each time.
const FIRST: Duration = Duration::from_secs(5);
/// As long at most.
const LAST: Duration = Duration::from_secs(300);

/// Whoever follows the log has one, and tries again much more often than it tells of it.
#[derive(Debug)]
pub struct Outage {
    /// What comes of it, as a sentence.
    what: &'static str,
    /// Since when, and when it is told again.
    under_way: Option<(Instant, Instant)>,
    pause: Duration,
}

impl Outage {
    /// There is none yet. `what` says what comes of one: "the views fall behind".
    pub fn new(what: &'static str) -> Self {
        Self { what, under_way: None, pause: FIRST }
    }

    /// It was tried, in vain. Whether that was told.
    pub fn failed(&mut self, error: &(dyn Error + 'static)) -> bool {
        let now = Instant::now();
        let (since, due) = self.under_way.unwrap_or((now, now));
        if now < due {
            return false;
        }
        let for_s = (now - since).as_secs();
        tracing::warn!(error, for_s, "the log cannot be followed, and {}; trying again", self.what);
        self.under_way = Some((since, now + self.pause));
        self.pause = (self.pause * 2).min(LAST);
        true
    }

    /// It can be followed. Whether that was told: it is if it could not be before.
    pub fn works(&mut self) -> bool {
        let Some((since, _)) = self.under_way.take() else { return false };
        self.pause = FIRST;
        tracing::info!(for_s = since.elapsed().as_secs(), "the log is followed again");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_ever_more_rarely_and_so_is_its_end() {
        let error = std::io::Error::other("away");
        let mut outage = Outage::new("nothing is seen");
        assert!(!outage.works());
        let began = Instant::now();
        let mut told = vec![];
        while began.elapsed() < Duration::from_secs(1_500) {
            if outage.failed(&error) {
                told.push(began.elapsed().as_secs());
            }
            tokio::time::advance(Duration::from_millis(250)).await;
        }
        assert_eq!(told, [0, 5, 15, 35, 75, 155, 315, 615, 915, 1_215]);
        assert!(outage.works());
        assert!(!outage.works());
        // The next one is told at once, and again soon.
        assert!(outage.failed(&error));
        tokio::time::advance(FIRST).await;
        assert!(outage.failed(&error));
    }
}
