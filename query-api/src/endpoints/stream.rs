//! `GET /events/{id}/stream`: what is left of an event and its seats, pushed as server-sent events
//! (CT-4). Needs the log alone.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use domain::EventId;
use infra::http::{MinPosition, Path, Problem, ProblemDocument};
use infra::log::Position;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::QueryState;
use crate::live::Live;
use crate::live::frames::{Frame, SeatChanges, whole};
use crate::problems;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A comment is sent when there was nothing to send for so long, so that nobody in between takes
/// the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A piece of a frame. The connection holds a few of them and nothing else, so that a reader that
/// stops reading in the middle of a large seat map does not keep it in memory.
const PIECE: usize = 64 << 10;
const PIECES: usize = 2;

/// What is left of an event, pushed as it changes.
///
/// First a message `availability`, as `GET /events/{id}/availability` answers, and when the event
/// sells seats a message `seats`, as `GET /events/{id}/seats` answers. Then, at most every 100 ms,
/// `availability` with the totals and the tiers that changed, and `seats` with the seats that
/// changed. The last message told together has the position of the log as its id; with
/// `Last-Event-ID` a reader is told what changed since. A reader that is too slow is cut off.
#[utoipa::path(
    get,
    path = "/api/v1/events/{event_id}/stream",
    tag = "events",
    params(
        ("event_id" = String, Path, description = "`evt_...`"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last message read"),
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the start must include"),
    ),
    responses(
        (status = 200, description = "Messages, for as long as the client listens", body = SeatChanges<'static>, content_type = "text/event-stream"),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "EVENT_NOT_FOUND"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "TOO_MANY_STREAMS, LOG_UNAVAILABLE, HISTORY_DAMAGED, NOT_YET_VISIBLE"),
    ),
)]
pub(crate) async fn get_stream(
    State(state): State<QueryState>,
    Path(event): Path<EventId>,
    MinPosition(min): MinPosition,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let live = state.live;
    live.at_least(min).await?;
    let place = live.enter_stream().ok_or_else(problems::too_many_streams)?;
    let (first, news) = begin(&live, event, last_seen(&headers)).await?;
    let (pieces, body) = mpsc::channel(PIECES);
    let reader = Reader { pieces, patience: live.stream_patience(), told: first.upto };
    live.spawn(follow(live.clone(), reader, first, news, place));
    let body = ReceiverStream::new(body).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would collect the messages otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The position up to which the reader was told. What is no position counts as nothing told.
fn last_seen(headers: &HeaderMap) -> Option<Position> {
    headers.get(LAST_EVENT_ID)?.to_str().ok()?.parse().ok().map(Position)
}

/// What to tell first, and the news after it.
async fn begin(
    live: &Live,
    event: EventId,
    since: Option<Position>,
) -> Result<(Frame, broadcast::Receiver<Frame>), Problem> {
    let begin = live.again_if_dropped(event, |event| async move {
        // Before the first frame, so that nothing is missed between them.
        let news = event.frames()?;
        if let Some(changes) = since.and_then(|since| event.news_since(since)) {
            return Some((changes, news));
        }
        Some((whole(&event.snapshot().await?), news))
    });
    Ok(begin.await?)
}

/// The reader of one event stream.
struct Reader {
    pieces: mpsc::Sender<Bytes>,
    patience: Duration,
    /// Up to here all is told.
    told: Position,
}

/// Why an event stream ends.
enum End {
    /// The reader went.
    Gone,
    /// The reader is too slow.
    TooSlow,
    /// The event was dropped from memory; the reader may come again.
    Dropped,
}

async fn follow(
    live: Live,
    mut reader: Reader,
    first: Frame,
    mut news: broadcast::Receiver<Frame>,
    place: OwnedSemaphorePermit,
) {
    let end = reader.follow(first, &mut news).await;
    drop(place);
    if matches!(end, End::TooSlow) {
        live.count_cut_off();
        tracing::debug!("an event stream was cut off: its reader is too slow");
    }
}

impl Reader {
    async fn follow(&mut self, first: Frame, news: &mut broadcast::Receiver<Frame>) -> End {
        // How long a browser waits before it comes again.
        const RETRY: Bytes = Bytes::from_static(b"retry: 2000\n\n");
        const ALIVE: Bytes = Bytes::from_static(b": still here\n\n");
        let sent = async {
            self.send(RETRY).await?;
            self.send(first.bytes).await?;
            loop {
                let frame = tokio::select! {
                    frame = news.recv() => frame,
                    () = self.pieces.closed() => return Err(End::Gone),
                    () = tokio::time::sleep(KEEP_ALIVE) => {
                        self.send(ALIVE).await?;
                        continue;
                    }
                };
                match frame {
                    Ok(frame) if frame.upto > self.told => {
                        self.told = frame.upto;
                        self.send(frame.bytes).await?;
                    }
                    Ok(_told_before) => {}
                    Err(RecvError::Lagged(_)) => return Err(End::TooSlow),
                    Err(RecvError::Closed) => return Err(End::Dropped),
                }
            }
        };
        let end: Result<Infallible, End> = sent.await;
        match end {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn send(&self, bytes: Bytes) -> Result<(), End> {
        let whole = bytes.len() <= PIECE;
        for piece in bytes.chunks(PIECE) {
            // A copy of a piece, where keeping the piece would keep all of it.
            let piece = if whole { bytes.clone() } else { Bytes::copy_from_slice(piece) };
            match tokio::time::timeout(self.patience, self.pieces.send(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_gone)) => return Err(End::Gone),
                Err(_elapsed) => return Err(End::TooSlow),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(upto: u64, bytes: &[u8]) -> Frame {
        Frame { upto: Position(upto), bytes: Bytes::copy_from_slice(bytes) }
    }

    /// A reader that was told all up to position 5, what is sent to it, and its end.
    fn reading(
        first: Frame,
    ) -> (broadcast::Sender<Frame>, mpsc::Receiver<Bytes>, tokio::task::JoinHandle<End>) {
        let (sender, mut news) = broadcast::channel(4);
        let (pieces, body) = mpsc::channel(PIECES);
        let patience = Duration::from_secs(30);
        let mut reader = Reader { pieces, patience, told: Position(5) };
        let end = tokio::spawn(async move { reader.follow(first, &mut news).await });
        (sender, body, end)
    }

    async fn text(body: &mut mpsc::Receiver<Bytes>) -> String {
        String::from_utf8(body.recv().await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_is_kept_alive_and_nothing_is_told_twice() {
        let (news, mut body, end) = reading(frame(5, b"first"));
        assert_eq!(text(&mut body).await, "retry: 2000\n\n");
        assert_eq!(text(&mut body).await, "first");
        assert_eq!(text(&mut body).await, ": still here\n\n");
        for (upto, bytes) in [(4, b"a"), (5, b"b"), (6, b"c"), (6, b"d"), (7, b"e")] {
            news.send(frame(upto, bytes)).unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(text(&mut body).await, "c");
        assert_eq!(text(&mut body).await, "e");
        drop(news);
        assert!(matches!(end.await.unwrap(), End::Dropped));
        assert!(body.recv().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_for_too_long_or_falls_too_far_behind_is_cut_off() {
        let large = vec![b'x'; (PIECES + 2) * PIECE];
        let (_news, _body, end) = reading(frame(5, &large));
        assert!(matches!(end.await.unwrap(), End::TooSlow));

        let (news, mut body, end) = reading(frame(5, b"first"));
        for upto in 6..20 {
            news.send(frame(upto, b"news")).unwrap();
        }
        while body.recv().await.is_some() {}
        assert!(matches!(end.await.unwrap(), End::TooSlow));
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_frame_comes_whole_in_pieces() {
        let large: Vec<u8> = (0..3 * PIECE + 7).map(|place| (place % 251) as u8).collect();
        let (_news, mut body, end) = reading(frame(5, &large));
        assert_eq!(text(&mut body).await, "retry: 2000\n\n");
        let mut whole = vec![];
        while whole.len() < large.len() {
            let piece = body.recv().await.unwrap();
            assert!(piece.len() <= PIECE);
            whole.extend_from_slice(&piece);
        }
        assert_eq!(whole, large);
        drop(body);
        assert!(matches!(end.await.unwrap(), End::Gone));
    }
}
