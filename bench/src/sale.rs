//! The history of a large event's sale, made by the domain itself from the commands of its buyers.

use domain::event::{Stock, Tier, default_refund_policy};
use domain::inventory::{Command, Fact, Inventory, PaymentResult, Plan, Wanted};
use domain::seating::{Row, Seats};
use domain::{BookingId, Currency, EventId, PaymentId, Request, TierId, Time, UserId};

/// The event with this number.
pub const fn event(number: u128) -> EventId {
    EventId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_0000_0000 + number)
}

/// Its tier of places to stand.
pub const FLOOR: TierId = TierId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cd01);
const STANDS: TierId = TierId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cd02);
/// When its sale begins, in milliseconds since 1970; a buyer comes every so many.
const OPENS_MS: i64 = 1_800_000_000_000;
const GAP_MS: u64 = 10;
const HOLD_TTL_S: u32 = 300;

/// The first `count` facts of the sale of an event, with when each happened.
///
/// A buyer comes every 10 ms. One in eight wants two seats while there are seats, all others one to
/// four places to stand. Of ten, six pay, two cancel, and two let the hold die. Commands have keys.
pub fn history(event: EventId, count: usize) -> Vec<(Time, Fact)> {
    let mut sale =
        Sale { event, state: Inventory::default(), facts: Vec::with_capacity(count + 16) };
    let opens = Time::from_ms(OPENS_MS);
    sale.carry_out(opens, &Command::Follow { event, event_version: 1, plan: Some(plan()) });
    let mut number = 0;
    while sale.facts.len() < count {
        sale.buyer(number, opens.plus_ms(number * GAP_MS));
        number += 1;
    }
    sale.facts.truncate(count);
    sale.facts
}

fn plan() -> Plan {
    let row = |number: u32| Row {
        label: number.to_string(),
        seats: Seats::Count(50),
        accessible: vec!["1".to_owned()],
    };
    let tier = |tier, name: &str, stock| Tier {
        tier,
        name: name.to_owned(),
        price_minor: 5_000,
        stock,
        sale_starts_at: None,
        sale_ends_at: None,
        max_per_booking: None,
    };
    let rows = (1..=1_000).map(row).collect();
    let opens = Time::from_ms(OPENS_MS);
    Plan {
        starts_at: opens.plus_s(30 * 86_400),
        ends_at: opens.plus_s(31 * 86_400),
        currency: Currency::EUR,
        tiers: vec![
            tier(STANDS, "Stands", Stock::Seated { section: "S".to_owned(), rows }),
            tier(FLOOR, "Floor", Stock::Counted { capacity: 10_000_000, section: None }),
        ],
        hold_ttl_s: HOLD_TTL_S,
        offer_ttl_s: 600,
        max_per_booking: 10,
        max_per_user: None,
        refund_policy: default_refund_policy(),
    }
}

struct Sale {
    event: EventId,
    state: Inventory,
    facts: Vec<(Time, Fact)>,
}

impl Sale {
    /// Whether the command was carried out; keeps what came of it.
    fn carry_out(&mut self, now: Time, command: &Command) -> bool {
        let executed = self.state.execute(command, now);
        let facts = executed.settled.into_iter().chain(executed.decided.iter().flatten().cloned());
        self.facts.extend(facts.map(|fact| (now, fact)));
        executed.decided.is_ok()
    }

    fn buyer(&mut self, number: u64, now: Time) {
        let booking = BookingId { event: self.event, number: spread(number) };
        let user = UserId::from_u128(u128::from(spread(number % 200_000)) << 32);
        let reserve = |tier, quantity| Command::Reserve {
            booking,
            user,
            wanted: Wanted::Quantity { tier, quantity },
            patience: None,
            request: request(number, "reserve"),
        };
        let seated = number.is_multiple_of(8) && self.carry_out(now, &reserve(STANDS, 2));
        if !seated {
            let quantity = 1 + u32::from(spread(number).to_le_bytes()[0]) % 4;
            self.carry_out(now, &reserve(FLOOR, quantity));
        }
        match number % 10 {
            0..6 => {
                let payment = PaymentId::from_u128(
                    (u128::from(spread(!number)) << 64) | self.event.as_u128(),
                );
                let request = request(number, "confirm");
                self.carry_out(now, &Command::StartPayment { booking, user, payment, request });
                let result = PaymentResult::Succeeded;
                self.carry_out(now, &Command::SettlePayment { booking, payment, result });
            }
            6..8 => {
                let request = request(number, "cancel");
                self.carry_out(now, &Command::Cancel { booking, user, as_admin: false, request });
            }
            _ => {}
        }
    }
}

/// Neighbours far from each other, as random numbers are: the finalizer of SplitMix64.
fn spread(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn request(number: u64, purpose: &str) -> Option<Request> {
    Request::new(&format!("{purpose}-{:016x}", spread(number)), purpose.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::StoredFact;
    use domain::inventory::Ledger;

    #[test]
    fn the_sale_has_every_course_a_booking_can_take() {
        let facts = history(event(0), 100_000);
        assert_eq!(facts.len(), 100_000);
        let count = |kind| facts.iter().filter(|(_, fact)| fact.kind() == kind).count();
        let bookings = count("Reserved");
        assert!((37_000..45_000).contains(&bookings), "{bookings}");
        assert!(count("Confirmed").abs_diff(bookings * 6 / 10) < 10);
        assert!(count("Cancelled").abs_diff(bookings * 2 / 10) < 10);
        assert!(count("Expired") > 1_000);
        let mut ledger = Ledger::default();
        for (_, fact) in &facts {
            ledger.apply(fact).unwrap();
        }
    }
}
