//! The stable codes of problems. Each crate lists its own; the API document prints them all.

/// A stable code of a problem, as the API document lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// What stands in `code` and ends the `type` of a problem.
    pub code: &'static str,
    /// The HTTP status it comes with.
    pub status: u16,
    /// When a client sees it, in one line.
    pub meaning: &'static str,
}

pub(super) const MALFORMED: &str = "MALFORMED";
pub(super) const UNAUTHORIZED: &str = "UNAUTHORIZED";
pub(super) const FORBIDDEN: &str = "FORBIDDEN";
pub(super) const NOT_FOUND: &str = "NOT_FOUND";
pub(super) const METHOD_NOT_ALLOWED: &str = "METHOD_NOT_ALLOWED";
pub(super) const REQUEST_TIMEOUT: &str = "REQUEST_TIMEOUT";
pub(super) const PAYLOAD_TOO_LARGE: &str = "PAYLOAD_TOO_LARGE";
pub(super) const UNSUPPORTED_MEDIA_TYPE: &str = "UNSUPPORTED_MEDIA_TYPE";
pub(super) const INVALID: &str = "INVALID";
pub(super) const TOO_MANY_REQUESTS: &str = "TOO_MANY_REQUESTS";
pub(super) const INTERNAL: &str = "INTERNAL";
pub(super) const OVERLOADED: &str = "OVERLOADED";
pub(super) const TIMED_OUT: &str = "TIMED_OUT";

const fn code(status: u16, code: &'static str, meaning: &'static str) -> Code {
    Code { code, status, meaning }
}

/// The codes that any endpoint may answer with.
pub const GENERIC_CODES: &[Code] = &[
    code(400, MALFORMED, "The request cannot be read: syntax, a wrong type, an unknown field."),
    code(401, UNAUTHORIZED, "A valid bearer token is needed."),
    code(403, FORBIDDEN, "The person may not do this."),
    code(404, NOT_FOUND, "There is nothing at this path."),
    code(405, METHOD_NOT_ALLOWED, "The path has other methods; see Allow."),
    code(408, REQUEST_TIMEOUT, "The body did not arrive in time."),
    code(413, PAYLOAD_TOO_LARGE, "The body is larger than the limit."),
    code(415, UNSUPPORTED_MEDIA_TYPE, "The body is not application/json, uncompressed."),
    code(422, INVALID, "The request can be read, but a value in it is out of range."),
    code(429, TOO_MANY_REQUESTS, "More requests than allowed in a minute; see Retry-After."),
    code(500, INTERNAL, "A fault of the server; it was logged under the request id."),
    code(503, OVERLOADED, "Too many requests or connections at once; nothing was done."),
    code(503, TIMED_OUT, "No answer in time; with an Idempotency-Key it is safe to ask again."),
    // What stands in front of the servers says so (deploy/nginx/evently.conf).
    code(503, "NO_NODE", "No server answers; with an Idempotency-Key it is safe to ask again."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_once_with_an_error_status() {
        for (index, entry) in GENERIC_CODES.iter().enumerate() {
            assert!((400..600).contains(&entry.status), "{}", entry.code);
            assert!(entry.meaning.ends_with('.'), "{}", entry.code);
            let later = &GENERIC_CODES[index + 1..];
            assert!(later.iter().all(|other| other.code != entry.code), "{}", entry.code);
        }
    }
}
