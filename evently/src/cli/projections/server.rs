//! The projections and the feed of a server that runs, asked over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use indicatif::ProgressBar;
use infra::auth::{OPERATOR, Role};
use infra::log::Position;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::keys;
use crate::reach;
use crate::settings::Checked;

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(200);
/// Longer than a server that is well takes for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Looks that may find neither the rebuild nor how it ended: between its last step and the note of
/// its end.
const BLIND_LOOKS: u32 = 50;
/// A rebuild of a large log takes longer than a token is usually valid.
const TOKEN_TTL: Duration = Duration::from_secs(86_400);

/// A running server, and a token for it.
pub(in crate::cli) struct Server {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// Why it did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum ServerError {
    #[error("the server at {url} cannot be asked")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the server answered {status}: {detail}")]
    Refused { status: u16, detail: String },
    #[error("the server has no view {name}; it has {known}")]
    Unknown { name: String, known: String },
    #[error(
        "the server knows nothing of the rebuild any more: perhaps it was started again; \
         see evently projections status"
    )]
    Lost,
    #[error("the view is as it was before: {0}")]
    NotRebuilt(String),
}

impl Server {
    pub(super) fn new(address: SocketAddr, settings: &Checked) -> Result<Self, Failure> {
        let keys = keys::of_commands(settings)?;
        Ok(Self {
            http: reqwest::Client::new(),
            url: format!("{}/api/v1/admin", reach::url(address)),
            token: keys.issue(OPERATOR, &[Role::Admin], TOKEN_TTL)?,
        })
    }

    pub(super) async fn status(&self) -> Result<Vec<Value>, Failure> {
        let mut answer = self.ask(Method::GET, "/projections", None).await?;
        Ok(answer["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    pub(super) async fn rebuild(
        &self,
        name: &str,
        reason: Option<&str>,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        let before = self.find(name).await?["last_rebuild"].clone();
        let began = self.order(&format!("/projections/{name}/rebuild"), reason, None).await?;
        bar.set_length(began["target"].as_u64().unwrap_or(0));
        let mut blind_looks = 0;
        while blind_looks < BLIND_LOOKS {
            let status = self.find(name).await?;
            let (under_way, last) = (&status["rebuild"], &status["last_rebuild"]);
            if under_way.is_object() {
                blind_looks = 0;
                bar.set_length(under_way["target"].as_u64().unwrap_or(0));
                bar.set_position(under_way["position"].as_u64().unwrap_or(0));
            } else if last.is_object() && *last != before {
                bar.set_position(status["position"].as_u64().unwrap_or(0));
                return match last["problem"].as_str() {
                    None => Ok(()),
                    Some(problem) => Err(ServerError::NotRebuilt(problem.to_owned()).into()),
                };
            } else {
                blind_looks += 1;
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(ServerError::Lost.into())
    }

    pub(super) async fn retry(&self, name: &str, reason: Option<&str>) -> Result<Value, Failure> {
        Ok(self.order(&format!("/projections/{name}/retry"), reason, None).await?)
    }

    pub(super) async fn feed_status(&self) -> Result<Value, Failure> {
        Ok(self.ask(Method::GET, "/feed", None).await?)
    }

    pub(super) async fn replay_feed(
        &self,
        from: Position,
        reason: Option<&str>,
    ) -> Result<Value, Failure> {
        Ok(self.order("/feed/replay", reason, Some(json!({"from": from}))).await?)
    }

    async fn find(&self, name: &str) -> Result<Value, Failure> {
        let mut all = self.status().await?;
        if let Some(found) = all.iter().position(|item| item["name"] == name) {
            return Ok(all.swap_remove(found));
        }
        let known = all.iter().filter_map(|item| item["name"].as_str());
        let known = known.collect::<Vec<_>>().join(", ");
        Err(ServerError::Unknown { name: name.to_owned(), known }.into())
    }

    /// A reason is one word, which fits a query as it is.
    async fn order(
        &self,
        path: &str,
        reason: Option<&str>,
        body: Option<Value>,
    ) -> Result<Value, ServerError> {
        let query = reason.map(|reason| format!("?reason={reason}")).unwrap_or_default();
        self.ask(Method::POST, &format!("{path}{query}"), body).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, ServerError> {
        let unreachable = |source| ServerError::Unreachable { url: self.url.clone(), source };
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.bearer_auth(&self.token).timeout(ANSWER_TIMEOUT);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.map_err(unreachable)?;
        let (status, answer) = (response.status(), response.bytes().await.map_err(unreachable)?);
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let detail = answer["detail"].as_str().unwrap_or("nothing it could explain").to_owned();
        Err(ServerError::Refused { status: status.as_u16(), detail })
    }
}
