//! What is tried by who is not the one who logs in.

use serde_json::{Value, json};

use super::provider::{CLIENT, FakeProvider, Signed};
use super::{Browser, Member, ask, log_in, stage};
use crate::accounts::{Guest, PASSWORD, code, count};
use crate::support::World;

/// Nobody has an account by any of it.
async fn nobody_came_of_it(world: &World) {
    assert_eq!(count(world, "AccountRegistered").await, 0);
}

#[tokio::test]
async fn what_was_not_begun_in_this_browser_is_not_finished_there() {
    let (world, node, provider) = stage().await;
    let guest = Guest::at(&world, &node);
    // The attacker logs in with their own name, and has the victim's browser finish it (RFC 6749, 10.12).
    let (attacker, victim) = (Browser::begin(&guest).await, Browser::begin(&guest).await);
    assert_ne!(attacker.state, victim.state);
    let claims = provider.claims(&attacker.nonce);
    let code = provider.grant(&attacker.challenge, &claims, Signed::Well);
    let (state, iss) = (&attacker.state, &provider.issuer);
    let query = format!("/callback?code={code}&state={state}&iss={iss}");
    let name = victim.cookie.split('=').next().unwrap();
    for cookie in [
        None,
        Some(victim.cookie.clone()),
        Some(format!("{name}=")),
        Some(format!("{}; {}", attacker.cookie, victim.cookie)),
        Some(format!("x{}", attacker.cookie)),
    ] {
        ask(&guest, &query, cookie.as_deref()).await.refused(401, "OIDC_REFUSED");
    }
    for query in [
        String::new(),
        format!("?code={code}&iss={iss}"),
        format!("?code={code}&state=&iss={iss}"),
        format!("?code={code}&state={}&iss={iss}", victim.state),
        format!("?state={state}&iss={iss}"),
        // Another provider's answer (RFC 9207), or one that does not say whose it is.
        format!("?code={code}&state={state}&iss=https://evil.example"),
        format!("?code={code}&state={state}"),
        format!("?error=access_denied&state={state}&iss={iss}"),
        format!("?error=access_denied&code={code}&state={state}&iss={iss}"),
    ] {
        attacker.come_with(&query).await.refused(401, "OIDC_REFUSED");
    }
    nobody_came_of_it(&world).await;
    // All that was refused before it was asked about; now it is spent, once.
    attacker.come_back(&provider, &code).await.expect(200);
    attacker.come_back(&provider, &code).await.refused(401, "OIDC_REFUSED");
    node.stop().await;
}

#[tokio::test]
async fn a_code_is_worth_nothing_without_the_secret_of_the_browser_it_was_given_to() {
    let (world, node, provider) = stage().await;
    let guest = Guest::at(&world, &node);
    let (victim, thief) = (Browser::begin(&guest).await, Browser::begin(&guest).await);
    let claims = provider.claims(&victim.nonce);
    let code = provider.grant(&victim.challenge, &claims, Signed::Well);
    thief.come_back(&provider, &code).await.refused(401, "OIDC_REFUSED");
    // Nor if the nonce, which the provider writes and the browser sees, is the thief's (RFC 9700, 2.1.1).
    let claims = provider.claims(&thief.nonce);
    let code = provider.grant(&victim.challenge, &claims, Signed::Well);
    thief.come_back(&provider, &code).await.refused(401, "OIDC_REFUSED");
    nobody_came_of_it(&world).await;
    node.stop().await;
}

#[tokio::test]
async fn what_the_provider_does_not_say_of_this_log_in_is_not_believed() {
    let (world, node, provider) = stage().await;
    let guest = Guest::at(&world, &node);
    let other = Browser::begin(&guest).await;
    let past = provider.claims("")["iat"].as_i64().unwrap() - 3_600;
    let changes: [(&str, Value); 13] = [
        ("nonce", json!(other.nonce)),
        ("nonce", json!("")),
        ("nonce", Value::Null),
        ("aud", json!("somebody-else")),
        ("aud", json!([CLIENT, "somebody-else"])),
        ("aud", json!([])),
        ("azp", json!("somebody-else")),
        ("azp", json!("")),
        ("iss", json!("https://evil.example")),
        ("iss", Value::Null),
        ("exp", json!(past)),
        ("exp", Value::Null),
        ("sub", Value::Null),
    ];
    for (claim, value) in changes {
        let change = |claims: &mut Value| match &value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
            value => claims[claim] = value.clone(),
        };
        let answer = log_in(&guest, &provider, change).await;
        // What is no ID token at all is no answer.
        assert!([401, 503].contains(&answer.status.as_u16()), "{claim} {value}: {}", answer.status);
        assert_eq!(answer.status == 401, answer.code() == "OIDC_REFUSED", "{claim} {value}");
    }
    for signed in [Signed::BySecret, Signed::ByAnother, Signed::NotAtAll] {
        let browser = Browser::begin(&guest).await;
        let claims = provider.claims(&browser.nonce);
        let code = provider.grant(&browser.challenge, &claims, signed);
        browser.come_back(&provider, &code).await.refused(401, "OIDC_REFUSED");
    }
    nobody_came_of_it(&world).await;
    node.stop().await;
}

