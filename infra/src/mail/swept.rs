//! What other mailers left behind is forgotten too.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use domain::UserId;

use super::folder::forget_in;
use super::{Mail, MailError, Mailer};

/// Sends as another mailer does, and forgets also what lies in folders of mails from before: of an
/// installation that has a mail server by now, or shares a folder.
pub struct Swept {
    mailer: Arc<dyn Mailer>,
    folders: Vec<PathBuf>,
}

impl Swept {
    /// `mailer`, with these folders in which mails may lie as
    /// [`FolderMailer`](super::FolderMailer) writes them.
    pub fn new(mailer: Arc<dyn Mailer>, folders: Vec<PathBuf>) -> Self {
        Self { mailer, folders }
    }
}

#[async_trait]
impl Mailer for Swept {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.mailer.send(mail).await
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
    use crate::mail::{FolderMailer, SmtpMailer};

    #[tokio::test]
    async fn mails_from_before_there_was_a_mail_server_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (user, to) = (UserId::from_u128(1), "ada@example.org".parse().unwrap());
        let before = FolderMailer::new(folder.path(), Arc::new(SystemClock));
        before.send(&Mail { user, to, subject: "Hello", text: "you".to_owned() }).await.unwrap();
        let url = "smtp://127.0.0.1:1";
        let server = SmtpMailer::new(url, "a@example.org", Arc::new(SystemClock)).unwrap();
        let swept = Swept::new(Arc::new(server), vec![folder.path().to_owned()]);
        swept.forget(user).await.unwrap();
        swept.forget(user).await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
