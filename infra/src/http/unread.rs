//! The body of a request that was answered without it, as one that is too large or not allowed. What
//! follows on the connection could not be told from it: a small one is read to its end, and after any
//! other the connection is closed, which the answer says (RFC 9112, 9.6).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, EXPECT};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use parking_lot::Mutex;

/// A body up to this is rather read than the connection closed.
const SMALL: u64 = 64 << 10;

/// For so long the answer waits for the rest of a small one.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is left of a body, put here by whoever drops it.
type Place = Arc<Mutex<Option<Incoming>>>;

/// The body of a request, as long as somebody may read it.
pub(super) struct Unread {
    place: Place,
    is_worth_reading: bool,
}

/// The request, and what is known later of its body if it has one.
pub(super) fn watch(request: hyper::Request<Incoming>) -> (Request, Option<Unread>) {
    let body = request.body();
    if hyper::body::Body::is_end_stream(body) {
        return (request.map(Body::new), None);
    }
    let is_small = hyper::body::Body::size_hint(body).upper().is_some_and(|size| size <= SMALL);
    // Whoever asks first whether to send it is not to be told to.
    let is_worth_reading = is_small && !request.headers().contains_key(EXPECT);
    let place = Place::default();
    let unread = Unread { place: place.clone(), is_worth_reading };
    let watched = |body| Body::new(Watched { body: Some(body), has_ended: false, place });
    (request.map(watched), Some(unread))
}

/// The answer, which says so if the connection is closed after it.
pub(super) async fn settle(mut answer: Response, unread: Option<Unread>) -> Response {
    let Some(Unread { place, is_worth_reading }) = unread else { return answer };
    let rest = place.lock().take();
    if let Some(rest) = rest
        && !(is_worth_reading && is_read(rest).await)
    {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// Reads the rest of a body, if it comes soon.
async fn is_read(mut body: Incoming) -> bool {
    let read = async { while let Some(Ok(_)) = body.frame().await {} };
    let in_time = tokio::time::timeout(PATIENCE, read).await.is_ok();
    in_time && hyper::body::Body::is_end_stream(&body)
}

struct Watched {
    /// There until this is dropped.
    body: Option<Incoming>,
    has_ended: bool,
    place: Place,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.has_ended {
            *self.place.lock() = self.body.take();
        }
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        self.has_ended = frame.is_none() || matches!(frame, Some(Ok(_))) && body.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(hyper::body::Body::size_hint).unwrap_or_default()
    }
}
