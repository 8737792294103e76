//! Where in which trace something happens, as W3C Trace Context writes it.

use std::fmt;
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use crate::log::{Metadata, Record};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A place in a trace: what happens because of it is its child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    /// Whether spans are kept.
    sampled: bool,
}

/// The text is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a traceparent, as 00-32 hexadecimal digits-16 hexadecimal digits-01")]
pub struct TraceParentError;

impl TraceContext {
    /// What a request says it is part of. More than one header, or none that is sound, is none.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok()?.parse().ok(),
            _ => None,
        }
    }

    /// What a record says it came from.
    pub fn of_record(record: &Record) -> Option<Self> {
        // Most have none, and are not worth being parsed.
        if !record.metadata.contains(r#""trace":""#) {
            return None;
        }
        let metadata: Metadata = serde_json::from_str(&record.metadata).ok()?;
        metadata.trace?.parse().ok()
    }

    /// Whether spans of it are kept.
    pub fn is_sampled(self) -> bool {
        self.sampled
    }

    /// The trace, as 32 hexadecimal digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }

    pub(super) fn without_spans(self) -> Self {
        Self { sampled: false, ..self }
    }

    pub(super) fn to_span_context(self) -> SpanContext {
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let (trace, span) = (TraceId::from(self.trace), SpanId::from(self.span));
        SpanContext::new(trace, span, flags, true, TraceState::default())
    }

    /// As the parent of spans.
    pub(super) fn to_parent(self) -> opentelemetry::Context {
        opentelemetry::Context::new().with_remote_span_context(self.to_span_context())
    }
}

impl From<&SpanContext> for TraceContext {
    fn from(context: &SpanContext) -> Self {
        Self {
            trace: u128::from_be_bytes(context.trace_id().to_bytes()),
            span: u64::from_be_bytes(context.span_id().to_bytes()),
            sampled: context.is_sampled(),
        }
    }
}

/// As a `traceparent` of version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl FromStr for TraceContext {
    type Err = TraceParentError;

    /// Versions to come may say more behind the flags; that is passed over, as their rules say.
    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
            part.bytes().all(is_digit).then_some(part)
        };
        let mut parse = || {
            let version = u8::from_str_radix(part(2)?, 16).ok()?;
            let trace = u128::from_str_radix(part(32)?, 16).ok().filter(|trace| *trace != 0)?;
            let span = u64::from_str_radix(part(16)?, 16).ok().filter(|span| *span != 0)?;
            let flags = u8::from_str_radix(part(2)?, 16).ok()?;
            Some((version, Self { trace, span, sampled: flags & 1 == 1 }))
        };
        let parsed = parse().ok_or(TraceParentError)?;
        match (parsed, parts.next()) {
            ((255, _), _) | ((0, _), Some(_)) => Err(TraceParentError),
            ((_, context), _) => Ok(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const SOUND: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_comes_back_as_it_was() {
        for text in [SOUND, "00-000000000000000000000000000000ff-0000000000000001-00"] {
            let context: TraceContext = text.parse().unwrap();
            assert_eq!(context.to_string(), text);
            assert_eq!(context.is_sampled(), text.ends_with("01"));
            assert_eq!(TraceContext::from(&context.to_span_context()), context);
        }
    }

    #[test]
    fn of_the_flags_one_is_known_and_of_later_versions_the_beginning() {
        for (text, same) in [
            (SOUND.replace("-01", "-ff"), SOUND.to_owned()),
            (SOUND.replace("-01", "-fe"), SOUND.replace("-01", "-00")),
            (SOUND.replacen("00", "cc", 1), SOUND.to_owned()),
            (format!("{}-what-comes", SOUND.replacen("00", "01", 1)), SOUND.to_owned()),
        ] {
            assert_eq!(text.parse::<TraceContext>().unwrap().to_string(), same, "{text}");
        }
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for text in [
            "",
            "00",
            &SOUND.to_uppercase(),
            &SOUND.replacen("00", "ff", 1),
            &SOUND.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &SOUND.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &SOUND.replace("4bf9", "+bf9"),
            &SOUND.replace("-01", "-1"),
            &format!("{SOUND}-more"),
            &format!(" {SOUND}"),
            "00-é",
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(TraceParentError), "{text}");
        }
    }

    #[test]
    fn two_headers_are_none() {
        let value = HeaderValue::from_static(SOUND);
        let mut headers = HeaderMap::from_iter([(TRACEPARENT, value.clone())]);
        assert!(TraceContext::of(&headers).is_some());
        headers.append(TRACEPARENT, value);
        assert!(TraceContext::of(&headers).is_none());
    }
}
