//! The client's sockets, which it replaces without a word.

use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use infra::log::{Expected, Log};
use rustix::net::{getpeername, sockopt};

use super::{Served, connect, soon};
use crate::log::record;

/// Of each connection of this process to `server`, whether it sends at once.
fn sends_at_once(server: SocketAddr) -> Vec<bool> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let to_server = |number| {
        #[expect(unsafe_code, reason = "only the kernel knows which sockets the client has")]
        // SAFETY: used for two calls that do not keep it, and refuse what is no connection.
        let socket = unsafe { BorrowedFd::borrow_raw(number) };
        let peer = SocketAddr::try_from(getpeername(socket).ok()??).ok()?;
        (peer == server).then(|| sockopt::tcp_nodelay(socket).ok())?
    };
    numbers.filter_map(to_server).collect()
}

async fn all_send_at_once(log: &dyn Log, server: SocketAddr, mut numbers: Range<u64>) {
    soon(async {
        loop {
            let sockets = sends_at_once(server);
            if sockets.len() >= 2 && sockets.iter().all(|sends_at_once| *sends_at_once) {
                return;
            }
            // One for appends, one for reads.
            let new = numbers.next().map(record).into_iter().collect();
            log.append("s", Expected::Any, new).await.unwrap();
            log.head().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_lost_at_rest_sends_at_once_when_it_is_replaced() {
    let mut served = Served::start().await;
    let log = connect(served.address());
    all_send_at_once(&log, served.address(), 0..1_000_000).await;
    for round in 1..3 {
        served.stop().await;
        // The client has seen it go: the next call comes over a new connection, and none fails.
        soon(async {
            while !sends_at_once(served.address()).is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        served.restart().await;
        let numbers = round * 1_000_000..(round + 1) * 1_000_000;
        all_send_at_once(&log, served.address(), numbers).await;
    }
}
