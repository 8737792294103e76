//! Lets the client's calls go out at once.
//!
//! The client sends each call in two parts, the second when the first is on its way, and leaves
//! Nagle's algorithm on: the second part waits until the server's machine acknowledges the first,
//! which that puts off for 40 ms. Measured on one machine: 44 ms for a call, 0.3 ms without. The
//! client has no setting for it and hides its sockets, so they are looked for in the process.

use std::os::fd::BorrowedFd;

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
    fn every_connection_of_the_process_sends_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!client.nodelay().unwrap());
        send_at_once();
        assert!(client.nodelay().unwrap());
    }
}
