//! Giving a booking back, and what is paid back for it (BK-3, BK-9).

use super::*;
use crate::event::RefundRule;

/// Ann has two tickets for 20 EUR, paid by payment 5, under this plan.
fn sold(plan: Plan) -> [Then; 4] {
    let lines = places(FLOOR, 2);
    [
        opened_with(plan),
        reserved(0, 1, ANN, lines.clone()),
        started(1, 1, 5, 2_000),
        confirmed(2, 1, ANN, 5, lines),
    ]
}

fn back(seconds: u64, refund_minor: i64) -> Then {
    given_back(released(seconds, 1, ANN, places(FLOOR, 2)), 5, refund_minor)
}

#[test]
fn a_hold_is_released_at_no_cost() {
    let lines = places(FLOOR, 2);
    let held = [opened(&[floor(2)]), reserved(0, 1, ANN, lines.clone())];
    let released = given(&held).when(1, cancel(1, ANN)).then(&[released(1, 1, ANN, lines.clone())]);
    released.and().when(1, reserve(2, BOB, some(FLOOR, 2))).then(&[reserved(1, 2, BOB, lines)]);
}

#[test]
fn a_booking_is_given_back_once_by_its_owner_or_an_admin() {
    let facts = sold(plan(&[floor(10)]));
    given(&facts).when(9, cancel(1, BOB)).refused(Refusal::BookingNotFound);
    given(&facts).when(9, cancel(2, ANN)).refused(Refusal::BookingNotFound);
    given(&facts).when(9, cancel_for(1, ADMIN)).then(&[by_admin(back(9, 2_000), ADMIN)]);
    let gone = given(&facts).when(9, cancel(1, ANN)).then(&[back(9, 2_000)]);
    gone.and().when(9, start(1, ANN, 6)).refused(Refusal::AlreadyCancelled);
    let gone = given(&facts).when(9, cancel(1, ANN));
    gone.and().when(9, cancel(1, ANN)).refused(Refusal::AlreadyCancelled);
}

#[test]
fn the_default_policy_pays_back_less_the_nearer_the_event() {
    let facts = sold(plan(&[floor(10)]));
    let week = START_S - 7 * DAY_S;
    let day = START_S - DAY_S;
    for (seconds, refund_minor) in [
        (3, 2_000),
        (week, 2_000),
        (week + 1, 1_000),
        (day, 1_000),
        (day + 1, 0),
        (START_S, 0),
        (END_S - 1, 0),
    ] {
        given(&facts).when(seconds, cancel(1, ANN)).then(&[back(seconds, refund_minor)]);
    }
    let over = Refusal::EventEnded { ends_at: at(END_S) };
    given(&facts).when(END_S, cancel(1, ANN)).refused(over.clone());
    given(&facts).when(END_S, cancel_for(1, ADMIN)).refused(over);
}

#[test]
fn the_first_rule_that_holds_decides() {
    let rule = |until_s_before_start, percent| RefundRule { until_s_before_start, percent };
    let with =
        |rules: &[RefundRule]| sold(Plan { refund_policy: rules.to_vec(), ..plan(&[floor(10)]) });
    let refund = |rules: &[RefundRule], seconds, refund_minor| {
        given(&with(rules)).when(seconds, cancel(1, ANN)).then(&[back(seconds, refund_minor)]);
    };
    refund(&[], 3, 0);
    refund(&[rule(0, 33)], START_S - 1, 660);
    refund(&[rule(0, 100)], START_S, 0);
    // The organizer may even give more later.
    let odd = [rule(100, 10), rule(50, 90), rule(10, 0)];
    refund(&odd, START_S - 100, 200);
    refund(&odd, START_S - 99, 1_800);
    refund(&odd, START_S - 50, 1_800);
    refund(&odd, START_S - 49, 0);
    refund(&[rule(u64::MAX, 100)], 3, 0);
}

