//! The ledger names what is wrong with facts that no inventory would have written (BK-5, AU-2).

use super::*;

/// What the last of these facts breaks; those before have to be right.
#[track_caller]
fn broken(facts: &[Then]) -> Violation {
    let mut ledger = Ledger::default();
    let (last, before) = facts.split_last().expect("a fact");
    for (_, fact) in before {
        assert_eq!(ledger.apply(fact), Ok(()), "{fact:?}");
    }
    ledger.apply(&last.1).expect_err("the last fact breaks a rule")
}

fn held() -> Vec<Then> {
    vec![opened(&[floor(3), stalls()]), reserved(0, 1, ANN, places(FLOOR, 2))]
}

fn and(mut facts: Vec<Then>, more: &[Then]) -> Vec<Then> {
    facts.extend_from_slice(more);
    facts
}

#[test]
fn more_than_there_is() {
    let over = |sold, held, capacity| Violation::Oversold { tier: FLOOR, sold, held, capacity };
    let facts = and(held(), &[reserved(1, 2, BOB, places(FLOOR, 2))]);
    assert_eq!(broken(&facts), over(0, 4, 3));
    let sold = and(held(), &[confirmed(1, 1, ANN, 5, places(FLOOR, 2))]);
    let facts = and(sold.clone(), &[offered(2, 7, BOB, places(FLOOR, 2))]);
    assert_eq!(broken(&facts), over(2, 2, 3));
    let facts = and(sold, &[revised(2, 3, plan(&[floor(1)]))]);
    assert_eq!(broken(&facts), over(2, 0, 1));
}

/// Whoever reads the report is to find what did it, and not all that came of it.
#[test]
fn an_oversell_is_told_of_once_by_the_fact_that_does_it() {
    let mut ledger = Ledger::default();
    held().iter().for_each(|(_, fact)| ledger.apply(fact).unwrap());
    ledger.apply(&reserved(1, 2, BOB, places(FLOOR, 2)).1).unwrap_err();
    // What becomes of both bookings makes it no worse, until somebody adds to it.
    for fact in [
        confirmed(2, 1, ANN, 5, places(FLOOR, 2)),
        reserved(2, 4, CY, seats(&["A-1-1"])),
        confirmed(2, 2, BOB, 6, places(FLOOR, 2)),
    ] {
        assert_eq!(ledger.apply(&fact.1), Ok(()), "{fact:?}");
    }
    let over = Violation::Oversold { tier: FLOOR, sold: 4, held: 1, capacity: 3 };
    assert_eq!(ledger.apply(&reserved(3, 3, CY, places(FLOOR, 1)).1), Err(over));
    let gone = given_back(released(4, 1, ANN, places(FLOOR, 2)), 5, 2_000);
    assert_eq!(ledger.apply(&gone.1), Ok(()));
    assert_eq!((ledger.tiers()[0].sold, ledger.tiers()[0].held), (2, 1));
}

#[test]
fn a_seat_with_two_owners() {
    let seat = |name: &str, booking| Violation::SeatTaken { seat: name.into(), booking };
    let taken = and(held(), &[reserved(1, 2, BOB, seats(&["A-1-1", "A-1-2"]))]);
    let facts = and(taken.clone(), &[reserved(2, 3, CY, seats(&["A-1-2"]))]);
    assert_eq!(broken(&facts), seat("A-1-2", bkg(3)));
    let sold = and(taken, &[confirmed(2, 2, BOB, 5, seats(&["A-1-1", "A-1-2"]))]);
    let facts = and(sold, &[offered(3, 7, CY, seats(&["A-1-1"]))]);
    assert_eq!(broken(&facts), seat("A-1-1", bkg(served(7))));
    // A seat twice in one booking, for two people, or of another tier.
    let facts = and(held(), &[reserved(1, 2, BOB, seats(&["A-1-1", "A-1-1"]))]);
    assert_eq!(broken(&facts), seat("A-1-1", bkg(2)));
    for change in [|line: &mut Line| line.quantity = 2, |line: &mut Line| line.tier = FLOOR] {
        let mut lines = seats(&["A-1-1"]);
        change(&mut lines[0]);
        let facts = [opened(&[floor(3), stalls()]), reserved(1, 2, BOB, lines)];
        assert_eq!(broken(&facts), seat("A-1-1", bkg(2)));
    }
}

