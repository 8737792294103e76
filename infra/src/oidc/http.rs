//! How the provider is asked.

use std::pin::Pin;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much it may say, in bytes.
const MOST: usize = 512 * 1024;

/// Why it was not asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("the connection failed")]
    Request(#[from] reqwest::Error),
    #[error("the answer is no answer")]
    Answer(#[from] axum::http::Error),
    #[error("the answer is too long")]
    TooLong,
}

/// Asks whom the settings name and nobody else: redirects are not followed.
pub(super) struct Http(reqwest::Client);

impl Http {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder();
        let client = client.redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
        Ok(Self(client.build()?))
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut response = self.0.execute(request.try_into()?).await?;
        let mut answer = axum::http::Response::builder().status(response.status());
        if let Some(headers) = answer.headers_mut() {
            headers.clone_from(response.headers());
        }
        let mut body = vec![];
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MOST {
                return Err(HttpError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(answer.body(body)?)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}
