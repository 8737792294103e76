//! A place in a stream or in the whole log, and the records from there on, a page at a time.

use crate::log::embedded::EmbeddedLog;
use crate::log::{Log, Position, ReadError, Record};

/// Records read at once.
pub(super) const PAGE: usize = 1_024;

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cursor {
    /// Towards the end, from this revision.
    Stream { name: String, from: u64 },
    /// Towards the beginning, from this revision; nothing is left without one.
    StreamBack { name: String, from: Option<u64> },
    /// Towards the end, after this position.
    All { after: Position },
    /// Towards the beginning, before this position.
    AllBack { before: Position },
}

impl Cursor {
    /// The next records, at most `limit` and [`PAGE`]; none at the end.
    pub(super) async fn page(
        &mut self,
        log: &EmbeddedLog,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let limit = limit.min(PAGE);
        let page = match self {
            Self::Stream { name, from } => log.read_stream(name, *from, limit).await?,
            Self::StreamBack { from: None, .. } => vec![],
            Self::StreamBack { name, from: Some(from) } => {
                log.read_stream_back(name, *from, limit).await?
            }
            Self::All { after } => log.read_all(*after, limit).await?,
            Self::AllBack { before } => log.read_all_back(*before, limit).await?,
        };
        if let Some(last) = page.last() {
            match self {
                Self::Stream { from, .. } => *from = last.revision + 1,
                Self::StreamBack { from, .. } => *from = last.revision.checked_sub(1),
                Self::All { after } => *after = last.position,
                Self::AllBack { before } => *before = last.position,
            }
        }
        Ok(page)
    }

    /// The stream it is in, if there is no such stream.
    pub(super) async fn missing_stream(
        &self,
        log: &EmbeddedLog,
    ) -> Result<Option<String>, ReadError> {
        match self {
            Self::Stream { name, .. } | Self::StreamBack { name, .. } => {
                Ok(log.read_stream(name, 0, 1).await?.is_empty().then(|| name.clone()))
            }
            Self::All { .. } | Self::AllBack { .. } => Ok(None),
        }
    }
}
