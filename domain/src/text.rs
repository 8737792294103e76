//! Reading values from their text form without a copy of the text, and which texts people may write.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserializer, de};

use crate::seating::Invalid;

/// Reads what parses from text; `expected` says what would be right.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
    expected: &'static str,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text { expected, of: PhantomData })
}

struct Text<T> {
    expected: &'static str,
    of: PhantomData<T>,
}

impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Whether there is nothing to see of it. Within a text many of these are right, as between letters of
/// Persian; a text of nothing else looks empty.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || turns_around(c)
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}'
                | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Whether it has what follows shown in another direction, so that a text can look like another, and the
/// rest of a line after it too.
fn turns_around(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Refuses a text in which there is nothing to see, one of more than `most` bytes, and one of several lines
/// or with other control characters.
///
/// # Errors
/// The text is none of that kind; `field` says which one it is.
pub fn check_text(field: &str, text: &str, most: usize) -> Result<(), Invalid> {
    let breaks =
        |c: char| c.is_control() || turns_around(c) || matches!(c, '\u{2028}' | '\u{2029}');
    if !text.chars().all(is_invisible) && text.len() <= most && !text.contains(breaks) {
        return Ok(());
    }
    let problem = format!(
        "a text of 1 to {most} bytes on one line, without line breaks and control characters"
    );
    Err(Invalid::new(field, problem))
}

/// As [`check_text`], but it may be empty, and have lines and tabs.
pub(crate) fn check_long_text(field: &str, text: &str, most: usize) -> Result<(), Invalid> {
    // What a database or a terminal stumbles over.
    let trips = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.len() <= most && !text.contains(trips) {
        return Ok(());
    }
    let problem = format!(
        "a text of at most {most} bytes without control characters but line breaks and tabs"
    );
    Err(Invalid::new(field, problem))
}
