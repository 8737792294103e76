//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::cpu;
use crate::measure::Measure;
use crate::report::Settings;

/// Seconds that a storm has to be withstood for its figure to count.
const STORM_S: f64 = 30.0;

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p bench
      everything, median of 5 runs, written to bench/results/latest.json
  cargo run --release -p bench -- --quick
      once, one second each: shows that everything works, figures are rough
  cargo run --release -p bench -- --only hot --only spread --runs 3
      some measures only
  cargo run --release -p bench -- --data /mnt/ssd/bench --out ssd.json
      data on another disk, figures to another file
  .ci/with-services cargo run --release -p bench -- --only feed
      the feed, into a Kafka that is started for it";

/// Folder of this crate, where results and data go unless told otherwise.
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Measures Evently on this machine beside what it is compared with, in the same run.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Args {
    /// How often everything is measured; figures are medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// Measure this only; can be given several times
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Measure>,
    /// One run, one second each
    #[arg(long)]
    quick: bool,
    /// Seconds that each load is measured, after a fifth of that to warm up
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Connections of the load generator
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Threads of the load generator [default: half the processors]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    generator_threads: Option<u32>,
    /// Folder for data while measuring, on the disk that is to be measured
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data"))]
    pub data: PathBuf,
    /// File for the figures [default: bench/results/latest.json, or partial.json with --quick or
    /// --only]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the JSON instead of the table
    #[arg(long)]
    pub json: bool,
    /// Folder of PostgreSQL's programs [default: the newest in /usr/lib/postgresql]
    #[arg(long, value_name = "DIR")]
    pub postgres_bin: Option<PathBuf>,
    /// Kafka to measure the feed with; without one it is not measured unless --only asks for it
    #[arg(long, value_name = "HOST:PORT", env = "EVENTLY_TEST_KAFKA")]
    pub kafka: Option<String>,
}

impl Args {
    /// What is measured, in order.
    pub fn measures(&self) -> Vec<Measure> {
        let all = <Measure as clap::ValueEnum>::value_variants().iter().copied();
        let by_default = |measure| measure != Measure::Feed || self.kafka.is_some();
        let is_asked_for = |measure: &Measure| match self.only.as_slice() {
            [] => by_default(*measure),
            only => only.contains(measure),
        };
        all.filter(is_asked_for).collect()
    }

    /// Where the figures go. Figures that are rough or incomplete never replace whole ones.
    pub fn out(&self) -> PathBuf {
        let partial = self.quick || !self.only.is_empty();
        let name = if partial { "partial.json" } else { "latest.json" };
        self.out.clone().unwrap_or_else(|| PathBuf::from(HERE).join("results").join(name))
    }

    /// How long, how many.
    pub fn settings(&self) -> Settings {
        let seconds = if self.quick { 1.0 } else { f64::from(self.seconds) };
        let threads = self.generator_threads.map(|threads| threads as usize);
        Settings {
            runs: if self.quick { 1 } else { self.runs },
            connections: self.connections as usize,
            generator_threads: threads.unwrap_or_else(|| cpu::cores().div_ceil(2)),
            warm_up_s: seconds / 5.0,
            seconds,
            storm_s: if self.quick { seconds } else { seconds.max(STORM_S) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_feed_is_measured_where_there_is_a_kafka() {
        let measures = |line: &[&str]| {
            let mut args = Args::parse_from([&["bench"], line].concat());
            // Whatever runs the test has one of its own.
            args.kafka = args.kafka.filter(|_| line.contains(&"--kafka"));
            args.measures()
        };
        assert!(!measures(&[]).contains(&Measure::Feed));
        assert!(measures(&["--kafka", "localhost:9092"]).contains(&Measure::Feed));
        assert_eq!(measures(&["--only", "feed"]), [Measure::Feed]);
    }

    #[test]
    fn a_storm_lasts_long_unless_it_only_shows_that_it_works() {
        let storm_s = |line: &[&str]| {
            Args::parse_from([&["bench"], line].concat()).settings().storm_s.round() as u32
        };
        assert_eq!(storm_s(&[]), 30);
        assert_eq!(storm_s(&["--seconds", "60"]), 60);
        assert_eq!(storm_s(&["--quick"]), 1);
    }

    #[test]
    fn partial_figures_do_not_replace_whole_ones() {
        let out = |line: &[&str]| Args::parse_from([&["bench"], line].concat()).out();
        assert!(out(&[]).ends_with("results/latest.json"));
        assert!(out(&["--quick"]).ends_with("results/partial.json"));
        assert!(out(&["--only", "hot"]).ends_with("results/partial.json"));
        assert_eq!(out(&["--quick", "--out", "x.json"]), PathBuf::from("x.json"));
    }
}
