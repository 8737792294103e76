//! Mails by way of a mail server.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::UserId;
use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::{Mail, MailError, Mailer, message};
use crate::clock::Clock;

/// How long the mail server may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The server's address or the sender's is none.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The server's.
    #[error("expected an address like smtp://user:password@host:587?tls=required")]
    Server(#[source] lettre::transport::smtp::Error),
    /// The sender's.
    #[error("expected a sender like Evently <tickets@example.org>")]
    Sender(#[source] lettre::address::AddressError),
}

/// Gives mails to a mail server, which delivers them.
pub struct SmtpMailer {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    clock: Arc<dyn Clock>,
}

impl SmtpMailer {
    /// A mailer by way of the server at `url` that writes as `from`. Nothing is connected yet.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn new(url: &str, from: &str, clock: Arc<dyn Clock>) -> Result<Self, AddressError> {
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        let server = server.map_err(AddressError::Server)?.timeout(Some(TIMEOUT)).build();
        Ok(Self { server, from: from.parse().map_err(AddressError::Sender)?, clock })
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = message(mail, &self.from, self.clock.now())?;
        self.server.send(message).await.map_err(|error| MailError(error.into()))?;
        Ok(())
    }

    /// Nothing is kept here.
    async fn forget(&self, _: UserId) -> Result<(), MailError> {
        Ok(())
    }
}
