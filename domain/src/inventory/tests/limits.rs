//! Who may buy how many, and when (BK-7).

use super::*;
use crate::event::Tier;

fn refusal_at(given_plan: &Plan, seconds: u64, wanted: Wanted) -> Option<Refusal> {
    let open = opened_with(given_plan.clone());
    let command = reserve(1, ANN, wanted);
    given(&[open]).when(seconds, command).decided.err()
}

#[test]
fn one_booking_has_at_most_so_many_tickets() {
    let plan = Plan { max_per_booking: 4, ..plan(&[floor(10), stalls()]) };
    let limit = |requested, limit| Some(Refusal::LimitPerBooking { requested, limit });
    assert_eq!(refusal_at(&plan, 0, some(FLOOR, 4)), None);
    assert_eq!(refusal_at(&plan, 0, some(FLOOR, 5)), limit(5, 4));
    assert_eq!(refusal_at(&plan, 0, some(FLOOR, u32::MAX)), limit(u32::MAX, 4));
    // Too many are refused before anybody looks for them.
    let five = named(&["A-1-1", "A-1-2", "A-1-3", "A-2-x", "nowhere"]);
    assert_eq!(refusal_at(&plan, 0, five), limit(5, 4));
}

#[test]
fn one_booking_has_at_most_so_many_of_a_tier() {
    let few = Tier { max_per_booking: Some(2), ..stalls() };
    let plan = plan(&[floor(10), few]);
    let limit = Some(Refusal::LimitPerBooking { requested: 3, limit: 2 });
    assert_eq!(refusal_at(&plan, 0, some(STALLS, 2)), None);
    assert_eq!(refusal_at(&plan, 0, some(STALLS, 3)), limit);
    assert_eq!(refusal_at(&plan, 0, named(&["A-1-1", "A-1-2", "A-2-x"])), limit);
    assert_eq!(refusal_at(&plan, 0, some(FLOOR, 3)), None);
}

#[test]
fn one_person_has_at_most_so_many_tickets() {
    let limited = opened_with(Plan { max_per_user: Some(3), ..plan(&[floor(10)]) });
    let two = || places(FLOOR, 2);
    let limit = |requested, owned| Refusal::LimitPerUser { requested, owned, limit: 3 };
    let held = [limited.clone(), reserved(0, 1, ANN, two())];
    given(&[limited]).when(1, reserve(1, ANN, some(FLOOR, 4))).refused(limit(4, 0));
    given(&held).when(1, reserve(2, ANN, some(FLOOR, 2))).refused(limit(2, 2));
    given(&held).when(1, reserve(2, ANN, some(FLOOR, 1))).then(&[reserved(
        1,
        2,
        ANN,
        places(FLOOR, 1),
    )]);
    given(&held).when(1, reserve(2, BOB, some(FLOOR, 2))).then(&[reserved(1, 2, BOB, two())]);
    // Sold counts, given back or expired does not.
    let sold = [&held[..], &[started(1, 1, 5, 2_000), confirmed(1, 1, ANN, 5, two())]].concat();
    given(&sold).when(HOLD_S, reserve(2, ANN, some(FLOOR, 2))).refused(limit(2, 2));
    let back = [&held[..], &[released(1, 1, ANN, two())]].concat();
    given(&back).when(2, reserve(2, ANN, some(FLOOR, 3))).then(&[reserved(
        2,
        2,
        ANN,
        places(FLOOR, 3),
    )]);
    given(&held)
        .when(HOLD_S, reserve(2, ANN, some(FLOOR, 3)))
        .settles(&[expired(HOLD_S, 1, ANN, two())])
        .then(&[reserved(HOLD_S, 2, ANN, places(FLOOR, 3))]);
}

#[test]
fn a_limit_that_comes_later_counts_what_was_bought_before() {
    let two = || places(FLOOR, 2);
    let limited = Plan { max_per_user: Some(3), ..plan(&[floor(10)]) };
    let later = [
        opened(&[floor(10)]),
        reserved(0, 1, ANN, two()),
        reserved(0, 2, ANN, two()),
        released(1, 2, ANN, two()),
        revised(2, 3, limited.clone()),
    ];
    let refusal = Refusal::LimitPerUser { requested: 2, owned: 2, limit: 3 };
    given(&later).when(3, reserve(3, ANN, some(FLOOR, 2))).refused(refusal.clone());
    // Lifted and set again.
    let again = [&later[..], &[revised(4, 4, plan(&[floor(10)])), revised(5, 5, limited)]].concat();
    given(&again).when(6, reserve(3, ANN, some(FLOOR, 2))).refused(refusal);
}