#[test]
fn what_nobody_holds() {
    let not_held = |number| Violation::NotHeld { booking: bkg(number) };
    let two = || places(FLOOR, 2);
    // Others hold and own as many, so that the counters alone show nothing.
    let others = [
        opened(&[floor(9), stalls()]),
        reserved(0, 3, BOB, places(FLOOR, 3)),
        reserved(0, 4, CY, places(FLOOR, 3)),
        confirmed(0, 4, CY, 6, places(FLOOR, 3)),
        reserved(0, 1, ANN, two()),
    ];
    let held = || others.to_vec();
    let dead = and(held(), &[expired(1, 1, ANN, two())]);
    for wrong in [
        confirmed(2, 1, ANN, 5, two()),
        expired(2, 1, ANN, two()),
        released(2, 1, ANN, two()),
        confirmed(2, 9, ANN, 5, two()),
    ] {
        let booking = wrong.1.booking().unwrap();
        assert_eq!(broken(&and(dead.clone(), &[wrong])), Violation::NotHeld { booking });
    }
    // Sold is not held, and the other way round; nor more than anybody holds; nor another seat.
    let wrong = given_back(released(2, 1, ANN, two()), 5, 2_000);
    assert_eq!(broken(&and(held(), &[wrong])), not_held(1));
    let sold = and(held(), &[confirmed(1, 1, ANN, 5, two())]);
    assert_eq!(broken(&and(sold.clone(), &[released(2, 1, ANN, two())])), not_held(1));
    assert_eq!(broken(&and(sold, &[expired(2, 1, ANN, two())])), not_held(1));
    for other in [1, 3] {
        let wrong = expired(1, 1, ANN, places(FLOOR, other));
        assert_eq!(broken(&and(held(), &[wrong])), not_held(1));
        let wrong = reinstated(2, 1, ANN, places(FLOOR, other));
        assert_eq!(broken(&and(dead.clone(), &[wrong])), not_held(1));
    }
    let seat = and(held(), &[reserved(1, 2, BOB, seats(&["A-1-1"]))]);
    assert_eq!(broken(&and(seat, &[expired(2, 2, BOB, seats(&["A-1-2"]))])), not_held(2));
    // Only what died comes back.
    assert_eq!(broken(&and(held(), &[reinstated(1, 1, ANN, places(FLOOR, 1))])), not_held(1));
    assert_eq!(broken(&and(held(), &[reinstated(1, 9, ANN, places(FLOOR, 1))])), not_held(9));
}

#[test]
fn what_does_not_exist_or_exists_already() {
    let nowhere = |booking| Violation::NoSuchPlace { booking };
    let facts = and(held(), &[reserved(1, 2, BOB, places(LAWN, 1))]);
    assert_eq!(broken(&facts), nowhere(bkg(2)));
    let facts = and(held(), &[reserved(1, 2, BOB, seats(&["A-9-9"]))]);
    assert_eq!(broken(&facts), nowhere(bkg(2)));
    let twice = Violation::BookedTwice { booking: bkg(1) };
    assert_eq!(broken(&and(held(), &[reserved(1, 1, ANN, places(FLOOR, 1))])), twice);
    let dead = and(held(), &[expired(1, 1, ANN, places(FLOOR, 2))]);
    assert_eq!(broken(&and(dead, &[reserved(2, 1, ANN, places(FLOOR, 1))])), twice);
}

#[test]
fn the_stock_as_an_outsider_sees_it() {
    let facts = [
        opened(&[floor(9), stalls()]),
        reserved(0, 1, ANN, places(FLOOR, 2)),
        reserved(0, 2, BOB, seats(&["A-1-1", "A-2-x"])),
        confirmed(1, 1, ANN, 5, places(FLOOR, 2)),
        reserved(1, 3, CY, places(FLOOR, 3)),
        joined(2, 7, ANN, None, 5),
        nth(2, joined(2, 8, CY, None, 5)),
        left(3, 8, CY),
    ];
    let mut ledger = Ledger::default();
    facts.iter().for_each(|(_, fact)| ledger.apply(fact).unwrap());
    let counts = |count: &TierCount| {
        let tier = count.terms.tier;
        (tier, count.capacity, count.held, count.sold, count.available())
    };
    let counted: Vec<_> = ledger.tiers().iter().map(counts).collect();
    assert_eq!(counted, [(FLOOR, 9, 3, 2, 4), (STALLS, 5, 2, 0, 3)]);
    let states: Vec<_> = ledger.seats().collect();
    let held = SeatState::Held(bkg(2));
    let expected = [
        ("A-1-1", STALLS, held),
        ("A-1-2", STALLS, SeatState::Free),
        ("A-1-3", STALLS, SeatState::Free),
        ("A-2-x", STALLS, held),
        ("A-2-y", STALLS, SeatState::Free),
    ];
    assert_eq!(states, expected);
    assert_eq!((ledger.seat("A-1-1"), ledger.seat("A-9-9")), (Some(held), None));
    assert_eq!((ledger.event(), ledger.currency()), (Some(EVENT), Some(Currency::EUR)));
    assert_eq!((ledger.starts_at(), ledger.waiting()), (at(START_S), 1));
    assert!(!ledger.is_closed());
    ledger.apply(&closed(4, 3).1).unwrap();
    assert_eq!((ledger.is_closed(), ledger.waiting()), (true, 0));
}

#[test]
fn a_booking_made_twice_is_counted_once() {
    let mut ledger = Ledger::default();
    held().iter().for_each(|(_, fact)| ledger.apply(fact).unwrap());
    ledger.apply(&reserved(1, 1, ANN, places(FLOOR, 1)).1).unwrap_err();
    assert_eq!(ledger.tiers()[0].held, 2);
    ledger.apply(&expired(1, 1, ANN, places(FLOOR, 2)).1).unwrap();
    assert_eq!(ledger.tiers()[0].held, 0);
}
