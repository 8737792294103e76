//! What is known of the request that the running task answers. The layer around all routes sets
//! it, so that handlers need not pass it on to where a problem is written.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use domain::Time;
use futures::FutureExt;
use futures::future::Either;
use uuid::Uuid;

use crate::clock::Clock;
use crate::ids;
use crate::limits::{Left, Peer};
use crate::metrics::RouteFigures;
use crate::trace::TraceContext;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A UUID as text.
const MAX_REQUEST_ID: usize = 36;
/// Where it has dashes.
const DASHES: [usize; 4] = [8, 13, 18, 23];

tokio::task_local! {
    static CURRENT: Context;
    static CARRIED: Carried;
}

/// What goes with work that a request left to a task of its own.
#[derive(Clone, Copy)]
struct Carried {
    request_id: RequestId,
    trace: Option<TraceContext>,
}

impl Carried {
    fn current() -> Option<Self> {
        let of = |context: &Context| Self { request_id: context.request_id, trace: context.trace };
        CURRENT.try_with(of).or_else(|_| CARRIED.try_with(|carried| *carried)).ok()
    }
}

/// `work`, for a task of its own, as part of the request that the running task answers: what is
/// logged in it is known to be the request's, and what follows from it is part of its trace.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    match Carried::current() {
        Some(carried) => Either::Left(CARRIED.scope(carried, work)),
        None => Either::Right(work),
    }
}

pub(super) struct Context {
    pub(super) request_id: RequestId,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether the handler waits for the client to send its body: tells a slow client from a slow
    /// server when time is up.
    pub(super) reading_body: Cell<bool>,
    /// What is left to whoever asks, once it was counted.
    pub(super) left: Cell<Option<Left>>,
    /// Where it is counted.
    pub(super) figures: Cell<&'static RouteFigures>,
    /// Who is at the other end of the connection.
    pub(super) peer: Option<Peer>,
    /// What the request's effects are children of.
    pub(super) trace: Option<TraceContext>,
}

impl Context {
    pub(super) fn scope<F: Future>(self, answer: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, answer)
    }
}

/// The present moment by the clock of the running request; `None` outside of one.
pub(super) fn now() -> Option<Time> {
    CURRENT.try_with(|context| context.clock.now()).ok()
}

pub(super) fn set_reading_body(reading: bool) {
    // Outside of a request there is no time-out that would ask.
    let _ = CURRENT.try_with(|context| context.reading_body.set(reading));
}

/// Has the answer say what is left, unless less is left of something else that it is counted in.
pub(crate) fn set_left(left: Left) {
    // Outside of a request there is no answer.
    let _ = CURRENT.try_with(|context| {
        let tighter = left.or_tighter(context.left.take());
        context.left.set(Some(tighter));
    });
}

pub(super) fn take_left() -> Option<Left> {
    CURRENT.try_with(|context| context.left.take()).ok().flatten()
}

/// Has the request counted with these.
pub(crate) fn set_figures(figures: &'static RouteFigures) {
    // Outside of a request there is nothing to count.
    let _ = CURRENT.try_with(|context| context.figures.set(figures));
}

/// The answer, and where the request is counted.
pub(super) fn with_figures<T>(
    answer: impl Future<Output = T>,
) -> impl Future<Output = (T, Option<&'static RouteFigures>)> {
    answer.map(|answer| (answer, CURRENT.try_with(|context| context.figures.get()).ok()))
}

/// Who is at the other end of the connection of the running request, if that is known.
pub(crate) fn peer() -> Option<Peer> {
    CURRENT.try_with(|context| context.peer).ok().flatten()
}

/// The trace of the running request, if it is part of one.
pub(crate) fn trace() -> Option<TraceContext> {
    Carried::current().and_then(|carried| carried.trace)
}

pub(super) fn is_reading_body() -> bool {
    CURRENT.try_with(|context| context.reading_body.get()).unwrap_or(false)
}

/// Names one request: in the answer's `x-request-id`, in problems, in logs, and as the correlation
/// of the records it caused. The client's own if it sent a UUID, with or without dashes, else 32
/// hexadecimal digits made here: the log never forgets, and any other text may be about a person.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// In place, because it is copied several times with every request.
    text: [u8; MAX_REQUEST_ID],
    length: u8,
}

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        // It is ASCII.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The id of the request that the running task answers, or is [carried](super::carried) for;
    /// `None` outside of one.
    pub fn current() -> Option<Self> {
        Carried::current().map(|carried| carried.request_id)
    }

    pub(super) fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(REQUEST_ID).and_then(|value| Self::sound(value.as_bytes()));
        sent.unwrap_or_else(Self::generate)
    }

    fn sound(bytes: &[u8]) -> Option<Self> {
        let is_sound = match bytes.len() {
            32 => bytes.iter().all(u8::is_ascii_hexdigit),
            MAX_REQUEST_ID => bytes.iter().enumerate().all(|(place, byte)| {
                if DASHES.contains(&place) { *byte == b'-' } else { byte.is_ascii_hexdigit() }
            }),
            _ => false,
        };
        let mut text = [0; MAX_REQUEST_ID];
        text.get_mut(..bytes.len()).filter(|_| is_sound)?.copy_from_slice(bytes);
        Some(Self { text, length: bytes.len() as u8 })
    }

    fn generate() -> Self {
        let mut text = [0; MAX_REQUEST_ID];
        let digits = Uuid::from_u128(ids::random_u128()).simple().encode_lower(&mut text).len();
        Self { text, length: digits as u8 }
    }

    pub(super) fn to_header(self) -> HeaderValue {
        // Visible characters are always a header's value.
        HeaderValue::from_bytes(self.as_bytes())
            .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::current().unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(sent: &[u8]) -> RequestId {
        let value = HeaderValue::from_bytes(sent).unwrap();
        RequestId::of(&HeaderMap::from_iter([(REQUEST_ID, value)]))
    }

    #[test]
    fn a_uuid_is_kept() {
        let dashes = "0199e1f2-3b4c-7d5e-8f60-718293A4B5C6";
        for sent in [dashes, &dashes.replace('-', "")] {
            assert_eq!(id_of(sent.as_bytes()).as_str(), sent);
        }
    }

    #[test]
    fn any_other_is_replaced() {
        let table: [&[u8]; 9] = [
            b"",
            b"ada@example.org",
            b"two words",
            b"tab\there",
            "ünï".as_bytes(),
            b"0199e1f23b4c7d5e8f60718293a4b5c",
            b"0199e1f23b4c7d5e8f60718293a4b5cg",
            b"0199e1f2-3b4c-7d5e-8f60718293a4b5c6-",
            b"00000000-0000-0000-ada@example.org--",
        ];
        for sent in table {
            let id = id_of(sent);
            assert_eq!(id.as_str().len(), 32, "{id}");
            assert!(id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
            assert_ne!(id.as_bytes(), sent);
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }
}
