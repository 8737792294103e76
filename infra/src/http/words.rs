//! What the parsers say of a value, in the words of whoever wrote it: JSON has no `i64` and no struct.

use serde_json::json;

use super::problem::{Problem, shortened};

/// What stands at `path`, if anything is named there, is not what it has to be: 422 if it is a number and
/// only its size is wrong, as where a bound is checked later; else 400.
pub(super) fn refuse(
    path: Option<String>,
    message: &str,
    place: Option<(usize, usize)>,
) -> Problem {
    let (message, missing) = match (missing(message), duplicate(message)) {
        (Some(name), _) => ("must be given".to_owned(), Some(name)),
        (_, Some(name)) => ("must be given once".to_owned(), Some(name)),
        _ => (shortened(&reworded(message)), None),
    };
    let field = match (path, missing) {
        (Some(path), Some(name)) => Some(format!("{path}.{name}")),
        (path, name) => path.or(name.map(str::to_owned)),
    };
    if let Some(field) = &field
        && is_of_size(&message)
    {
        return Problem::invalid(&shortened(field), &message);
    }
    let detail = match field.as_deref().map(shortened) {
        Some(field) if COMPLETES.iter().any(|it| message.starts_with(it)) => {
            format!("{field} {message}")
        }
        Some(field) => format!("{field}: {message}"),
        None => message,
    };
    let problem = Problem::malformed(detail);
    match (field.as_deref().map(shortened), place) {
        (Some(field), Some((line, column))) => {
            problem.details(json!({"field": field, "line": line, "column": column}))
        }
        (None, Some((line, column))) => problem.details(json!({"line": line, "column": column})),
        (Some(field), None) => problem.details(json!({"field": field})),
        (None, None) => problem,
    }
}

/// Whether only the size of a number is wrong.
fn is_of_size(message: &str) -> bool {
    // Up to where the client's own text begins.
    let expected = message.split(", not ").next().and_then(|it| it.strip_prefix("must be "));
    expected
        .and_then(|it| it.strip_suffix(OF_ANOTHER_SIZE))
        .is_some_and(|it| it.ends_with("number"))
}

/// What completes the name of a field to a sentence.
const COMPLETES: [&str; 2] = ["must be ", UNKNOWN];

/// What is said of a name that means nothing where it stands; what would follows.
pub(super) const UNKNOWN: &str = "is not known here";

/// The field that is said to be missing.
fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// The field that is said to be there twice.
fn duplicate(message: &str) -> Option<&str> {
    message.strip_prefix("duplicate field `")?.strip_suffix('`')
}

/// The same message, completing "... must be" where it says what would be right.
pub(super) fn reworded(message: &str) -> String {
    for wrong in ["invalid type: ", "invalid value: ", "unknown variant "] {
        // What was found is the client's text, which may say anything; what is expected is ours.
        let parts = message.strip_prefix(wrong).and_then(|it| it.rsplit_once(", expected "));
        if let Some((found, expected)) = parts {
            let is_too_far = kind(expected) == WHOLE && is_whole(found);
            let too_far = if is_too_far { OF_ANOTHER_SIZE } else { "" };
            return format!("must be {}{too_far}, not {}", kind(expected), found_in_words(found));
        }
    }
    if let Some(unknown) = message.strip_prefix("unknown field `") {
        let known = unknown.rsplit_once("`, expected ").map(|(_, known)| known);
        let known = known.map(|known| format!("; known: {}", known.trim_start_matches("one of ")));
        return format!("{UNKNOWN}{}", known.unwrap_or_default());
    }
    match message {
        "expected value" => "must be a text".to_owned(),
        "number out of range" => "must be a number of a size that fits".to_owned(),
        "number too large to fit in target type" | "number too small to fit in target type" => {
            format!("must be {WHOLE}{OF_ANOTHER_SIZE}")
        }
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            format!("must be {WHOLE}")
        }
        "provided string was not `true` or `false`" => "must be true or false".to_owned(),
        _ => match message.strip_prefix("expected ") {
            Some(expected) => format!("must be {}", kind(expected)),
            None => message.to_owned(),
        },
    }
}

const WHOLE: &str = "a whole number";

/// What a number should have been that is none of those that can be.
const OF_ANOTHER_SIZE: &str = " of a size that fits";

/// What is expected: the name of a type, or words.
pub(super) fn kind(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "i32" | "i64" | "isize" | "u8" | "u16" | "u32" | "u64" | "usize" => WHOLE,
        "f32" | "f64" => "a number",
        "a boolean" | "bool" => "true or false",
        "a string" | "string" | "a borrowed string" => "a text",
        "a sequence" => "a list",
        "a map" | "map" => "an object",
        _ if expected.starts_with("struct ") => "an object",
        _ => expected,
    }
}

/// Whether what was found is a whole number, so that only its size is wrong.
fn is_whole(found: &str) -> bool {
    let float = found.strip_prefix("floating point `").and_then(|it| it.strip_suffix('`'));
    let float = float.and_then(|it| it.parse::<f64>().ok());
    found.starts_with("integer ") || float.is_some_and(|it| it.fract() == 0.0)
}

/// What is there instead.
fn found_in_words(found: &str) -> String {
    match found {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        "unit value" | "Option value" => "null".to_owned(),
        _ => match found.split_once(' ') {
            Some(("string", text)) => format!("the text {text}"),
            Some(("integer" | "boolean", value)) => value.trim_matches('`').to_owned(),
            Some(("floating", value)) => {
                value.trim_start_matches("point ").trim_matches('`').to_owned()
            }
            _ => found.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_rust_is_left() {
        for (message, said) in [
            (
                "invalid type: string \"5\", expected i64",
                "must be a whole number, not the text \"5\"",
            ),
            ("invalid type: floating point `1.5`, expected u32", "must be a whole number, not 1.5"),
            ("invalid type: null, expected a string", "must be a text, not null"),
            ("invalid type: map, expected a sequence", "must be a list, not an object"),
            ("invalid type: sequence, expected f64", "must be a number, not a list"),
            ("invalid type: boolean `true`, expected struct Body", "must be an object, not true"),
            (
                "invalid type: string \"a, expected b\", expected u8",
                "must be a whole number, not the text \"a, expected b\"",
            ),
            (
                "invalid value: integer `300`, expected u8",
                "must be a whole number of a size that fits, not 300",
            ),
            (
                "unknown variant `x`, expected one of `a`, `b`, `c`",
                "must be one of `a`, `b`, `c`, not `x`",
            ),
            ("expected an id like evt_1", "must be an id like evt_1"),
            ("invalid digit found in string", "must be a whole number"),
            (
                "invalid type: floating point `1e20`, expected i64",
                "must be a whole number of a size that fits, not 1e20",
            ),
            (
                "unknown field `x`, expected one of `a`, `b`, `c`",
                "is not known here; known: `a`, `b`, `c`",
            ),
            ("unknown field `x`, expected `a`", "is not known here; known: `a`"),
            ("unknown field `x`, there are no fields", "is not known here"),
            (
                "number too large to fit in target type",
                "must be a whole number of a size that fits",
            ),
        ] {
            assert_eq!(reworded(message), said);
        }
        assert_eq!(missing("missing field `event_id`"), Some("event_id"));
        assert_eq!(duplicate("duplicate field `event_id`"), Some("event_id"));
    }
}
