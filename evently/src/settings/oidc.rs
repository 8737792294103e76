//! Settings of the provider at which one may log in.

use infra::oidc::OidcSettings;

use super::Secret;

/// As given.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct Oidc {
    /// Provider at which one may log in (OpenID Connect), e.g. `https://accounts.example.org`
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "EVENTLY_OIDC_ISSUER",
        hide_short_help = true
    )]
    pub oidc_issuer: Option<String>,
    /// Name of this product at that provider
    #[arg(
        long,
        global = true,
        value_name = "ID",
        env = "EVENTLY_OIDC_CLIENT_ID",
        hide_short_help = true
    )]
    pub oidc_client_id: Option<String>,
    /// Its password there; none for a public client
    #[arg(
        long,
        global = true,
        value_name = "SECRET",
        env = "EVENTLY_OIDC_CLIENT_SECRET",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub oidc_client_secret: Option<Secret>,
    /// What is asked for at the provider
    #[arg(
        long,
        global = true,
        value_name = "SCOPES",
        env = "EVENTLY_OIDC_SCOPES",
        default_value = "openid email profile",
        hide_short_help = true
    )]
    pub oidc_scopes: String,
    /// Where the provider sends browsers back, as it is registered there:
    /// `https://HOST/api/v1/auth/oidc/callback`
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "EVENTLY_OIDC_REDIRECT_URL",
        hide_short_help = true
    )]
    pub oidc_redirect_url: Option<String>,
}

impl Oidc {
    /// The provider, if one is named and all that it needs.
    pub(super) fn check(&self, wrong: &mut Vec<String>) -> Option<OidcSettings> {
        let given = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        let issuer = given(&self.oidc_issuer);
        let client_id = given(&self.oidc_client_id);
        let redirect_url = given(&self.oidc_redirect_url);
        if issuer.is_none() && client_id.is_none() && redirect_url.is_none() {
            return None;
        }
        let (Some(issuer), Some(client_id), Some(redirect_url)) = (issuer, client_id, redirect_url)
        else {
            let needs = "to log in at a provider takes all of oidc_issuer (EVENTLY_OIDC_ISSUER), \
                oidc_client_id (EVENTLY_OIDC_CLIENT_ID) and oidc_redirect_url \
                (EVENTLY_OIDC_REDIRECT_URL)";
            wrong.push(needs.to_owned());
            return None;
        };
        let secret = self.oidc_client_secret.as_ref().filter(|secret| !secret.is_empty());
        let checked = OidcSettings {
            issuer,
            client_id,
            client_secret: secret.map(|secret| secret.reveal().to_owned()),
            scopes: self.oidc_scopes.split_ascii_whitespace().map(str::to_owned).collect(),
            redirect_url,
        };
        if let Err(error) = checked.check() {
            wrong.push(format!("oidc_issuer, oidc_redirect_url: {error}"));
        }
        Some(checked)
    }

    /// A setting as it is shown, secrets masked.
    pub(super) fn shown(&self, key: &str) -> Option<String> {
        match key {
            "oidc_issuer" => self.oidc_issuer.clone(),
            "oidc_client_id" => self.oidc_client_id.clone(),
            "oidc_client_secret" => self.oidc_client_secret.as_ref().map(ToString::to_string),
            "oidc_scopes" => Some(self.oidc_scopes.clone()),
            _ => self.oidc_redirect_url.clone(),
        }
    }
}
