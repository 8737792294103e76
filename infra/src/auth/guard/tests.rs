use std::time::Duration;

use axum::body::Body;
use axum::routing::get;
use domain::{Role, UserId};
use tower::ServiceExt;

use super::*;
use crate::auth::{Actor, Keys, MaybeCaller};
use crate::clock::{Clock, SystemClock};
use crate::identity::{IdentityStore as _, ServiceKey, SqliteIdentity};

const TABLE: &[Rule] = &[
    Rule::new("GET", "/all/{id}", Who::Everybody),
    Rule::new("GET", "/guests", Who::Guests),
    Rule::new("GET", "/known", Who::Known).also_anothers(&[Role::Admin]),
    Rule::new("GET", "/these", Who::These(&[Role::Auditor])),
    Rule::new("GET", "/services", Who::Services(Scope::AuditRead)),
];

struct Setup {
    folder: tempfile::TempDir,
    keys: Keys,
    auth: Auth,
    router: Router,
}

fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::load_or_create(folder.path(), Arc::new(SystemClock)).unwrap();
    let auth = Auth::new(&keys, Arc::new(SystemClock));
    let who = async |MaybeCaller(caller): MaybeCaller| match caller {
        None => "nobody".to_owned(),
        Some(caller) => format!("{} {}", caller.user, caller.with_anothers),
    };
    let router = Router::new()
        .route("/all/{id}", get(who).post(who))
        .route("/guests", get(who))
        .route("/known", get(who))
        .route("/these", get(who))
        .route("/forgotten", get(who))
        .route("/services", get(async |actor: Actor| actor.to_string()));
    let parameters = Parameters::default().with("GET", "/known", ["as_of"]);
    let admission = Admission { parameters, ..auth.clone().into() };
    let (router, _) = Guarded::by(TABLE, router, admission).into_parts();
    Setup { folder, keys, auth, router }
}

impl Setup {
    async fn ask(&self, method: &str, path: &str, header: Option<&str>) -> (u16, String) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let request = request.body(Body::empty()).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn token(&self, roles: &[Role]) -> String {
        let minute = Duration::from_secs(60);
        format!("Bearer {}", self.keys.issue(UserId::from_u128(7), roles, minute).unwrap())
    }
}

#[tokio::test]
async fn what_has_no_rule_is_for_nobody() {
    let setup = setup();
    let all = setup.token(&Role::ALL);
    assert_eq!(setup.ask("GET", "/forgotten", Some(&all)).await.0, 403);
    // There is a handler, but no rule.
    assert_eq!(setup.ask("POST", "/all/7", Some(&all)).await.0, 405);
    assert_eq!(setup.ask("PUT", "/all/7", Some(&all)).await.0, 405);
    assert_eq!(setup.ask("HEAD", "/all/7", None).await.0, 200);
    assert_eq!(setup.ask("GET", "/nowhere", None).await.0, 404);
}

#[tokio::test]
async fn a_rule_says_what_a_token_is_worth() {
    let setup = setup();
    let user = UserId::from_u128(7);
    let (known, own) = (setup.token(&[Role::Attendee]), format!("{user} false"));
    let (admin, all) = (setup.token(&[Role::Admin]), format!("{user} true"));
    let auditor = setup.token(&[Role::Auditor]);
    let bad = Some("Bearer x.y.z");
    for (path, header, status, says) in [
        ("/all/7", None, 200, "nobody"),
        ("/all/7", bad, 200, "nobody"),
        ("/all/7", Some(&*known), 200, &own),
        ("/guests", None, 200, "nobody"),
        ("/guests", bad, 401, "UNAUTHORIZED"),
        ("/guests", Some(&*known), 200, &own),
        ("/known", None, 401, "UNAUTHORIZED"),
        ("/known", bad, 401, "UNAUTHORIZED"),
        ("/known", Some("Basic eDp5"), 401, "UNAUTHORIZED"),
        ("/known", Some(&*known), 200, &own),
        ("/known", Some(&*admin), 200, &all),
        ("/these", None, 401, "UNAUTHORIZED"),
        ("/these", Some(&*admin), 403, "needs the role auditor"),
        ("/these", Some(&*auditor), 200, &own),
    ] {
        let (found, body) = setup.ask("GET", path, header).await;
        assert!(found == status && body.contains(says), "{path} {header:?}: {found} {body}");
    }
}

#[tokio::test]
async fn a_service_is_let_in_by_a_key_of_which_the_store_said_so_not_long_ago() {
    let setup = setup();
    let store = SqliteIdentity::open(&setup.folder.path().join("identity.sqlite")).unwrap();
    let now = SystemClock.now();
    let make = async |scope| {
        let (key, token) = ServiceKey::make("it", &[scope], now).unwrap();
        store.add_service_key(key.clone()).await.unwrap();
        (key.id, format!("Bearer {}", *token))
    };
    let (id, sound) = make(Scope::AuditRead).await;
    let (_, lacking) = make(Scope::ProjectionsRead).await;
    let ask = async |header| setup.ask("GET", "/services", header).await;
    assert_eq!(ask(Some(&*sound)).await.0, 503);
    setup.auth.look_at(&store).await.unwrap();
    assert_eq!(ask(Some(&*sound)).await, (200, id.to_string()));
    let (status, says) = ask(Some(&*lacking)).await;
    assert!(status == 403 && says.contains("scope audit:read"), "{says}");
    let person = setup.token(&Role::ALL);
    let basic = sound.replace("Bearer", "Basic");
    for header in [None, Some(&*person), Some(&*basic), Some("Bearer x"), Some("Bearer")] {
        assert_eq!(ask(header).await.0, 401, "{header:?}");
    }
    // Nor does a service get where persons go.
    assert_eq!(setup.ask("GET", "/known", Some(&sound)).await.0, 401);
    store.revoke_service_key(id, now).await.unwrap();
    setup.auth.look_at(&store).await.unwrap();
    assert_eq!(ask(Some(&*sound)).await.0, 401);
}

#[tokio::test]
async fn a_query_that_names_what_is_not_known_comes_to_no_handler() {
    let setup = setup();
    let known = setup.token(&[Role::Attendee]);
    for (path, status) in [
        ("/known?as_of=7", 200),
        ("/known?", 200),
        ("/known?at=7", 400),
        ("/known?as_of=7&at=7", 400),
        // Of this one nothing is said.
        ("/guests?at=7", 200),
    ] {
        for method in ["GET", "HEAD"] {
            assert_eq!(setup.ask(method, path, Some(&known)).await.0, status, "{method} {path}");
        }
    }
    // Who is not let in is told that first.
    assert_eq!(setup.ask("GET", "/known?at=7", None).await.0, 401);
    let (_, says) = setup.ask("GET", "/known?at=7", Some(&known)).await;
    assert!(says.contains("at is not known here; known: `as_of`"), "{says}");
}

#[tokio::test]
async fn nobody_is_known_to_a_handler_without_a_guard() {
    let setup = setup();
    let handler = async |_: Caller| "somebody";
    let bare = Router::new().route("/known", get(handler));
    let token = setup.token(&Role::ALL);
    let request = Request::get("/known").header("authorization", token);
    let answer = bare.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 401);
}
