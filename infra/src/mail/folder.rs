//! Mails as files, for installations without a mail server, and for tests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use domain::UserId;
use lettre::message::Mailbox;

use super::{Mail, MailError, Mailer, message};
use crate::clock::Clock;
use crate::{ids, private_file};

/// Writes each mail to `FOLDER/usr_.../NUMBER.eml`; numbers grow with time.
pub struct FolderMailer {
    folder: PathBuf,
    from: Mailbox,
    clock: Arc<dyn Clock>,
}

impl FolderMailer {
    /// A mailer into `folder`, which is made with the first mail.
    pub fn new(folder: &Path, clock: Arc<dyn Clock>) -> Self {
        let address = lettre::Address::new("evently", "localhost").ok();
        let from = address.map(|address| Mailbox::new(Some("Evently".to_owned()), address));
        let from = from.expect("a plain address");
        Self { folder: folder.to_owned(), from, clock }
    }
}

impl FolderMailer {
    /// Writes the mail, and says where.
    pub(super) async fn write(&self, mail: &Mail) -> Result<PathBuf, MailError> {
        let now = self.clock.now();
        let text = message(mail, &self.from, now)?.formatted();
        let text = String::from_utf8(text).map_err(MailError::new)?;
        let path =
            folder_of(&self.folder, mail.user).join(format!("{:032x}.eml", ids::time_ordered(now)));
        let file = path.clone();
        let written = tokio::task::spawn_blocking(move || private_file::create(&file, &text));
        written.await.map_err(MailError::new)?.map_err(MailError::new)?;
        Ok(path)
    }
}

#[async_trait]
impl Mailer for FolderMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.write(mail).await.map(|_| ())
    }

    async fn forget(&self, user: UserId) -> Result<(), MailError> {
        forget_in(&self.folder, user).await
    }
}

fn folder_of(folder: &Path, user: UserId) -> PathBuf {
    folder.join(user.to_string())
}

/// Removes every mail to this person from a folder of mails.
pub(super) async fn forget_in(folder: &Path, user: UserId) -> Result<(), MailError> {
    let folder = folder_of(folder, user);
    let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(folder));
    match removed.await.map_err(MailError::new)? {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(MailError::new(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test]
    async fn a_mail_is_a_file_until_its_reader_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = FolderMailer::new(folder.path(), Arc::new(SystemClock));
        let (user, to) = (UserId::from_u128(1), "ada@example.org".parse().unwrap());
        let mail = Mail { user, to, subject: "Hello", text: "Code: abc\n".to_owned() };
        mailer.send(&mail).await.unwrap();
        mailer.send(&mail).await.unwrap();
        let files: Vec<_> = fs::read_dir(folder_of(folder.path(), user)).unwrap().collect();
        assert_eq!(files.len(), 2);
        let text = fs::read_to_string(files[0].as_ref().unwrap().path()).unwrap();
        for line in ["To: ada@example.org", "Subject: Hello", "Code: abc"] {
            assert!(text.contains(line), "{text}");
        }
        mailer.forget(user).await.unwrap();
        mailer.forget(user).await.unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
