//! Money that comes, does not come, or comes too late (PM-3).

use super::*;

fn lines() -> Vec<Line> {
    places(FLOOR, 2)
}

/// Ann holds two places of three, and payment 5 is under way.
fn paying() -> Vec<Then> {
    vec![opened(&[floor(3)]), reserved(0, 1, ANN, lines()), started(10, 1, 5, 2_000)]
}

fn and(mut facts: Vec<Then>, more: &[Then]) -> Vec<Then> {
    facts.extend_from_slice(more);
    facts
}

#[test]
fn a_charge_ends_confirmed_or_failed() {
    given(&paying()).when(11, money(1, 5)).then(&[confirmed(11, 1, ANN, 5, lines())]);
    given(&paying()).when(11, no_money(1, 5)).then(&[failed(11, 1, 5)]);
    let never =
        PaymentFailed { booking: bkg(1), payment: pay(5), reason: PaymentFailure::NeverArrived };
    let command = settle(1, 5, PaymentResult::Failed(PaymentFailure::NeverArrived));
    given(&paying()).when(11, command).then(&[(11, never.into())]);
}

#[test]
fn nobody_pays_twice_at_a_time() {
    given(&paying()).when(11, start(1, ANN, 6)).refused(Refusal::PaymentInProgress);
    // A declined card leaves the hold, and another can be tried.
    let declined = and(paying(), &[failed(11, 1, 5)]);
    given(&declined).when(12, start(1, ANN, 6)).then(&[started(12, 1, 6, 2_000)]);
}

#[test]
fn an_answer_that_comes_again_changes_nothing() {
    let sold = and(paying(), &[confirmed(11, 1, ANN, 5, lines())]);
    let declined = and(paying(), &[failed(11, 1, 5)]);
    given(&sold).when(12, money(1, 5)).then(&[]);
    given(&sold).when(12, no_money(1, 5)).then(&[]);
    given(&declined).when(12, no_money(1, 5)).then(&[]);
    given(&sold).when(12, money(1, 6)).then(&[]);
    given(&sold).when(12, money(2, 5)).refused(Refusal::BookingNotFound);
    given(&sold).when(12, paid_back(1, 5)).then(&[]);
}

#[test]
fn late_money_gets_the_same_places_if_they_are_free() {
    let late = HOLD_S + 60;
    given(&paying())
        .when(late, money(1, 5))
        .settles(&[expired(late, 1, ANN, lines())])
        .then(&[reinstated(late, 1, ANN, lines()), confirmed(late, 1, ANN, 5, lines())]);
    // One place is left, but two were paid for.
    let bought = and(
        paying(),
        &[expired(HOLD_S, 1, ANN, lines()), reserved(HOLD_S, 2, BOB, places(FLOOR, 2))],
    );
    given(&bought).when(HOLD_S, money(1, 5)).then(&[owed(HOLD_S, 1, ANN, 5, 2_000)]);
}

#[test]
fn late_money_gets_its_very_seats_or_is_owed_back() {
    let mine = || seats(&["A-1-2", "A-2-x"]);
    let dead = [
        opened(&[stalls()]),
        reserved(0, 1, ANN, mine()),
        started(1, 1, 5, 5_000),
        expired(HOLD_S, 1, ANN, mine()),
    ];
    given(&dead)
        .when(HOLD_S, money(1, 5))
        .then(&[reinstated(HOLD_S, 1, ANN, mine()), confirmed(HOLD_S, 1, ANN, 5, mine())]);
    let taken = [&dead[..], &[reserved(HOLD_S, 2, BOB, seats(&["A-2-x"]))]].concat();
    given(&taken).when(HOLD_S, money(1, 5)).then(&[owed(HOLD_S, 1, ANN, 5, 5_000)]);
    let other = [&dead[..], &[reserved(HOLD_S, 2, BOB, seats(&["A-2-y"]))]].concat();
    given(&other)
        .when(HOLD_S, money(1, 5))
        .then(&[reinstated(HOLD_S, 1, ANN, mine()), confirmed(HOLD_S, 1, ANN, 5, mine())]);
}

#[test]
fn late_money_for_an_offer_serves_who_waited() {
    let dead = 1 + OFFER_S;
    let facts = [
        opened(&[floor(2)]),
        reserved(0, 1, CY, lines()),
        joined(0, 7, ANN, None, 2),
        released(1, 1, CY, lines()),
        offered(1, 7, ANN, lines()),
        started(2, served(7), 5, 2_000),
        of_offer(expired(dead, served(7), ANN, lines()), 7),
    ];
    let sold = || of_offer(confirmed(dead, served(7), ANN, 5, lines()), 7);
    given(&facts)
        .when(dead, money(served(7), 5))
        .then(&[reinstated(dead, served(7), ANN, lines()), sold()]);
}

