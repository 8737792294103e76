//! Progress, on standard error: bars for people, and now and then a line where none can be drawn.

use std::convert::Infallible;
use std::future::pending;
use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, interval_at};

const STEPS: &str = "{msg} {wide_bar} {human_pos} of {human_len}, {eta} left";
const BYTES: &str = "{msg} {wide_bar} {bytes} of {total_bytes}, {eta} left";

/// Between two lines.
const NOW_AND_THEN: Duration = Duration::from_secs(5);

/// Tells on `out` how far `bar` is, if it cannot be drawn and has moved, until dropped.
pub(super) async fn in_lines(bar: &ProgressBar, mut out: impl Write) -> Infallible {
    if !bar.is_hidden() {
        return pending().await;
    }
    let mut pulse = interval_at(Instant::now() + NOW_AND_THEN, NOW_AND_THEN);
    let mut told = String::new();
    loop {
        pulse.tick().await;
        let (doing, position) = (bar.message(), bar.position());
        let line = match bar.length() {
            Some(length) if position < length => format!("{doing} {position} of {length}"),
            _ => doing.trim_end_matches(',').to_owned(),
        };
        if line != told {
            // Nothing can be done for someone who has no standard error.
            let _ = writeln!(out, "{line}");
            told = line;
        }
    }
}

/// A bar for `length` steps.
pub(super) fn bar(length: u64, doing: &'static str) -> ProgressBar {
    styled(length, doing, STEPS)
}

/// A bar for `length` bytes.
pub(super) fn bytes(length: u64, doing: &'static str) -> ProgressBar {
    styled(length, doing, BYTES)
}

fn styled(length: u64, doing: &'static str, template: &str) -> ProgressBar {
    // The templates are valid; the usual bar would do as well.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_message(doing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{sleep, timeout};

    // The clock stands still, and leaps when all wait for it.
    #[tokio::test(start_paused = true)]
    async fn a_bar_that_cannot_be_drawn_is_told_in_lines_when_it_has_moved() {
        let bar = ProgressBar::hidden().with_message("buyers come");
        bar.set_length(20);
        let sale = async {
            bar.set_position(3);
            sleep(NOW_AND_THEN + Duration::from_secs(1)).await;
            sleep(NOW_AND_THEN).await;
            bar.set_position(20);
            bar.set_message("places still held: 7,");
            sleep(NOW_AND_THEN).await;
        };
        let mut told = vec![];
        tokio::select! {
            never = in_lines(&bar, &mut told) => match never {},
            () = sale => {}
        }
        assert_eq!(String::from_utf8(told).unwrap(), "buyers come 3 of 20\nplaces still held: 7\n");
        let mut told = vec![];
        assert!(timeout(NOW_AND_THEN / 2, in_lines(&bar, &mut told)).await.is_err());
        assert!(told.is_empty(), "at once");
    }
}
