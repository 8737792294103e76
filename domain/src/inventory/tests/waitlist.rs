//! Waiting, and whose turn it is (WL-1, WL-2).

use super::*;
use crate::event::Tier;

/// Cy holds all of the floor.
fn full(capacity: u32) -> Vec<Then> {
    vec![opened(&[floor(capacity)]), reserved(0, 1, CY, places(FLOOR, capacity))]
}

fn and(mut facts: Vec<Then>, more: &[Then]) -> Vec<Then> {
    facts.extend_from_slice(more);
    facts
}

#[test]
fn one_waits_for_what_cannot_be_served_now() {
    let facts = full(4);
    for tier in [None, Some(FLOOR)] {
        given(&facts).when(1, join(7, ANN, tier, 2)).then(&[joined(1, 7, ANN, tier, 2)]);
    }
    given(&facts).when(1, join(7, ANN, Some(STALLS), 2)).refused(Refusal::TierNotFound);
    given(&facts).when(1, join(7, ANN, None, 0)).refused(Refusal::NothingWanted);
    let never = Refusal::NeverEnough { requested: 5, capacity: 4 };
    given(&facts).when(1, join(7, ANN, None, 5)).refused(never);
    let limit = Refusal::LimitPerBooking { requested: 11, limit: 10 };
    given(&facts).when(1, join(7, ANN, None, 11)).refused(limit);
    let open = Refusal::TicketsAvailable { requested: 2, available: 10 };
    given(&[opened(&[floor(10)])]).when(1, join(7, ANN, None, 2)).refused(open);
    given(&[]).when(1, join(7, ANN, None, 2)).refused(Refusal::EventNotFound);
    let began = Refusal::EventStarted { starts_at: at(START_S) };
    let facts = and(full(4), &[expired(HOLD_S, 1, CY, places(FLOOR, 4))]);
    given(&facts).when(START_S, join(7, ANN, None, 2)).refused(began);
}

#[test]
fn the_place_in_line_counts_who_waits() {
    let one = and(full(4), &[joined(1, 7, ANN, None, 2)]);
    let two =
        given(&one).when(2, join(8, BOB, None, 2)).then(&[nth(2, joined(2, 8, BOB, None, 2))]);
    assert_eq!(two.inventory.waiting(), 2);
    let alone = two.and().when(3, leave(ANN)).then(&[left(3, 7, ANN)]);
    assert_eq!(alone.inventory.waiting(), 1);
}

#[test]
fn for_any_tier_one_waits_if_none_has_enough() {
    let two = [opened(&[floor(4), lawn(3)]), reserved(0, 1, CY, places(FLOOR, 4))];
    let open = Refusal::TicketsAvailable { requested: 3, available: 3 };
    given(&two).when(1, join(7, ANN, None, 3)).refused(open);
    given(&two).when(1, join(7, ANN, None, 4)).then(&[joined(1, 7, ANN, None, 4)]);
    given(&two).when(1, join(7, ANN, Some(FLOOR), 1)).then(&[joined(1, 7, ANN, Some(FLOOR), 1)]);
    // Of the largest that is on sale, wherever it stands.
    let never = Refusal::NeverEnough { requested: 5, capacity: 4 };
    given(&two).when(1, join(7, ANN, None, 5)).refused(never);
    let closed = Tier { sale_starts_at: Some(at(100)), ..floor(4) };
    let refusal = Refusal::SaleNotOpen { opens_at: at(100) };
    let never = Refusal::NeverEnough { requested: 4, capacity: 3 };
    given(&[opened(&[lawn(3), closed.clone()])]).when(1, join(7, ANN, None, 4)).refused(never);
    given(&[opened(&[closed])]).when(1, join(7, ANN, None, 1)).refused(refusal);
}

