//! What other mailers left behind is forgotten too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use domain::UserId;

use super::folder::forget_in;
use super::{FolderMailer, Mail, MailError, Mailer};
use crate::clock::Clock;

/// Where mails that were not sent lie, in a folder of mails.
const DEAD: &str = "dead";

/// Sends as another mailer does, keeps what it does not send, and forgets also what lies in folders of
/// mails from before: of an installation that has a mail server by now, or shares a folder.
pub struct Swept {
    mailer: Arc<dyn Mailer>,
    dead: FolderMailer,
    folders: Vec<PathBuf>,
}

impl Swept {
    /// `mailer`, with folders in which mails may lie as [`FolderMailer`] writes them: `folder`, where
    /// those are kept that are not sent, in `dead/`, and others.
    pub fn new(
        mailer: Arc<dyn Mailer>,
        folder: &Path,
        others: &[PathBuf],
        clock: Arc<dyn Clock>,
    ) -> Self {
        let folders = others.iter().map(PathBuf::as_path).chain([folder]);
        let folders = folders.flat_map(|folder| [folder.to_owned(), folder.join(DEAD)]).collect();
        Self { mailer, dead: FolderMailer::new(&folder.join(DEAD), clock), folders }
    }
}

#[async_trait]
impl Mailer for Swept {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.mailer.send(mail).await
    }

    async fn keep(&self, mail: &Mail) -> Result<PathBuf, MailError> {
        self.dead.write(mail).await
    }

    async fn reached(&self) -> Option<Result<(), String>> {
        self.mailer.reached().await
    }

    async fn forget(&self, user: UserId) -> Result<(), MailError> {
        for folder in &self.folders {
            forget_in(folder, user).await?;
        }
        self.mailer.forget(user).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::mail::SmtpMailer;

    #[tokio::test]
    async fn mails_from_before_there_was_a_mail_server_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (user, to) = (UserId::from_u128(1), "ada@example.org".parse().unwrap());
        let before = FolderMailer::new(folder.path(), Arc::new(SystemClock));
        let mail = Mail { user, to, subject: "Hello", text: "you".to_owned() };
        before.send(&mail).await.unwrap();
        let other = folder.path().join("other");
        let url = "smtp://127.0.0.1:1";
        let server = SmtpMailer::new(url, "a@example.org", Arc::new(SystemClock)).unwrap();
        let (server, clock) = (Arc::new(server), Arc::new(SystemClock));
        let swept = Swept::new(server, &other, &[folder.path().to_owned()], clock);
        let dead = swept.keep(&mail).await.unwrap();
        assert!(dead.starts_with(other.join("dead")), "{dead:?}");
        let sent_after_all = swept.keep(&mail).await.unwrap();
        swept.discard(&sent_after_all).await.unwrap();
        assert!(dead.exists() && !sent_after_all.exists());
        swept.forget(user).await.unwrap();
        swept.forget(user).await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the other folder");
        assert!(!dead.exists());
    }
}