#[test]
fn a_tier_is_sold_in_its_window() {
    let (opens, closes) = (100, 200);
    let windowed =
        Tier { sale_starts_at: Some(at(opens)), sale_ends_at: Some(at(closes)), ..floor(10) };
    let plan = plan(&[windowed, lawn(5)]);
    let refusal = |seconds| refusal_at(&plan, seconds, some(FLOOR, 1));
    assert_eq!(refusal(opens - 1), Some(Refusal::SaleNotOpen { opens_at: at(opens) }));
    assert_eq!(refusal(opens), None);
    assert_eq!(refusal(closes - 1), None);
    assert_eq!(refusal(closes), Some(Refusal::SaleClosed { closed_at: at(closes) }));
    assert_eq!(refusal_at(&plan, opens - 1, some(LAWN, 1)), None);
}

#[test]
fn nothing_is_sold_once_the_event_began_or_was_cancelled() {
    let plan = plan(&[floor(10)]);
    let refusal = |seconds| refusal_at(&plan, seconds, some(FLOOR, 1));
    assert_eq!(refusal(START_S - 1), None);
    assert_eq!(refusal(START_S), Some(Refusal::EventStarted { starts_at: at(START_S) }));
    assert_eq!(refusal(END_S - 1), Some(Refusal::EventStarted { starts_at: at(START_S) }));
    assert_eq!(refusal(END_S), Some(Refusal::EventEnded { ends_at: at(END_S) }));
    let over = [opened_with(plan), closed(1, 3)];
    given(&over).when(2, reserve(1, ANN, some(FLOOR, 1))).refused(Refusal::EventCancelled);
    given(&over).when(2, join(1, ANN, None, 1)).refused(Refusal::EventCancelled);
}

const PATIENCE: Patience = Patience { holds: 2, lapsed: 3 };

fn patiently(number: u64, user: UserId) -> Command {
    let (booking, wanted) = (bkg(number), some(FLOOR, 1));
    Command::Reserve { booking, user, wanted, patience: Some(PATIENCE), request: None }
}

#[test]
fn one_person_holds_only_so_much_without_paying() {
    let one = || places(FLOOR, 1);
    let held = [opened(&[floor(10)]), reserved(0, 1, ANN, one()), reserved(0, 2, ANN, one())];
    let refusal = Refusal::TooManyHolds { holding: 2, limit: 2 };
    given(&held).when(1, patiently(3, ANN)).refused(refusal);
    given(&held).when(1, patiently(3, BOB)).then(&[reserved(1, 3, BOB, one())]);
    given(&held).when(1, reserve(3, ANN, some(FLOOR, 1))).then(&[reserved(1, 3, ANN, one())]);
    // What is paid for, given back or dead is not held.
    let paid = [&held[..], &[started(1, 1, 5, 1_000), confirmed(1, 1, ANN, 5, one())]].concat();
    given(&paid).when(2, patiently(3, ANN)).then(&[reserved(2, 3, ANN, one())]);
    let back = [&held[..], &[released(1, 1, ANN, one())]].concat();
    given(&back).when(2, patiently(3, ANN)).then(&[reserved(2, 3, ANN, one())]);
    given(&held)
        .when(HOLD_S, patiently(3, ANN))
        .settles(&[expired(HOLD_S, 1, ANN, one()), expired(HOLD_S, 2, ANN, one())])
        .then(&[reserved(HOLD_S, 3, ANN, one())]);
}

#[test]
fn what_is_given_back_cannot_be_held_again_for_ever() {
    let one = || places(FLOOR, 1);
    let mut lapsed = vec![opened(&[floor(10)])];
    for number in 1..=3 {
        given(&lapsed).when(10, patiently(9, ANN)).then(&[reserved(10, 9, ANN, one())]);
        lapsed.extend([reserved(number, number, ANN, one()), released(number, number, ANN, one())]);
    }
    let until = at(1 + 86_400);
    let refusal = || Refusal::TooManyLapsed { limit: 3, until };
    given(&lapsed).when(10, patiently(9, ANN)).refused(refusal());
    given(&lapsed).when(10, patiently(9, BOB)).then(&[reserved(10, 9, BOB, one())]);
    given(&lapsed).when(86_400, patiently(9, ANN)).refused(refusal());
    given(&lapsed).when(86_401, patiently(9, ANN)).then(&[reserved(86_401, 9, ANN, one())]);
    // A purchase makes up for it.
    let bought =
        [reserved(4, 4, ANN, one()), started(4, 4, 5, 1_000), confirmed(4, 4, ANN, 5, one())];
    let bought = [&lapsed[..], &bought].concat();
    given(&bought).when(10, patiently(9, ANN)).then(&[reserved(10, 9, ANN, one())]);
}

