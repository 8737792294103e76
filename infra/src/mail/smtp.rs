//! Mails by way of a mail server.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::UserId;
use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Mail, MailError, Mailer, message};
use crate::clock::Clock;

/// How long the mail server may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The same when it is only asked whether it is there, and how long its answer is good.
const PATIENCE: Duration = Duration::from_millis(1_500);
const FRESH: Duration = Duration::from_secs(10);

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
    /// When it was asked last whether it is there, and what came of it.
    seen: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl SmtpMailer {
    /// A mailer by way of the server at `url` that writes as `from`. Nothing is connected yet.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn new(url: &str, from: &str, clock: Arc<dyn Clock>) -> Result<Self, AddressError> {
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        let server = server.map_err(AddressError::Server)?.timeout(Some(TIMEOUT)).build();
        let from = from.parse().map_err(AddressError::Sender)?;
        Ok(Self { server, from, clock, seen: Mutex::new(None) })
    }
}

/// Why the server did not take a mail. Not in its own words: servers like to repeat the address, and
/// what is logged cannot be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("the mail server refuses with code {0}")]
    ForGood(u16),
    #[error("the mail server asks to come later with code {0}")]
    ForNow(u16),
    #[error("the mail server does not answer in time")]
    Late,
    #[error("there is no secure connection to the mail server")]
    Insecure,
    #[error("the mail server's answer is none")]
    Nonsense,
    #[error("the mail cannot be given to this mail server")]
    Unfit,
    #[error("the mail server cannot be reached")]
    Unreachable,
}

impl Refused {
    fn of(error: &lettre::transport::smtp::Error) -> Self {
        match error.status().map(u16::from) {
            Some(code) if error.is_permanent() => Self::ForGood(code),
            Some(code) => Self::ForNow(code),
            None if error.is_timeout() => Self::Late,
            None if error.is_tls() => Self::Insecure,
            None if error.is_response() => Self::Nonsense,
            None if error.is_client() => Self::Unfit,
            None => Self::Unreachable,
        }
    }
}

impl From<Refused> for MailError {
    fn from(refused: Refused) -> Self {
        let is_for_good = matches!(refused, Refused::ForGood(_) | Refused::Unfit);
        Self { is_for_good, ..Self::new(refused) }
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = message(mail, &self.from, self.clock.now())?;
        self.server.send(message).await.map_err(|error| MailError::from(Refused::of(&error)))?;
        Ok(())
    }

    async fn reached(&self) -> Option<Result<(), String>> {
        let mut seen = self.seen.lock().await;
        if let Some((at, reached)) = &*seen
            && at.elapsed() < FRESH
        {
            return Some(reached.clone());
        }
        let asked = tokio::time::timeout(PATIENCE, self.server.test_connection()).await;
        let reached = match asked {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Refused::Nonsense),
            Ok(Err(error)) => Err(Refused::of(&error)),
            Err(_elapsed) => Err(Refused::Late),
        };
        let reached = reached.map_err(|refused| refused.to_string());
        *seen = Some((Instant::now(), reached.clone()));
        Some(reached)
    }

    /// Nothing is kept here.
    async fn forget(&self, _: UserId) -> Result<(), MailError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;
    use crate::clock::SystemClock;

    /// A server that refuses every reader, and says whom.
    async fn refusing(listener: TcpListener) -> std::io::Result<()> {
        let (connection, _) = listener.accept().await?;
        let mut connection = BufReader::new(connection);
        connection.write_all(b"220 ready\r\n").await?;
        let mut line = String::new();
        while connection.read_line(&mut line).await? > 0 {
            let answer = match line.split([' ', '\r']).next() {
                Some("RCPT") => "550 no such mailbox: ada@example.org\r\n",
                _ => "250 fine\r\n",
            };
            connection.write_all(answer.as_bytes()).await?;
            line.clear();
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_may_be_so_later() {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let url = format!("smtp://{nobody}");
        let mailer = SmtpMailer::new(&url, "a@example.org", Arc::new(SystemClock)).unwrap();
        let to = "ada@example.org".parse().unwrap();
        let mail = Mail { user: UserId::from_u128(1), to, subject: "Hello", text: "you".into() };
        assert!(!mailer.send(&mail).await.unwrap_err().is_for_good());
        let unreachable = "the mail server cannot be reached".to_owned();
        assert_eq!(mailer.reached().await, Some(Err(unreachable)));
    }

    #[tokio::test]
    async fn what_a_server_says_of_somebody_is_not_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let mailer = SmtpMailer::new(&url, "a@example.org", Arc::new(SystemClock)).unwrap();
        tokio::spawn(refusing(listener));
        let to = "ada@example.org".parse().unwrap();
        let mail = Mail { user: UserId::from_u128(1), to, subject: "Hello", text: "you".into() };
        let error = mailer.send(&mail).await.unwrap_err();
        let source = error.source().unwrap();
        assert_eq!(source.to_string(), "the mail server refuses with code 550");
        assert!(error.is_for_good(), "another attempt would be of no use");
        assert!(source.source().is_none() && !format!("{error:?}").contains("ada"), "{error:?}");
    }
}
