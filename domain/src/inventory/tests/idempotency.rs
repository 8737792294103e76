//! A repeated command brings about nothing new (BK-6). [`When::new`] repeats every command of every
//! other test as well; here the client's key is what makes it the same.

use super::*;

fn lines() -> Vec<Line> {
    places(FLOOR, 2)
}

fn held() -> Vec<Then> {
    vec![opened(&[floor(2), lawn(2)]), reserved(0, 1, ANN, lines())]
}

fn waiting() -> Vec<Then> {
    [&held()[..], &[joined(1, 7, BOB, Some(FLOOR), 2)]].concat()
}

/// Every command that a client can send under a key, and where it makes sense.
fn commands() -> Vec<(&'static str, Vec<Then>, Command)> {
    let free = [&held()[..], &[reserved(0, 2, ANN, places(LAWN, 1))]].concat();
    let sold = [&held()[..], &[confirmed(1, 1, ANN, 5, lines())]].concat();
    let back = [&waiting()[..], &[released(2, 1, ANN, lines()), offered(2, 7, BOB, lines())]];
    vec![
        ("reserve", held(), reserve(2, BOB, some(LAWN, 1))),
        ("pay", held(), start(1, ANN, 5)),
        ("confirm what is free", free, start(2, ANN, 5)),
        ("cancel a hold", held(), cancel(1, ANN)),
        ("cancel a ticket", sold.clone(), cancel(1, ANN)),
        ("cancel as admin", sold, cancel_for(1, ADMIN)),
        ("join", held(), join(7, BOB, Some(FLOOR), 2)),
        ("leave", waiting(), leave(BOB)),
        ("leave with an offer", back.concat(), leave(BOB)),
    ]
}

#[test]
fn the_same_key_and_body_bring_about_nothing_more() {
    for (name, facts, command) in commands() {
        let command = || keyed(command.clone(), "key", "body");
        let first = given(&facts).when(3, command());
        assert_eq!(first.decided.as_ref().map(Vec::len), Ok(1), "{name}");
        for later in [3, HOLD_S + 3, START_S, END_S] {
            let again = after(&first.facts).execute(&command(), at(later));
            assert_eq!(again.decided, Ok(vec![]), "{name} at {later}");
        }
    }
}

#[test]
fn the_same_key_with_another_body_is_refused() {
    for (name, facts, command) in commands() {
        let first = given(&facts).when(3, keyed(command.clone(), "key", "body"));
        let again = keyed(command.clone(), "key", "other");
        let again = after(&first.facts).execute(&again, at(4)).decided;
        assert_eq!(again, Err(Refusal::KeyReused), "{name}");
    }
}

#[test]
fn the_first_answer_is_found_by_its_key() {
    for (name, facts, command) in commands() {
        let owner = match command {
            // Also an admin who acts for somebody else: the key is theirs.
            Command::Reserve { user, .. }
            | Command::Cancel { user, .. }
            | Command::LeaveWaitlist { user, .. }
            | Command::JoinWaitlist { user, .. } => user,
            _ => ANN,
        };
        let first = given(&facts).when(3, keyed(command, "key", "body"));
        let revision = first.facts.len() as u64 - 1;
        let request = request("key", "body").unwrap();
        assert_eq!(first.inventory.done_at(owner, &request), Some(revision), "{name}");
        let other = self::request("key", "other").unwrap();
        assert_eq!(first.inventory.done_at(owner, &other), None, "{name}");
    }
}

#[test]
fn two_people_may_use_the_same_key() {
    let facts = [opened(&[floor(9)]), under(reserved(0, 1, ANN, lines()), "key", "body")];
    for body in ["body", "other"] {
        let bob = keyed(reserve(2, BOB, some(FLOOR, 2)), "key", body);
        let hold = under(reserved(1, 2, BOB, lines()), "key", body);
        given(&facts).when(1, bob).then(&[hold]);
    }
}

