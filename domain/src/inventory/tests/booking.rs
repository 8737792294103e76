//! Reserving and confirming (BK-1, BK-2, BK-4).

use super::*;

#[test]
fn a_quantity_is_held_for_the_buyer() {
    let open = [opened(&[floor(10), stalls()])];
    let hold = |lines| [reserved(5, 1, ANN, lines)];
    given(&open).when(5, reserve(1, ANN, some(FLOOR, 3))).then(&hold(places(FLOOR, 3)));
    given(&open).when(5, reserve(1, ANN, some(FLOOR, 10))).then(&hold(places(FLOOR, 10)));
    // The next free seats, the accessible one last.
    let next = seats(&["A-1-2", "A-1-3", "A-2-x"]);
    given(&open).when(5, reserve(1, ANN, some(STALLS, 3))).then(&hold(next));
    let all = seats(&["A-1-2", "A-1-3", "A-2-x", "A-2-y", "A-1-1"]);
    given(&open).when(5, reserve(1, ANN, some(STALLS, 5))).then(&hold(all));
}

#[test]
fn named_seats_are_held_for_the_buyer() {
    let open = [opened(&[floor(10), stalls()])];
    let wanted = ["A-2-y", "A-1-1"];
    given(&open).when(5, reserve(1, ANN, named(&wanted))).then(&[reserved(
        5,
        1,
        ANN,
        seats(&wanted),
    )]);
    let missing = |seat: &str| Refusal::SeatNotFound { seat: seat.into() };
    for seat in ["A-1-4", "A-3-1", "B-1-1", "A-1-01", "A-2-", "A-2-X", "A", ""] {
        given(&open).when(5, reserve(1, ANN, named(&["A-1-1", seat]))).refused(missing(seat));
    }
    let twice = Refusal::SeatTwice { seat: "A-1-1".into() };
    given(&open).when(5, reserve(1, ANN, named(&["A-1-1", "A-1-2", "A-1-1"]))).refused(twice);
}

#[test]
fn a_booking_can_have_seats_of_several_tiers() {
    let mut balcony = stalls();
    balcony.tier = LAWN;
    balcony.price_minor = 400;
    if let crate::event::Stock::Seated { section, .. } = &mut balcony.stock {
        *section = "B".into();
    }
    let mut lines = seats(&["A-1-1", "B-1-1"]);
    lines[1].tier = LAWN;
    lines[1].unit_price_minor = 400;
    given(&[opened(&[stalls(), balcony])])
        .when(0, reserve(1, ANN, named(&["A-1-1", "B-1-1"])))
        .then(&[reserved(0, 1, ANN, lines)]);
}

#[test]
fn what_somebody_has_nobody_else_gets() {
    let half = [opened(&[floor(4), stalls()]), reserved(0, 1, ANN, places(FLOOR, 3))];
    let few = |requested, available| Refusal::InsufficientSeats { requested, available };
    given(&half).when(1, reserve(2, BOB, some(FLOOR, 2))).refused(few(2, 1));
    given(&half).when(1, reserve(2, BOB, some(FLOOR, 1))).then(&[reserved(
        1,
        2,
        BOB,
        places(FLOOR, 1),
    )]);
    let taken = [opened(&[stalls()]), reserved(0, 1, ANN, seats(&["A-1-2"]))];
    let refusal = Refusal::SeatTaken { seat: "A-1-2".into() };
    given(&taken).when(1, reserve(2, BOB, named(&["A-1-1", "A-1-2"]))).refused(refusal.clone());
    given(&taken).when(1, reserve(2, BOB, some(STALLS, 5))).refused(few(5, 4));
    // Sold is as little to be had as held.
    let sold =
        [taken.as_slice(), &[started(1, 1, 5, 2_500), confirmed(2, 1, ANN, 5, seats(&["A-1-2"]))]]
            .concat();
    given(&sold).when(1, reserve(2, BOB, named(&["A-1-2"]))).refused(refusal);
    given(&sold).when(1, reserve(2, BOB, some(STALLS, 5))).refused(few(5, 4));
}

#[test]
fn there_is_nothing_to_reserve_where_there_is_no_such_thing() {
    let open = [opened(&[floor(10)])];
    given(&[]).when(0, reserve(1, ANN, some(FLOOR, 1))).refused(Refusal::EventNotFound);
    given(&open).when(0, reserve(1, ANN, some(STALLS, 1))).refused(Refusal::TierNotFound);
    given(&open).when(0, reserve(1, ANN, some(FLOOR, 0))).refused(Refusal::NothingWanted);
    given(&open).when(0, reserve(1, ANN, named(&[]))).refused(Refusal::NothingWanted);
    let elsewhere = Command::Reserve {
        booking: BookingId { event: EventId::from_u128(8), number: 1 },
        user: ANN,
        wanted: some(FLOOR, 1),
        patience: None,
        request: None,
    };
    given(&open).when(0, elsewhere).refused(Refusal::EventNotFound);
}

