//! Tokens, as endpoints see them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use domain::{Time, UserId};
use infra::auth::{Auth, Caller, Guarded, Keys, MaybeCaller, Role, Rule, Who};
use infra::clock::{Clock, ManualClock};
use infra::http::{Edge, Json, ServiceLimits, service};
use serde_json::{Value, json as object};

use crate::service::{ask, json, problem};

const RULES: &[Rule] = &[
    Rule::new("GET", "/me", Who::Known),
    Rule::new("GET", "/anyone", Who::Guests),
    Rule::new("GET", "/organizers", Who::These(&[Role::Organizer, Role::Admin])),
];

struct Setup {
    _folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    keys: Keys,
    router: Edge,
}

fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new("2027-06-01T19:30:00Z".parse::<Time>().unwrap()));
    let keys = Keys::load_or_create(folder.path(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let auth = Auth::new(&keys, Arc::clone(&clock) as Arc<dyn Clock>);
    let me = async |caller: Caller| Json(object!(caller.user));
    let router = Router::new().route("/me", get(me)).route("/organizers", get(me)).route(
        "/anyone",
        get(async |MaybeCaller(c): MaybeCaller| Json(object!(c.map(|c| c.user)))),
    );
    let guarded = Guarded::by(RULES, router, auth);
    let router = service(guarded, ServiceLimits::default(), Arc::clone(&clock) as Arc<dyn Clock>);
    Setup { _folder: folder, clock, keys, router }
}

fn request(path: &str, authorization: &[&str]) -> Request {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    for value in authorization {
        request.headers_mut().append("authorization", value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_token_says_who_asks() {
    let Setup { keys, router, _folder, .. } = setup();
    let user = UserId::from_u128(7);
    let token = keys.issue(user, &[Role::Attendee], Duration::from_secs(900)).unwrap();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        for path in ["/me", "/anyone"] {
            let response = ask(&router, request(path, &[&format!("{scheme} {token}")])).await;
            assert_eq!(json(response).await, user.to_string());
        }
    }
    assert_eq!(json(ask(&router, request("/anyone", &[])).await).await, Value::Null);
}

#[tokio::test]
async fn who_has_no_good_token_is_refused() {
    let Setup { keys, router, clock, _folder } = setup();
    let token = keys.issue(UserId::from_u128(7), &[], Duration::from_secs(900)).unwrap();
    let bearer = format!("Bearer {token}");
    let response = ask(&router, request("/me", &[])).await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    problem(response, 401, "UNAUTHORIZED").await;

    let cut = &bearer[..bearer.len() - 1];
    let refused: &[&[&str]] = &[
        &[""],
        &["Bearer"],
        &["Bearer "],
        &[&token],
        &["Basic dXNlcjpwYXNz"],
        &["Bearer a.b.c"],
        &[cut],
        &[&bearer, &bearer],
    ];
    for authorization in refused {
        for path in ["/me", "/anyone"] {
            let response = ask(&router, request(path, authorization)).await;
            let challenge = response.headers()["www-authenticate"].to_str().unwrap();
            assert!(challenge.starts_with("Bearer"), "{challenge}");
            problem(response, 401, "UNAUTHORIZED").await;
        }
    }

    assert_eq!(ask(&router, request("/me", &[&bearer])).await.status(), 200);
    clock.advance_ms(900_000);
    let response = ask(&router, request("/me", &[&bearer])).await;
    assert_eq!(response.status(), 401);
    let said = json(response).await;
    assert!(said["detail"].as_str().unwrap().contains("expired"), "{said}");
}

#[tokio::test]
async fn a_role_opens_its_doors_only() {
    let Setup { keys, router, _folder, .. } = setup();
    for role in Role::ALL {
        let token = keys.issue(UserId::from_u128(7), &[role], Duration::from_secs(900)).unwrap();
        let response = ask(&router, request("/organizers", &[&format!("Bearer {token}")])).await;
        if [Role::Organizer, Role::Admin].contains(&role) {
            assert_eq!(response.status(), 200, "{role}");
        } else {
            problem(response, 403, "FORBIDDEN").await;
        }
    }
}
