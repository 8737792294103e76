//! Lets the client's calls go out at once.
//!
//! The client sends each call in two parts, the second when the first is on its way, and leaves
//! Nagle's algorithm on: the second part waits until the server's machine acknowledges the first,
//! which that puts off for 40 ms. Measured on one machine: 44 ms for a call, 0.3 ms without. The
//! client has no setting for it and hides its sockets, so they are looked for in the process.
//!
//! It also hides when it connects again: a connection that is lost while no call is under way, or
//! that the server asks to leave, is replaced without a word. So they are looked for again after
//! each moment in which that may have happened unseen.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use tokio::time::Instant;

/// A call that takes this long may have waited for an acknowledgement (40 ms on Linux), and a
/// connection that rests this long may have been lost.
const SUSPICIOUS: Duration = Duration::from_millis(20);

/// Between two looks, unless a call failed: each costs a system call per open file.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of the sockets of one connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sockets {
    /// There may be one that nobody has seen to.
    is_suspected: bool,
    /// When something came over the connection last.
    worked: Option<Instant>,
    /// From when on they may be seen to again.
    next_look: Option<Instant>,
}

impl Sockets {
    pub(super) fn new() -> Self {
        Self { is_suspected: true, worked: None, next_look: None }
    }

    /// A call failed: what comes next comes over another connection, or the same.
    pub(super) fn may_be_new(&mut self) {
        *self = Self { is_suspected: true, next_look: None, ..*self };
    }

    /// Whether to look at them, now that something came that was asked for at `asked`.
    pub(super) fn are_to_be_seen_to(&mut self, asked: Instant, now: Instant) -> bool {
        let since = self.worked.map_or(asked, |worked| worked.min(asked));
        self.is_suspected |= now.duration_since(since) >= SUSPICIOUS;
        self.worked = Some(now);
        let is_due = self.is_suspected && self.next_look.is_none_or(|next| next <= now);
        if is_due {
            (self.is_suspected, self.next_look) = (false, Some(now + PAUSE));
        }
        is_due
    }
}

/// Switches Nagle's algorithm off for every TCP connection of this process. All others have it off
/// anyway.
pub(super) fn send_at_once() {
    // Elsewhere than on Linux there is no such folder, and no such wait either.
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for number in numbers {
        #[expect(unsafe_code, reason = "only the kernel knows which sockets the client has")]
        // SAFETY: the number was open a moment ago, and is used for one call that does not keep it.
        // If somebody closed it meanwhile the call is refused; if it is another connection now, that
        // one is better off too.
        let socket = unsafe { BorrowedFd::borrow_raw(number) };
        // What is no TCP connection refuses.
        let _ = rustix::net::sockopt::set_tcp_nodelay(socket, true);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn sockets_are_seen_to_again_after_every_pause_and_every_slow_call() {
        let ms = Duration::from_millis;
        let start = Instant::now();
        let mut sockets = Sockets::new();
        let mut at = |asked, now| sockets.are_to_be_seen_to(start + ms(asked), start + ms(now));
        assert!(at(0, 1), "they are new");
        assert!(!at(1, 2) && !at(3, 10), "one quick call after the other");
        assert!(!at(10, 50), "a slow one, but they were just seen to");
        assert!(at(1_010, 1_011), "and are again when it is time");
        let busy = (1_011..4_000).step_by(5).any(|now| at(now, now + 5));
        assert!(!busy, "nothing can have happened unseen");
        assert!(at(3_000, 4_002), "a slow one among many");
        assert!(at(9_000, 9_001), "a pause");
        sockets.may_be_new();
        assert!(sockets.are_to_be_seen_to(start + ms(9_002), start + ms(9_003)), "a failure");
    }

    #[test]
    fn every_connection_of_the_process_sends_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!client.nodelay().unwrap());
        send_at_once();
        assert!(client.nodelay().unwrap());
    }
}
