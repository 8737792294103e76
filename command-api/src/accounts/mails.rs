//! What people are written. Without their names: whoever has only the address is told nothing.

use std::sync::Arc;
use std::time::Duration;

use domain::UserId;
use domain::account::Email;
use infra::identity::{Code, Purpose, TokenHash, VaultError};
use infra::mail::Mail;
use infra::metrics::{METRICS, Mail as Outcome};

use super::{AccountError, Accounts, sessions};

/// How long a code is valid, in seconds.
const CODE_TTL_S: u64 = 30 * 60;

/// Between attempts to send a mail: four minutes, of the half hour that a code is valid.
const PAUSES_S: [u64; 7] = [2, 4, 8, 16, 32, 64, 128];

/// What a mail is about, and what it says before the code.
pub(super) struct Letter {
    subject: &'static str,
    text: &'static str,
    /// Whether it is sent to a known address alone, whoever asks. Then it is not counted: who reads the
    /// metrics would learn what the answer does not tell. The log tells of one that was not sent.
    is_secret: bool,
}

impl Letter {
    fn count(&self, outcome: Outcome) {
        if !self.is_secret {
            METRICS.mail(outcome);
        }
    }
}

pub(super) const ALREADY_REGISTERED: Letter = Letter {
    subject: "You have an account with Evently",
    text: "Somebody registered with this address, which has an account already. If it was you, \
           log in,\nor ask for another password. If it was not, there is nothing to do.\n",
    is_secret: false,
};

pub(super) const LINKED: Letter = Letter {
    subject: "Another way to log in to Evently",
    text: "Your account can now be used by logging in at the provider that knows this address. If \
           that was not you,\nask for another password, which ends it, and tell us.\n",
    is_secret: false,
};

const VERIFY: Letter = Letter {
    subject: "Your address for Evently",
    text: "Somebody registered with this address. If it was you, show that it is yours with this \
           code,\nwhich is valid for 30 minutes. If it was not, there is nothing to do.\n\nCode: ",
    is_secret: false,
};

const RESET: Letter = Letter {
    subject: "Another password for Evently",
    text: "Somebody asked for another password for this address. If it was you, take one with \
           this code,\nwhich is valid for 30 minutes. If it was not, there is nothing to do.\n\n\
           Code: ",
    is_secret: true,
};

impl Accounts {
    /// Whether the mail server answers, and if not, why; nothing if there is none.
    pub(crate) async fn mail_server(&self) -> Option<Result<(), String>> {
        self.mailer.reached().await
    }

    /// Makes a one-time code and sends it to the address.
    pub(super) async fn mail_code(
        self: &Arc<Self>,
        user: UserId,
        to: Email,
        purpose: Purpose,
        payload: String,
    ) -> Result<(), AccountError> {
        let code = sessions::token()?;
        let letter = match purpose {
            Purpose::VerifyEmail => VERIFY,
            Purpose::ResetPassword => RESET,
        };
        let expires_at = self.clock.now().plus_s(CODE_TTL_S);
        let hash = TokenHash::of(&code);
        let kept = Code { hash, user, purpose, payload, expires_at };
        self.vault.store().put_code(kept).await?;
        self.mail(user, to, letter, format!("{}\n", *code));
        Ok(())
    }