/// Ann holds and gives back, so many times, from that second on.
fn lapses(seconds: u64, numbers: std::ops::RangeInclusive<u64>) -> Vec<Then> {
    let one = || places(FLOOR, 1);
    let lapse =
        |number| [reserved(seconds, number, ANN, one()), released(seconds, number, ANN, one())];
    numbers.flat_map(lapse).collect()
}

fn buys(seconds: u64, number: u64) -> [Then; 3] {
    let one = || places(FLOOR, 1);
    [
        reserved(seconds, number, ANN, one()),
        started(seconds, number, number, 1_000),
        confirmed(seconds, number, ANN, number, one()),
    ]
}

fn returns(seconds: u64, number: u64) -> Then {
    given_back(released(seconds, number, ANN, places(FLOOR, 1)), number, 1_000)
}

fn is_too_many(facts: &[Then], seconds: u64) -> bool {
    let decided = after(facts).execute(&patiently(99, ANN), at(seconds)).decided;
    matches!(decided, Err(Refusal::TooManyLapsed { .. }))
}

#[test]
fn a_purchase_that_is_given_back_makes_up_for_nothing() {
    let start = vec![opened(&[floor(10)])];
    let bought = [start.clone(), lapses(1, 1..=2), buys(2, 3).to_vec()].concat();
    assert!(!is_too_many(&bought, 3));
    let back = [bought.clone(), vec![returns(3, 3)]].concat();
    given(&back)
        .when(4, patiently(9, ANN))
        .refused(Refusal::TooManyLapsed { limit: 3, until: at(1 + 86_400) });
    assert!(!is_too_many(&back, 1 + 86_400));
    // Whoever gives back for them, or because nothing takes place, is not they.
    let by_admin = [bought.clone(), vec![by_admin(returns(3, 3), BOB)]].concat();
    assert!(!is_too_many(&by_admin, 4));
    // What another purchase makes up for stays made up for.
    let two = [bought.clone(), lapses(3, 4..=4), buys(4, 5).to_vec()].concat();
    assert!(!is_too_many(&[two.clone(), vec![returns(5, 5)]].concat(), 6));
    assert!(is_too_many(&[two.clone(), vec![returns(5, 3)]].concat(), 6));
    // By itself it is one like another, and what was made up for on another day is over.
    let only = [start, buys(1, 1).to_vec(), vec![returns(2, 1)], lapses(3, 2..=3)].concat();
    assert!(is_too_many(&only, 4));
    let days = [bought, lapses(90_000, 4..=4), vec![returns(90_001, 3)]].concat();
    assert!(!is_too_many(&days, 90_002));
}

#[test]
fn offers_count_as_holds_do_and_who_let_too_many_go_does_not_join() {
    let one = || places(FLOOR, 1);
    let full = vec![opened(&[floor(1)])];
    let patient = |number| match join(number, ANN, None, 1) {
        Command::JoinWaitlist { waitlist, user, tier, quantity, request, .. } => {
            let patience = Some(PATIENCE);
            Command::JoinWaitlist { waitlist, user, tier, quantity, patience, request }
        }
        other => panic!("{other:?}"),
    };
    let mut facts = full;
    for number in 1..=3 {
        let s = 10 * number;
        facts.extend([
            reserved(s, number, CY, one()),
            joined(s + 1, number, ANN, None, 1),
            released(s + 2, number, CY, one()),
            offered(s + 2, number, ANN, one()),
        ]);
        let (booking, offer) = (served(number), |fact| of_offer(fact, number));
        // One way or the other.
        facts.push(match number {
            2 => offer(expired(s + 2 + OFFER_S, booking, ANN, one())),
            _ => offer(released(s + 3, booking, ANN, one())),
        });
        facts.push(reserved(s + 700, 10 + number, CY, one()));
        let joining = given(&facts).when(s + 701, patient(9));
        if number < 3 {
            joining.then(&[joined(s + 701, 9, ANN, None, 1)]);
        } else {
            let until = at(13 + 86_400);
            joining.refused(Refusal::TooManyLapsed { limit: 3, until });
            given(&facts).when(s + 701, join(9, ANN, None, 1)).then(&[joined(
                s + 701,
                9,
                ANN,
                None,
                1,
            )]);
        }
        facts.push(released(s + 702, 10 + number, CY, one()));
    }
}
