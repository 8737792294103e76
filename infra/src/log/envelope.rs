//! How a record of the product stands in the EventStoreDB protocol.
//!
//! Stream, id, kind and data are the protocol's own. What it has no place for goes into the
//! record's custom metadata, which is one JSON object:
//!
//! ```json
//! {"evently":1,"version":1,"at":"2027-01-15T08:00:00.000Z","hash":"9f2c...","metadata":{...}}
//! ```
//!
//! `evently` is the version of this form, `version` that of the data's, `at` when it was decided,
//! `hash` the chain hash, and `metadata` the record's metadata to the byte. Metadata that is not
//! JSON is in `text` instead, as a string.

use std::borrow::Cow;
use std::fmt::Write;

use bytes::Bytes;
use domain::Time;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ChainHash;

const FORM: u32 = 1;

/// What the custom metadata of a record of the product says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    /// Version of the data's form.
    pub(super) version: u16,
    /// When it was decided.
    pub(super) at: Time,
    /// The chain hash.
    pub(super) hash: ChainHash,
    /// The record's metadata.
    pub(super) metadata: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Form<'a> {
    evently: u32,
    version: u16,
    at: Time,
    #[serde(borrow)]
    hash: Cow<'a, str>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(default)]
    text: Option<String>,
}

impl<'a> Envelope<'a> {
    /// Reads custom metadata; nothing if a record with it is not of the product.
    pub(super) fn read(custom: &'a [u8]) -> Option<Self> {
        let form: Form<'a> = serde_json::from_slice(custom).ok()?;
        let metadata = match (form.metadata, form.text) {
            (Some(raw), None) => Cow::Borrowed(raw.get()),
            (None, Some(text)) => Cow::Owned(text),
            _ => return None,
        };
        let hash = form.hash.parse().ok()?;
        (form.evently == FORM).then_some(Self {
            version: form.version,
            at: form.at,
            hash,
            metadata,
        })
    }

    /// Writes custom metadata.
    pub(super) fn write(&self) -> Bytes {
        let Self { version, at, hash, metadata } = self;
        let mut text = String::with_capacity(160 + metadata.len());
        // Text can always be written to.
        let _ =
            write!(text, r#"{{"evently":{FORM},"version":{version},"at":"{at}","hash":"{hash}","#);
        if is_json(metadata) {
            let _ = write!(text, r#""metadata":{metadata}}}"#);
        } else {
            let _ = write!(text, r#""text":{}}}"#, serde_json::Value::from(metadata.as_ref()));
        }
        text.into()
    }
}

/// Whether the text comes back as it is when it is read as part of JSON.
fn is_json(text: &str) -> bool {
    // White space around it would be lost, and `null` would be taken for absence.
    text != "null"
        && serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get().len() == text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(metadata: &str) -> Envelope<'_> {
        Envelope {
            version: 7,
            at: Time::from_ms(1_800_000_000_001),
            hash: ChainHash::before_first("s"),
            metadata: Cow::Borrowed(metadata),
        }
    }

    #[test]
    fn the_form_is_documented_and_stays() {
        let hash = ChainHash::before_first("s");
        let written = envelope(r#"{"command": 1}"#).write();
        let expected = format!(
            r#"{{"evently":1,"version":7,"at":"2027-01-15T08:00:00.001Z","hash":"{hash}","metadata":{{"command": 1}}}}"#
        );
        assert_eq!(written, expected);
    }

    #[test]
    fn metadata_comes_back_to_the_byte() {
        for metadata in [
            "{}",
            "",
            " {}",
            "{ } ",
            "null",
            "\"a\"",
            "{",
            "1 2",
            "é\u{0}\n\"",
            r#"{"a":"\u00e9"}"#,
        ] {
            let written = envelope(metadata).write();
            assert!(serde_json::from_slice::<serde_json::Value>(&written).is_ok(), "{metadata}");
            assert_eq!(Envelope::read(&written), Some(envelope(metadata)), "{metadata}");
        }
    }

    #[test]
    fn the_earliest_and_the_latest_time_come_back() {
        for ms in [i64::MIN, i64::MAX, 0, -1] {
            let envelope = Envelope { at: Time::from_ms(ms), ..envelope("{}") };
            assert_eq!(Envelope::read(&envelope.write()), Some(envelope.clone()));
        }
    }

    #[test]
    fn what_others_wrote_is_told_apart() {
        let ours = String::from_utf8(envelope("{}").write().to_vec()).unwrap();
        for others in [
            "",
            "{}",
            "\u{1}",
            "[]",
            r#"{"evently":1}"#,
            &ours.replace("\"evently\":1", "\"evently\":2"),
            &ours.replace("\"metadata\":{}", "\"meta\":{}"),
            &ours.replace("\"metadata\":{}", "\"metadata\":{},\"text\":\"\""),
            &ours.replace("\"hash\":\"", "\"hash\":\"z"),
        ] {
            assert_eq!(Envelope::read(others.as_bytes()), None, "{others}");
        }
    }
}
