//! `Streams.BatchAppend`

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::ready;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, poll};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use super::Node;
use super::proposal::{Outcome, Proposal};
use super::refusal::Refusal;
use crate::log::protocol::{
    BadRequest, BatchAppendReq, BatchAppendResp, BatchExpected, BatchResult, Expectation,
    RpcStatus, StreamIdentifier, Success, WireUuid, WrongDetails, details,
};

/// Appends under way in one call at most, and appends begun but not all there.
const MOST: usize = 1_000;

type Answers = ReceiverStream<Result<BatchAppendResp, Status>>;

/// Carries out many appends, those to the same stream in the order they came, and answers each when
/// it is done.
pub(super) async fn batch_append(
    node: Arc<Node>,
    request: Request<Streaming<BatchAppendReq>>,
) -> Result<Response<Answers>, Status> {
    let (out, answers) = mpsc::channel(MOST);
    let tasks = node.answers.clone();
    let batch = Batch { node, out, begun: HashMap::new(), under_way: FuturesUnordered::new() };
    tasks.spawn(batch.run(request.into_inner()));
    Ok(Response::new(ReceiverStream::new(answers)))
}

struct Batch {
    node: Arc<Node>,
    out: mpsc::Sender<Result<BatchAppendResp, Status>>,
    /// Appends that came in part.
    begun: HashMap<Uuid, Begun>,
    under_way: FuturesUnordered<BoxFuture<'static, BatchAppendResp>>,
}

struct Begun {
    /// Unless something in it cannot be taken.
    proposal: Result<Proposal, Refusal>,
    stream: Option<StreamIdentifier>,
    expected: Option<Expectation>,
}

impl Batch {
    async fn run(mut self, mut requests: Streaming<BatchAppendReq>) {
        let stop = self.node.stop.clone();
        loop {
            let room = self.under_way.len() < MOST;
            tokio::select! {
                Some(answer) = self.under_way.next() => {
                    if self.out.send(Ok(answer)).await.is_err() {
                        return self.finish().await;
                    }
                }
                request = requests.message(), if room => match request {
                    Ok(Some(request)) => {
                        if let Err(refusal) = self.take(request).await {
                            return self.end(refusal).await;
                        }
                    }
                    Ok(None) | Err(_) => return self.finish().await,
                },
                () = stop.cancelled() => {
                    return self.end(Refusal::unavailable("the log server stops")).await;
                }
            }
        }
    }

    /// Waits for what is under way.
    async fn finish(&mut self) {
        while let Some(answer) = self.under_way.next().await {
            // Who is gone finds the records by their ids.
            let _ = self.out.send(Ok(answer)).await;
        }
    }

    /// Answers what is under way, and ends the call.
    async fn end(&mut self, refusal: Refusal) {
        self.finish().await;
        // The client may be gone.
        let _ = self.out.send(Err(refusal.into())).await;
    }

    /// Takes a part, and begins the append if it is the last one. Fails when the whole call makes no
    /// sense.
    async fn take(&mut self, request: BatchAppendReq) -> Result<(), Refusal> {
        let BatchAppendReq { correlation, options, proposed, is_final } = request;
        let id = correlation.and_then(|id| id.id());
        let id = id.ok_or_else(|| Refusal::invalid("a part without a correlation id"))?;
        let is_full = self.begun.len() >= MOST;
        let begun = match self.begun.entry(id) {
            Entry::Occupied(begun) => begun.into_mut(),
            Entry::Vacant(_) if is_full => {
                return Err(Refusal::unavailable("too many appends are begun"));
            }
            Entry::Vacant(vacant) => {
                let options = options.unwrap_or_default();
                let (stream, expected) = (options.stream, options.expected);
                let proposal = Proposal::new(stream.clone(), expected);
                vacant.insert(Begun { proposal, stream, expected })
            }
        };
        let now = self.node.clock.now();
        for proposed in &proposed {
            if let Ok(proposal) = &mut begun.proposal
                && let Err(refused) = proposal.push(proposed, now)
            {
                begun.proposal = Err(refused);
            }
        }
        if is_final && let Some(begun) = self.begun.remove(&id) {
            self.begin(id, begun).await;
        }
        Ok(())
    }

    async fn begin(&mut self, id: Uuid, begun: Begun) {
        // It looks for the stream first, which an append under way may be about to make.
        let looks = begun.expected == Some(Expectation::StreamExists(()));
        if looks {
            self.finish().await;
        }
        let log = Arc::clone(&self.node.log);
        let mut append = async move {
            let Begun { proposal, stream, expected } = begun;
            let outcome = match proposal {
                Ok(proposal) => proposal.carry_out(&log).await,
                Err(refused) => Err(refused),
            };
            answer(id, stream, expected, outcome)
        }
        .boxed();
        // From here on it has its place in the log, unless it still looks.
        match poll!(&mut append) {
            Poll::Ready(answer) => self.under_way.push(ready(answer).boxed()),
            Poll::Pending => self.under_way.push(append),
        }
        if looks {
            self.finish().await;
        }
    }
}

fn answer(
    id: Uuid,
    stream: Option<StreamIdentifier>,
    expected: Option<Expectation>,
    outcome: Result<Outcome, Refusal>,
) -> BatchAppendResp {
    let result = match outcome {
        Ok(Outcome::Appended(to, first)) => {
            BatchResult::Success(Success::at(to.revision, to.position.0, first))
        }
        Ok(Outcome::Wrong(actual)) => {
            let expected = expected.unwrap_or(Expectation::Any(()));
            BatchResult::Error(RpcStatus {
                code: Code::FailedPrecondition as i32,
                message: "WrongExpectedVersion".to_owned(),
                details: Some(details(
                    "WrongExpectedVersion",
                    &WrongDetails::new(expected, actual),
                )),
            })
        }
        Err(Refusal { code, text }) => {
            let message = text.into_owned();
            let bad = BadRequest { message: message.clone() };
            let details = (code == Code::InvalidArgument).then(|| details("BadRequest", &bad));
            BatchResult::Error(RpcStatus { code: code as i32, message, details })
        }
    };
    BatchAppendResp {
        correlation: Some(WireUuid::structured(id)),
        stream: Some(stream.unwrap_or(StreamIdentifier { name: Bytes::new() })),
        result: Some(result),
        expected: expected.map(BatchExpected::from),
    }
}
