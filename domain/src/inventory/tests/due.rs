//! When an inventory has to be looked after again, and for which payments (BK-4, PM-3).

use super::*;
use crate::event::Tier;
use crate::inventory::payments::CHARGE_PATIENCE_S;

/// Settles at each moment that the inventory itself names, and says what came when.
fn by_timer(facts: &[Then]) -> Vec<Then> {
    let mut inventory = after(facts);
    let mut now = facts.last().map_or(0, |(s, _)| *s);
    let mut came = vec![];
    // Each wake-up has to bring something; otherwise a timer would spin.
    while let Some(due) = inventory.next_due() {
        now = now.max(due.ms_since(at(0)) / 1_000);
        let settled = inventory.settle(at(now));
        assert!(!settled.is_empty(), "woken for nothing at {now}");
        came.extend(settled.into_iter().map(|fact| (now, fact)));
    }
    came
}

#[test]
fn the_next_deadline_is_the_earliest_of_a_live_hold() {
    let one = || places(FLOOR, 1);
    let facts = [
        opened(&[floor(9)]),
        reserved(0, 1, ANN, one()),
        reserved(10, 2, BOB, one()),
        reserved(20, 3, CY, one()),
    ];
    assert_eq!(after(&facts[..1]).next_due(), None);
    assert_eq!(after(&facts).next_due(), Some(at(HOLD_S)));
    let released = [&facts[..], &[released(21, 1, ANN, one())]].concat();
    assert_eq!(after(&released).next_due(), Some(at(10 + HOLD_S)));
    let sold = [&released[..], &[confirmed(22, 2, BOB, 5, one())]].concat();
    assert_eq!(after(&sold).next_due(), Some(at(20 + HOLD_S)));
    assert_eq!(by_timer(&sold), [expired(20 + HOLD_S, 3, CY, one())]);
}

#[test]
fn a_hold_that_the_log_has_twice_takes_its_places_once_and_dies_once() {
    let (s, hold) = reserved(0, 1, ANN, places(FLOOR, 2));
    // The ledger of tests would refuse such a log, and so does whoever audits it.
    let mut inventory = after(&[opened(&[floor(3)]), (s, hold.clone())]);
    inventory.evolve(at(s), &hold);
    let (_, other) = reserved(1, 2, BOB, places(FLOOR, 1));
    let decided = inventory.execute(&reserve(2, BOB, some(FLOOR, 1)), at(1)).decided;
    assert_eq!(decided, Ok(vec![other]));
    let (_, dead) = expired(HOLD_S, 1, ANN, places(FLOOR, 2));
    assert_eq!(inventory.settle(at(HOLD_S)), [dead]);
    assert_eq!(inventory.next_due(), Some(at(1 + HOLD_S)));
}

#[test]
fn returned_places_are_due_at_once_for_those_who_wait() {
    let two = || places(FLOOR, 2);
    let facts = [
        opened(&[floor(2)]),
        reserved(0, 1, CY, two()),
        joined(1, 7, ANN, None, 2),
        nth(2, joined(1, 8, BOB, None, 1)),
    ];
    assert_eq!(after(&facts).next_due(), Some(at(HOLD_S)));
    let back = [&facts[..], &[released(9, 1, CY, two())]].concat();
    let dead = 9 + OFFER_S;
    assert_eq!(
        by_timer(&back),
        [
            offered(9, 7, ANN, two()),
            of_offer(expired(dead, served(7), ANN, two()), 7),
            offered(dead, 8, BOB, places(FLOOR, 1)),
            of_offer(expired(dead + OFFER_S, served(8), BOB, places(FLOOR, 1)), 8),
        ]
    );
}

#[test]
fn those_who_wait_are_served_when_the_sale_opens_again() {
    let two = || places(FLOOR, 2);
    let window = |opens: Option<u64>, ends: Option<u64>| Tier {
        sale_starts_at: opens.map(at),
        sale_ends_at: ends.map(at),
        ..floor(2)
    };
    let waiting = |tier| {
        [
            opened(&[floor(2)]),
            reserved(0, 1, CY, two()),
            joined(1, 7, ANN, None, 2),
            released(2, 1, CY, two()),
            revised(2, 3, plan(&[tier])),
        ]
    };
    let later = 100;
    let offer = [
        offered(later, 7, ANN, two()),
        of_offer(expired(later + OFFER_S, served(7), ANN, two()), 7),
    ];
    assert_eq!(by_timer(&waiting(window(Some(later), None))), offer);
    assert_eq!(by_timer(&waiting(window(None, Some(2)))), []);
    assert_eq!(by_timer(&waiting(window(Some(START_S), None))), []);
}