#[tokio::test]
async fn an_address_that_nobody_showed_to_be_theirs_gives_nobody_an_account() {
    let (world, node, provider) = stage().await;
    let guest = Guest::at(&world, &node);
    guest.join(&world, "ada@example.org", "Ada").await;
    for value in [json!(false), Value::Null] {
        let unverified = |claims: &mut Value| match &value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove("email_verified")),
            value => claims["email_verified"] = value.clone(),
        };
        log_in(&guest, &provider, unverified).await.refused(409, "EMAIL_NOT_VERIFIED");
    }
    let without = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("email"));
    log_in(&guest, &provider, without).await.refused(409, "EMAIL_NOT_VERIFIED");
    assert_eq!(count(&world, "LoginLinked").await, 0);
    node.stop().await;
}

#[tokio::test]
async fn who_began_an_account_with_anothers_address_has_nothing_of_it() {
    let (world, node, provider) = stage().await;
    let guest = Guest::at(&world, &node);
    guest.register("ada@example.org", "Eve", PASSWORD).await.expect(202);
    let mailed = code(&world, "ada@example.org", "Your address").await;
    let ada = Member::of(&log_in(&guest, &provider, |_| {}).await.expect(200));
    assert_eq!(guest.me(&ada).await.json()["name"], "Ada Lovelace");
    guest.log_in("ada@example.org", PASSWORD).await.refused(401, "LOGIN_REFUSED");
    guest.verify(&mailed, PASSWORD).await.refused(409, "CODE_NOT_VALID");
    node.stop().await;
}

#[tokio::test]
async fn who_may_do_more_than_buy_is_not_had_by_an_address() {
    let (world, node, provider) = stage().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    grant(&world, &guest, &ada).await;
    log_in(&guest, &provider, |_| {}).await.refused(409, "ACCOUNT_NOT_LINKED");
    assert_eq!(count(&world, "LoginLinked").await, 0);
    // Nor who was linked when they could only buy.
    let bob = |claims: &mut Value| {
        (claims["sub"], claims["email"]) = (json!("bob"), json!("bob@example.org"));
    };
    let first = Member::of(&log_in(&guest, &provider, bob).await.expect(200));
    grant(&world, &guest, &first).await;
    log_in(&guest, &provider, bob).await.refused(409, "ACCOUNT_NOT_LINKED");
    // Nor what they were given there before that.
    guest.refresh(&first.refresh).await.refused(401, "SESSION_OVER");
    node.stop().await;
}

async fn grant(world: &World, guest: &Guest, member: &Member) {
    let admin = domain::UserId::from_u128(5);
    let roles = [infra::auth::Role::Admin];
    let token = world.keys.issue(admin, &roles, infra::auth::ACCESS_TTL).unwrap();
    let body = json!({"grant": ["organizer"], "reason": "why"});
    let path = format!("/admin/users/{}/roles", member.user);
    guest.ask_as("POST", &path, Some(body), Some(&token), None).await.expect(200);
}

async fn reset(world: &World, guest: &Guest, email: &str) -> Member {
    guest.post("/auth/password/forgot", json!({"email": email})).await.expect(202);
    let code = code(world, email, "Another password").await;
    let body = json!({"code": code, "new_password": "another long password"});
    Member::of(&guest.post("/auth/password/reset", body).await.expect(200))
}

#[tokio::test]
async fn another_password_by_mail_ends_what_is_linked() {
    let (world, node, provider) = stage().await;
    let guest = Guest::at(&world, &node);
    let ada = Member::of(&log_in(&guest, &provider, |_| {}).await.expect(200));
    let elsewhere = |claims: &mut Value| claims["email"] = "eve@example.org".into();
    let unshown = |claims: &mut Value| claims["email_verified"] = false.into();
    log_in(&guest, &provider, unshown).await.expect(200);
    let now = reset(&world, &guest, "ada@example.org").await;
    assert_eq!((now.user, count(&world, "LoginReleased").await), (ada.user, 1));
    log_in(&guest, &provider, unshown).await.refused(409, "EMAIL_NOT_VERIFIED");
    assert_ne!(Member::of(&log_in(&guest, &provider, elsewhere).await.expect(200)).user, ada.user);
    let export = guest.ask_as("GET", "/users/me/export", None, Some(&now.access), None).await;
    assert_eq!(export.json()["logins"], json!([]));
    node.stop().await;
}

#[tokio::test]
async fn who_shows_the_address_anew_is_linked_anew() {
    let (world, node, provider) = stage().await;
    let guest = Guest::at(&world, &node);
    let ada = Member::of(&log_in(&guest, &provider, |_| {}).await.expect(200));
    reset(&world, &guest, "ada@example.org").await;
    let again = Member::of(&log_in(&guest, &provider, |_| {}).await.expect(200));
    assert_eq!(again.user, ada.user);
    // And forgotten with all of it.
    guest.ask_as("DELETE", "/users/me", None, Some(&again.access), None).await.expect(204);
    let next = Member::of(&log_in(&guest, &provider, |_| {}).await.expect(200));
    assert_ne!(next.user, ada.user);
    node.stop().await;
}

/// So that a refusal is one of the provider's word and not of ours.
#[tokio::test]
async fn many_who_are_the_same_there_are_the_same_here() {
    let (world, node, provider) = stage().await;
    let guest = Guest::at(&world, &node);
    let provider: &FakeProvider = &provider;
    let all = (0..8).map(|_| log_in(&guest, provider, |_| {}));
    let all = futures::future::join_all(all).await;
    let users: std::collections::BTreeSet<_> =
        all.iter().filter(|answer| answer.status == 200).map(|it| Member::of(it).user).collect();
    assert_eq!(users.len(), 1);
    assert_eq!(count(&world, "AccountRegistered").await, 1);
    node.stop().await;
}
