//! What people are written. Without their names: whoever has only the address is told nothing.

use std::sync::Arc;

use domain::UserId;
use domain::account::Email;
use infra::identity::{Code, Purpose, TokenHash, VaultError};
use infra::mail::Mail;

use super::{AccountError, Accounts, sessions};

/// How long a code is valid, in seconds.
const CODE_TTL_S: u64 = 30 * 60;

/// What a mail is about, and what it says before the code.
pub(super) struct Letter {
    subject: &'static str,
    text: &'static str,
}

pub(super) const ALREADY_REGISTERED: Letter = Letter {
    subject: "You have an account with Evently",
    text: "Somebody registered with this address, which has an account already. If it was you, \
           log in,\nor ask for another password. If it was not, there is nothing to do.\n",
};

pub(super) const LINKED: Letter = Letter {
    subject: "Another way to log in to Evently",
    text: "Your account can now be used by logging in at the provider that knows this address. If \
           that was not you,\nask for another password, which ends it, and tell us.\n",
};

const VERIFY: Letter = Letter {
    subject: "Your address for Evently",
    text: "Somebody registered with this address. If it was you, show that it is yours with this \
           code,\nwhich is valid for 30 minutes. If it was not, there is nothing to do.\n\nCode: ",
};

const RESET: Letter = Letter {
    subject: "Another password for Evently",
    text: "Somebody asked for another password for this address. If it was you, take one with \
           this code,\nwhich is valid for 30 minutes. If it was not, there is nothing to do.\n\n\
           Code: ",
};

impl Accounts {
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
            if let Err(error) = accounts.mailer.send(&mail).await {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, %user, subject = mail.subject, "a mail was not sent");
            }
            // Who was forgotten meanwhile has no mails.
            if let Err(VaultError::Erased) = accounts.vault.person(user).await
                && let Err(error) = accounts.mailer.forget(user).await
            {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, %user, "mails of an erased person were not removed");
            }
        });
    }
}
