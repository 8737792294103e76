//! How many files the operating system lets the process have open: connections are files too.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For all that is no connection of a client: the log, the views, the database, and clients that
/// are told that there are too many of them.
const KEPT: u64 = 256;

/// Some systems say that there is no limit and then allow this many.
const ALLOWED_EVERYWHERE: u64 = 10_240;

/// Takes as much as the process may have. What it gets by itself is often 1,024, for the sake of
/// programs that cannot have more.
pub(crate) fn take_all() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raise = |to| setrlimit(Resource::Nofile, Rlimit { current: to, maximum });
    let Err(error) = raise(maximum) else { return };
    let modest = maximum.map_or(ALLOWED_EVERYWHERE, |most| most.min(ALLOWED_EVERYWHERE));
    if current.is_some_and(|now| now < modest) && raise(Some(modest)).is_err() {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

/// How many connections of clients there may be at once.
pub(crate) fn connections() -> usize {
    within(getrlimit(Resource::Nofile).current)
}

fn within(limit: Option<u64>) -> usize {
    /// Nobody has that many.
    const MOST: u64 = 1 << 20;
    let limit = limit.unwrap_or(MOST).min(MOST);
    // With hardly any files there is hardly anybody to serve, and yet somebody.
    let left = limit.saturating_sub(KEPT).max(limit / 16);
    usize::try_from(left).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_what_the_rest_leaves() {
        assert_eq!(within(Some(1_024)), 768);
        assert_eq!(within(Some(100)), 6);
        assert_eq!(within(None), (1 << 20) - 256);
        const { assert!(infra::http::REFUSED_AT_ONCE < KEPT as usize / 2) };
    }
}
