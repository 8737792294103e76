//! The bytes that are sent, made beforehand: while a load runs only the key's digits are written.

use std::fmt::Write as _;

const KEY_DIGITS: usize = 32;

/// Requests that differ in their sender and content by template, and in their `Idempotency-Key`
/// by number.
pub struct Requests {
    templates: Vec<Template>,
    /// Upper half of every key, so that two loads on one server never share a key.
    series: u64,
    expected: Expected,
}

struct Template {
    bytes: Vec<u8>,
    /// Where the key's digits are; `None` for requests without a key.
    key_at: Option<usize>,
}

/// What makes an answer count. Anything else ends the load as failed.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The only status that is right.
    pub status: u16,
    /// What the body begins with.
    pub begins: &'static str,
}

impl Expected {
    /// Whether this is the answer that was hoped for.
    pub fn accepts(&self, status: u16, body: &[u8]) -> bool {
        status == self.status && body.starts_with(self.begins.as_bytes())
    }
}

impl Requests {
    /// The same reading request, over and over, from each of `tokens` in turn.
    pub fn get(path: &str, tokens: &[String], expected: Expected) -> Self {
        let template = |token: &String| Template {
            bytes: format!(
                "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
            )
            .into_bytes(),
            key_at: None,
        };
        Self { templates: tokens.iter().map(template).collect(), series: 0, expected }
    }

    /// Commands to `path`: `bodies` and `tokens` in turn, every request with a key of its own.
    pub fn post(
        path: &str,
        tokens: &[String],
        bodies: &[String],
        series: u64,
        expected: Expected,
    ) -> Self {
        let template = |place: usize| {
            let (token, body) = (&tokens[place % tokens.len()], &bodies[place % bodies.len()]);
            let mut text = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\nidempotency-key: "
            );
            let key_at = text.len();
            text.push_str(&"0".repeat(KEY_DIGITS));
            let _ = write!(text, "\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            Template { bytes: text.into_bytes(), key_at: Some(key_at) }
        };
        let count = tokens.len().max(bodies.len());
        Self { templates: (0..count).map(template).collect(), series, expected }
    }

    /// Puts the request with this number into `out`, replacing what is there.
    pub fn write(&self, number: u64, out: &mut Vec<u8>) {
        let count = self.templates.len() as u64;
        let template = &self.templates[usize::try_from(number % count).unwrap_or(0)];
        out.clear();
        out.extend_from_slice(&template.bytes);
        if let Some(at) = template.key_at {
            let key = (u128::from(self.series) << 64) | u128::from(number);
            hex(key, &mut out[at..at + KEY_DIGITS]);
        }
    }

    /// What makes an answer count.
    pub fn expected(&self) -> &Expected {
        &self.expected
    }
}

fn hex(mut value: u128, out: &mut [u8]) {
    for place in out.iter_mut().rev() {
        *place = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_key_of_its_own_and_senders_take_turns() {
        let tokens = ["anna".to_owned(), "bob".to_owned()];
        let expected = Expected { status: 201, begins: "" };
        let requests = Requests::post("/r", &tokens, &["{}".to_owned()], 7, expected);
        let text = |number| {
            let mut out = b"left over".to_vec();
            requests.write(number, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            text(0x1f),
            "POST /r HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer bob\r\n\
             content-type: application/json\r\n\
             idempotency-key: 0000000000000007000000000000001f\r\ncontent-length: 2\r\n\r\n{}"
        );
        assert!(text(0x20).contains("Bearer anna"));
        assert!(text(0x20).contains("0000000000000020\r\n"));
    }
}
