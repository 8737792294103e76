//! `Streams.Append`

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};

use super::Node;
use super::proposal::{Outcome, Proposal};
use super::refusal::Refusal;
use crate::log::protocol::{
    AppendPart, AppendReq, AppendResp, AppendResult, Success, WrongExpectedVersion,
};

/// Appends all records of the call, or none. A call that breaks off before its end appends none.
pub(super) async fn append(
    node: Arc<Node>,
    request: Request<Streaming<AppendReq>>,
) -> Result<Response<AppendResp>, Status> {
    let mut parts = request.into_inner();
    let Some(AppendPart::Options(options)) = next(&mut parts).await? else {
        return Err(Refusal::invalid("the first message has to name the stream").into());
    };
    let mut proposal = Proposal::new(options.stream, options.expected)?;
    let now = node.clock.now();
    while let Some(part) = next(&mut parts).await? {
        let AppendPart::Proposed(proposed) = part else {
            return Err(Refusal::invalid("one call is one append").into());
        };
        proposal.push(&proposed, now)?;
    }
    let expected = proposal.expected;
    let result = match proposal.carry_out(&node.log).await? {
        Outcome::Appended(to, first) => {
            AppendResult::Success(Success::at(to.revision, to.position.0, first))
        }
        Outcome::Wrong(actual) => AppendResult::Wrong(WrongExpectedVersion::new(expected, actual)),
    };
    Ok(Response::new(AppendResp { result: Some(result) }))
}

async fn next(parts: &mut Streaming<AppendReq>) -> Result<Option<AppendPart>, Status> {
    match parts.message().await? {
        Some(AppendReq { content: None }) => Err(Refusal::invalid("an empty message").into()),
        Some(AppendReq { content }) => Ok(content),
        None => Ok(None),
    }
}
