//! How a server is reached from its own machine.

use std::net::SocketAddr;

/// The server's address for a client here; one that listens everywhere is here too.
pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{}", host(address))
}

/// The same without a protocol.
pub(crate) fn host(address: SocketAddr) -> String {
    match (address.ip().is_unspecified(), address.is_ipv4()) {
        (true, true) => format!("127.0.0.1:{}", address.port()),
        (true, false) => format!("[::1]:{}", address.port()),
        (false, _) => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everywhere_is_here() {
        for (listens, reached) in [
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
            ("10.0.0.7:8080", "http://10.0.0.7:8080"),
            ("[2001:db8::1]:8080", "http://[2001:db8::1]:8080"),
        ] {
            assert_eq!(url(listens.parse().unwrap()), reached);
        }
    }
}
