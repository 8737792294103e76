//! The layer around all routes: request ids, limits, time-outs, panics, and problems where there
//! is no route. One piece rather than a stack of layers, and around the router rather than around
//! each of its routes, because every request pays for it.

use std::convert::Infallible;
use std::ops::Not;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use futures::future::{BoxFuture, lazy};
use http_body_util::Limited;
use tower::Service;
use tracing::Instrument;

use super::context::{self, Context, REQUEST_ID, RequestId};
use super::cors::Origins;
use super::problem::{self, Problem};
use super::serve::{Site, Visit};
use crate::auth::Guarded;
use crate::clock::Clock;
use crate::limits::TrustedProxies;
use crate::metrics::{METRICS, RouteFigures};
use crate::trace;

/// What one request, and all together, may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceLimits {
    /// The largest body, in bytes; beyond it 413.
    pub max_body_bytes: usize,
    /// The longest wait for the head of an answer; beyond it 503, or 408 if the client's body is
    /// what is waited for. What is streamed after the head may take any time.
    pub request_timeout: Duration,
    /// The most requests that wait for the head of an answer at once; beyond it 503.
    pub max_in_flight: usize,
}

impl Default for ServiceLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            request_timeout: Duration::from_secs(30),
            max_in_flight: 1 << 16,
        }
    }
}

/// Wraps all routes of a process, once, outermost. They are served in no other way, and hence to
/// nobody but by the rules. Gives every request an id (`x-request-id`), a span of level debug, holds
/// it to `limits`, turns panics into problems, and answers unknown paths (404) and methods (405) with
/// problems.
pub fn service(router: Guarded, limits: ServiceLimits, clock: Arc<dyn Clock>) -> Edge {
    let (router, proxies) = router.into_parts();
    let router =
        router.fallback(problem::no_such_path).method_not_allowed_fallback(problem::no_such_method);
    let (in_flight, no_route) = (AtomicUsize::new(0), METRICS.requests.of("any", "none"));
    Edge { router, shared: Arc::new(Shared { limits, clock, in_flight, no_route, proxies }) }
}

/// All routes of a process and the layer around them.
#[derive(Clone)]
pub struct Edge {
    router: Router,
    shared: Arc<Shared>,
}

struct Shared {
    limits: ServiceLimits,
    clock: Arc<dyn Clock>,
    in_flight: AtomicUsize,
    /// Where requests are counted that came to no route.
    no_route: &'static RouteFigures,
    proxies: TrustedProxies,
}

impl Edge {
    /// The same, with pages of these origins let in.
    pub fn open_to(self, origins: &Origins) -> Self {
        Self { router: origins.allow(self.router), shared: self.shared }
    }
}

impl Site for Edge {
    fn answer(&self, request: Request, visit: Visit) -> impl Future<Output = Response> + 'static {
        answer(self.router.clone(), Arc::clone(&self.shared), request, visit)
    }
}

/// A call by whom nothing is known, as tests make them.
impl Service<Request> for Edge {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        // As the router, which always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(self.answer(request, Visit::default()).map(Ok))
    }
}

async fn answer(
    mut router: Router,
    shared: Arc<Shared>,
    request: Request,
    visit: Visit,
) -> Response {
    let request_id = RequestId::of(request.headers());
    // Without the query, which may be about a person.
    let (method, path) = (request.method(), request.uri().path());
    let span = tracing::debug_span!("request", %request_id, %method, path);
    if span.is_disabled().not()
        && let Some(sent) = request.headers().get(REQUEST_ID)
        && sent.as_bytes() != request_id.as_bytes()
    {
        tracing::debug!(parent: &span, ?sent, "the client's request id is no UUID: it is replaced");
    }
    let traced = trace::request(&request);
    let begun = Instant::now();
    let by_tls = shared.proxies.by_tls(visit.peer, request.headers());
    let clock = Arc::clone(&shared.clock);
    let context = Context {
        request_id,
        clock,
        reading_body: std::cell::Cell::new(false),
        left: std::cell::Cell::new(None),
        figures: std::cell::Cell::new(shared.no_route),
        peer: visit.peer,
        trace: traced.context,
    };
    // Pinned here: each further future around it would have room for it of its own.
    let response = pin!(context.scope(context::with_figures(async move {
        if let Some(refusal) = visit.refusal() {
            return refusal.into_response();
        }
        let Some(_place) = InFlight::enter(&shared) else {
            return problem::overloaded().into_response();
        };
        let request = match with_body_within(request, shared.limits.max_body_bytes) {
            Ok(request) => request,
            Err(problem) => return problem.into_response(),
        };
        // The panic is logged by the panic hook, which sees where it happened.
        let answer = AssertUnwindSafe(lazy(|_| router.call(request)).flatten()).catch_unwind();
        let mut response = match tokio::time::timeout(shared.limits.request_timeout, answer).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Err(_panic)) => Problem::fault().into_response(),
            Err(_elapsed) => problem::timed_out().into_response(),
        };
        if let Some(left) = context::take_left() {
            left.tell(response.headers_mut());
        }
        response
    })));
    let response = response.instrument(traced.span.clone());
    let (mut response, figures) = response.instrument(span.clone()).await;
    let (status, took) = (response.status(), begun.elapsed());
    if let Some(figures) = figures {
        figures.answered(status, took);
        traced.answered(figures, status);
    }
    if span.is_disabled().not() {
        let (status, took_us) = (status.as_u16(), took.as_micros());
        tracing::debug!(parent: &span, status, took_us, "answered");
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, request_id.to_header());
    headers.extend(SECURITY);
    if by_tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, ONLY_TLS);
    }
    response
}

/// What browsers are told of every answer: it is what it says it is, and nothing to show or to run.
const SECURITY: [(HeaderName, HeaderValue); 3] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// Who came by TLS is not to come in another way. Others are not told (RFC 6797, 7.2).
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// The request with a body that ends with an error beyond `max` bytes. Also for routes that take
/// less than others.
///
/// # Errors
/// 413 if it is known now that the body is longer.
pub fn with_body_within(request: Request, max: usize) -> Result<Request, Problem> {
    match request.body().size_hint().exact() {
        Some(length) if length <= max as u64 => Ok(request),
        Some(_) => Err(problem::too_large()),
        None => Ok(request.map(|body| Body::new(Limited::new(body, max)))),
    }
}

/// A place among the requests that wait for their answer's head; given back when dropped.
struct InFlight<'a>(&'a Shared);

impl<'a> InFlight<'a> {
    fn enter(shared: &'a Shared) -> Option<Self> {
        let before = shared.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = Self(shared);
        (before < shared.limits.max_in_flight).then_some(place)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
