//! What one may ask for, and what browsers are told.

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::server::Server;
use crate::shop::Shop;

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// The answer to somebody who asked for too much.
async fn refused(answer: Response) {
    refused_within(answer, 60).await;
}

async fn refused_within(answer: Response, seconds: u32) {
    assert_eq!(answer.status(), 429);
    let wait: u32 = header(&answer, "retry-after").parse().unwrap();
    assert!((1..=seconds).contains(&wait), "{wait}");
    let left = header(&answer, "ratelimit").to_owned();
    assert!(left.contains(&format!(";r=0;t={wait}")), "{left}");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["code"], "TOO_MANY_REQUESTS");
}

fn log_in(server: &Server, email: &str) -> RequestBuilder {
    let body = json!({"email": email, "password": "not the right one"});
    Client::new().post(server.url("/api/v1/auth/login")).json(&body)
}

#[tokio::test]
async fn a_person_has_ten_booking_commands_in_a_minute() {
    let server = Server::start_with(&["--rate-limits", "holds=100"]).await;
    let shop = Shop::open(&server, 100).await;
    let hold = |buyer| {
        let body = json!({"event_id": shop.event, "tier_id": shop.tier, "quantity": 1});
        let ask =
            shop.ask(Method::POST, "/bookings/reserve", buyer, &[infra::auth::Role::Attendee]);
        ask.json(&body).send()
    };
    for left in (0..10).rev() {
        let answer = hold(7).await.unwrap();
        assert_eq!(answer.status(), 201);
        assert_eq!(header(&answer, "ratelimit-policy"), "\"booking\";q=10;w=60");
        let says = header(&answer, "ratelimit");
        assert!(says.starts_with(&format!("\"booking\";r={left};t=")), "{says}");
    }
    refused(hold(7).await.unwrap()).await;
    // Another person has a budget of their own, and browsing is another one.
    assert_eq!(hold(8).await.unwrap().status(), 201);
    let bookings = shop.ask(Method::GET, "/users/me/bookings", 7, &[]).send().await.unwrap();
    assert_eq!(header(&bookings, "ratelimit-policy"), "\"general\";q=100;w=60");
    let health = reqwest::get(server.url("/health/live")).await.unwrap();
    assert_eq!((health.status().as_u16(), header(&health, "ratelimit")), (200, ""));
}

#[tokio::test]
async fn passwords_are_tried_five_times_from_an_address_and_more_often_with_an_account() {
    let server = Server::start_with(&["--rate-limits", "on"]).await;
    for number in 0..5 {
        // What the client says of where it is counts for nothing.
        let ask = log_in(&server, &format!("{number}@example.org"));
        let answer =
            ask.header("x-forwarded-for", format!("10.0.0.{number}")).send().await.unwrap();
        assert_eq!(answer.status(), 401);
        // Of the address less is left than of any of the accounts.
        let says = header(&answer, "ratelimit");
        assert!(says.starts_with(&format!("\"authentication\";r={};t=", 4 - number)), "{says}");
    }
    let ask = log_in(&server, "6@example.org").bearer_auth(server.token(crate::shop::user(1), &[]));
    refused(ask.header("x-forwarded-for", "10.0.0.6").send().await.unwrap()).await;
    // Who runs it is told, once, in case it was a proxy.
    assert_eq!(server.log().matches("EVENTLY_TRUSTED_PROXIES").count(), 1, "{}", server.log());

    let proxied = ["--rate-limits", "account=7", "--trusted-proxies", "127.0.0.0/8,::1"];
    let server = Server::start_with(&proxied).await;
    for number in 0..7 {
        let ask = log_in(&server, "ada@example.org");
        let ask = ask.header("x-forwarded-for", format!("10.0.1.{number}"));
        let answer = ask.send().await.unwrap();
        assert_eq!(answer.status(), 401);
        let says = header(&answer, "ratelimit");
        let (name, left) = if number < 2 { ("authentication", 4) } else { ("account", 6 - number) };
        assert!(says.starts_with(&format!("\"{name}\";r={left};t=")), "{says}");
    }
    // From everywhere, known or not, and in any spelling.
    let ask = log_in(&server, "ADA@example.org").header("x-forwarded-for", "10.0.0.6");
    refused(ask.send().await.unwrap()).await;
    let ask = log_in(&server, "eve@example.org").header("x-forwarded-for", "10.0.0.6");
    assert_eq!(ask.send().await.unwrap().status(), 401);
    assert!(!server.log().contains("EVENTLY_TRUSTED_PROXIES"), "{}", server.log());
}

