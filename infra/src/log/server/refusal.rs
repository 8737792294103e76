//! Why a call is not answered as the client would like.

use std::borrow::Cow;

use tonic::{Code, Status};

/// A code of the protocol and a sentence for whoever reads the client's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) text: Cow<'static, str>,
}

impl Refusal {
    fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, text: text.into() }
    }

    /// The client asks for what there cannot be.
    pub(super) fn invalid(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidArgument, text)
    }

    /// This log does not do such things.
    pub(super) fn unsupported(text: &'static str) -> Self {
        Self::new(Code::FailedPrecondition, text)
    }

    /// Who asks is not who may.
    pub(super) fn unauthenticated(text: &'static str) -> Self {
        Self::new(Code::Unauthenticated, text)
    }

    /// Later it may be answered.
    pub(super) fn unavailable(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unavailable, text)
    }

    /// Whether it was done cannot be said.
    pub(super) fn unknown(text: &'static str) -> Self {
        Self::new(Code::Unknown, text)
    }

    /// The log cannot be read, which is told in detail here and in short to the client.
    pub(super) fn unreadable(error: &crate::log::ReadError) -> Self {
        let error: &dyn std::error::Error = error;
        tracing::error!(error, "a call could not be answered");
        Self::unavailable("the log cannot be read")
    }
}

impl From<Refusal> for Status {
    fn from(Refusal { code, text }: Refusal) -> Self {
        Self::new(code, text)
    }
}
