//! Holds every request to the table of [`super::access`], before its handler sees it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use domain::Scope;
use futures::future::Either;
use tower::{Layer, Service};

use super::access::{RULES, Rule, Who};
use super::caller::{Caller, OPERATOR};
use super::services::{ServiceCaller, ServiceError};
use super::verifier::{Auth, AuthError};
use crate::http::{Parameters, Problem, context, parameters, with_body_within};
use crate::limits::{Asker, Budget, RateLimits, TrustedProxies};
use crate::metrics::{METRICS, RouteFigures};

/// Routes that nobody gets to but by the rules; what [`crate::http::service`] takes.
pub struct Guarded {
    router: Router,
    proxies: TrustedProxies,
}

impl Guarded {
    /// Holds every route of `router` to the rules. The person who asks is known to handlers from
    /// here alone: without it there is no [`Caller`].
    pub fn new(router: Router, admission: impl Into<Admission>) -> Self {
        Self::by(RULES, router, admission)
    }

    /// The same by other rules than the product's.
    pub fn by(rules: &'static [Rule], router: Router, admission: impl Into<Admission>) -> Self {
        let admission = admission.into();
        let mut by_path: HashMap<_, Vec<_>> = HashMap::new();
        for rule in rules {
            let figures = METRICS.requests.of(rule.method, rule.path);
            let parameters = admission.parameters.of(rule.method, rule.path);
            by_path.entry(rule.path).or_default().push(Known { rule, figures, parameters });
        }
        let proxies = admission.proxies.clone();
        let layer = GuardLayer(Arc::new(Rules { admission, by_path }));
        Self { router: router.route_layer(layer), proxies }
    }

    /// Routes that everybody gets to, for tests of what has nothing to do with who asks.
    #[cfg(any(test, feature = "testing"))]
    pub fn not_at_all(router: Router) -> Self {
        Self { router, proxies: TrustedProxies::default() }
    }

    /// The routes, and who says the truth about where requests come from.
    pub(crate) fn into_parts(self) -> (Router, TrustedProxies) {
        (self.router, self.proxies)
    }
}

/// What is asked of everybody before a route.
#[derive(Clone)]
pub struct Admission {
    /// Who they are.
    pub auth: Auth,
    /// How much they ask for; not counted if absent.
    pub limits: Option<RateLimits>,
    /// Who says the truth about where they are.
    pub proxies: TrustedProxies,
    /// What they may name in a query.
    pub parameters: Parameters,
}

impl From<Auth> for Admission {
    fn from(auth: Auth) -> Self {
        let (proxies, parameters) = (TrustedProxies::default(), Parameters::default());
        Self { auth, limits: None, proxies, parameters }
    }
}

struct Rules {
    admission: Admission,
    by_path: HashMap<&'static str, Vec<Known>>,
}

/// What is known of the requests that a rule is for.
struct Known {
    rule: &'static Rule,
    /// Where they are counted.
    figures: &'static RouteFigures,
    /// What their queries may name, if that matters.
    parameters: Option<parameters::Known>,
}

impl Rules {
    fn find(&self, request: &Request) -> Result<&Known, Problem> {
        let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let Some(rules) = path.and_then(|path| self.by_path.get(path)) else {
            tracing::error!(path, "a route without a rule");
            return Err(Problem::forbidden("Nobody may do this."));
        };
        let method = match *request.method() {
            Method::HEAD => "GET",
            ref method => method.as_str(),
        };
        let Some(known) = rules.iter().find(|known| known.rule.method == method) else {
            return Err(Problem::method_not_allowed(rules.iter().map(|known| known.rule.method)));
        };
        context::set_figures(known.figures);
        Ok(known)
    }

