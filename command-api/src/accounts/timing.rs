//! What the time of an answer, and of what it leaves in the log, tells: nothing. By a clock that moves only
//! when everybody waits for it.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::account::{Email, FAILURES_TO_LOCK, Profile};
use domain::{Time, UserId};
use infra::auth::{Auth, Keys};
use infra::clock::Clock;
use infra::identity::{MasterKeys, SqliteIdentity, Vault, VaultError};
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::mail::{FolderMailer, Mailer};
use infra::passwords::{Cost, Passwords};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use super::{AccountError, Accounts, AccountsParts, NewAccount, Steps};

const STEP: Duration = Duration::from_millis(300);
const PASSWORD: &str = "correct horse battery";

/// What the paused clock says, as the product asks for it.
#[derive(Debug)]
struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> Time {
        let elapsed = u64::try_from(self.0.elapsed().as_millis()).unwrap();
        Time::from_ms(1_800_000_000_000).plus_ms(elapsed)
    }
}

fn accounts(folder: &Path) -> Arc<Accounts> {
    let mailer = FolderMailer::new(&folder.join("mail"), Arc::new(Paused(Instant::now())));
    accounts_with(folder, Arc::new(mailer))
}

pub(super) fn accounts_with(folder: &Path, mailer: Arc<dyn Mailer>) -> Arc<Accounts> {
    let clock: Arc<dyn Clock> = Arc::new(Paused(Instant::now()));
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

/// What came of it, if the answer took as many steps and no less, and each step before it left one record.
async fn in_steps<T>(accounts: &Accounts, steps: u32, work: impl Future<Output = T>) -> T {
    let (begun, asked) = (Instant::now(), accounts.clock.now());
    let head = accounts.log.head().await.unwrap();
    let done = work.await;
    // Timers are right to the millisecond.
    let near = |moment: Duration, steps| {
        assert!((STEP * steps..STEP * steps + ms(3)).contains(&moment), "{moment:?} {steps}");
    };
    near(begun.elapsed(), steps);
    let left = accounts.log.read_all(head, 9).await.unwrap();
    assert_eq!(left.len() as u32, steps - 1, "{left:?}");
    for (record, step) in left.iter().zip(1..) {
        near(ms(record.at.ms_since(asked)), step);
    }
    done
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test(start_paused = true)]
async fn whatever_refuses_a_log_in_takes_as_long() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = accounts(folder.path());
    accounts.provide(somebody("ada")).await.unwrap();
    accounts.register(somebody("bob")).await.unwrap();
    let refused = async |email, password| {
        let refused = in_steps(&accounts, 2, accounts.log_in(email, secret(password))).await;
        assert!(matches!(refused, Err(AccountError::LoginRefused)));
    };
    refused(None, PASSWORD).await;
    refused(Some(email("nobody")), PASSWORD).await;
    refused(Some(email("bob")), PASSWORD).await;
    // Who knows it has the answer with the record.
    let begun = Instant::now();
    accounts.log_in(Some(email("ada")), secret(PASSWORD)).await.unwrap();
    assert!(begun.elapsed() < STEP + ms(3));
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
        Box::pin(in_steps(&accounts, 3, accounts.register(somebody(name)))).await.unwrap();
    }
    for name in ["ada", "bob", "nobody"] {
        in_steps(&accounts, 1, accounts.forgot_password(email(name))).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_leaves_as_much_as_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = accounts(folder.path());
    accounts.provide(somebody("ada")).await.unwrap();
    let left_by = async |mut asking: Pin<Box<dyn Future<Output = ()> + Send>>| {
        let head = accounts.log.head().await.unwrap();
        // As long as this blocks, the clock stands still and the first step does not come.
        let (go_on, blocked) = std::sync::mpsc::channel::<()>();
        let still = tokio::task::spawn_blocking(move || blocked.recv().unwrap_err());
        let mut polls = 0_u32;
        while accounts.work.is_empty() {
            assert!(futures::poll!(&mut asking).is_pending());
            polls += 1;
            assert!(polls < 10_000_000, "it goes with who asked");
            tokio::task::yield_now().await;
        }
        drop((asking, go_on));
        still.await.unwrap();
        // Without a deadline: the clock would go there at once while the log's own thread is at work.
        accounts.work.close();
        accounts.work.wait().await;
        accounts.work.reopen();
        accounts.log.read_all(head, 9).await.unwrap().len()
    };
    let asked = accounts.clone();
    let log_in = async move {
        let _ = asked.log_in(Some(email("ada")), secret("wrong password")).await;
    };
    assert_eq!(left_by(Box::pin(log_in)).await, 1);
    for name in ["ada", "bob"] {
        let asked = accounts.clone();
        let register = async move {
            let _ = asked.register(somebody(name)).await;
        };
        assert_eq!(left_by(Box::pin(register)).await, 2, "{name}");
    }
    accounts.holder(&email("bob")).await.unwrap();
}

#[tokio::test]
async fn what_a_registration_left_that_broke_off_can_be_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = accounts(folder.path());
    accounts.provide(somebody("ada")).await.unwrap();
    let (begun, user) = (email("bob"), UserId::from_u128(7));
    assert_eq!(accounts.claim(&begun, user, &Steps::none()).await.unwrap(), user);
    accounts.vault.make_person(user).await.unwrap();
    accounts.forget_claim(&begun).await.unwrap();
    assert!(accounts.vault.address(&begun).await.unwrap().is_none());
    assert!(matches!(accounts.vault.person(user).await, Err(VaultError::Erased)));
    for known in ["ada", "bob", "eve"] {
        let refused = accounts.forget_claim(&email(known)).await;
        assert!(matches!(refused, Err(AccountError::NotFound)), "{known}: {refused:?}");
    }
    accounts.register(somebody("bob")).await.unwrap();
}