#[test]
fn a_person_waits_once() {
    let facts = and(full(4), &[joined(1, 7, ANN, None, 2)]);
    given(&facts).when(2, join(8, ANN, Some(FLOOR), 1)).refused(Refusal::AlreadyWaiting);
    let offer =
        and(facts, &[released(2, 1, CY, places(FLOOR, 4)), offered(2, 7, ANN, places(FLOOR, 2))]);
    given(&offer).when(2, join(8, ANN, Some(FLOOR), 3)).refused(Refusal::AlreadyWaiting);
    let served = and(
        offer,
        &[
            started(3, served(7), 5, 2_000),
            of_offer(confirmed(3, served(7), ANN, 5, places(FLOOR, 2)), 7),
        ],
    );
    given(&served).when(3, join(8, ANN, None, 3)).then(&[joined(3, 8, ANN, None, 3)]);
}

#[test]
fn one_leaves_the_waitlist_and_the_next_is_served() {
    let facts = and(full(2), &[joined(1, 7, ANN, None, 2), nth(2, joined(1, 8, BOB, None, 2))]);
    given(&facts).when(2, leave(CY)).refused(Refusal::NotWaiting);
    given(&[]).when(2, leave(CY)).refused(Refusal::EventNotFound);
    let left = given(&facts).when(2, leave(ANN)).then(&[left(2, 7, ANN)]);
    left.and()
        .when(HOLD_S, Command::Settle)
        .settles(&[
            expired(HOLD_S, 1, CY, places(FLOOR, 2)),
            offered(HOLD_S, 8, BOB, places(FLOOR, 2)),
        ])
        .then(&[]);
}

#[test]
fn returned_places_go_to_the_first_in_line_and_not_to_the_public() {
    let facts = and(full(2), &[joined(1, 7, ANN, None, 2), released(2, 1, CY, places(FLOOR, 2))]);
    let few = Refusal::InsufficientSeats { requested: 1, available: 0 };
    let offer = given(&facts)
        .when(2, reserve(2, CY, some(FLOOR, 1)))
        .settles(&[offered(2, 7, ANN, places(FLOOR, 2))])
        .refused(few);
    // It is a hold like any other, with a longer deadline.
    let paying = offer.and().when(2 + OFFER_S - 1, start(served(7), ANN, 5));
    let paying = paying.then(&[started(2 + OFFER_S - 1, served(7), 5, 2_000)]);
    let sold = confirmed(2 + OFFER_S - 1, served(7), ANN, 5, places(FLOOR, 2));
    paying.and().when(2 + OFFER_S - 1, money(served(7), 5)).then(&[of_offer(sold, 7)]);
}

#[test]
fn an_offer_nobody_takes_goes_to_the_next() {
    let two = || places(FLOOR, 2);
    let facts = and(
        full(2),
        &[
            joined(1, 7, ANN, None, 2),
            nth(2, joined(1, 8, BOB, None, 2)),
            released(2, 1, CY, two()),
            offered(2, 7, ANN, two()),
        ],
    );
    let dead = 2 + OFFER_S;
    let passed = [of_offer(expired(dead, served(7), ANN, two()), 7), offered(dead, 8, BOB, two())];
    given(&facts).when(dead - 1, Command::Settle).then(&[]);
    given(&facts).when(dead, Command::Settle).settles(&passed).then(&[]);
    let late = Refusal::HoldExpired { expired_at: at(dead) };
    given(&facts).when(dead, start(served(7), ANN, 5)).settles(&passed).refused(late);
    // Who was offered something has had their turn, and may join again.
    let again = given(&facts).when(dead, join(9, ANN, None, 2)).settles(&passed);
    again.then(&[joined(dead, 9, ANN, None, 2)]);
}

#[test]
fn leaving_with_an_offer_gives_it_back() {
    let two = || places(FLOOR, 2);
    let facts = and(
        full(2),
        &[
            joined(1, 7, ANN, None, 2),
            nth(2, joined(1, 8, BOB, None, 2)),
            released(2, 1, CY, two()),
            offered(2, 7, ANN, two()),
        ],
    );
    let back = of_offer(released(3, served(7), ANN, two()), 7);
    for command in [leave(ANN), cancel(served(7), ANN)] {
        let back = given(&facts).when(3, command).then(std::slice::from_ref(&back));
        back.and().when(3, Command::Settle).settles(&[offered(3, 8, BOB, two())]).then(&[]);
    }
    let paying = and(facts, &[started(3, served(7), 5, 2_000)]);
    given(&paying).when(4, leave(ANN)).refused(Refusal::PaymentInProgress);
}

