//! How often something was how large.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Text, loaded, zeros};

/// Counts in `N` buckets and one above them; what is counted is whole.
pub struct Histogram<const N: usize> {
    /// The largest that each bucket takes, in order.
    bounds: &'static [u64; N],
    /// What of the counted makes one of the shown.
    unit: f64,
    counts: [AtomicU64; N],
    above: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    /// Nothing counted. `unit` of what is counted are one of what is shown.
    pub const fn new(bounds: &'static [u64; N], unit: f64) -> Self {
        let (counts, above, sum) = (zeros(), AtomicU64::new(0), AtomicU64::new(0));
        Self { bounds, unit, counts, above, sum }
    }

    /// Counts one of this size.
    pub fn count(&self, size: u64) {
        let bucket = self.bounds.iter().position(|bound| size <= *bound);
        let bucket = bucket.map_or(&self.above, |bucket| &self.counts[bucket]);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(size, Ordering::Relaxed);
    }

    /// Counts a time, in microseconds.
    pub fn took(&self, took: Duration) {
        self.count(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Whether anything was counted.
    pub(super) fn is_counted(&self) -> bool {
        let counts = self.counts.iter().chain([&self.above]);
        counts.map(|count| count.load(Ordering::Relaxed)).any(|count| count > 0)
    }

    /// Writes it with these labels, as Prometheus counts: each bucket holds those below it too.
    pub(super) fn write(&self, text: &mut Text, name: &str, labels: &[(&str, &str)]) {
        let (bucket, mut total) = (format!("{name}_bucket"), 0);
        let mut upto = |bound: &str, count: u64| {
            total += count;
            text.sample(&bucket, &[labels, &[("le", bound)]].concat(), total as f64);
        };
        for (bound, count) in self.bounds.iter().zip(loaded(&self.counts)) {
            upto(&(*bound as f64 / self.unit).to_string(), count);
        }
        upto("+Inf", self.above.load(Ordering::Relaxed));
        let sum = self.sum.load(Ordering::Relaxed) as f64 / self.unit;
        text.sample(&format!("{name}_sum"), labels, sum);
        text.sample(&format!("{name}_count"), labels, total as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_as_large_as_its_bound_and_all_below() {
        let histogram = Histogram::new(&[1_000, 2_500], 1e6);
        for took_us in [0, 1_000, 1_001, 2_500, 2_501, 7_000_000] {
            histogram.took(Duration::from_micros(took_us));
        }
        let mut text = Text::new();
        histogram.write(&mut text, "x", &[("a", "b")]);
        assert_eq!(
            text.finish(),
            "x_bucket{a=\"b\",le=\"0.001\"} 2\nx_bucket{a=\"b\",le=\"0.0025\"} 4\n\
             x_bucket{a=\"b\",le=\"+Inf\"} 6\nx_sum{a=\"b\"} 7.007002\nx_count{a=\"b\"} 6\n"
        );
    }
}
