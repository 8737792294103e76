//! `POST /auth/register`, `POST /auth/email/verify`, `GET` and `PUT /users/me`.

use domain::account::{Account, Email};
use domain::email_claim::{EmailClaim, EmailClaimed, Fact};
use domain::{Aggregate, StoredFact, UserId};
use infra::clock::Clock;
use infra::log::{Expected, Log, NewRecord};
use serde_json::json;
use uuid::Uuid;

use super::store::{Gate, away, gated};
use super::{Guest, Member, PASSWORD, code, count, grep, mails};
use crate::support::{World, eventually};

#[tokio::test]
async fn somebody_registers_and_is_logged_in_by_the_code_from_the_mail() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    guest.register("Ada@Example.org", "Ada Lovelace", PASSWORD).await.expect(202);
    // Not before the address is verified.
    guest.log_in("ada@example.org", PASSWORD).await.refused(401, "LOGIN_REFUSED");
    let code = code(&world, "Ada@Example.org", "Your address").await;
    let verified = guest.verify(&code, PASSWORD).await.expect(200);
    let member = Member::of(&verified);
    assert_eq!(verified.json()["token_type"], "Bearer");
    assert_eq!(verified.json()["expires_in"], 900);
    assert_eq!(verified.json()["refresh_expires_in"], 7 * 86_400);
    assert_eq!(verified.headers["cache-control"], "no-store");
    // A code is for one use.
    guest.verify(&code, PASSWORD).await.refused(409, "CODE_NOT_VALID");

    let me = guest.me(&member).await.expect(200).json();
    assert_eq!(me["email"], "Ada@Example.org");
    assert_eq!((&me["name"], &me["email_verified"]), (&json!("Ada Lovelace"), &json!(true)));
    assert_eq!(me["roles"], json!(["attendee"]));
    let there = guest.log_in("ada@EXAMPLE.org", PASSWORD).await.expect(200);
    assert_eq!(Member::of(&there).user, member.user);

    let put = async |body, key| {
        guest.ask_as("PUT", "/users/me", Some(body), Some(&member.access), Some(key)).await
    };
    let first = json!({"name": "Countess", "phone": "+44 1", "language": "en-GB"});
    let changed = put(first.clone(), "k1").await.expect(200);
    put(json!({"name": "Other"}), "k2").await.expect(200);
    let again = put(first, "k1").await.expect(200);
    assert_eq!(again.body, changed.body);
    put(json!({"name": "Other"}), "k1").await.refused(422, "IDEMPOTENCY_KEY_REUSED");
    put(json!({"name": " "}), "k3").await.refused(422, "INVALID");
    assert_eq!(guest.me(&member).await.json()["name"], "Other");

    // Nothing of it can be read in what the log, the keys and the sessions are kept in.
    let secrets = ["ada@example", "lovelace", "countess", "+44 1", "argon2", "k1\""];
    let found = grep(world.folder.path(), &secrets);
    assert!(found.iter().all(|file| file.contains("/mail/")), "{found:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_thousand_who_register_one_address_at_once_make_one_account() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..1_000 {
        let guest = guest.again();
        crowd.spawn(async move {
            let password = format!("the password of {number}");
            loop {
                let answer = guest.register("ada@example.org", "Ada", &password).await;
                if answer.status != 503 {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    let mut bodies = vec![];
    while let Some(answer) = crowd.join_next().await {
        bodies.push(answer.unwrap().expect(202).body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    assert_eq!(count(&world, "EmailClaimed").await, 1);
    assert_eq!(count(&world, "AccountRegistered").await, 1);
    node.stop().await;
}

#[tokio::test]
async fn nobody_learns_from_registering_that_an_address_is_known() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let new = guest.register("ada@example.org", "Ada", PASSWORD).await.expect(202);
    let code = code(&world, "ada@example.org", "Your address").await;
    let unverified = guest.register("ada@example.org", "Eve", "another password").await.expect(202);
    guest.verify(&code, PASSWORD).await.expect(200);
    let known = guest.register("ada@example.org", "Eve", "another password").await.expect(202);
    for other in [unverified, known] {
        assert_eq!(other.body, new.body);
        let names = |answer: &crate::support::Answer| {
            answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(&other), names(&new));
    }
    // Only the address is told.
    eventually(async || {
        let mails = mails(&world, "ada@example.org");
        mails.iter().any(|mail| mail.contains("has an account already"))
    })
    .await;
    guest.log_in("ada@example.org", "another password").await.refused(401, "LOGIN_REFUSED");
    guest.log_in("ada@example.org", PASSWORD).await.expect(200);
    node.stop().await;
}

#[tokio::test]
async fn who_registers_the_address_of_another_gains_nothing() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    guest.register("ada@example.org", "Eve", "password of eve").await.expect(202);
    code(&world, "ada@example.org", "Your address").await;
    guest.register("ada@example.org", "Ada", PASSWORD).await.expect(202);
    eventually(async || mails(&world, "ada@example.org").len() == 2).await;
    // Eve again, before Ada looks into her mail.
    guest.register("ada@example.org", "Eve", "password of eve").await.expect(202);
    eventually(async || mails(&world, "ada@example.org").len() == 3).await;
    let code = |number: usize| {
        let mails = mails(&world, "ada@example.org");
        mails[number].split("Code: ").nth(1).unwrap().trim().to_owned()
    };
    // Ada cannot tell whose mail is whose, and takes Eve's.
    for of_eve in [2, 0] {
        guest.verify(&code(of_eve), PASSWORD).await.refused(409, "CODE_NOT_VALID");
    }
    assert_eq!(count(&world, "EmailVerified").await, 0);
    // Which is not spent by that, nor is her own.
    let ada = guest.verify(&code(1), PASSWORD).await.expect(200);
    // Even with it, Eve comes too late.
    guest.verify(&code(2), "password of eve").await.refused(409, "CODE_NOT_VALID");
    assert_eq!(guest.me(&Member::of(&ada)).await.json()["name"], "Ada");
    guest.log_in("ada@example.org", "password of eve").await.refused(401, "LOGIN_REFUSED");
    guest.log_in("ada@example.org", PASSWORD).await.expect(200);
    node.stop().await;
}

#[tokio::test]
async fn of_many_who_come_with_one_code_one_is_let_in() {
    let (world, store) = gated();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    guest.register("ada@example.org", "Ada", PASSWORD).await.expect(202);
    let code = code(&world, "ada@example.org", "Your address").await;
    // None of them whom the store leaves half-way: then the code is good still.
    for gate in [Gate::OpenSession, Gate::TakeCode] {
        store.before(gate, async { Err(away()) });
        guest.verify(&code, PASSWORD).await.refused(503, "IDENTITY_UNAVAILABLE");
        assert!(store.is_spent());
    }
    let all = (0..10).map(|_| guest.verify(&code, PASSWORD));
    let all = futures::future::join_all(all).await;
    let (let_in, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| it.status == 200);
    let [let_in] = &let_in[..] else { panic!("{}", let_in.len()) };
    for answer in refused {
        answer.refused(409, "CODE_NOT_VALID");
    }
    guest.me(&Member::of(let_in)).await.expect(200);
    node.stop().await;
}

#[tokio::test]
async fn an_address_claimed_before_a_crash_is_not_lost() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let email: Email = "ada@example.org".parse().unwrap();
    let address = world.vault.make_address(&email).await.unwrap();
    let user = UserId::from_u128(77);
    let fact = Fact::from(EmailClaimed { user });
    let claim = NewRecord {
        id: Uuid::from_u128(1),
        kind: fact.kind().into(),
        version: fact.version(),
        at: world.clock.now(),
        metadata: "{}".into(),
        data: fact.encode().into(),
    };
    let stream = EmailClaim::stream(address);
    world.log.append(&stream, Expected::NoStream, vec![claim]).await.unwrap();
    guest.log_in("ada@example.org", PASSWORD).await.refused(401, "LOGIN_REFUSED");
    let member = guest.join(&world, "ada@example.org", "Ada").await;
    assert_eq!(member.user, user);
    assert_eq!(world.log.read_stream(&Account::stream(user), 0, 9).await.unwrap().len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_field() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    for (field, value) in [
        ("email", json!("ada")),
        ("email", json!("ada@example.org\r\nBcc: eve@example.org")),
        ("password", json!("short")),
        ("password", json!("x".repeat(257))),
        ("name", json!("")),
        ("phone", json!("call me")),
        ("language", json!("de_AT")),
    ] {
        let mut body = json!({"email": "ada@example.org", "name": "Ada", "password": PASSWORD});
        body[field] = value.clone();
        let refused = guest.post("/auth/register", body).await.refused(422, "INVALID");
        assert_eq!(refused.json()["details"]["field"], field, "{value}");
    }
    assert_eq!(world.story().await.records.len(), 0);
    node.stop().await;
}