#[test]
fn late_money_does_not_pass_the_waitlist() {
    let full = vec![
        opened(&[floor(2)]),
        reserved(0, 1, ANN, lines()),
        started(10, 1, 5, 2_000),
        joined(20, 7, BOB, None, 2),
    ];
    given(&full)
        .when(HOLD_S, money(1, 5))
        .settles(&[expired(HOLD_S, 1, ANN, lines()), offered(HOLD_S, 7, BOB, lines())])
        .then(&[owed(HOLD_S, 1, ANN, 5, 2_000)]);
}

#[test]
fn late_money_is_owed_back_when_the_person_or_the_event_cannot_have_it() {
    let plan = Plan { max_per_user: Some(3), ..plan(&[floor(9)]) };
    let dead = [
        opened_with(plan),
        reserved(0, 1, ANN, lines()),
        started(10, 1, 5, 2_000),
        expired(HOLD_S, 1, ANN, lines()),
    ];
    let owed = |s| [owed(s, 1, ANN, 5, 2_000)];
    let elsewhere = [&dead[..], &[reserved(HOLD_S, 2, ANN, places(FLOOR, 2))]].concat();
    given(&elsewhere).when(HOLD_S, money(1, 5)).then(&owed(HOLD_S));
    given(&dead).when(START_S, money(1, 5)).then(&owed(START_S));
    let off = [&dead[..], &[closed(HOLD_S, 3)]].concat();
    given(&off).when(HOLD_S, money(1, 5)).then(&owed(HOLD_S));
}

#[test]
fn money_for_what_was_cancelled_meanwhile_is_owed_back() {
    let off = and(paying(), &[closed(20, 3), by_event(released(20, 1, ANN, lines()))]);
    let due = given(&off).when(21, money(1, 5)).then(&[owed(21, 1, ANN, 5, 2_000)]);
    let back = due.and().when(22, paid_back(1, 5)).then(&[refunded(22, 1, 5, 2_000)]);
    back.and().when(23, money(1, 5)).then(&[]);
}

#[test]
fn money_that_was_said_not_to_come_is_not_lost() {
    let declined = and(paying(), &[failed(11, 1, 5)]);
    given(&declined).when(12, money(1, 5)).then(&[confirmed(12, 1, ANN, 5, lines())]);
    let dead = and(declined.clone(), &[expired(HOLD_S, 1, ANN, lines())]);
    given(&dead)
        .when(HOLD_S, money(1, 5))
        .then(&[reinstated(HOLD_S, 1, ANN, lines()), confirmed(HOLD_S, 1, ANN, 5, lines())]);
    let cancelled = and(declined.clone(), &[released(12, 1, ANN, lines())]);
    given(&cancelled).when(13, money(1, 5)).then(&[owed(13, 1, ANN, 5, 2_000)]);
    // Another card was tried meanwhile: only that one can pay.
    let second = and(declined, &[started(12, 1, 6, 2_000)]);
    let due = given(&second).when(13, money(1, 5)).then(&[owed(13, 1, ANN, 5, 2_000)]);
    let sold = due.and().when(14, money(1, 6)).then(&[confirmed(14, 1, ANN, 6, lines())]);
    sold.and().when(15, paid_back(1, 5)).then(&[refunded(15, 1, 5, 2_000)]);
}

#[test]
fn what_is_owed_is_paid_back_once() {
    let sold = and(paying(), &[confirmed(11, 1, ANN, 5, lines())]);
    let back = given(&sold).when(12, cancel(1, ANN)).then(&[given_back(
        released(12, 1, ANN, lines()),
        5,
        2_000,
    )]);
    let done = back.and().when(13, paid_back(1, 5)).then(&[refunded(13, 1, 5, 2_000)]);
    done.and().when(14, paid_back(1, 5)).then(&[]);
}

#[test]
fn nobody_pays_for_an_event_that_is_over() {
    let long = Plan { hold_ttl_s: 604_800, ..plan(&[floor(3)]) };
    let (s, fact) = reserved(START_S - 1, 1, ANN, lines());
    let Fact::Reserved(fact) = fact else { unreachable!() };
    let expires_at = at(s + 604_800);
    let held = [opened_with(long), (s, Reserved { expires_at, ..fact }.into())];
    let over = Refusal::EventEnded { ends_at: at(END_S) };
    given(&held).when(END_S - 1, start(1, ANN, 5)).then(&[started(END_S - 1, 1, 5, 2_000)]);
    given(&held).when(END_S, start(1, ANN, 5)).refused(over);
}
