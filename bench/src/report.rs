//! What was measured, as a table for people and as JSON for machines.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::machine::Machine;

/// Everything of one call of the program.
#[derive(Debug, Serialize)]
pub struct Report {
    /// On what.
    pub machine: Machine,
    /// With what.
    pub settings: Settings,
    /// What came out.
    pub rows: Vec<Row>,
}

/// What the figures depend on beside the machine.
#[derive(Debug, Serialize)]
pub struct Settings {
    /// How often everything was measured; figures are medians.
    pub runs: u32,
    /// Connections of the load generator.
    pub connections: usize,
    /// Threads of the load generator.
    pub generator_threads: usize,
    /// Seconds of each load before measuring.
    pub warm_up_s: f64,
    /// Seconds measured of each load.
    pub seconds: f64,
    /// Seconds measured of a storm, and of what it is compared with.
    pub storm_s: f64,
}

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Product by baseline.
    RatioAtLeast(f64),
    /// The product's figure.
    AtLeast(f64),
    /// The product's figure.
    AtMost(f64),
    /// Nothing: shown to understand the others.
    Shown,
}

/// One measure over all runs.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The name that `--only` takes.
    pub name: &'static str,
    /// What was measured.
    pub title: &'static str,
    /// The unit of product and baseline.
    pub unit: &'static str,
    /// The median of the runs.
    pub product: Option<f64>,
    /// The median of the runs.
    pub baseline: Option<f64>,
    /// The median of the runs' ratios, each within one run.
    pub ratio: Option<f64>,
    /// What is to be reached.
    pub target: Target,
    /// Whether it was; absent when nothing was to be reached, or nothing measured.
    pub reached: Option<bool>,
    /// Why there are no figures.
    pub missing: Option<String>,
    /// Each run.
    pub runs: Vec<Sample>,
}

/// One measure in one run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Sample {
    /// The product's figure.
    pub product: f64,
    /// What it is compared with.
    pub baseline: Option<f64>,
    /// Product by baseline.
    pub ratio: Option<f64>,
    /// What else was seen, by name.
    pub details: Map<String, Value>,
}

impl Sample {
    /// A figure by itself.
    pub fn of(product: f64) -> Self {
        Self { product, ..Self::default() }
    }

    /// A figure beside another one of the same run.
    pub fn against(product: f64, baseline: f64) -> Self {
        let ratio = (baseline > 0.0).then_some(product / baseline);
        Self { product, baseline: Some(baseline), ratio, details: Map::new() }
    }

    /// Adds what else was seen.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

impl Row {
    /// The row for these runs, or for the reason why there are none.
    pub fn new(
        (name, title, unit, target): (&'static str, &'static str, &'static str, Target),
        runs: Vec<Sample>,
        missing: Option<String>,
    ) -> Self {
        // Medians of some runs beside a failure would look like a result.
        let figures: &[Sample] = if missing.is_some() { &[] } else { &runs };
        let product = median(figures.iter().map(|run| run.product));
        let ratio = median(figures.iter().filter_map(|run| run.ratio));
        Self {
            name,
            title,
            unit,
            product,
            baseline: median(figures.iter().filter_map(|run| run.baseline)),
            ratio,
            target,
            reached: match target {
                Target::RatioAtLeast(least) => ratio.map(|ratio| ratio >= least),
                Target::AtLeast(least) => product.map(|figure| figure >= least),
                Target::AtMost(most) => product.map(|figure| figure <= most),
                Target::Shown => None,
            },
            missing,
            runs,
        }
    }
}

/// The middle one; the mean of the middle two for an even number.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle)?;
    Some(if values.len() % 2 == 1 { *upper } else { f64::midpoint(*upper, values[middle - 1]) })
}

impl Report {
    /// As a table, with what it was measured on above it.
    pub fn table(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "{}, {} cores, {} MiB, Linux {}, data on {} (fsync {} us, p99 {} us)\n",
            machine.cpu,
            machine.cores,
            machine.memory_mib,
            machine.kernel,
            machine.filesystem,
            machine.fsync_us,
            machine.fsync_p99_us,
        );
        let settings = &self.settings;
        let _ = writeln!(
            text,
            "{}, commit {:.12}{}, {}; median of {} runs, {} connections, {} s each\n",
            machine.rustc,
            machine.commit,
            if machine.changed { " with changes" } else { "" },
            machine.date,
            settings.runs,
            settings.connections,
            settings.seconds,
        );
        text.push_str(&aligned(&self.lines()));
        for row in &self.rows {
            if let Some(missing) = &row.missing {
                let _ = writeln!(text, "{}: not measured: {missing}", row.name);
            }
        }
        if let Some(others) = self.others().filter(|others| *others > 0.05) {
            let _ = writeln!(
                text,
                "\nOther programs took up to {:.0} % of the machine while measuring: \
                 run again when it is quiet.",
                others * 100.0
            );
        }
        text
    }

