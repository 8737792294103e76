//! What checking a bearer token costs.
//!
//! Servers with and without the check would differ by less than one run differs from the next. So the
//! check itself is timed, call by call, and held against the processor time that the server needs for a
//! reservation: where processors are what is short, as in `hot`, that is the part of the throughput
//! which checking takes. Medians leave out whatever interrupts a call.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use hdrhistogram::Histogram;
use infra::auth::Auth;
use infra::clock::SystemClock;

use super::round::Round;
use super::{Bench, MeasureError};
use crate::load::histogram;
use crate::report::Sample;

/// How often everybody's token is checked.
const TIMES: usize = 3;
/// Bytes that are read between two checks: more than a processor has in caches of its own. What a
/// reservation does between them leaves the check more than that.
const ELSEWHERE: usize = 4 << 20;
/// A byte of each of these is enough to read it.
const CACHE_LINE: usize = 64;

/// What part of a reservation's processor time the check of its token is, in percent.
pub(super) fn check(round: &Round<'_>) -> Result<Sample, MeasureError> {
    const UNKNOWN: &str = "no processor times are known here";
    let (bench, hot) = (round.bench, round.hot()?);
    let server_us = hot.load.cpu.ok_or(MeasureError::Stuck(UNKNOWN))?.server_us;
    let auth = verifier(bench);
    time(&auth, bench, || {})?;
    let elsewhere = vec![1_u8; ELSEWHERE];
    let go_elsewhere = || {
        let bytes = black_box(&elsewhere).iter().step_by(CACHE_LINE);
        black_box(bytes.fold(0_u8, |sum, byte| sum ^ byte));
    };
    let (mut warm, mut cold) = (histogram(), histogram());
    for _ in 0..TIMES {
        add(&mut warm, &time(&auth, bench, || {})?);
        add(&mut cold, &time(&auth, bench, go_elsewhere)?);
    }
    Ok(Sample::of(100.0 * median_us(&cold) / server_us)
        .with("cold_us", median_us(&cold))
        .with("warm_us", median_us(&warm))
        .with("reservation_us", server_us))
}

/// Microseconds of a check that finds nothing remembered: it verifies the signature.
pub(super) fn first(round: &Round<'_>) -> Result<Sample, MeasureError> {
    let mut all = histogram();
    for _ in 0..TIMES {
        add(&mut all, &time(&verifier(round.bench), round.bench, || {})?);
    }
    Ok(Sample::of(median_us(&all)))
}

/// One that remembers nobody yet.
fn verifier(bench: &Bench) -> Auth {
    Auth::new(&bench.keys, Arc::new(SystemClock))
}

/// Nanoseconds of the check of each token, after `between`.
fn time(auth: &Auth, bench: &Bench, between: impl Fn()) -> Result<Histogram<u64>, MeasureError> {
    let mut took_ns = histogram();
    for token in &bench.tokens {
        between();
        // As it is when it was read from a connection a moment ago.
        let token = black_box(token.clone());
        let begun = Instant::now();
        black_box(auth.verify(&token)?);
        let ns = begun.elapsed().as_nanos();
        took_ns.saturating_record(u64::try_from(ns).unwrap_or(u64::MAX));
    }
    Ok(took_ns)
}

fn add(all: &mut Histogram<u64>, part: &Histogram<u64>) {
    // Same bounds on both sides: adding cannot fail.
    let _ = all.add(part);
}

fn median_us(ns: &Histogram<u64>) -> f64 {
    ns.value_at_quantile(0.5) as f64 / 1e3
}
