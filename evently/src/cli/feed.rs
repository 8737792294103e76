//! `evently feed` (OP-3): asks the server that runs on the data folder, or, when none runs, does it
//! itself.

use clap::Subcommand;
use infra::log::Position;
use serde_json::Value;

use super::orders::plain_word;
use super::{Failure, projections};
use crate::settings::Checked;

pub(super) const EXAMPLES: &str = "\
Examples:
  evently feed status
  evently feed replay --from 0";

const STATUS_EXAMPLES: &str = "\
Examples:
  evently feed status
  evently feed status --data /srv/evently --json";

const REPLAY_EXAMPLES: &str = "\
Examples:
  evently feed replay --from 0               everything there is
  evently feed replay --from 120000 --json   what was decided after position 120000";

#[derive(Debug, Subcommand)]
pub(super) enum FeedCommand {
    /// Print how far the feed is behind the log, and what it could not tell
    #[command(after_help = STATUS_EXAMPLES)]
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send again what was sent before, with the same ids
    ///
    /// Sets the feed's checkpoint back; whoever keeps the feed goes on from there within seconds, or when
    /// it is next started. Readers get everything after the position once more, in order for each event,
    /// and know it by its ids. What was parked there is tried again.
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay {
        /// Everything after this position of the log (`ce_eventlyposition` of a message)
        #[arg(long, value_name = "POSITION")]
        from: u64,
        /// Why: letters, digits and dashes. It stays readable in the log for ever
        #[arg(long, value_name = "WORD", value_parser = plain_word)]
        reason: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Carries out a command.
pub(super) fn run(command: &FeedCommand, settings: &Checked) -> Result<(), Failure> {
    projections::with_doer(settings, async |doer, _stop| match command {
        FeedCommand::Status { json } => {
            let status = doer.feed_status().await?;
            Ok(if *json { format!("{status:#}") } else { described(&status) })
        }
        FeedCommand::Replay { from, reason, json } => {
            let replayed = doer.replay_feed(Position(*from), reason.as_deref()).await?;
            let position = &replayed["position"];
            Ok(if *json {
                format!("{replayed:#}")
            } else {
                format!("what is after position {from} is sent again, up to {position} and beyond")
            })
        }
    })
}

fn described(status: &Value) -> String {
    let seconds = status["lag_seconds"].as_f64().unwrap_or_default();
    let more = if status["lag_exceeded"] == true { "+" } else { "" };
    let mut lines = vec![
        format!("position {} of {}", status["position"], status["head"]),
        format!("behind   {}{more} records, {seconds:.1} s", status["lag_records"]),
        format!("parked   {}", status["parked"]),
    ];
    if let Some(first) = status["first_parked"].as_object() {
        lines.push(format!(
            "  from position {} on ({} of {})",
            first["position"],
            first["kind"].as_str().unwrap_or_default(),
            first["stream"].as_str().unwrap_or_default(),
        ));
    }
    if let Some(answer) = status["brokers_answer"].as_bool() {
        lines.push(format!("brokers  {}", if answer { "answer" } else { "do not answer" }));
    }
    if let Some(problem) = status["problem"].as_str() {
        lines.push(format!("problem  {problem}"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_tells_what_is_wrong() {
        let mut status = json!({"position": 7, "head": 9, "lag_records": 2, "lag_exceeded": false,
            "lag_seconds": 0.25, "parked": 0});
        assert_eq!(described(&status), "position 7 of 9\nbehind   2 records, 0.2 s\nparked   0");
        status["lag_exceeded"] = json!(true);
        status["first_parked"] =
            json!({"position": 3, "kind": "Reserved", "stream": "inventory-evt_1"});
        status["brokers_answer"] = json!(false);
        status["problem"] = json!("no Kafka broker answers");
        let text = described(&status);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1..],
            [
                "behind   2+ records, 0.2 s",
                "parked   0",
                "  from position 3 on (Reserved of inventory-evt_1)",
                "brokers  do not answer",
                "problem  no Kafka broker answers",
            ]
        );
    }
}
