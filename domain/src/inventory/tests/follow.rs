//! Following the event: opened, revised, closed (CT-2).

use super::*;
use crate::event::{Stock, Tier};
use crate::inventory::settle::SETTLED_AT_ONCE;

#[test]
fn publishing_opens_the_inventory_once() {
    let open = || Some(plan(&[floor(10)]));
    given(&[]).when(0, follow(2, open())).then(&[opened(&[floor(10)])]);
    given(&[opened(&[floor(10)])]).when(0, follow(2, open())).then(&[]);
    given(&[opened(&[floor(10)])]).when(0, follow(1, Some(plan(&[floor(3)])))).then(&[]);
    // A draft that is called off never had one.
    given(&[]).when(0, follow(2, None)).then(&[]);
}

#[test]
fn a_new_price_is_for_new_bookings() {
    let dearer = || plan(&[Tier { price_minor: 1_500, ..floor(10) }]);
    let held = [opened(&[floor(10)]), reserved(0, 1, ANN, places(FLOOR, 2))];
    let after = given(&held).when(1, follow(3, Some(dearer()))).then(&[revised(1, 3, dearer())]);
    let mut lines = places(FLOOR, 1);
    lines[0].unit_price_minor = 1_500;
    let bought = after.and().when(2, reserve(2, BOB, some(FLOOR, 1)));
    let bought = bought.then(&[reserved(2, 2, BOB, lines)]);
    bought.and().when(3, start(1, ANN, 5)).then(&[started(3, 1, 5, 2_000)]);
}

#[test]
fn capacity_follows_down_to_what_is_bought() {
    let bought = [
        opened(&[floor(10)]),
        reserved(0, 1, ANN, places(FLOOR, 4)),
        reserved(0, 2, BOB, places(FLOOR, 2)),
        started(1, 1, 5, 4_000),
        confirmed(1, 1, ANN, 5, places(FLOOR, 4)),
    ];
    for (wanted, kept) in [(20, 20), (7, 7), (6, 6), (5, 6), (0, 6)] {
        let check = Command::CheckPlan { plan: plan(&[floor(wanted)]) };
        let below = Refusal::CapacityBelowSold { tier: FLOOR, requested: wanted, sold: 4, held: 2 };
        let checked = given(&bought).when(2, check);
        if wanted < 6 {
            checked.refused(below)
        } else {
            checked.then(&[])
        };
        let after = given(&bought).when(2, follow(3, Some(plan(&[floor(wanted)]))));
        let after = after.then(&[revised(2, 3, plan(&[floor(kept)]))]);
        let few = Refusal::InsufficientSeats { requested: 10, available: kept - 6 };
        let all = after.and().when(2, reserve(3, CY, some(FLOOR, 10)));
        if kept >= 16 {
            all.then(&[reserved(2, 3, CY, places(FLOOR, 10))]);
        } else {
            all.refused(few);
        }
    }
}

#[test]
fn what_a_tier_keeps_its_section_does_not_get_twice() {
    let standing = |tier: Tier, capacity| {
        let stock = Stock::Counted { capacity, section: Some("pit".into()) };
        Tier { stock, ..tier }
    };
    let pit = |floor_has, lawn_has| {
        plan(&[standing(floor(0), floor_has), standing(lawn(0), lawn_has), stalls()])
    };
    let bought = [
        opened_with(pit(50, 50)),
        reserved(0, 1, ANN, places(FLOOR, 10)),
        reserved(0, 2, BOB, places(FLOOR, 5)),
        reserved(0, 3, CY, places(LAWN, 3)),
    ];
    let revise = |wanted, kept| {
        given(&bought).when(1, follow(3, Some(wanted))).then(&[revised(1, 3, kept)]);
    };
    revise(pit(15, 85), pit(15, 85));
    revise(pit(5, 95), pit(15, 85));
    revise(pit(95, 1), pit(93, 3));
    revise(pit(0, 9), pit(15, 3));
    revise(pit(0, 0), pit(15, 3));
}

#[test]
fn a_new_tier_is_sold_beside_the_others_and_an_old_one_keeps_its_seats() {
    let taken = [opened(&[stalls()]), reserved(0, 1, ANN, seats(&["A-1-1"]))];
    let more = || plan(&[Tier { name: "Best".into(), ..stalls() }, floor(2)]);
    let after = given(&taken).when(1, follow(3, Some(more()))).then(&[revised(1, 3, more())]);
    let refusal = Refusal::SeatTaken { seat: "A-1-1".into() };
    after.and().when(1, reserve(2, BOB, named(&["A-1-1"]))).refused(refusal);
    let after = given(&taken).when(1, follow(3, Some(more())));
    let bought = after.and().when(1, reserve(2, BOB, some(FLOOR, 2)));
    bought.then(&[reserved(1, 2, BOB, places(FLOOR, 2))]);
    let checked = given(&taken).when(1, Command::CheckPlan { plan: more() });
    checked.then(&[]);
}

