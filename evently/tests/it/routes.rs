//! Who gets through at which route: every route, every role, with one's own and with another's.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::UserId;
use infra::auth::{RULES, Role, Scope};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::server::Server;
use crate::shop::{Shop, answer};
use Role::{Admin, Attendee, Auditor, BoxOffice, Organizer};

/// What a route is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    /// Nothing that belongs to one person.
    Nothing,
    Venue,
    Draft,
    Published,
    Hold,
}
use Thing::{Draft, Hold, Nothing, Published, Venue};

/// Who gets through without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    /// Also with one that is no good.
    Anybody,
    /// But not with one that is no good.
    Guests,
    /// Whoever has none is told that nothing is there.
    Hidden,
    Nobody,
    /// Nor with any token of a person: it takes a service key of this scope.
    Services(Scope),
}
use Without::{Anybody, Guests, Hidden, Nobody, Services};

struct Row {
    route: &'static str,
    query: &'static str,
    thing: Thing,
    without: Without,
    /// Who gets through with their own, and if there is no owner at all.
    own: &'static [Role],
    /// Who gets through with another's.
    anothers: &'static [Role],
    /// What those of `own` are told who are not of `anothers`.
    refusal: u16,
    /// What it is counted as; nothing if empty.
    counted: &'static str,
}

impl Row {
    const fn counted(mut self, counted: &'static str) -> Self {
        self.counted = counted;
        self
    }
}

const fn open(route: &'static str) -> Row {
    plain(route, Anybody, &Role::ALL)
}

const fn plain(route: &'static str, without: Without, own: &'static [Role]) -> Row {
    let counted = "general";
    Row { route, query: "", thing: Nothing, without, own, anothers: own, refusal: 0, counted }
}

const fn of(
    thing: Thing,
    route: &'static str,
    own: &'static [Role],
    anothers: &'static [Role],
    refusal: u16,
) -> Row {
    let (query, counted) = ("", "general");
    Row { route, query, thing, without: Nobody, own, anothers, refusal, counted }
}

const BUYERS: &[Role] = &[Attendee, Organizer, BoxOffice, Admin];
const SELLERS: &[Role] = &[Organizer, Admin];

const TABLE: &[Row] = &[
    open("GET /health").counted(""),
    open("GET /health/live").counted(""),
    open("GET /health/ready").counted(""),
    open("GET /metrics").counted(""),
    open("GET /openapi.json").counted(""),
    open("GET /.well-known/jwks.json").counted(""),
    open("POST /api/v1/auth/register").counted("authentication"),
    open("POST /api/v1/auth/email/verify").counted("authentication"),
    open("POST /api/v1/auth/login").counted("authentication"),
    open("POST /api/v1/auth/refresh"),
    open("POST /api/v1/auth/logout"),
    open("GET /api/v1/auth/oidc/login").counted("authentication"),
    // Nobody is logged in who was not: that is 401 here too.
    Row { without: Anybody, ..plain("GET /api/v1/auth/oidc/callback", Anybody, &Role::ALL) }
        .counted("authentication"),
    open("POST /api/v1/auth/password/forgot").counted("authentication"),
    open("POST /api/v1/auth/password/reset").counted("authentication"),
    plain("GET /api/v1/users/me", Nobody, &Role::ALL),
    plain("PUT /api/v1/users/me", Nobody, &Role::ALL),
    plain("DELETE /api/v1/users/me", Nobody, &Role::ALL),
    plain("GET /api/v1/users/me/export", Nobody, &Role::ALL).counted("export"),
    plain("PUT /api/v1/users/me/password", Nobody, &Role::ALL).counted("authentication"),
    plain("GET /api/v1/users/me/bookings", Nobody, &Role::ALL),
    open("GET /api/v1/venues"),
    open("GET /api/v1/venues/{venue_id}"),
    plain("POST /api/v1/venues", Nobody, SELLERS),
    of(Venue, "PUT /api/v1/venues/{venue_id}", SELLERS, &[Admin], 403),
    plain("GET /api/v1/events", Guests, &Role::ALL),
    Row { query: "?status=draft", ..plain("GET /api/v1/events", Nobody, SELLERS) },
    Row {
        without: Guests,
        ..of(Published, "GET /api/v1/events/{event_id}", &Role::ALL, &Role::ALL, 0)
    },
    Row {
        without: Hidden,
        ..of(Draft, "GET /api/v1/events/{event_id}", &Role::ALL, &[Admin], 404)
    },
    open("GET /api/v1/events/{event_id}/availability"),
    open("GET /api/v1/events/{event_id}/seats"),
    open("GET /api/v1/events/{event_id}/stream"),
    plain("POST /api/v1/events", Nobody, SELLERS),
    of(Published, "PUT /api/v1/events/{event_id}", SELLERS, &[Admin], 403),
    of(Draft, "PUT /api/v1/events/{event_id}", SELLERS, &[Admin], 404),
    of(Published, "DELETE /api/v1/events/{event_id}", SELLERS, &[Admin], 403),
    of(Draft, "DELETE /api/v1/events/{event_id}", SELLERS, &[Admin], 404),
    of(Published, "POST /api/v1/events/{event_id}/publish", SELLERS, &[Admin], 403),
    of(Draft, "POST /api/v1/events/{event_id}/publish", SELLERS, &[Admin], 404),
    open("POST /api/v1/bookings/check-availability"),
    plain("POST /api/v1/bookings/reserve", Nobody, BUYERS).counted("booking"),
    of(Hold, "POST /api/v1/bookings/confirm", BUYERS, &[], 404).counted("booking"),
    of(Hold, "GET /api/v1/bookings/{booking_id}", &Role::ALL, &[Admin, BoxOffice, Auditor], 404),
    of(Hold, "DELETE /api/v1/bookings/{booking_id}", BUYERS, &[Admin], 404).counted("booking"),
    plain("POST /api/v1/waitlist/join", Nobody, BUYERS).counted("booking"),
    plain("GET /api/v1/waitlist/position", Nobody, &Role::ALL),
    plain("DELETE /api/v1/waitlist/leave", Nobody, BUYERS).counted("booking"),
    plain("GET /api/v1/audit/records", Nobody, &[Auditor, Admin]),
    plain("GET /api/v1/audit/proof/{event_id}", Nobody, &[Auditor, Admin]),
    plain("POST /api/v1/admin/users/{user_id}/roles", Nobody, &[Admin]),
    plain("GET /api/v1/admin/projections", Nobody, &[Admin]),
    plain("POST /api/v1/admin/projections/{name}/rebuild", Nobody, &[Admin]),
    plain("POST /api/v1/admin/projections/{name}/retry", Nobody, &[Admin]),
    plain("GET /api/v1/admin/feed", Nobody, &[Admin]),
    plain("POST /api/v1/admin/feed/replay", Nobody, &[Admin]),
    plain("GET /internal/audit/records", Services(Scope::AuditRead), &[]),
    plain("GET /internal/projections", Services(Scope::ProjectionsRead), &[]),
    plain("POST /internal/projections/{name}/rebuild", Services(Scope::ProjectionsRun), &[]),
    plain("POST /internal/projections/{name}/retry", Services(Scope::ProjectionsRun), &[]),
];

/// Every route for services, and the scope that it takes.
pub(crate) fn services() -> impl Iterator<Item = (&'static str, Scope)> {
    TABLE.iter().filter_map(|row| match row.without {
        Services(scope) => Some((row.route, scope)),
        _ => None,
    })
}

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