#[test]
fn what_cost_nothing_gives_nothing_back() {
    let (s, fact) = confirmed(2, 1, ANN, 5, places(LAWN, 2));
    let Fact::Confirmed(fact) = fact else { unreachable!() };
    let free = (s, Confirmed { payment: None, ..fact }.into());
    let facts = [opened(&[lawn(9)]), reserved(0, 1, ANN, places(LAWN, 2)), free];
    let lines = places(LAWN, 2);
    given(&facts).when(3, cancel(1, ANN)).then(&[given_back(released(3, 1, ANN, lines), 5, 0)]);
}

#[test]
fn what_is_being_paid_is_not_given_back() {
    let lines = places(FLOOR, 2);
    let paying = [opened(&[floor(9)]), reserved(0, 1, ANN, lines.clone()), started(1, 1, 5, 2_000)];
    given(&paying).when(2, cancel(1, ANN)).refused(Refusal::PaymentInProgress);
    let declined = [&paying[..], &[failed(2, 1, 5)]].concat();
    given(&declined).when(3, cancel(1, ANN)).then(&[released(3, 1, ANN, lines)]);
}

#[test]
fn whoever_cancels_with_a_cancelled_event_gets_everything_back() {
    // Long after the policy pays nothing, but before the booking's turn came.
    let late = START_S - 1;
    let cancelled = [&sold(plan(&[floor(10)]))[..], &[closed(late, 3)]].concat();
    given(&cancelled).when(late, cancel(1, ANN)).then(&[by_event(back(late, 2_000))]);
    given(&cancelled).when(END_S, cancel(1, ANN)).then(&[by_event(back(END_S, 2_000))]);
    let lines = places(FLOOR, 2);
    let held = [opened(&[floor(9)]), reserved(0, 1, ANN, lines.clone()), closed(1, 3)];
    given(&held).when(2, start(1, ANN, 5)).refused(Refusal::EventCancelled);
    given(&held).when(2, cancel(1, ANN)).then(&[by_event(released(2, 1, ANN, lines))]);
}

#[test]
fn who_is_erased_leaves_and_gives_back_what_is_not_paid() {
    let one = || places(FLOOR, 1);
    let facts = [
        opened(&[floor(4), lawn(1)]),
        reserved(0, 1, ANN, one()),
        reserved(0, 2, ANN, one()),
        reserved(0, 3, ANN, one()),
        started(1, 2, 2, 1_000),
        confirmed(1, 2, ANN, 2, one()),
        started(1, 3, 3, 1_000),
        reserved(2, 4, BOB, places(FLOOR, 1)),
        reserved(2, 5, CY, places(LAWN, 1)),
        joined(3, 7, ANN, Some(LAWN), 1),
        nth(2, joined(3, 8, BOB, Some(LAWN), 1)),
    ];
    let forget = || Command::Forget { user: ANN };
    // What is paid, or being paid, and what is others' stays.
    let after = given(&facts).when(4, forget());
    let after = after.then(&[left(4, 7, ANN), released(4, 1, ANN, one())]);
    // Whoever was next in line is.
    let back = after.and().when(5, cancel(5, CY)).facts;
    let offered_to = after_settling(&back, 6);
    assert_eq!(offered_to, [offered(6, 8, BOB, places(LAWN, 1))]);
    // An offer is given back as well.
    let offer = [
        opened(&[lawn(1)]),
        reserved(0, 1, CY, places(LAWN, 1)),
        joined(1, 7, ANN, None, 1),
        released(2, 1, CY, places(LAWN, 1)),
        offered(2, 7, ANN, places(LAWN, 1)),
    ];
    let given_up = of_offer(released(3, served(7), ANN, places(LAWN, 1)), 7);
    given(&offer).when(3, forget()).then(&[given_up]);
    given(&[]).when(3, forget()).then(&[]);
}

/// What time alone brings about after these facts.
fn after_settling(facts: &[Then], seconds: u64) -> Vec<Then> {
    let settled = after(facts).settle(at(seconds));
    settled.into_iter().map(|fact| (seconds, fact)).collect()
}
