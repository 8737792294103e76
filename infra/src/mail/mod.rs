//! Mails to people (AC-1): by SMTP, or into a folder where there is no mail server.

mod folder;
mod smtp;
mod swept;

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use domain::account::Email;
use domain::{Time, UserId};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};

pub use folder::FolderMailer;
pub use smtp::{AddressError, SmtpMailer};
pub use swept::Swept;

/// A mail to one person.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Who gets it.
    pub user: UserId,
    /// Where.
    pub to: Email,
    /// What about.
    pub subject: &'static str,
    /// What it says.
    pub text: String,
}

/// A mail was not sent. Says nothing of what is in it, nor of whom it is for.
#[derive(Debug, thiserror::Error)]
#[error("the mail could not be sent")]
pub struct MailError {
    source: Box<dyn std::error::Error + Send + Sync>,
    is_for_good: bool,
}

impl MailError {
    /// That may be over at another time.
    fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: source.into(), is_for_good: false }
    }

    /// Whether the same mail would not be sent at another time either.
    pub fn is_for_good(&self) -> bool {
        self.is_for_good
    }
}

/// There is no folder to keep a mail in.
#[derive(Debug, thiserror::Error)]
#[error("there is no folder for mails that were not sent")]
struct NoFolder;

/// Sends mails.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Gives the mail to whoever delivers it.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;

    /// Keeps a mail that was not sent as a file, until it is discarded or its reader forgotten.
    async fn keep(&self, _: &Mail) -> Result<PathBuf, MailError> {
        Err(MailError::new(NoFolder))
    }

    /// Removes a mail that was kept.
    async fn discard(&self, kept: &Path) -> Result<(), MailError> {
        tokio::fs::remove_file(kept).await.map_err(MailError::new)
    }

    /// Whether the mail server answers, and if not, why; nothing if there is none.
    async fn reached(&self) -> Option<Result<(), String>> {
        None
    }

    /// Keeps nothing of what was sent to this person.
    async fn forget(&self, user: UserId) -> Result<(), MailError>;
}

/// The mail in its standard form (RFC 5322).
fn message(mail: &Mail, from: &Mailbox, now: Time) -> Result<Message, MailError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| MailError {
        source: error,
        is_for_good: true,
    };
    let address = mail.to.as_str().parse();
    let address = address.map_err(|error: lettre::address::AddressError| failed(error.into()))?;
    let since_1970 = Duration::from_millis(now.ms_since(Time::from_ms(0)));
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, address))
        .subject(mail.subject)
        .date(UNIX_EPOCH + since_1970)
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text.clone())
        .map_err(|error| failed(error.into()))
}
