//! How many connections there are from each address, so that nobody takes those of all others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Connections;
use crate::limits::TrustedProxies;

/// By subscriber.
type Open = Arc<Mutex<HashMap<u128, usize>>>;

/// All connections that are counted.
pub(super) struct Crowd {
    most: usize,
    proxies: TrustedProxies,
    open: Open,
}

impl Crowd {
    pub(super) fn new(settings: &Connections) -> Self {
        let (most, proxies) = (settings.most_of_one, settings.proxies.clone());
        Self { most, proxies, open: Open::default() }
    }

    /// Counts a connection from `address`, until what is given back is dropped, and tells by how many
    /// its address has too many. Those of proxies that are trusted are not counted: they stand for many.
    pub(super) fn enter(&self, address: IpAddr) -> (usize, Option<Place>) {
        let Some(subscriber) = self.proxies.subscriber_at(address) else { return (0, None) };
        let mut open = self.open.lock();
        let count = open.entry(subscriber).or_default();
        *count += 1;
        let over = count.saturating_sub(self.most);
        (over, Some(Place { subscriber, open: self.open.clone() }))
    }
}

/// One of the connections of an address.
pub(super) struct Place {
    subscriber: u128,
    open: Open,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.subscriber) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.subscriber);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_and_a_known_proxy_as_many_as_it_needs() {
        let proxies = "10.0.0.0/8".parse().unwrap();
        let settings = Connections { most_of_one: 2, proxies, ..Connections::default() };
        let crowd = Crowd::new(&settings);
        let enter = |address: &str| crowd.enter(address.parse().unwrap());
        let places: Vec<_> = (0..4).map(|_| enter("192.0.2.1")).collect();
        assert_eq!(places.iter().map(|(over, _)| *over).collect::<Vec<_>>(), [0, 0, 1, 2]);
        assert_eq!(enter("192.0.2.2").0, 0);
        // The same, as a socket for both versions shows it; and a subscriber's network of version 6.
        assert_eq!(enter("::ffff:192.0.2.1").0, 3);
        let six: Vec<_> = ["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(enter).into();
        assert_eq!(six.iter().map(|(over, _)| *over).collect::<Vec<_>>(), [0, 0, 1]);
        for _ in 0..9 {
            let (over, place) = enter("10.1.2.3");
            assert!(over == 0 && place.is_none());
        }
        drop((places, six));
        assert_eq!(enter("192.0.2.1").0, 0);
        assert!(crowd.open.lock().is_empty());
    }
}