#[test]
fn an_admins_key_is_not_their_customers() {
    let facts = [opened(&[floor(9)]), under(reserved(0, 1, ANN, lines()), "key", "reserve")];
    // Ann used the same key for something else before.
    let command = || keyed(cancel_for(1, ADMIN), "key", "cancel");
    let back = || under(by_admin(released(1, 1, ANN, lines()), ADMIN), "key", "cancel");
    given(&facts).when(1, command()).then(&[back()]);
    let done = [&facts[..], &[back()]].concat();
    given(&done).when(2, command()).then(&[]);
    // And Ann's stays hers.
    given(&done).when(2, keyed(reserve(2, ANN, some(FLOOR, 2)), "key", "reserve")).then(&[]);
}

#[test]
fn one_key_is_for_one_command() {
    let facts = [opened(&[floor(9)]), under(reserved(0, 1, ANN, lines()), "key", "reserve")];
    for command in [start(1, ANN, 5), cancel(1, ANN), join(7, ANN, None, 2), leave(ANN)] {
        let command = keyed(command, "key", "another command");
        given(&facts).when(1, command).refused(Refusal::KeyReused);
    }
}

#[test]
fn a_payment_is_found_by_its_key_through_all_its_stages() {
    let pay_now = || keyed(start(1, ANN, 5), "key", "pay");
    let paying = [&held()[..], &[under(started(1, 1, 5, 2_000), "key", "pay")]].concat();
    given(&paying).when(2, pay_now()).then(&[]);
    // It is confirmed under the key of the command that paid.
    let sold = under(confirmed(3, 1, ANN, 5, lines()), "key", "pay");
    let sold = given(&paying).when(3, money(1, 5)).then(&[sold]);
    let request = request("key", "pay").unwrap();
    assert_eq!(sold.inventory.done_at(ANN, &request), Some(3));
    sold.and().when(4, pay_now()).then(&[]);
    // A declined one stays declined under its key.
    let declined = [&paying[..], &[failed(3, 1, 5)]].concat();
    given(&declined).when(4, pay_now()).then(&[]);
    let again = keyed(start(1, ANN, 6), "next-key", "pay");
    given(&declined).when(4, again).then(&[under(started(4, 1, 6, 2_000), "next-key", "pay")]);
}

#[test]
fn a_refusal_is_not_remembered() {
    let command = || keyed(reserve(2, BOB, some(FLOOR, 2)), "key", "body");
    let few = Refusal::InsufficientSeats { requested: 2, available: 0 };
    let refused = given(&held()).when(1, command()).refused(few);
    let dead = refused.and().when(HOLD_S, command());
    dead.settles(&[expired(HOLD_S, 1, ANN, lines())]).then(&[under(
        reserved(HOLD_S, 2, BOB, lines()),
        "key",
        "body",
    )]);
}

#[test]
fn a_key_is_remembered_for_a_day() {
    let facts = [opened(&[floor(9)]), under(reserved(0, 1, ANN, lines()), "key", "body")];
    let dead = expired(HOLD_S, 1, ANN, lines());
    let command = || keyed(reserve(2, ANN, some(FLOOR, 2)), "key", "body");
    let day = [&facts[..], &[dead]].concat();
    given(&day).when(DAY_S, command()).then(&[]);
}

/// Forgetting a day's keys is nothing that could be taken back.
#[test]
fn a_day_of_keys_is_not_forgotten_for_a_command_that_never_was() {
    let key = |number, day: &str| keyed(reserve(number, BOB, some(LAWN, 1)), day, "body");
    let mut inventory = after(&[opened(&[lawn(10)])]);
    inventory.begin();
    inventory.execute(&key(1, "monday"), at(1));
    assert!(!inventory.roll_back(), "the first key begins a day");
    let mut inventory = after(&[opened(&[lawn(10)])]);
    inventory.execute(&key(1, "monday"), at(1));
    inventory.begin();
    inventory.execute(&key(2, "noon"), at(DAY_S / 2));
    assert!(inventory.roll_back());
    inventory.begin();
    inventory.execute(&key(2, "tuesday"), at(DAY_S + 1));
    assert!(!inventory.roll_back());
}
