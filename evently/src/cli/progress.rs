//! Progress bars, on standard error, and only for people.

use indicatif::{ProgressBar, ProgressStyle};

const STEPS: &str = "{msg} {wide_bar} {human_pos} of {human_len}, {eta} left";
const BYTES: &str = "{msg} {wide_bar} {bytes} of {total_bytes}, {eta} left";

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
