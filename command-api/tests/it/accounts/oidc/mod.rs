//! `GET /auth/oidc/login`, `GET /auth/oidc/callback`.

mod attacks;
mod provider;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use super::{Guest, Member, PASSWORD, check_form, count, grep, mails};
use crate::support::{Answer, Node, World, eventually};
use provider::{FakeProvider, Signed};

/// A browser that was sent to the provider.
struct Browser {
    guest: Guest,
    cookie: String,
    state: String,
    nonce: String,
    challenge: String,
}

async fn stage() -> (World, Node, FakeProvider) {
    let (mut world, provider) = (World::new(), FakeProvider::start().await);
    world.oidc = Some(provider.settings());
    let node = world.start().await;
    (world, node, provider)
}

async fn ask(guest: &Guest, path: &str, cookie: Option<&str>) -> Answer {
    let mut request = Request::get(format!("/api/v1/auth/oidc{path}"));
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    let answer = guest.0.clone().ask(request.body(Body::empty()).unwrap()).await;
    if answer.status != 303 {
        check_form(&answer);
    }
    answer
}

impl Browser {
    /// Begins a log-in.
    async fn begin(guest: &Guest) -> Self {
        let answer = ask(guest, "/login", None).await.expect(303);
        let location = answer.headers["location"].to_str().unwrap();
        let value = |name: &str| {
            let query = location.split('?').nth(1).unwrap().split('&');
            let mut pairs = query.filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).unwrap().1.to_owned()
        };
        assert_eq!(value("code_challenge_method"), "S256");
        assert_eq!(value("response_type"), "code");
        let set = answer.headers["set-cookie"].to_str().unwrap();
        for attribute in ["HttpOnly", "SameSite=Lax", "Max-Age=600", "Path=/"] {
            assert!(set.contains(attribute), "{set}");
        }
        let cookie = set.split(';').next().unwrap().to_owned();
        let (state, nonce) = (value("state"), value("nonce"));
        assert!(!cookie.contains(&state) && !cookie.contains(&nonce));
        Self { guest: guest.again(), cookie, state, nonce, challenge: value("code_challenge") }
    }

    /// Comes back with this code.
    async fn come_back(&self, provider: &FakeProvider, code: &str) -> Answer {
        let (state, iss) = (&self.state, &provider.issuer);
        self.come_with(&format!("?code={code}&state={state}&iss={iss}")).await
    }

    async fn come_with(&self, query: &str) -> Answer {
        ask(&self.guest, &format!("/callback{query}"), Some(&self.cookie)).await
    }

    /// Comes back as whom the provider says with these claims.
    async fn come_as(&self, provider: &FakeProvider, claims: &Value) -> Answer {
        let code = provider.grant(&self.challenge, claims, Signed::Well);
        self.come_back(provider, &code).await
    }
}

/// Logs in at the provider as whom it says by default, changed so.
async fn log_in(guest: &Guest, provider: &FakeProvider, change: impl FnOnce(&mut Value)) -> Answer {
    let browser = Browser::begin(guest).await;
    let mut claims = provider.claims(&browser.nonce);
    change(&mut claims);
    browser.come_as(provider, &claims).await
}

#[tokio::test]
async fn who_logs_in_elsewhere_has_one_account_here_until_they_are_forgotten() {
    let (world, node, provider) = stage().await;
    let guest = Guest::at(&world, &node);
    let first = log_in(&guest, &provider, |_| {}).await.expect(200);
    assert!(first.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    let ada = Member::of(&first);
    let me = guest.me(&ada).await.expect(200).json();
    assert_eq!((&me["email"], &me["name"]), (&"ada@example.org".into(), &"Ada Lovelace".into()));
    assert_eq!(me["email_verified"], true);
    // Whoever they are there counts, not their address.
    let again = log_in(&guest, &provider, |claims| claims["email"] = "other@example.org".into());
    assert_eq!(Member::of(&again.await.expect(200)).user, ada.user);
    // Some providers write it as a text.
    for unverified in [false.into(), "false".into(), "true".into()] {
        let again = log_in(&guest, &provider, |claims| claims["email_verified"] = unverified);
        assert_eq!(Member::of(&again.await.expect(200)).user, ada.user);
    }
    assert_eq!(
        (count(&world, "AccountRegistered").await, count(&world, "LoginLinked").await),
        (1, 1)
    );
    guest.refresh(&ada.refresh).await.expect(200);
    let export = guest.ask_as("GET", "/users/me/export", None, Some(&ada.access), None).await;
    assert_eq!(export.json()["logins"][0]["subject"], "ada-at-the-provider");

    guest.ask_as("DELETE", "/users/me", None, Some(&ada.access), None).await.expect(204);
    let found = grep(world.folder.path(), &["ada-at-the-provider", "lovelace", "ada@example"]);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(count(&world, "LoginReleased").await, 1);
    let next = Member::of(&log_in(&guest, &provider, |_| {}).await.expect(200));
    assert_ne!(next.user, ada.user);
    node.stop().await;
}

#[tokio::test]
async fn an_account_whose_address_is_shown_here_and_there_is_linked_and_its_owner_told() {
    let (world, node, provider) = stage().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    for _ in 0..2 {
        let linked = log_in(&guest, &provider, |_| {}).await.expect(200);
        assert_eq!(Member::of(&linked).user, ada.user);
    }
    guest.log_in("ada@example.org", PASSWORD).await.expect(200);
    assert_eq!(guest.me(&ada).await.json()["name"], "Ada");
    let told = || mails(&world, "ada@example.org");
    let about = |mail: &&String| mail.contains("Subject: Another way to log in");
    eventually(async || told().iter().any(|mail| about(&mail))).await;
    assert_eq!((told().iter().filter(about).count(), count(&world, "LoginLinked").await), (1, 1));
    // Another person there with the same address is another log-in of the same account.
    let other = log_in(&guest, &provider, |claims| claims["sub"] = "another".into()).await;
    assert_eq!(Member::of(&other.expect(200)).user, ada.user);
    node.stop().await;
}

#[tokio::test]
async fn a_provider_that_is_away_keeps_nobody_else_waiting_and_is_asked_again() {
    let (world, node, provider) = stage().await;
    let guest = Guest::at(&world, &node);
    provider.die();
    ask(&guest, "/login", None).await.refused(503, "OIDC_UNAVAILABLE");
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    provider.come_back().await;
    world.clock.skip_s(2);
    let linked = log_in(&guest, &provider, |_| {}).await.expect(200);
    assert_eq!(Member::of(&linked).user, ada.user);
    // What it says of itself is known by now; whoever comes back finds nobody to spend the code.
    let browser = Browser::begin(&guest).await;
    let code = provider.grant(&browser.challenge, &provider.claims(&browser.nonce), Signed::Well);
    provider.die();
    browser.come_back(&provider, &code).await.refused(503, "OIDC_UNAVAILABLE");
    provider.come_back().await;
    browser.come_back(&provider, &code).await.expect(200);
    // It may sign with another key at any time.
    provider.take_another_key();
    world.clock.skip_s(2);
    log_in(&guest, &provider, |_| {}).await.expect(200);
    node.stop().await;
}

#[tokio::test]
async fn nobody_logs_in_elsewhere_where_that_is_not_offered() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    ask(&guest, "/login", None).await.refused(404, "OIDC_NOT_OFFERED");
    ask(&guest, "/callback?code=x&state=y", None).await.refused(404, "OIDC_NOT_OFFERED");
    node.stop().await;
}
