//! People who buy, wait, pay, give back and let holds die, at random.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use infra::auth::Role;
use tokio::time::MissedTickBehavior;

use crate::people::{Gate, Person, Sale, Told, cancel, confirm};

/// Nobody tries more often: this is about what survives, not about how much there can be.
const PACE: Duration = Duration::from_millis(150);
/// How often who waits looks whether it is their turn, and how many times before they leave.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: usize = 10;

/// Numbers that look random and come again with the same seed (SplitMix64).
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// Somebody of the crowd, each time under another name. There are 20 seats.
pub(crate) struct Shopper {
    pub(crate) dice: Dice,
    pub(crate) gate: Arc<Gate>,
    pub(crate) sale: Sale,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Shopper {
    pub(crate) async fn shop(mut self) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.stop.load(Ordering::Relaxed) {
            pace.tick().await;
            let person = self.gate.person(Role::Attendee);
            let quantity = self.dice.roll(3) as usize + 1;
            let seat = self.dice.roll(20) as usize + 1;
            let sale = &self.sale;
            let (wanted, tier) = match self.dice.roll(4) {
                0 => (sale.seats(&[seat]), None),
                1 => (sale.seats(&[seat, seat % 20 + 1]), Some(sale.seated.clone())),
                2 => (sale.reserve(&sale.seated, quantity), Some(sale.seated.clone())),
                _ => (sale.reserve(&sale.floor, quantity), Some(sale.floor.clone())),
            };
            let held = person.ask(&wanted.key("reserve")).await;
            if held.status.is_success() {
                self.decide(&person, &held.text("booking_id")).await;
            } else if self.dice.roll(4) == 0 {
                self.wait_in_line(&person, tier.as_deref(), quantity).await;
            }
        }
    }

    /// What a person does who holds places. Whatever is refused was too late.
    async fn decide(&mut self, person: &Person, booking: &str) {
        let pays = match self.dice.roll(10) {
            // Lets it die.
            0 | 1 => return,
            2 => None,
            3 => Some("tok_declined"),
            4 => Some("tok_late"),
            _ => Some("tok_success"),
        };
        if let Some(token) = pays {
            let call = confirm(booking, token).key("confirm");
            let one = person.ask(&call).await;
            let two = person.ask(&call).await;
            if one.status.is_success() {
                assert_eq!(one.body, two.body);
            }
            // Most come back to the box office, so that there is always something to fight for.
            if self.dice.roll(100) < 5 {
                return;
            }
        }
        let call = cancel(booking).key("cancel");
        let (one, two) = tokio::join!(person.ask(&call), person.ask(&call));
        if one.status.is_success() && two.status.is_success() {
            assert_eq!(one.body, two.body);
        }
    }

    /// Waits for a while, and takes what is offered.
    async fn wait_in_line(&mut self, person: &Person, tier: Option<&str>, quantity: usize) {
        let joined = person.ask(&self.sale.join(tier, quantity).key("join")).await;
        if !joined.status.is_success() {
            return;
        }
        let mut pulse = tokio::time::interval(LOOK_EVERY);
        for _ in 0..LOOKS {
            pulse.tick().await;
            let place = person.ask(&self.sale.place_in_line()).await;
            if place.body["status"] == "offered" {
                let booking = place.text("booking_id");
                return self.decide(person, &booking).await;
            }
        }
        person.ask(&self.sale.leave().key("leave")).await;
    }
}

/// Asks again what was answered before, and expects the first answer (BK-6).
pub(crate) async fn ask_again(gate: Arc<Gate>, told: Told) {
    let reply = gate.listener(&told).ask(&told.call).await;
    assert_eq!((reply.status, &reply.body), (told.status, &told.body), "{told:?}");
}