#[test]
fn a_random_number_in_use_is_asked_for_again() {
    let held = [opened(&[floor(10)]), reserved(0, 1, ANN, places(FLOOR, 1))];
    given(&held).when(0, reserve(1, BOB, some(FLOOR, 1))).refused(Refusal::BookingExists);
}

#[test]
fn a_paid_hold_is_confirmed_with_a_ticket_for_each_person() {
    let lines = places(FLOOR, 2);
    let held = [opened(&[floor(10)]), reserved(0, 1, ANN, lines.clone())];
    let paying = given(&held).when(60, start(1, ANN, 5)).then(&[started(60, 1, 5, 2_000)]);
    let (_, fact) = confirmed(61, 1, ANN, 5, lines.clone());
    let Fact::Confirmed(Confirmed { tickets, .. }) = fact else { unreachable!() };
    let indexes: Vec<u16> = tickets.iter().map(|ticket| ticket.ticket.index).collect();
    assert_eq!(indexes, [0, 1]);
    let sold = paying.and().when(61, money(1, 5)).then(&[confirmed(61, 1, ANN, 5, lines)]);
    sold.and().when(HOLD_S, start(1, ANN, 6)).refused(Refusal::AlreadyConfirmed);
}

#[test]
fn what_costs_nothing_is_confirmed_without_a_payment() {
    let lines = places(LAWN, 2);
    let held = [opened(&[lawn(10)]), reserved(0, 1, ANN, lines.clone())];
    let (_, fact) = confirmed(9, 1, ANN, 5, lines);
    let Fact::Confirmed(fact) = fact else { unreachable!() };
    let free = (9, Confirmed { payment: None, ..fact }.into());
    given(&held).when(9, start(1, ANN, 5)).then(&[free]);
}

#[test]
fn only_its_owner_pays_for_a_booking() {
    let held = [opened(&[floor(10)]), reserved(0, 1, ANN, places(FLOOR, 2))];
    given(&held).when(1, start(1, BOB, 5)).refused(Refusal::BookingNotFound);
    given(&held).when(1, start(2, ANN, 5)).refused(Refusal::BookingNotFound);
    given(&[]).when(1, start(1, ANN, 5)).refused(Refusal::BookingNotFound);
    let foreign = BookingId { event: EventId::from_u128(8), number: 1 };
    let command =
        Command::StartPayment { booking: foreign, user: ANN, payment: pay(5), request: None };
    given(&held).when(1, command).refused(Refusal::BookingNotFound);
    assert_eq!(after(&held).booking(foreign), None);
}

#[test]
fn a_hold_is_dead_from_its_deadline_on() {
    let lines = places(FLOOR, 2);
    let held = [opened(&[floor(2)]), reserved(0, 1, ANN, lines.clone())];
    let dead = |s| [expired(s, 1, ANN, lines.clone())];
    let late = Refusal::HoldExpired { expired_at: at(HOLD_S) };
    given(&held).when(HOLD_S - 1, start(1, ANN, 5)).then(&[started(HOLD_S - 1, 1, 5, 2_000)]);
    given(&held).when(HOLD_S, start(1, ANN, 5)).settles(&dead(HOLD_S)).refused(late.clone());
    given(&held).when(HOLD_S, cancel(1, ANN)).settles(&dead(HOLD_S)).refused(late);
    given(&held).when(HOLD_S, Command::Settle).settles(&dead(HOLD_S)).then(&[]);
    given(&held).when(HOLD_S - 1, Command::Settle).then(&[]);
    // What it held can be bought at the same moment.
    let few = Refusal::InsufficientSeats { requested: 1, available: 0 };
    given(&held).when(HOLD_S - 1, reserve(2, BOB, some(FLOOR, 1))).refused(few);
    given(&held)
        .when(HOLD_S, reserve(2, BOB, some(FLOOR, 2)))
        .settles(&dead(HOLD_S))
        .then(&[reserved(HOLD_S, 2, BOB, lines.clone())]);
}

#[test]
fn a_booking_tells_its_whole_story() {
    let lines = places(FLOOR, 2);
    let facts = [
        opened(&[floor(10)]),
        reserved(0, 1, ANN, lines.clone()),
        reserved(0, 2, BOB, lines.clone()),
        started(1, 1, 5, 2_000),
        failed(2, 1, 5),
        started(3, 1, 6, 2_000),
        expired(HOLD_S, 1, ANN, lines.clone()),
        reinstated(HOLD_S, 1, ANN, lines.clone()),
        confirmed(HOLD_S, 1, ANN, 6, lines.clone()),
        expired(HOLD_S, 2, BOB, lines.clone()),
        given_back(released(HOLD_S, 1, ANN, lines), 6, 2_000),
        refunded(HOLD_S, 1, 6, 2_000),
    ];
    let inventory = after(&facts);
    let story = |number| inventory.booking(bkg(number)).unwrap().story;
    assert_eq!(story(1), [1, 3, 4, 5, 6, 7, 8, 10, 11]);
    assert_eq!(story(2), [2, 9]);
    assert_eq!(inventory.booking(bkg(3)), None);
    assert_eq!((inventory.facts(), inventory.booking_count()), (12, 2));
}