#[tokio::test]
async fn who_has_mails_written_to_somebody_keeps_them_from_nothing() {
    let proxied = ["--rate-limits", "on", "--trusted-proxies", "127.0.0.0/8,::1"];
    let server = Server::start_with(&proxied).await;
    let ask = async |path: &str, from: &str, body: Value| {
        let ask = Client::new().post(server.url(path)).json(&body);
        ask.header("x-forwarded-for", from).send().await.unwrap()
    };
    let register =
        json!({"email": "Ada@example.org", "name": "Ada", "password": "not the right one"});
    let forgot = json!({"email": "ada@example.org"});
    for number in 0..5 {
        let answer =
            ask("/api/v1/auth/register", &format!("10.0.0.{number}"), register.clone()).await;
        assert_eq!(answer.status(), 202);
    }
    let again = ask("/api/v1/auth/register", "10.0.0.9", register).await;
    assert_eq!(header(&again, "ratelimit-policy"), "\"mails\";q=5;w=3600");
    refused_within(again, 720).await;
    // She can log in, and asks for a mail of another kind.
    let log_in = log_in(&server, "ada@example.org").header("x-forwarded-for", "10.0.1.1");
    assert_eq!(log_in.send().await.unwrap().status(), 401);
    let asked = ask("/api/v1/auth/password/forgot", "10.0.1.1", forgot).await;
    assert_eq!(asked.status(), 202);
}

#[tokio::test]
async fn the_whole_log_is_read_for_a_person_five_times_in_a_minute() {
    let server = Server::start_with(&["--rate-limits", "on"]).await;
    let export = async |user| {
        let ask = Client::new().get(server.url("/api/v1/users/me/export"));
        ask.bearer_auth(server.token(crate::shop::user(user), &[])).send().await.unwrap()
    };
    for _ in 0..5 {
        assert_eq!(export(1).await.status(), 404);
    }
    refused(export(1).await).await;
    assert_eq!(export(2).await.status(), 404);
    // Tries with passwords are counted elsewhere.
    assert_eq!(log_in(&server, "ada@example.org").send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn only_named_pages_use_the_api_from_a_browser() {
    let server = Server::start_with(&["--cors-origins", "https://tickets.example.org"]).await;
    let url = server.url("/api/v1/bookings/reserve");
    let preflight = async |origin: &str| {
        let ask = Client::new().request(Method::OPTIONS, &url).header("origin", origin);
        let ask = ask.header("access-control-request-method", "POST");
        let ask = ask.header("access-control-request-headers", "authorization,idempotency-key");
        ask.send().await.unwrap()
    };
    let answer = preflight("https://tickets.example.org").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "access-control-allow-origin"), "https://tickets.example.org");
    assert!(header(&answer, "access-control-allow-headers").contains("idempotency-key"));
    assert_eq!(header(&answer, "access-control-allow-credentials"), "");
    let answer = preflight("https://evil.example.org").await;
    assert_eq!(header(&answer, "access-control-allow-origin"), "");

    let ask = Client::new().get(server.url("/api/v1/events"));
    let answer = ask.header("origin", "https://tickets.example.org").send().await.unwrap();
    assert_eq!(header(&answer, "access-control-allow-origin"), "https://tickets.example.org");
    assert!(header(&answer, "access-control-expose-headers").contains("evently-position"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(header(&answer, name), value);
    }
}

#[tokio::test]
async fn who_came_by_tls_and_nobody_else_is_told_to_come_so_again() {
    let direct = Server::start().await;
    let proxied = Server::start_with(&["--trusted-proxies", "127.0.0.0/8,::1"]).await;
    let only_tls = "max-age=31536000; includeSubDomains";
    for (server, scheme, told) in [
        (&direct, None, ""),
        (&direct, Some("https"), ""),
        (&proxied, None, ""),
        (&proxied, Some("http"), ""),
        (&proxied, Some("https"), only_tls),
    ] {
        for path in ["/health/live", "/nowhere"] {
            let mut ask = Client::new().get(server.url(path));
            if let Some(scheme) = scheme {
                ask = ask.header("x-forwarded-proto", scheme);
            }
            let answer = ask.send().await.unwrap();
            assert_eq!(header(&answer, "strict-transport-security"), told, "{scheme:?} {path}");
        }
    }
}