    /// The largest part of the machine that other processes took during any load.
    fn others(&self) -> Option<f64> {
        let runs = self.rows.iter().flat_map(|row| &row.runs);
        let parts = runs.flat_map(|run| run.details.values());
        parts.filter_map(|load| load.get("others")?.as_f64()).max_by(f64::total_cmp)
    }

    fn lines(&self) -> Vec<[String; 7]> {
        let head = ["name", "measure", "product", "baseline", "ratio", "target", "reached"];
        let mut lines = vec![head.map(str::to_owned)];
        for row in &self.rows {
            let figure = |value: Option<f64>| match value {
                Some(value) => format!("{} {}", number(value), row.unit),
                None => "-".to_owned(),
            };
            let target = match row.target {
                Target::RatioAtLeast(least) => format!("ratio >= {least}"),
                Target::AtLeast(least) => format!(">= {} {}", number(least), row.unit),
                Target::AtMost(most) => format!("<= {} {}", number(most), row.unit),
                Target::Shown => "-".to_owned(),
            };
            let reached = match (row.reached, row.target) {
                (Some(true), _) => "yes",
                (Some(false), _) => "NO",
                (None, Target::Shown) => "-",
                (None, _) => "not measured",
            };
            lines.push([
                row.name.to_owned(),
                row.title.to_owned(),
                figure(row.product),
                figure(row.baseline),
                row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
                target,
                reached.to_owned(),
            ]);
        }
        lines
    }
}

/// Columns as wide as their widest cell; figures stand right.
fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        let mut out = String::new();
        for (column, cell) in line.iter().enumerate() {
            let width = widths[column];
            let _ = match column {
                2..=4 => write!(out, "{cell:>width$}  "),
                _ => write!(out, "{cell:<width$}  "),
            };
        }
        let _ = writeln!(text, "{}", out.trim_end());
    }
    text
}

/// Three digits at least, and groups of thousands.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(target: Target, runs: &[(f64, f64)]) -> Row {
        let runs = runs.iter().map(|&(product, baseline)| Sample::against(product, baseline));
        Row::new(("n", "t", "req/s", target), runs.collect(), None)
    }

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_within_runs() {
        let runs = [(50.0, 100.0), (90.0, 100.0), (60.0, 300.0)];
        let found = row(Target::RatioAtLeast(0.5), &runs);
        // Not 60 by 100, the ratio of the medians.
        assert_eq!((found.product, found.baseline), (Some(60.0), Some(100.0)));
        assert_eq!((found.ratio, found.reached), (Some(0.5), Some(true)));
        assert_eq!(row(Target::RatioAtLeast(0.51), &runs).reached, Some(false));
        assert_eq!(row(Target::AtMost(60.0), &runs).reached, Some(true));
        assert_eq!(row(Target::AtLeast(60.1), &runs).reached, Some(false));
        assert_eq!(row(Target::Shown, &runs).reached, None);
    }

    #[test]
    fn a_row_that_failed_has_no_figures() {
        let failed = Some("no PostgreSQL".to_owned());
        let runs = vec![Sample::of(1.0)];
        let row = Row::new(("n", "t", "ms", Target::AtMost(2.0)), runs, failed);
        assert_eq!((row.product, row.reached), (None, None));
    }

    #[test]
    fn medians_of_even_numbers_lie_between() {
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn numbers_are_short_or_grouped() {
        let all = [0.5, 20.0, 99.994, 300.0, 1234.5, 1_234_567.0].map(number);
        assert_eq!(all, ["0.5", "20", "99.99", "300", "1,234", "1,234,567"]);
    }

    #[test]
    fn figures_stand_right_under_each_other() {
        let cells = |line: [&str; 3]| line.map(str::to_owned);
        let text = aligned(&[cells(["name", "m", "rate"]), cells(["a", "long", "7"])]);
        assert_eq!(text, "name  m     rate\na     long     7\n");
    }
}
