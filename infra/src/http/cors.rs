//! Which web pages may use the API from a browser (CORS). None, unless they are named: tokens are sent in
//! a header and never in a cookie, so that no page can use what a browser remembers.

use std::str::FromStr;
use std::time::Duration;

use axum::Router;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::context::REQUEST_ID;
use super::position::POSITION_HEADER;
use crate::limits;

/// How long a browser may remember what a page may do.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Web pages that may use the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<HeaderValue>);

/// The text is no list of origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected origins separated by commas, without paths or *, like https://example.org:8443")]
pub struct OriginsError;

impl FromStr for Origins {
    type Err = OriginsError;

    fn from_str(text: &str) -> Result<Self, OriginsError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(origin).collect::<Result<_, _>>().map(Self)
    }
}

/// An origin in the one form that browsers send.
fn origin(text: &str) -> Result<HeaderValue, OriginsError> {
    let uri: Uri = text.parse().map_err(|_| OriginsError)?;
    let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
    let (Some(scheme), Some(authority)) = (scheme, uri.authority()) else {
        return Err(OriginsError);
    };
    let whole = format!("{scheme}://{authority}");
    if whole != text || text.contains(['*', '@']) || text != text.to_lowercase() {
        return Err(OriginsError);
    }
    HeaderValue::try_from(whole).map_err(|_| OriginsError)
}

impl Origins {
    /// `router` as pages of these origins may use it.
    pub(super) fn allow(&self, router: Router) -> Router {
        if self.0.is_empty() {
            return router;
        }
        let asked = [
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_NONE_MATCH,
            REQUEST_ID,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("evently-min-position"),
            HeaderName::from_static("last-event-id"),
        ];
        let told = [ETAG, RETRY_AFTER, REQUEST_ID, POSITION_HEADER, limits::LEFT, limits::POLICY];
        let layer = CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.clone()))
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers(asked)
            .expose_headers(told)
            .max_age(MAX_AGE);
        router.layer(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for good in ["", "https://example.org", "http://localhost:3000, https://a.example.org"] {
            assert!(good.parse::<Origins>().is_ok(), "{good}");
        }
        for bad in [
            "*",
            "null",
            "example.org",
            "https://example.org/",
            "https://example.org/path",
            "https://*.example.org",
            "https://Example.org",
            "https://me@example.org",
            "ftp://example.org",
            "https://a.org;https://b.org",
        ] {
            assert_eq!(bad.parse::<Origins>(), Err(OriginsError), "{bad}");
        }
    }
}