    /// The request with who asks, if they may.
    fn admit(&self, mut request: Request) -> Result<Request, Problem> {
        let Known { rule, parameters, .. } = self.find(&request)?;
        if let Who::Services(scope) = rule.who {
            let service = self.service(rule, scope, &request)?;
            request.extensions_mut().insert(service);
        } else if let Some(caller) = self.caller(rule, &request)? {
            request.extensions_mut().insert(caller);
        }
        if let (Some(query), Some(parameters)) = (request.uri().query(), parameters) {
            parameters.check(query)?;
        }
        match rule.max_body {
            Some(max) => with_body_within(request, max),
            None => Ok(request),
        }
    }

    fn caller(&self, rule: &Rule, request: &Request) -> Result<Option<Caller>, Problem> {
        let bearer = self.bearer(request);
        // The operator is held to nothing: who makes their token can make one of anybody.
        let is_operator = bearer.is_ok_and(|caller| caller.user == OPERATOR);
        if let Some(limits) = self.admission.limits.as_ref().filter(|_| !is_operator) {
            limits.ask(rule.budget, self.asker(rule, bearer, request))?;
        }
        let caller = match (bearer, rule.who) {
            (Ok(caller), _) => caller,
            (Err(AuthError::Missing), Who::Everybody | Who::Guests) | (Err(_), Who::Everybody) => {
                return Ok(None);
            }
            (Err(error), _) => return Err(error.into()),
        };
        if !rule.admits(caller.roles) {
            return Err(lacking(rule));
        }
        let with_anothers = caller.roles.has_any(rule.with_anothers);
        Ok(Some(Caller { with_anothers, ..caller }))
    }

    fn service(
        &self,
        rule: &Rule,
        scope: Scope,
        request: &Request,
    ) -> Result<ServiceCaller, Problem> {
        let found = match token(request) {
            Ok(token) => self.admission.auth.service(token, scope),
            Err(AuthError::Missing) => Err(ServiceError::Missing),
            Err(_) => Err(ServiceError::Unknown),
        };
        if let Some(limits) = &self.admission.limits {
            let asker = match found {
                Ok(service) => Asker::Service(service.key),
                Err(_) => Asker::At(self.subscriber(request)),
            };
            limits.ask(rule.budget, asker)?;
        }
        Ok(found?)
    }

    /// Whose budget it is: a person's, but an address's where persons are what is tried out.
    fn asker(&self, rule: &Rule, bearer: Result<Caller, AuthError>, request: &Request) -> Asker {
        match bearer {
            Ok(caller) if rule.budget != Budget::Authentication => Asker::Person(caller.user),
            _ => Asker::At(self.subscriber(request)),
        }
    }

    fn subscriber(&self, request: &Request) -> u128 {
        self.admission.proxies.subscriber(context::peer(), request.headers())
    }

    /// Who bears the token.
    fn bearer(&self, request: &Request) -> Result<Caller, AuthError> {
        self.admission.auth.verify(token(request)?)
    }
}

/// The token in `Authorization: Bearer ...` (RFC 6750).
fn token(request: &Request) -> Result<&str, AuthError> {
    let mut values = request.headers().get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(AuthError::Missing),
        (Some(value), None) => value.to_str().map_err(|_| AuthError::Malformed)?,
        _ => return Err(AuthError::Malformed),
    };
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_start()),
        _ => Err(AuthError::Malformed),
    }
}

fn lacking(rule: &Rule) -> Problem {
    let roles = match rule.who {
        Who::These(roles) => roles,
        _ => &[],
    };
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    Problem::forbidden(format!("This needs the role {}.", names.join(" or ")))
}

#[derive(Clone)]
struct GuardLayer(Arc<Rules>);

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, rules: self.0.clone() }
    }
}

#[derive(Clone)]
struct Guard<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> Service<Request> for Guard<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.rules.admit(request) {
            Err(problem) => Either::Right(ready(Ok(problem.into_response()))),
            Ok(request) => Either::Left(self.inner.call(request)),
        }
    }
}

#[cfg(test)]
mod tests {
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
                assert_eq!(
                    setup.ask(method, path, Some(&known)).await.0,
                    status,
                    "{method} {path}"
                );
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
}