#[test]
fn the_first_whom_the_stock_can_serve_is_served_and_nobody_else_is_passed() {
    let facts = [
        opened(&[floor(5), lawn(1)]),
        reserved(0, 1, CY, places(FLOOR, 3)),
        reserved(0, 2, CY, places(FLOOR, 2)),
        reserved(0, 3, CY, places(LAWN, 1)),
        joined(1, 7, ANN, Some(FLOOR), 3),
        nth(2, joined(1, 8, BOB, Some(LAWN), 1)),
        nth(3, joined(1, 9, UserId::from_u128(4), None, 2)),
        nth(4, joined(1, 10, UserId::from_u128(5), Some(FLOOR), 1)),
    ];
    let person = |n: u128| UserId::from_u128(n);
    // Two of the floor: not enough for Ann, not what Bob wants; the third is served at once.
    let two = [&facts[..], &[released(2, 2, CY, places(FLOOR, 2))]].concat();
    let offer = offered(2, 9, person(4), places(FLOOR, 2));
    given(&two).when(2, Command::Settle).settles(std::slice::from_ref(&offer)).then(&[]);
    // Three more: Ann now comes first.
    let three = [&two[..], &[offer, released(3, 1, CY, places(FLOOR, 3))]].concat();
    given(&three)
        .when(3, Command::Settle)
        .settles(&[offered(3, 7, ANN, places(FLOOR, 3))])
        .then(&[]);
    // All at once: in the order of joining.
    let all = [
        &facts[..],
        &[
            released(2, 1, CY, places(FLOOR, 3)),
            released(2, 2, CY, places(FLOOR, 2)),
            released(2, 3, CY, places(LAWN, 1)),
        ],
    ]
    .concat();
    given(&all)
        .when(2, Command::Settle)
        .settles(&[
            offered(2, 7, ANN, places(FLOOR, 3)),
            offered(2, 8, BOB, places(LAWN, 1)),
            offered(2, 9, person(4), places(FLOOR, 2)),
        ])
        .then(&[]);
}

#[test]
fn an_offer_of_seats_names_them() {
    let all = || seats(&["A-1-1", "A-1-2", "A-1-3", "A-2-x", "A-2-y"]);
    let facts = [
        opened(&[stalls()]),
        reserved(0, 1, CY, all()),
        joined(1, 7, ANN, Some(STALLS), 2),
        released(2, 1, CY, all()),
    ];
    given(&facts)
        .when(2, Command::Settle)
        .settles(&[offered(2, 7, ANN, seats(&["A-1-2", "A-1-3"]))])
        .then(&[]);
}

/// Two to a person. Ann and after her Bob wait for two of the floor, which Cy holds; Ann holds some
/// of the lawn, too.
fn waits_and_holds(quantity: u32) -> Vec<Then> {
    vec![
        opened_with(Plan { max_per_user: Some(2), ..plan(&[floor(2), lawn(2)]) }),
        reserved(0, 1, CY, places(FLOOR, 2)),
        joined(1, 7, ANN, Some(FLOOR), 2),
        nth(2, joined(1, 8, BOB, Some(FLOOR), 2)),
        reserved(2, 2, ANN, places(LAWN, quantity)),
    ]
}

#[test]
fn a_hold_passes_a_person_over_but_leaves_them_their_place() {
    let (two, one) = (|| places(FLOOR, 2), || places(LAWN, 1));
    let facts = and(waits_and_holds(1), &[released(3, 1, CY, two())]);
    // Bob is not kept waiting by it.
    let passed = given(&facts).when(3, Command::Settle).settles(&[offered(3, 8, BOB, two())]);
    let passed = passed.then(&[]);
    assert_eq!(passed.inventory.waiting(), 1);
    // Alone in line, Ann is served at once when her hold is given back, or when it dies.
    let alone = and(facts, &[left(3, 8, BOB)]);
    let waits = || given(&alone).when(3, Command::Settle).then(&[]);
    assert_eq!(waits().inventory.next_due(), Some(at(2 + HOLD_S)));
    let released = waits().and().when(4, cancel(2, ANN)).then(&[released(4, 2, ANN, one())]);
    released.and().when(4, Command::Settle).settles(&[offered(4, 7, ANN, two())]).then(&[]);
    let dead = 2 + HOLD_S;
    waits()
        .and()
        .when(dead, Command::Settle)
        .settles(&[expired(dead, 2, ANN, one()), offered(dead, 7, ANN, two())])
        .then(&[]);
}

