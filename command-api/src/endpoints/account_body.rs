//! Accounts and tokens as the API shows them.

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use domain::account::Profile;
use domain::{Time, UserId};
use infra::http::{AtPosition, Json, Problem};
use infra::log::Position;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::accounts::{Opened, Tokens};

const NOT_KEPT: [(HeaderName, HeaderValue); 1] =
    [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];

/// A text that is shown nowhere.
// Wiped from memory when it is dropped. What was read of the request before, in the buffers of the
// connection and of the body, is not.
#[derive(Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password)]
pub(crate) struct SecretText(#[serde(deserialize_with = "wiped")] Zeroizing<String>);

fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

impl SecretText {
    pub(super) fn take(self) -> Zeroizing<String> {
        self.0
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What somebody who is logged in has.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenAnswer {
    /// `usr_...`
    #[schema(value_type = String)]
    user_id: UserId,
    /// For `Authorization: Bearer ...`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: u64,
    /// For one use at `/auth/refresh`.
    refresh_token: String,
    /// Seconds until the refresh token expires.
    refresh_expires_in: u64,
}

/// Tokens; not to be kept by anybody between.
pub(super) fn tokens(tokens: &Tokens) -> Response {
    let answer = TokenAnswer {
        user_id: tokens.user,
        access_token: tokens.access.clone(),
        token_type: "Bearer",
        expires_in: tokens.access_ttl.as_secs(),
        refresh_token: tokens.refresh.to_string(),
        refresh_expires_in: tokens.refresh_ttl.as_secs(),
    };
    (NOT_KEPT, AtPosition(tokens.position, Json(answer))).into_response()
}

/// The answer to what is told by mail alone.
#[derive(Serialize, ToSchema)]
pub(crate) struct SentAnswer {
    /// Always `mail_sent`: whether there was one is told to nobody but who reads it.
    status: &'static str,
}

pub(super) fn sent(position: Position) -> AtPosition<Json<SentAnswer>> {
    AtPosition(position, Json(SentAnswer { status: "mail_sent" }))
}

/// What a person may change of what is known of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileBody {
    /// As they want to be called.
    name: String,
    /// Digits, spaces and `+ - ( ) . /`.
    phone: Option<String>,
    /// A language tag (BCP 47) like `de-AT`.
    language: Option<String>,
}

impl From<ProfileBody> for Profile {
    fn from(body: ProfileBody) -> Self {
        Self { name: body.name, phone: body.phone, language: body.language }
    }
}

/// A person's account.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountAnswer {
    /// `usr_...`
    #[schema(value_type = String)]
    user_id: UserId,
    /// As it was typed.
    email: String,
    /// Whether it was shown to be theirs.
    email_verified: bool,
    /// As they want to be called.
    name: String,
    /// To call them on the day of an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    /// A language tag (BCP 47).
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    /// What they may be.
    #[schema(value_type = Vec<String>)]
    roles: Vec<&'static str>,
    /// Since when there is an account.
    #[schema(value_type = String, format = DateTime)]
    registered_at: Time,
    /// Where in the log its last fact is.
    position: u64,
}

impl AccountAnswer {
    pub(super) fn of(opened: &Opened) -> Result<Self, Problem> {
        let Profile { name, phone, language } = opened.profile()?;
        Ok(Self {
            user_id: opened.user(),
            email: opened.email()?.as_str().to_owned(),
            email_verified: opened.is_verified(),
            name,
            phone,
            language,
            roles: opened.roles().map(infra::auth::Role::name).collect(),
            registered_at: opened.registered_at(),
            position: opened.position().0,
        })
    }
}

/// An account, after a write or not; not to be kept by anybody between.
pub(super) fn account(opened: &Opened) -> Result<Response, Problem> {
    let answer = AccountAnswer::of(opened)?;
    Ok((NOT_KEPT, AtPosition(opened.position(), Json(answer))).into_response())
}

/// Anything else that is personal.
pub(super) fn personal(answer: impl IntoResponse) -> Response {
    (NOT_KEPT, answer).into_response()
}
