//! Given facts, when a command, then facts or a refusal.

use super::*;

const USER: UserId = UserId::from_u128(1);
const ADMIN: UserId = UserId::from_u128(2);

fn sealed(text: &str) -> Sealed {
    Sealed::from_text(text.to_owned())
}

fn said(what: &str) -> Credentials {
    let profile = sealed(&format!("profile of {what}"));
    Credentials { profile, password: Some(sealed(&format!("hash of {what}"))) }
}

fn at(s: u64) -> Time {
    Time::from_ms(1_800_000_000_000).plus_s(s)
}

fn registered() -> Vec<Fact> {
    let command =
        Command::Register { user: USER, email: sealed("email"), credentials: said("one") };
    Account::default().decide(&command, at(0)).unwrap()
}

fn verified() -> Vec<Fact> {
    let mut facts = registered();
    facts.push(EmailVerified { user: USER }.into());
    facts
}

fn fold(facts: &[Fact]) -> Account {
    let mut account = Account::default();
    facts.iter().for_each(|fact| account.evolve(at(0), fact));
    account
}

fn given(facts: &[Fact], command: &Command, now: Time) -> Result<Vec<Fact>, Refusal> {
    fold(facts).decide(command, now)
}

fn kinds(decided: Result<Vec<Fact>, Refusal>) -> Vec<&'static str> {
    use crate::StoredFact;
    decided.unwrap().iter().map(Fact::kind).collect()
}

/// With the password of `said("one")`.
fn log_in(matches: bool) -> Command {
    Command::LogIn { known: said("one").password, matches }
}

#[test]
fn an_account_is_made_once() {
    let again = Command::Register { user: USER, email: sealed("email"), credentials: said("two") };
    assert_eq!(given(&registered(), &again, at(0)), Err(Refusal::Exists));
    let account = fold(&registered());
    assert!(account.roles.has(Role::Attendee) && !account.is_verified);
    assert_eq!(account.in_use(), Some(USER));
}

#[test]
fn nobody_logs_in_before_the_address_is_verified() {
    assert_eq!(given(&registered(), &log_in(true), at(0)), Err(Refusal::NotVerified));
    assert_eq!(given(&verified(), &log_in(true), at(0)), Ok(vec![]));
    assert_eq!(given(&[], &log_in(true), at(0)), Err(Refusal::NotFound));
}

#[test]
fn who_verified_the_address_has_the_say_over_who_registered_first() {
    assert_eq!(
        kinds(given(&registered(), &Command::VerifyEmail(said("one")), at(0))),
        ["EmailVerified"]
    );
    let other = given(&registered(), &Command::VerifyEmail(said("two")), at(0)).unwrap();
    let account = fold(&[registered(), other].concat());
    assert_eq!(account.password, said("two").password);
    assert_eq!(account.profile, Some(said("two").profile));
    // And nobody after that.
    assert_eq!(given(&verified(), &Command::VerifyEmail(said("three")), at(0)), Ok(vec![]));
}

#[test]
fn five_wrong_passwords_lock_for_a_quarter_of_an_hour() {
    let mut facts = verified();
    for failure in 1..FAILURES_TO_LOCK {
        let decided = given(&facts, &log_in(false), at(0)).unwrap();
        assert_eq!(decided, [LoginFailed { user: USER, failures: failure }.into()]);
        facts.extend(decided);
    }
    let until = at(LOCK_S);
    let last = given(&facts, &log_in(false), at(0)).unwrap();
    assert_eq!(last, [AccountLocked { user: USER, until }.into()]);
    facts.extend(last);
    for matches in [true, false] {
        let refused = given(&facts, &log_in(matches), at(LOCK_S - 1));
        assert_eq!(refused, Err(Refusal::Locked { until }));
    }
    assert_eq!(given(&facts, &log_in(true), at(LOCK_S)), Ok(vec![]));
    assert_eq!(kinds(given(&facts, &log_in(false), at(LOCK_S))), ["LoginFailed"]);
}

#[test]
fn success_and_a_new_password_make_failures_forgotten() {
    let failed = [verified(), given(&verified(), &log_in(false), at(0)).unwrap()].concat();
    let success = given(&failed, &log_in(true), at(0)).unwrap();
    assert_eq!(success, [LoginSucceeded { user: USER }.into()]);
    let after = [failed, success].concat();
    assert_eq!(given(&after, &log_in(true), at(0)), Ok(vec![]));

    let locked = AccountLocked { user: USER, until: at(LOCK_S) }.into();
    let locked = [verified(), vec![locked]].concat();
    let reset = Command::ChangePassword {
        password: sealed("new"),
        known: None,
        profile: None,
        request: None,
    };
    let reset = given(&locked, &reset, at(1)).unwrap();
    let log_in = Command::LogIn { known: Some(sealed("new")), matches: true };
    assert_eq!(given(&[locked, reset].concat(), &log_in, at(2)), Ok(vec![]));
}