#[test]
fn an_offer_never_breaks_a_limit() {
    // Bought elsewhere while waiting: the place in line is given up.
    let facts = [
        &waits_and_holds(1)[..],
        &[
            started(2, 2, 5, 1_000),
            confirmed(2, 2, ANN, 5, places(LAWN, 1)),
            released(3, 1, CY, places(FLOOR, 2)),
        ],
    ]
    .concat();
    given(&facts)
        .when(3, Command::Settle)
        .settles(&[left(3, 7, ANN), offered(3, 8, BOB, places(FLOOR, 2))])
        .then(&[]);
    // For any tier, but one of them sells no more than one to a booking.
    let single = Tier { max_per_booking: Some(1), ..lawn(5) };
    let facts = [
        opened(&[single, floor(2)]),
        reserved(0, 1, CY, places(LAWN, 1)),
        reserved(0, 2, CY, places(FLOOR, 2)),
        joined(1, 7, ANN, None, 2),
    ];
    given(&facts).when(1, Command::Settle).then(&[]);
    let back = [&facts[..], &[released(2, 2, CY, places(FLOOR, 2))]].concat();
    given(&back)
        .when(2, Command::Settle)
        .settles(&[offered(2, 7, ANN, places(FLOOR, 2))])
        .then(&[]);
    // The limit of the event was lowered meanwhile.
    let lowered = Plan { max_per_booking: 2, ..plan(&[floor(5)]) };
    let facts = and(
        full(4),
        &[joined(1, 7, ANN, None, 3), nth(2, joined(1, 8, BOB, None, 2)), revised(2, 3, lowered)],
    );
    let freed = and(facts, &[released(3, 1, CY, places(FLOOR, 4))]);
    given(&freed)
        .when(3, Command::Settle)
        .settles(&[offered(3, 8, BOB, places(FLOOR, 2))])
        .then(&[]);
}

#[test]
fn nobody_is_offered_what_is_not_on_sale() {
    let closing = Tier { sale_ends_at: Some(at(100)), ..floor(2) };
    let facts = [
        opened(&[closing]),
        reserved(0, 1, CY, places(FLOOR, 2)),
        joined(1, 7, ANN, None, 2),
        released(99, 1, CY, places(FLOOR, 2)),
    ];
    given(&facts)
        .when(99, Command::Settle)
        .settles(&[offered(99, 7, ANN, places(FLOOR, 2))])
        .then(&[]);
    given(&facts).when(100, Command::Settle).then(&[]);
    given(&facts).when(START_S, Command::Settle).then(&[]);
}

#[test]
fn more_capacity_goes_to_the_waitlist() {
    let facts = and(full(2), &[joined(1, 7, ANN, Some(FLOOR), 2)]);
    let raised = given(&facts).when(2, follow(3, Some(plan(&[floor(4)]))));
    let raised = raised.then(&[revised(2, 3, plan(&[floor(4)]))]);
    raised
        .and()
        .when(2, Command::Settle)
        .settles(&[offered(2, 7, ANN, places(FLOOR, 2))])
        .then(&[]);
}

#[test]
fn a_number_in_use_is_not_offered_again() {
    let two = || places(FLOOR, 2);
    // The same place in the waitlist, derived from the same key after it was forgotten.
    let facts = and(
        full(2),
        &[
            joined(1, 7, ANN, None, 2),
            released(2, 1, CY, two()),
            offered(2, 7, ANN, two()),
            of_offer(expired(2 + OFFER_S, served(7), ANN, two()), 7),
            reserved(700, 2, CY, two()),
            joined(701, 7, ANN, None, 2),
        ],
    );
    let when = given(&facts).when(1_000, Command::Settle);
    let [_, (_, Fact::Offered(offer))] = &when.settled[..] else { panic!("{:?}", when.settled) };
    assert_ne!(offer.booking, bkg(served(7)));
}