    /// Sends a mail in the background: who asks does not wait for the mail server, nor learns from
    /// it whether there was a mail.
    pub(super) fn mail(self: &Arc<Self>, user: UserId, to: Email, letter: Letter, end: String) {
        let accounts = self.clone();
        let mail = Mail { user, to, subject: letter.subject, text: letter.text.to_owned() + &end };
        self.work.spawn(async move {
            accounts.deliver(&mail, &letter).await;
            // Who was forgotten meanwhile has no mails.
            if accounts.is_erased(user).await
                && let Err(error) = accounts.mailer.forget(user).await
            {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, %user, "mails of an erased person were not removed");
            }
        });
    }

    /// Sends it, if need be several times. It lies in a file as soon as it was not sent the first time,
    /// which stays when nothing helps, or the process ends before.
    async fn deliver(&self, mail: &Mail, letter: &Letter) {
        let user = mail.user;
        let Err(mut error) = self.mailer.send(mail).await else {
            return letter.count(Outcome::Sent);
        };
        let kept = self.mailer.keep(mail).await;
        for pause in PAUSES_S.map(Duration::from_secs) {
            let pause = self.stop.run_until_cancelled(tokio::time::sleep(pause));
            if error.is_for_good() || pause.await.is_none() || self.is_erased(user).await {
                break;
            }
            letter.count(Outcome::TriedAgain);
            error = match self.mailer.send(mail).await {
                Err(error) => error,
                Ok(()) => {
                    letter.count(Outcome::Sent);
                    if let Ok(file) = &kept
                        && let Err(error) = self.mailer.discard(file).await
                    {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(
                            error,
                            ?file,
                            "a mail that was sent after all is still there"
                        );
                    }
                    return;
                }
            };
        }
        letter.count(Outcome::GivenUp);
        let (error, subject): (&dyn std::error::Error, _) = (&error, mail.subject);
        match kept {
            Ok(file) => tracing::error!(error, %user, subject, ?file, "a mail was not sent"),
            Err(why) => {
                let why: &dyn std::error::Error = &why;
                tracing::error!(error, why, %user, subject, "a mail was not sent, and is lost");
            }
        }
    }

    /// Whether this person was erased, as far as one knows.
    async fn is_erased(&self, user: UserId) -> bool {
        matches!(self.vault.person(user).await, Err(VaultError::Erased))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use infra::clock::SystemClock;
    use infra::mail::{MailError, Mailer, SmtpMailer, Swept};

    use super::*;
    use crate::accounts::timing::{accounts_with, somebody};

    /// A mail server that is there after so many attempts.
    struct Server {
        nobody: Swept,
        attempts: AtomicUsize,
        comes_after: usize,
    }

    #[async_trait]
    impl Mailer for Server {
        async fn send(&self, mail: &Mail) -> Result<(), MailError> {
            if self.attempts.fetch_add(1, Ordering::SeqCst) < self.comes_after {
                return self.nobody.send(mail).await;
            }
            Ok(())
        }

        async fn keep(&self, mail: &Mail) -> Result<PathBuf, MailError> {
            self.nobody.keep(mail).await
        }

        async fn forget(&self, user: UserId) -> Result<(), MailError> {
            self.nobody.forget(user).await
        }
    }

    fn server(folder: &Path, comes_after: usize) -> Arc<Server> {
        let clock = Arc::new(SystemClock);
        let nobody = SmtpMailer::new("smtp://127.0.0.1:1", "a@example.org", clock.clone()).unwrap();
        let nobody = Swept::new(Arc::new(nobody), &folder.join("mail"), &[], clock);
        Arc::new(Server { nobody, attempts: AtomicUsize::new(0), comes_after })
    }

    /// Files of mails that were not sent.
    fn dead(folder: &Path) -> usize {
        let Ok(people) = std::fs::read_dir(folder.join("mail/dead")) else { return 0 };
        people.map(|person| std::fs::read_dir(person.unwrap().path()).unwrap().count()).sum()
    }

    /// How often a mail was sent, and how many files there are, when nothing more happens.
    async fn sent_to(server: Arc<Server>, folder: &Path, stops: bool) -> (usize, usize) {
        let accounts = accounts_with(folder, server.clone());
        accounts.register(somebody("ada")).await.unwrap();
        if stops {
            accounts.stop.cancel();
        }
        accounts.work.close();
        accounts.work.wait().await;
        (server.attempts.load(Ordering::SeqCst), dead(folder))
    }

    #[tokio::test(start_paused = true)]
    async fn a_mail_is_sent_again_for_some_minutes_and_then_kept() {
        let folder = tempfile::tempdir().unwrap();
        let nobody = server(folder.path(), usize::MAX);
        assert_eq!(sent_to(nobody, folder.path(), false).await, (PAUSES_S.len() + 1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_mail_that_is_sent_after_all_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let late = server(folder.path(), 3);
        assert_eq!(sent_to(late, folder.path(), false).await, (4, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_mail_who_stops() {
        let folder = tempfile::tempdir().unwrap();
        let nobody = server(folder.path(), usize::MAX);
        let (attempts, dead) = sent_to(nobody, folder.path(), true).await;
        assert!(attempts <= 2 && dead == 1, "{attempts} {dead}");
    }
}
