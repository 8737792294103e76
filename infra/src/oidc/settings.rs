//! Which provider, and as whom it is asked.

use std::net::IpAddr;

use axum::http::Uri;

/// A provider and what it knows of us.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// Its address; `/.well-known/openid-configuration` below it says the rest.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// Our password there; absent for a public client.
    pub client_secret: Option<String>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// Where browsers come back, as it is registered there.
    pub redirect_url: String,
}

/// What is wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an https address (http is for this machine alone)")]
pub struct OidcSettingsError(pub &'static str);

impl OidcSettings {
    /// Sees that nothing goes over a network in clear.
    ///
    /// # Errors
    /// Which address is wrong.
    pub fn check(&self) -> Result<(), OidcSettingsError> {
        if !is_safe(&self.issuer) {
            return Err(OidcSettingsError("the issuer"));
        }
        if !is_safe(&self.redirect_url) {
            return Err(OidcSettingsError("the address to come back to"));
        }
        Ok(())
    }

    /// Whether browsers come back over TLS.
    pub fn is_secure(&self) -> bool {
        self.redirect_url.starts_with("https://")
    }
}

fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => {
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_for_this_machine_alone() {
        for safe in [
            "https://accounts.example.org",
            "http://127.0.0.1:5556/dex",
            "http://[::1]:80",
            "http://localhost/callback",
        ] {
            assert!(is_safe(safe), "{safe}");
        }
        for unsafe_ in ["http://example.org", "http://10.0.0.1/", "ftp://x", "example.org", ""] {
            assert!(!is_safe(unsafe_), "{unsafe_}");
        }
    }
}
