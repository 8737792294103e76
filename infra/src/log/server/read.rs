//! `Streams.Read`: what a client asks for, and reads that end.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::cursor::{Cursor, PAGE};
use super::filter::Filter;
use super::outgoing::{Answers, Gone, Outgoing};
use super::proposal::name;
use super::refusal::Refusal;
use super::subscribe::{Following, follow};
use super::{Node, proposal};
use crate::log::protocol::{
    AllOption, Count, ReadContent, ReadFrom, ReadOptions, ReadReq, RevisionOption,
    StreamIdentifier, StreamNotFound, UuidContent,
};
use crate::log::{Log, Position};

/// Reads or follows.
pub(super) async fn read(
    node: Arc<Node>,
    request: Request<ReadReq>,
) -> Result<Response<Answers>, Status> {
    let bad = |text: &'static str| Refusal::invalid(text);
    let options = request.into_inner().options.ok_or_else(|| bad("the read has no options"))?;
    let ReadOptions { direction, uuids, from, count, filter } = options;
    let text_ids = matches!(uuids.and_then(|uuids| uuids.content), Some(UuidContent::Text(())));
    let from = from.ok_or_else(|| bad("the read names no stream"))?;
    let count = count.ok_or_else(|| bad("the read has neither an end nor none"))?;
    let filter = Filter::new(filter)?;
    let backwards = direction == ReadOptions::BACKWARDS;
    let (out, answers) = Outgoing::new(text_ids);
    let tasks = node.answers.clone();
    match count {
        Count::Subscription(()) if backwards => {
            return Err(bad("what is to come cannot be read backwards").into());
        }
        Count::Subscription(()) => {
            let following = Following::new(&node, from, filter).await?;
            tasks.spawn(follow(node, following, out));
        }
        Count::Limit(limit) => {
            node.load.read();
            let cursor = cursor(from, backwards)?;
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            tasks.spawn(pages(node, cursor, limit, filter, out));
        }
    }
    Ok(Response::new(answers))
}

/// Where a read begins. Forwards the place that was named is read too; backwards in `$all`, as in
/// the original, it is not.
fn cursor(from: ReadFrom, backwards: bool) -> Result<Cursor, Refusal> {
    let nowhere = || Refusal::invalid("the read says nowhere to begin");
    Ok(match from {
        ReadFrom::Stream(options) => {
            let name = name(options.stream)?;
            let from = match options.revision.ok_or_else(nowhere)? {
                RevisionOption::Revision(revision) => revision,
                RevisionOption::Start(()) => 0,
                RevisionOption::End(()) => u64::MAX,
            };
            match backwards {
                false => Cursor::Stream { name, from },
                true => Cursor::StreamBack { name, from: Some(from) },
            }
        }
        ReadFrom::All(options) => {
            let place = match options.place.ok_or_else(nowhere)? {
                AllOption::Place(place) => place.commit,
                AllOption::Start(()) => 0,
                AllOption::End(()) => u64::MAX,
            };
            match backwards {
                false => Cursor::All { after: Position(place.saturating_sub(1)) },
                true => Cursor::AllBack { before: Position(place) },
            }
        }
    })
}

async fn pages(
    node: Arc<Node>,
    cursor: Cursor,
    limit: usize,
    filter: Option<Filter>,
    mut out: Outgoing,
) {
    if let Err(Ended::Failed(refusal)) = send(&node, cursor, limit, filter, &mut out).await {
        out.fail(refusal).await;
    }
}

/// Why sending ended early.
pub(super) enum Ended {
    Gone,
    Failed(Refusal),
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Failed(refusal)
    }
}

impl From<crate::log::ReadError> for Ended {
    fn from(error: crate::log::ReadError) -> Self {
        Self::Failed(Refusal::unreadable(&error))
    }
}

async fn send(
    node: &Node,
    mut cursor: Cursor,
    limit: usize,
    filter: Option<Filter>,
    out: &mut Outgoing,
) -> Result<(), Ended> {
    let mut left = limit;
    let mut is_first = true;
    while left > 0 {
        // With a filter nobody knows how many have to be looked at.
        let page = cursor.page(&node.log, if filter.is_some() { PAGE } else { left }).await?;
        if page.is_empty() {
            if is_first && let Some(name) = cursor.missing_stream(&node.log).await? {
                let stream = Some(StreamIdentifier { name: name.into() });
                out.send(ReadContent::StreamNotFound(StreamNotFound { stream })).await?;
            }
            break;
        }
        is_first = false;
        for record in page {
            let wanted = filter.as_ref().map_or(Ok(true), |filter| filter.passes(&record))?;
            if wanted && left > 0 {
                out.record(record).await?;
                left -= 1;
            }
        }
    }
    Ok(())
}

/// Where a subscription begins.
pub(super) async fn beginning(
    node: &Node,
    from: ReadFrom,
) -> Result<(Option<String>, u64), Refusal> {
    match from {
        ReadFrom::Stream(options) => {
            let name = proposal::name(options.stream)?;
            // After the revision that was named.
            let next = match options.revision {
                Some(RevisionOption::Revision(revision)) => revision.saturating_add(1),
                Some(RevisionOption::Start(())) | None => 0,
                Some(RevisionOption::End(())) => {
                    let last = node.log.read_stream_back(&name, u64::MAX, 1).await;
                    let last = last.map_err(|error| Refusal::unreadable(&error))?;
                    last.first().map_or(0, |last| last.revision + 1)
                }
            };
            Ok((Some(name), next))
        }
        ReadFrom::All(options) => {
            let after = match options.place {
                Some(AllOption::Place(place)) => place.commit,
                Some(AllOption::Start(())) | None => 0,
                Some(AllOption::End(())) => {
                    node.log.head().await.map_err(|error| Refusal::unreadable(&error))?.0
                }
            };
            Ok((None, after))
        }
    }
}
