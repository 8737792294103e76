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
mod tests;