#[test]
fn a_cancelled_event_is_due_until_all_is_cancelled() {
    let off = [opened(&[floor(9)]), reserved(0, 1, ANN, places(FLOOR, 1)), closed(5, 3)];
    assert_eq!(after(&off).next_due(), Some(Time::default()));
    assert_eq!(by_timer(&off), [by_event(released(5, 1, ANN, places(FLOOR, 1)))]);
}

#[test]
fn a_charge_is_waited_for_then_asked_after_and_what_is_owed_is_refunded() {
    let lines = || places(FLOOR, 2);
    let (booking, payment) = (bkg(1), pay(5));
    // What is to be done, and when the next charge is to be asked after.
    let steps = |facts: &[Then], s| {
        let inventory = after(facts);
        let (steps, next) = (inventory.payment_steps(at(s)), inventory.next_payment_due(at(s)));
        let bookings = &inventory.bookings;
        let open = !bookings.asked.is_empty() || !bookings.owed.is_empty();
        assert_eq!(open, !steps.is_empty() || next.is_some());
        (steps, next)
    };
    let asked = 10 + CHARGE_PATIENCE_S;
    let paying = [opened(&[floor(2)]), reserved(0, 1, ANN, lines()), started(10, 1, 5, 2_000)];
    let none = || (vec![], None);
    let wait = || (vec![], Some(at(asked)));
    let started_at = at(10);
    let ask = || (vec![PaymentStep::AskProvider { booking, payment, started_at }], None);
    let currency = Currency::EUR;
    let refund = |amount_minor| {
        (vec![PaymentStep::Refund { booking, payment, amount_minor, currency }], None)
    };
    assert_eq!(steps(&paying, 10), wait());
    assert_eq!(steps(&paying, asked - 1), wait());
    assert_eq!(steps(&paying, asked), ask());
    // It is asked after also when the hold is dead, until an answer comes.
    let dead = [&paying[..], &[expired(HOLD_S, 1, ANN, lines())]].concat();
    assert_eq!(steps(&dead, HOLD_S), ask());
    let due = [&dead[..], &[owed(HOLD_S, 1, ANN, 5, 2_000)]].concat();
    assert_eq!(steps(&due, HOLD_S), refund(2_000));
    let paid = [&due[..], &[refunded(HOLD_S, 1, 5, 2_000)]].concat();
    assert_eq!(steps(&paid, HOLD_S), none());
    let sold = [&paying[..], &[confirmed(11, 1, ANN, 5, lines())]].concat();
    assert_eq!(steps(&sold, asked), none());
    let half = given_back(released(12, 1, ANN, lines()), 5, 1_000);
    assert_eq!(steps(&[&sold[..], &[half]].concat(), 12), refund(1_000));
    let nothing = given_back(released(12, 1, ANN, lines()), 5, 0);
    assert_eq!(steps(&[&sold[..], &[nothing]].concat(), 12), none());
    assert_eq!(steps(&[&paying[..], &[failed(11, 1, 5)]].concat(), asked), none());
}

/// A clock that was ahead, and was set right since.
#[test]
fn a_charge_of_a_time_that_has_not_come_is_asked_after_and_keeps_no_other_waiting() {
    let ahead = 86_400;
    let paying = [
        opened(&[floor(2)]),
        reserved(0, 1, ANN, places(FLOOR, 1)),
        started(ahead, 1, 5, 1_000),
        reserved(10, 2, BOB, places(FLOOR, 1)),
        started(10, 2, 6, 1_000),
    ];
    let inventory = after(&paying);
    let ask = |number, payment, s| PaymentStep::AskProvider {
        booking: bkg(number),
        payment: pay(payment),
        started_at: at(s),
    };
    let (asked, due) = (10 + CHARGE_PATIENCE_S, |s| inventory.next_payment_due(at(s)));
    assert_eq!(inventory.payment_steps(at(10)), [ask(1, 5, ahead)]);
    assert_eq!(due(10), Some(at(asked)));
    assert_eq!(inventory.payment_steps(at(asked)), [ask(1, 5, ahead), ask(2, 6, 10)]);
    assert_eq!(due(asked), None);
    // Of one that is only a little ahead, as the clocks of nodes may be, that time is waited for.
    let soon = at(ahead - CHARGE_PATIENCE_S);
    assert_eq!(inventory.payment_steps(soon), []);
    assert_eq!(inventory.next_payment_due(soon), Some(at(ahead + CHARGE_PATIENCE_S)));
}
