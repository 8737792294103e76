//! Selling while a crowd logs in.

use std::time::Duration;

use super::round::Round;
use super::{MeasureError, compared};
use crate::load::{Load, Pace};
use crate::product::Roles;
use crate::report::Sample;
use crate::storm::Storm;

/// Reservations a second in a storm of log-ins, and as long without one.
pub(super) fn log_ins(round: &Round<'_>) -> Result<Sample, MeasureError> {
    let bench = round.bench;
    let duration = Duration::from_secs_f64(bench.settings().storm_s);
    let load = Load { duration, ..round.load_of(Pace::Closed) };
    let nothing = |_: &_, _: &_| Ok(|| Ok(()));
    let (calm, ()) = round.sell_beside(Roles::Commands, 1, load, nothing)?;
    let (stormy, seen) = round.sell_beside(Roles::Commands, 1, load, |product, folder| {
        let making = Storm::make(product.address, folder, &bench.tokens[0]);
        let storm = bench.runtime.block_on(making)?;
        Ok(move || Ok(storm.rage(load.warm_up, load.duration)?))
    })?;
    let hashing = seen.hashing.ok_or(MeasureError::Stuck("no thread's processor time is known"))?;
    if hashing.is_zero() {
        return Err(MeasureError::Stuck("no password was looked at: that was no storm"));
    }
    let seconds = load.duration.as_secs_f64();
    let each_second = |count: u64| count as f64 / seconds;
    Ok(compared(&stormy, &calm)
        .with("let_in_a_second", each_second(seen.let_in))
        .with("refused_a_second", each_second(seen.refused))
        .with("sent_away_a_second", each_second(seen.sent_away))
        .with("timed_out", seen.timed_out)
        .with("hashing", hashing.as_secs_f64() / seconds))
}
