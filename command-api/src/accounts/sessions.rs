//! Logging in and out, and staying logged in (AC-2).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::account::{Account, Command, Email, Fact};
use domain::{Aggregate, Roles, Time, UserId};
use infra::auth::{ACCESS_TTL, Role};
use infra::identity::{Bar, Rotation, Session, TokenHash};
use infra::log::Position;
use zeroize::Zeroizing;

use super::{AccountError, Accounts, Opened, Steps, origin};
use crate::runtime::Failure;

/// How long a refresh token is.
const REFRESH_TTL: Duration = Duration::from_secs(7 * 86_400);

/// What somebody who is logged in has.
pub(crate) struct Tokens {
    pub(crate) user: UserId,
    pub(crate) access: String,
    pub(crate) access_ttl: Duration,
    pub(crate) refresh: Zeroizing<String>,
    pub(crate) refresh_ttl: Duration,
    pub(crate) position: Position,
}

/// Who showed that they are this person, and the account in which that was so.
pub(super) struct Proven {
    pub(super) user: UserId,
    pub(super) account: Account,
    /// Of the answer.
    pub(super) position: Position,
}

impl Accounts {
    /// Logs somebody in. `email` is `None` if it cannot be an address at all.
    pub(crate) async fn log_in(
        self: &Arc<Self>,
        email: Option<Email>,
        password: Zeroizing<String>,
    ) -> Result<Tokens, AccountError> {
        let steps = Steps::begin(self.discretion);
        let logging_in = async {
            let found = match &email {
                Some(email) => self.by_email(email).await?,
                None => None,
            };
            let checked = self.check_password(found, password, &steps).await?;
            self.open_session(&checked).await
        };
        let logged_in = logging_in.await;
        // Only refusals have something to hide.
        if logged_in.is_err() {
            steps.next().await;
        }
        logged_in
    }

    /// Whose password it is. Costs the same without an account. What became of it is decided on the
    /// account's stream, one try after the other, at the next of these steps.
    pub(super) async fn check_password(
        self: &Arc<Self>,
        found: Option<Opened>,
        password: Zeroizing<String>,
        steps: &Steps,
    ) -> Result<Proven, AccountError> {
        let stored = found.as_ref().map(Opened::password).transpose()?.flatten();
        let matches = self.passwords.is_right(password, stored).await?;
        // Who goes away before the step was told nothing yet, and their try counts all the same.
        let (accounts, steps) = (self.clone(), *steps);
        self.to_its_end(async move { accounts.decide_try(found, matches, steps).await }).await
    }

