//! Every route lets through whom its row of the table says, is counted as it says, and has one.

mod table;

use std::collections::BTreeSet;
use std::time::Duration;

use domain::UserId;
use infra::auth::{RULES, Role};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::server::Server;
use crate::shop::{Shop, answer};
use Role::{Attendee, Organizer};
use table::Thing::{self, Draft, Hold, Nothing, Published, Venue};
use table::Without::{Anybody, Guests, Hidden, Nobody, Services};
pub(crate) use table::services;
use table::{Row, TABLE};

/// Somebody who asks, new each time.
fn somebody() -> UserId {
    UserId::from_u128(infra::ids::random_u128())
}

struct Stage<'a> {
    server: &'a Server,
    client: Client,
    shop: Shop<'a>,
    venue: String,
}

/// Something to do things with.
struct Made {
    id: String,
    body: Value,
    position: u64,
}

impl Stage<'_> {
    async fn do_as(&self, user: UserId, role: Role, path: &str, body: &Value) -> Value {
        let url = self.server.url(&format!("/api/v1{path}"));
        let request = self.client.post(url).bearer_auth(self.server.token(user, &[role]));
        let response = request.json(body).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.text().await.unwrap());
        response.json().await.unwrap()
    }

    fn venue_body() -> Value {
        json!({
            "name": "Arena", "address": "Main Street 1", "city": "Berlin", "country": "DE",
            "sections": [{"name": "Floor", "kind": "standing", "capacity": 9}],
        })
    }

    fn event_body(&self) -> Value {
        json!({
            "name": "Night", "venue_id": self.venue, "event_type": "concert",
            "starts_at": "2040-06-01T19:30:00Z", "ends_at": "2040-06-01T22:30:00Z",
            "tiers": [{"name": "Floor", "price": 4500, "currency": "EUR", "section": "Floor"}],
        })
    }

    /// A new thing that belongs to `owner`.
    async fn make(&self, thing: Thing, owner: UserId) -> Made {
        let made = |answer: &Value, id: &str, body| Made {
            id: answer[id].as_str().unwrap().to_owned(),
            body,
            position: answer["position"].as_u64().unwrap(),
        };
        match thing {
            Nothing => Made { id: String::new(), body: Value::Null, position: 0 },
            Venue => {
                let body = Self::venue_body();
                made(&self.do_as(owner, Organizer, "/venues", &body).await, "venue_id", body)
            }
            Draft | Published => {
                let body = self.event_body();
                let draft = self.do_as(owner, Organizer, "/events", &body).await;
                let draft = made(&draft, "event_id", body);
                if thing == Draft {
                    return draft;
                }
                let publish = format!("/events/{}/publish", draft.id);
                let event = self.do_as(owner, Organizer, &publish, &Value::Null).await;
                made(&event, "event_id", draft.body)
            }
            Hold => {
                let wanted = json!({
                    "event_id": self.shop.event, "tier_id": self.shop.tier, "quantity": 1,
                });
                let held = self.do_as(owner, Attendee, "/bookings/reserve", &wanted).await;
                let body = json!({
                    "booking_id": held["booking_id"], "payment_token": "tok_success",
                });
                made(&held, "booking_id", body)
            }
        }
    }

    /// The status of the answer to whoever shows `token`.
    async fn ask(&self, row: &Row, made: &Made, token: Option<String>) -> StatusCode {
        let (method, path) = row.route.split_once(' ').unwrap();
        let (mut url, mut rest) = (String::new(), path);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap();
            let id = match (row.thing, name) {
                (Nothing, "event_id") => &self.shop.event,
                (Nothing, "venue_id") => &self.venue,
                (Nothing, "user_id") => "usr_00000000000000000000000007",
                (Nothing, "name") => "nothing",
                _ => &made.id,
            };
            url = url + before + id;
            rest = after;
        }
        let mut url = url + rest + row.query;
        // An admin has to say why they do it with what is another's.
        if method != "GET" && [Venue, Draft, Published, Hold].contains(&row.thing) {
            url += if row.thing == Hold && method == "POST" { "" } else { "?reason=why" };
        }
        let url = self.server.url(&url);
        let mut request = self.client.request(method.parse().unwrap(), url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if ["POST", "PUT"].contains(&method) {
            request = request.json(&made.body);
        } else {
            request = request.header("evently-min-position", made.position);
        }
        request.send().await.unwrap().status()
    }

    /// Holds a route to its row for one who asks.
    async fn check(&self, row: &Row, who: &str, token: Option<String>, made: &Made, told: u16) {
        let status = self.ask(row, made, token).await.as_u16();
        let through = match told {
            0 if row.thing == Nothing => ![401, 403].contains(&status) && status < 500,
            0 => ![401, 403, 404, 422].contains(&status) && status < 500,
            told => status == told,
        };
        assert!(through, "{} ({:?}){}: {who} got {status}", row.route, row.thing, row.query);
    }

    async fn check_row(&self, row: &Row) {
        let made = self.make(row.thing, somebody()).await;
        let told = match row.without {
            Anybody | Guests => 0,
            Hidden => 404,
            Nobody | Services(_) => 401,
        };
        let lacking = if matches!(row.without, Services(_)) { 401 } else { 403 };
        self.check(row, "nobody", None, &made, told).await;
        let bad = Some("not.a.token".to_owned());
        let told = if row.without == Anybody { 0 } else { 401 };
        self.check(row, "a bad token", bad, &made, told).await;
        for role in Role::ALL {
            let may = row.own.contains(&role);
            let (owner, other) = (somebody(), somebody());
            let theirs = self.make(row.thing, owner).await;
            let token = |user| Some(self.server.token(user, &[role]));
            let told = match row.anothers.contains(&role) {
                true => 0,
                false if may => row.refusal,
                false => lacking,
            };
            self.check(row, &format!("another {role}"), token(other), &theirs, told).await;
            let mine = self.make(row.thing, owner).await;
            let told = if may { 0 } else { lacking };
            self.check(row, &format!("its owner as {role}"), token(owner), &mine, told).await;
        }
    }
}

