//! What the time of an answer tells: nothing. By a clock that moves only when everybody waits for it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::account::{Email, FAILURES_TO_LOCK, Profile};
use infra::auth::{Auth, Keys};
use infra::clock::{Clock, SystemClock};
use infra::identity::{MasterKeys, SqliteIdentity, Vault};
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::mail::{FolderMailer, Mailer};
use infra::passwords::{Cost, Passwords};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use super::{AccountError, Accounts, AccountsParts, NewAccount};

const STEP: Duration = Duration::from_millis(300);
const PASSWORD: &str = "correct horse battery";

fn accounts(folder: &Path) -> Arc<Accounts> {
    let mailer = FolderMailer::new(&folder.join("mail"), Arc::new(SystemClock));
    accounts_with(folder, Arc::new(mailer))
}

pub(super) fn accounts_with(folder: &Path, mailer: Arc<dyn Mailer>) -> Arc<Accounts> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let log = EmbeddedLog::open(folder.join("log.sqlite"), EmbeddedOptions::default()).unwrap();
    let store = SqliteIdentity::open(&folder.join("identity.sqlite")).unwrap();
    let masters = MasterKeys::load_or_create(folder).unwrap();
    let cheap = Cost { memory_kib: 8, passes: 1 };
    let keys = Keys::load_or_create(folder, clock.clone()).unwrap();
    let parts = AccountsParts {
        log: Arc::new(log),
        auth: Auth::new(&keys, clock.clone()),
        keys: Arc::new(keys),
        vault: Arc::new(Vault::new(Arc::new(store), masters)),
        passwords: Arc::new(Passwords::start_with(cheap, 1, 8).unwrap()),
        mailer,
        clock,
    };
    Arc::new(Accounts::new(parts, STEP, TaskTracker::new(), CancellationToken::new()))
}

fn email(name: &str) -> Email {
    format!("{name}@example.org").parse().unwrap()
}

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

pub(super) fn somebody(name: &str) -> NewAccount {
    let profile = Profile { name: name.to_owned(), phone: None, language: None };
    NewAccount { email: email(name), password: secret(PASSWORD), profile }
}

/// What came of it, if that took one step and no less.
async fn in_a_step<T>(work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = work.await;
    let took = begun.elapsed();
    // Timers are right to the millisecond.
    assert!((STEP..STEP + Duration::from_millis(3)).contains(&took), "{took:?}");
    done
}

#[tokio::test(start_paused = true)]
async fn whatever_refuses_a_log_in_takes_as_long() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = accounts(folder.path());
    accounts.provide(somebody("ada")).await.unwrap();
    accounts.register(somebody("bob")).await.unwrap();
    let refused = async |email, password| {
        let refused = in_a_step(accounts.log_in(email, secret(password))).await;
        assert!(matches!(refused, Err(AccountError::LoginRefused)));
    };
    refused(None, PASSWORD).await;
    refused(Some(email("nobody")), PASSWORD).await;
    refused(Some(email("bob")), PASSWORD).await;
    // Who knows it waits for nothing.
    let begun = Instant::now();
    accounts.log_in(Some(email("ada")), secret(PASSWORD)).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    for _ in 0..FAILURES_TO_LOCK {
        refused(Some(email("ada")), "wrong password").await;
    }
    refused(Some(email("ada")), PASSWORD).await;
}

#[tokio::test(start_paused = true)]
async fn whether_an_address_is_known_takes_as_long_to_be_told_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = accounts(folder.path());
    accounts.provide(somebody("ada")).await.unwrap();
    for name in ["ada", "bob", "bob"] {
        Box::pin(in_a_step(accounts.register(somebody(name)))).await.unwrap();
    }
    for name in ["ada", "bob", "nobody"] {
        in_a_step(accounts.forgot_password(email(name))).await.unwrap();
    }
}