    async fn decide_try(
        &self,
        found: Option<Opened>,
        matches: bool,
        steps: Steps,
    ) -> Result<Proven, AccountError> {
        let command = |known| Command::LogIn { known, matches };
        // What can be looked at before is: at the step one record is written and nothing else is done.
        let now = self.clock.now();
        let tried = found.filter(|Opened { account, .. }| {
            account.decide(&command(account.password.clone()), now).is_ok()
        });
        // The right password waits too: else it would overtake the wrong ones given before it, and more
        // of those could be tried than lock the account.
        steps.next().await;
        let Some(Opened { user, account, .. }) = tried else {
            self.cover().await?;
            return Err(AccountError::LoginRefused);
        };
        match self.execute::<Account>(user, command(account.password), origin(None)).await {
            Ok(done) if matches => Ok(Proven { user, account: done.seen, position: done.position }),
            Ok(done) => {
                if done.facts.iter().any(|fact| matches!(fact, Fact::AccountLocked(_))) {
                    tracing::warn!(%user, "an account is locked after too many wrong passwords");
                }
                Err(AccountError::LoginRefused)
            }
            Err(Failure::Refused(_)) => {
                self.cover().await?;
                Err(AccountError::LoginRefused)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Begins a session on one device.
    pub(super) async fn open_session(&self, proven: &Proven) -> Result<Tokens, AccountError> {
        let Proven { user, ref account, position } = *proven;
        let moment = self.auth.moment(user);
        // Never from before the password, whatever the clock does.
        let (token, now) = (token()?, self.clock.now().max(account.password_since));
        let session = Session {
            id: infra::ids::random_u128(),
            user,
            opened_at: now,
            used_at: now,
            expires_at: now.plus_s(REFRESH_TTL.as_secs()),
        };
        let (store, hash) = (self.vault.store(), TokenHash::of(&token));
        store.open_session(session, hash).await?;
        // Whoever took another password meanwhile has closed the sessions that there were, but not
        // this one.
        let (now, _) = self.look::<Account>(user).await?;
        let is_other = now.in_use() != Some(user) || now.password != account.password;
        // Nor is what whoever comes from a provider may be looked at before it became more.
        let is_more = !now.logins.is_empty() && now.roles != account.roles;
        if is_other || is_more {
            store.close_session(hash).await?;
            return Err(AccountError::LoginRefused);
        }
        self.tokens((user, moment), now.roles, token, position)
    }

    /// `as_of` has to be from before anything was looked at that lets them have tokens: what is over
    /// since then is so for these too.
    fn tokens(
        &self,
        (user, as_of): (UserId, Time),
        roles: Roles,
        refresh: Zeroizing<String>,
        position: Position,
    ) -> Result<Tokens, AccountError> {
        let roles: Vec<Role> = roles.iter().collect();
        let access = self.keys.issue_as_of(user, &roles, ACCESS_TTL, as_of)?;
        let (access_ttl, refresh_ttl) = (ACCESS_TTL, REFRESH_TTL);
        Ok(Tokens { user, access, access_ttl, refresh, refresh_ttl, position })
    }

    /// Gives new tokens for an old one, which is spent by that.
    pub(crate) async fn refresh(self: &Arc<Self>, old: &str) -> Result<Tokens, AccountError> {
        let (accounts, old) = (self.clone(), TokenHash::of(old));
        // A thief who goes away early is found all the same.
        self.to_its_end(async move { accounts.rotate(old).await }).await
    }

    async fn rotate(&self, old: TokenHash) -> Result<Tokens, AccountError> {
        let (new, now) = (token()?, self.clock.now());
        let store = self.vault.store();
        // Everything that can be away is asked before the old token is spent.
        let found = match store.session(old, now).await? {
            Some(session) => {
                let moment = self.auth.moment(session.user);
                Some((session, moment, self.look::<Account>(session.user).await?))
            }
            None => None,
        };
        let expires_at = now.plus_s(REFRESH_TTL.as_secs());
        match store.rotate(old, TokenHash::of(&new), now, expires_at).await? {
            Rotation::Rotated(user) => match found {
                Some((session, moment, (account, position)))
                    if account.in_use() == Some(user)
                        && session.opened_at >= account.password_since =>
                {
                    self.tokens((user, moment), account.roles, new, position)
                }
                // Who closes sessions may have died before.
                _ => {
                    store.close_session(TokenHash::of(&new)).await?;
                    Err(AccountError::SessionOver)
                }
            },
            Rotation::Reused(user) => {
                tracing::warn!(%user, "a spent refresh token came back; its session is closed");
                self.bar_older(user).await?;
                Err(AccountError::SessionOver)
            }
            Rotation::Unknown => Err(AccountError::SessionOver),
        }
    }

    /// Ends the session of a token, or with `everywhere` all sessions of whose it is.
    pub(crate) async fn log_out(
        self: &Arc<Self>,
        token: &str,
        everywhere: bool,
    ) -> Result<(), AccountError> {
        let (accounts, token) = (self.clone(), TokenHash::of(token));
        self.to_its_end(async move {
            let store = accounts.vault.store();
            if everywhere && let Some(session) = store.session(token, accounts.clock.now()).await? {
                accounts.end_sessions(session.user).await?;
            }
            store.close_session(token).await?;
            Ok(())
        })
        .await
    }

    /// Ends every session of a person, and what was given in it.
    pub(super) async fn end_sessions(&self, user: UserId) -> Result<(), AccountError> {
        // Before it too: who asks again after a failure may have no session any more to ask with.
        self.bar_older(user).await?;
        self.vault.store().close_sessions(user).await?;
        self.bar_older(user).await
    }

    /// Has all access tokens refused that were made of what was known of the person until now.
    pub(super) async fn bar_older(&self, user: UserId) -> Result<(), AccountError> {
        self.bar(Bar::older(user, self.clock.now())).await
    }

    /// The store tells the other processes. First it: who is told to ask again needs the token.
    pub(super) async fn bar(&self, bar: Bar) -> Result<(), AccountError> {
        self.vault.store().bar(bar).await?;
        self.auth.bar(bar);
        Ok(())
    }

    /// Finishes what was begun before a crash and forgets what has expired, from time to time.
    pub(crate) async fn tidy(self: Arc<Self>, stop: tokio_util::sync::CancellationToken) {
        const EVERY: Duration = Duration::from_secs(600);
        let mut pulse = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = pulse.tick() => {}
            }
            let tidied = tokio::select! {
                () = stop.cancelled() => return,
                tidied = self.tidy_once() => tidied,
            };
            match tidied {
                Ok(()) => {}
                Err(AccountError::Fault(error)) => {
                    let error: &dyn std::error::Error = &*error;
                    tracing::error!(error, "accounts cannot be tidied up; tried again later");
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "accounts are tidied up later");
                }
            }
        }
    }

    async fn tidy_once(&self) -> Result<(), AccountError> {
        // Before anything else: whether this is the right store.
        self.vault.settle().await?;
        self.vault.store().sweep(self.clock.now()).await?;
        self.finish_erasures().await
    }
}

/// 256 random bits as text.
pub(super) fn token() -> Result<Zeroizing<String>, AccountError> {
    let bytes = Zeroizing::new(infra::ids::secret()?);
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
}