#[tokio::test]
async fn every_route_lets_through_whom_it_should() {
    let server = Server::start().await;
    let shop = Shop::open(&server, 1_000).await;
    // What has no end of its own is not waited for.
    let client = Client::builder().read_timeout(Duration::from_secs(30)).build().unwrap();
    let venue = server.url("/api/v1/venues");
    let venue = client.post(venue).bearer_auth(server.token(somebody(), &[Organizer]));
    let venue = answer(venue.json(&Stage::venue_body()), 201).await;
    let venue = venue["venue_id"].as_str().unwrap().to_owned();
    let stage = Stage { server: &server, client, shop, venue };
    for row in TABLE {
        stage.check_row(row).await;
    }
}

#[tokio::test]
async fn every_route_is_counted_as_it_should() {
    let rates = "general=1000,booking=1000,authentication=1000,account=1000,mails=1000,export=1000";
    let server = Server::start_with(&["--rate-limits", rates]).await;
    let client = Client::new();
    for row in TABLE {
        let (method, path) = row.route.split_once(' ').unwrap();
        let url = server.url(&path.replace(['{', '}'], ""));
        let answer = client.request(method.parse().unwrap(), url).send().await.unwrap();
        let policy = answer.headers().get("ratelimit-policy");
        let policy = policy.map_or("", |policy| policy.to_str().unwrap());
        let expected = match row.counted {
            "" => String::new(),
            counted => format!("\"{counted}\";q=1000;w=60"),
        };
        assert_eq!(policy, expected, "{}", row.route);
    }
}

#[tokio::test]
async fn no_route_takes_a_parameter_it_does_not_know() {
    let server = Server::start().await;
    let client = Client::new();
    let ids = [
        ("{venue_id}", "ven_00000000000000000000000007"),
        ("{event_id}", "evt_00000000000000000000000007"),
        ("{booking_id}", "bkg_000000000000000000000000070000000000007"),
        ("{user_id}", "usr_00000000000000000000000007"),
        ("{name}", "seats"),
    ];
    for row in TABLE {
        let (method, path) = row.route.split_once(' ').unwrap();
        let fill = |path: String, (name, id): &(&str, &str)| path.replace(name, id);
        let url = server.url(&format!("{}?seats=all", ids.iter().fold(path.to_owned(), fill)));
        let request = client.request(method.parse().unwrap(), url);
        let token = server.token(somebody(), &Role::ALL);
        let response = request.bearer_auth(token).json(&json!({})).send().await.unwrap();
        let status = response.status().as_u16();
        // Services have keys and no tokens; what the provider adds is passed over, and what probes add.
        if matches!(row.without, Services(_)) {
            assert_eq!(status, 401, "{}", row.route);
        } else if path.ends_with("/callback") || !path.starts_with("/api/v1/") {
            assert_ne!(status, 400, "{}", row.route);
        } else {
            assert_eq!(status, 400, "{}", row.route);
            let problem: Value = response.json().await.unwrap();
            assert_eq!(problem["code"], "MALFORMED", "{}", row.route);
            assert_eq!(problem["details"]["field"], "seats", "{}", row.route);
        }
    }
}

#[tokio::test]
async fn no_route_is_missing_from_the_table() {
    let server = Server::start().await;
    let document: Value =
        reqwest::get(server.url("/openapi.json")).await.unwrap().json().await.unwrap();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if method.parse::<Method>().is_ok() && method != "parameters" {
                documented.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let table: BTreeSet<_> = TABLE.iter().map(|row| row.route.to_owned()).collect();
    assert_eq!(table, documented);
    let rules: BTreeSet<_> =
        RULES.iter().map(|rule| format!("{} {}", rule.method, rule.path)).collect();
    assert_eq!(rules, documented);
    assert_eq!(rules.len(), RULES.len(), "a route has two rules");
}
