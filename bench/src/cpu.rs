//! Where processor time goes, from `/proc`. Absent on systems without it.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Processor time used within a stretch of time.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// By this process, all threads.
    pub process: Duration,
    /// Part of the machine used by all other processes, 0 to 1.
    pub others: f64,
}

/// Processor time of the calling thread since it was started.
pub fn thread() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Processor time of all threads of this process with this name, since each was started.
pub fn threads_named(name: &str) -> Option<Duration> {
    let mut all = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task").ok()? {
        let task = task.ok()?.path();
        // One that has just ended used nothing more.
        let Ok(called) = fs::read_to_string(task.join("comm")) else { continue };
        if called.trim_end() == name {
            let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            let used = text.split_whitespace().next().and_then(|used| used.parse().ok());
            all += Duration::from_nanos(used.unwrap_or(0));
        }
    }
    Some(all)
}

/// What is used from `delay` after now, for as long as `duration`; returns after that.
pub fn over(delay: Duration, duration: Duration) -> Option<Used> {
    let start = Instant::now();
    pause(delay);
    let before = Ticks::now();
    let begin = Instant::now();
    pause((delay + duration).saturating_sub(start.elapsed()));
    let (before, after) = before.zip(Ticks::now())?;
    let process = (after.process - before.process) as f64;
    let busy = after.busy.saturating_sub(before.busy) as f64;
    let all = begin.elapsed().as_secs_f64() * TICKS_A_SECOND * cores() as f64;
    Some(Used {
        process: Duration::from_secs_f64(process / TICKS_A_SECOND),
        others: ((busy - process) / all).clamp(0.0, 1.0),
    })
}

/// Processors this process may use.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// The unit of `/proc/stat` on every Linux of today (`USER_HZ`).
const TICKS_A_SECOND: f64 = 100.0;

/// Processor time in ticks.
struct Ticks {
    process: u64,
    busy: u64,
}

impl Ticks {
    fn now() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/stat").ok()?;
        let machine = fs::read_to_string("/proc/stat").ok()?;
        Some(Self { process: process(&own)?, busy: busy(&machine)? })
    }
}

/// User and system time of the process; its name may hold blanks and ends with `)`.
fn process(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// All time of all processors that was not idle: user, nice, system, irq, softirq, steal.
fn busy(stat: &str) -> Option<u64> {
    let first = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = first.split_whitespace().map_while(|field| field.parse().ok()).collect();
    Some(ticks.get(..3)?.iter().sum::<u64>() + ticks.get(5..8)?.iter().sum::<u64>())
}

fn pause(duration: Duration) {
    let end = Instant::now() + duration;
    while let Some(rest) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_found_by_their_name() {
        let work = || {
            let begun = Instant::now();
            // The kernel says so with a tick of its clock.
            while threads_named("by-name").unwrap().is_zero() {
                assert!(begun.elapsed() < Duration::from_secs(60));
            }
        };
        thread::Builder::new().name("by-name".to_owned()).spawn(work).unwrap().join().unwrap();
        assert_eq!(threads_named("nobody"), Some(Duration::ZERO));
    }

    #[test]
    fn ticks_are_read_from_the_kernels_text() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 30 12 13 14 15 16";
        assert_eq!(process(stat), Some(42));
        let machine = "cpu  1 2 4 1000 1000 8 16 32 64 0\ncpu0 9 9 9 9 9 9 9 9 9 9\n";
        assert_eq!(busy(machine), Some(63));
        assert_eq!(busy("cpu  1 2"), None);
        assert_eq!(process(""), None);
    }
}