#[test]
fn a_later_start_sells_longer() {
    let later = || Plan { starts_at: at(START_S + 10), ..plan(&[floor(10)]) };
    let open = [opened(&[floor(10)]), revised(1, 3, later())];
    let hold = reserved(START_S, 1, ANN, places(FLOOR, 1));
    given(&open).when(START_S, reserve(1, ANN, some(FLOOR, 1))).then(&[hold]);
}

#[test]
fn cancelling_the_event_refunds_everybody_in_full() {
    let facts = [
        opened(&[floor(9), lawn(9)]),
        reserved(0, 1, ANN, places(FLOOR, 2)),
        started(1, 1, 5, 2_000),
        confirmed(1, 1, ANN, 5, places(FLOOR, 2)),
        reserved(2, 2, BOB, places(LAWN, 1)),
        reserved(2, 3, CY, places(FLOOR, 3)),
        released(3, 3, CY, places(FLOOR, 3)),
        reserved(4, 4, CY, places(FLOOR, 7)),
        started(4, 4, 6, 7_000),
        joined(5, 7, ANN, Some(FLOOR), 2),
    ];
    let late = START_S - 1;
    let dead = |s| [expired(s, 2, BOB, places(LAWN, 1)), expired(s, 4, CY, places(FLOOR, 7))];
    // At that moment of the sale all is cancelled; a payment under way is paid back when it comes.
    let off = given(&facts).when(6, follow(3, None)).then(&[closed(6, 3)]);
    assert_eq!(off.inventory.waiting(), 0);
    let ann = by_event(given_back(released(6, 1, ANN, places(FLOOR, 2)), 5, 2_000));
    let bob = by_event(released(6, 2, BOB, places(LAWN, 1)));
    let cy = by_event(released(6, 4, CY, places(FLOOR, 7)));
    let done = off.and().when(6, Command::Settle).settles(&[ann, bob, cy]).then(&[]);
    done.and().when(7, money(4, 6)).then(&[owed(7, 4, CY, 6, 7_000)]);
    // Long after the policy pays nothing, it is still all of it.
    let off = given(&facts).when(late, follow(3, None));
    let offer = offered(late, 7, ANN, places(FLOOR, 2));
    let off = off.settles(&[&dead(late)[..], &[offer]].concat()).then(&[closed(late, 3)]);
    let ann = by_event(given_back(released(late, 1, ANN, places(FLOOR, 2)), 5, 2_000));
    let offer = by_event(of_offer(released(late, served(7), ANN, places(FLOOR, 2)), 7));
    off.and().when(late, Command::Settle).settles(&[ann, offer]).then(&[]);
}

#[test]
fn a_closed_inventory_stays_closed() {
    let off = [opened(&[floor(9)]), closed(1, 3)];
    given(&off).when(2, follow(4, Some(plan(&[floor(9)])))).then(&[]);
    given(&off).when(2, follow(4, None)).then(&[]);
    given(&off).when(2, leave(ANN)).refused(Refusal::NotWaiting);
}

#[test]
fn a_stadium_is_cancelled_in_rounds() {
    let bookings = 2 * SETTLED_AT_ONCE as u64 + 3;
    let capacity = u32::try_from(bookings).unwrap();
    let mut inventory = after(&[opened(&[floor(capacity)])]);
    let lines = || places(FLOOR, 1);
    for number in 0..bookings {
        let (s, fact) = reserved(0, number, ANN, lines());
        inventory.evolve(at(s), &fact);
    }
    let (_, fact) = closed(1, 3);
    inventory.evolve(at(1), &fact);
    // A command settles what it needs, and leaves the rounds to the timer.
    assert_eq!(inventory.execute(&cancel(0, BOB), at(1)).settled, []);
    for round in [SETTLED_AT_ONCE, SETTLED_AT_ONCE, 3] {
        assert_eq!(inventory.next_due(), Some(Time::default()));
        assert_eq!(inventory.settle(at(1)).len(), round);
    }
    assert_eq!((inventory.next_due(), inventory.settle(at(1))), (None, vec![]));
}

#[test]
fn a_stadium_of_holds_dies_in_rounds() {
    let bookings = 2 * SETTLED_AT_ONCE as u64 + 3;
    let capacity = u32::try_from(bookings).unwrap();
    let mut facts = vec![opened(&[floor(capacity)])];
    facts.extend((0..bookings).map(|number| reserved(0, number, ANN, places(FLOOR, 1))));
    let mut by_timer = after(&facts);
    for round in [SETTLED_AT_ONCE, SETTLED_AT_ONCE, 3] {
        assert_eq!(by_timer.next_due(), Some(at(HOLD_S)));
        assert_eq!(by_timer.settle(at(HOLD_S)).len(), round);
    }
    assert_eq!(by_timer.next_due(), None);
    // No decision sees a dead hold, however many died.
    let executed = after(&facts).execute(&leave(ANN), at(HOLD_S));
    assert_eq!(executed.settled.len() as u64, bookings);
}