#[test]
fn a_reset_shows_that_the_address_is_theirs() {
    let reset = |is_reset: bool| Command::ChangePassword {
        password: sealed("new"),
        known: said("one").password.filter(|_| !is_reset),
        profile: is_reset.then(|| sealed("nobody")),
        request: None,
    };
    assert_eq!(
        kinds(given(&registered(), &reset(true), at(0))),
        ["EmailVerified", "ProfileChanged", "PasswordChanged"]
    );
    // What a stranger said of themselves goes, and nothing else does.
    let facts = [registered(), given(&registered(), &reset(true), at(0)).unwrap()].concat();
    assert_eq!(fold(&facts).profile, Some(sealed("nobody")));
    assert_eq!(kinds(given(&verified(), &reset(true), at(0))), ["PasswordChanged"]);
    assert_eq!(kinds(given(&registered(), &reset(false), at(0))), ["PasswordChanged"]);
}

#[test]
fn a_reset_ends_what_is_linked_and_a_change_does_not() {
    let link = Command::LinkLogin { login: sealed("login"), credentials: said("one") };
    let linked = [verified(), given(&verified(), &link, at(0)).unwrap()].concat();
    for (known, logins) in [(None, [0, 1]), (said("one").password, [1, 0])] {
        let password = sealed("new");
        let change = Command::ChangePassword { password, known, profile: None, request: None };
        let facts = [linked.clone(), given(&linked, &change, at(1)).unwrap()].concat();
        let account = fold(&facts);
        assert_eq!([account.logins.len(), account.former_logins.len()], logins);
    }
}

#[test]
fn a_password_that_was_changed_meanwhile_opens_nothing() {
    let change = |known: Option<Sealed>| Command::ChangePassword {
        password: sealed("new"),
        known,
        profile: None,
        request: None,
    };
    let changed = given(&verified(), &change(said("one").password), at(1)).unwrap();
    let facts = [verified(), changed].concat();
    // Right or wrong, it was compared with the old one.
    for matches in [true, false] {
        assert_eq!(given(&facts, &log_in(matches), at(2)), Err(Refusal::OtherPassword));
    }
    let again = given(&facts, &change(said("one").password), at(2));
    assert_eq!(again, Err(Refusal::OtherPassword));
    // Who reads the mail needs no old one.
    assert_eq!(kinds(given(&facts, &change(None), at(2))), ["PasswordChanged"]);
}

#[test]
fn roles_are_granted_and_revoked_with_a_reason() {
    let change = |grant: &[Role], revoke: &[Role]| Command::ChangeRoles {
        grant: grant.to_vec(),
        revoke: revoke.to_vec(),
        by: Some(ADMIN),
        reason: sealed("why"),
        request: None,
    };
    let both = change(&[Role::Organizer, Role::Attendee], &[Role::Admin]);
    let facts = given(&verified(), &both, at(0)).unwrap();
    let (role, by, reason) = (Role::Organizer, Some(ADMIN), sealed("why"));
    assert_eq!(facts, [RoleGranted { user: USER, role, by, reason, request: None }.into()]);
    let facts = [verified(), facts].concat();
    let revoked = given(&facts, &change(&[], &[Role::Organizer]), at(0)).unwrap();
    let account = fold(&[facts, revoked].concat());
    assert!(!account.roles.has(Role::Organizer) && account.roles.has(Role::Attendee));
}

#[test]
fn who_is_forgotten_is_asked_nothing_any_more() {
    let erase = Command::Erase { by: None };
    let facts = [verified(), given(&verified(), &erase, at(0)).unwrap()].concat();
    assert_eq!(given(&facts, &erase, at(0)), Ok(vec![]));
    assert_eq!(given(&facts, &log_in(true), at(0)), Err(Refusal::NotFound));
    assert_eq!(given(&[], &erase, at(0)), Err(Refusal::NotFound));
    assert_eq!(fold(&facts).in_use(), None);
    let again = Command::Register { user: USER, email: sealed("email"), credentials: said("two") };
    assert_eq!(given(&facts, &again, at(0)), Err(Refusal::Exists));
}

#[test]
fn a_command_asked_again_brings_nothing_about() {
    let request = |body: &[u8]| Request::new("key", body).ok();
    let all = |request: Option<Request>| {
        let (reason, by) = (sealed("why"), Some(ADMIN));
        [
            Command::ChangeProfile { profile: sealed("other"), request: request.clone() },
            Command::ChangePassword {
                password: sealed("new"),
                known: said("one").password,
                profile: None,
                request: request.clone(),
            },
            Command::ChangeRoles {
                grant: vec![Role::Auditor],
                revoke: vec![Role::Attendee],
                by,
                reason,
                request,
            },
        ]
    };
    for (first, other) in all(request(b"one")).into_iter().zip(all(request(b"two"))) {
        let facts = [verified(), given(&verified(), &first, at(0)).unwrap()].concat();
        assert_eq!(given(&facts, &first, at(0)), Ok(vec![]), "{first:?}");
        assert_eq!(given(&facts, &other, at(0)), Err(Refusal::KeyReused), "{other:?}");
    }
}
