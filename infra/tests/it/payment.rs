//! The mock payment provider.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::{Currency, PaymentId, Time};
use infra::clock::{Clock, ManualClock};
use infra::payment::{
    Charge, ChargeOutcome, Ledger, LedgerCharge, LedgerRefund, MockProvider, OpenError,
    PaymentProvider, PaymentStatus, ProviderError, Refund,
};

use crate::child::Child;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

fn open(folder: &Path, clock: &Arc<ManualClock>) -> MockProvider {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    MockProvider::open(&folder.join("payments.sqlite"), clock, ANSWER_TIMEOUT).unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Time::from_ms(1_800_000_000_000)))
}

fn charge(number: u128, token: &str) -> Charge {
    let payment = PaymentId::from_u128(number);
    Charge { payment, amount_minor: 5_000, currency: Currency::EUR, token: token.to_owned() }
}

fn refund(number: u128, reason: &str, amount_minor: i64) -> Refund {
    let payment = PaymentId::from_u128(number);
    Refund { payment, reason: reason.to_owned(), amount_minor, currency: Currency::EUR }
}

fn entry(number: u128, status: PaymentStatus) -> LedgerCharge {
    let payment = PaymentId::from_u128(number);
    LedgerCharge { payment, amount_minor: 5_000, currency: Currency::EUR, status }
}

#[tokio::test(start_paused = true)]
async fn the_token_decides() {
    let folder = tempfile::tempdir().unwrap();
    let provider = open(folder.path(), &clock());
    let status = async |number| provider.status(PaymentId::from_u128(number)).await.unwrap();

    assert_eq!(provider.charge(&charge(1, "tok_success")).await.unwrap(), ChargeOutcome::Succeeded);
    assert_eq!(status(1).await, PaymentStatus::Succeeded);

    for (number, token) in [(2, "tok_declined"), (3, "tok_unknown"), (4, "")] {
        let outcome = provider.charge(&charge(number, token)).await.unwrap();
        assert_eq!(outcome, ChargeOutcome::Declined, "{token}");
        assert_eq!(status(number).await, PaymentStatus::Declined);
    }

    let error = provider.charge(&charge(5, "tok_timeout")).await.unwrap_err();
    assert!(matches!(error, ProviderError::TimedOut), "{error}");
    assert_eq!(status(5).await, PaymentStatus::NotFound);

    let error = provider.charge(&charge(6, "tok_late")).await.unwrap_err();
    assert!(matches!(error, ProviderError::TimedOut), "{error}");
    assert_eq!(status(6).await, PaymentStatus::Succeeded);
}

#[tokio::test]
async fn a_late_charge_succeeds_though_nobody_waits_for_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let provider = open(folder.path(), &clock);
    let payment = PaymentId::from_u128(1);
    {
        let order = charge(1, "tok_late");
        let waiting = provider.charge(&order);
        let entered =
            async { while provider.status(payment).await.unwrap() == PaymentStatus::NotFound {} };
        tokio::select! {
            answer = waiting => panic!("{answer:?}"),
            () = entered => {}
        }
    }
    assert_eq!(provider.status(payment).await.unwrap(), PaymentStatus::Pending);
    let error = provider.refund(&refund(1, "cancelled", 100)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    clock.advance_ms(5_000);
    assert_eq!(provider.status(payment).await.unwrap(), PaymentStatus::Succeeded);
}

#[tokio::test]
async fn a_payment_is_charged_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let provider = open(folder.path(), &clock);
    let order = charge(1, "tok_success");
    let together = futures::future::join_all((0..50).map(|_| provider.charge(&order))).await;
    for outcome in together {
        assert_eq!(outcome.unwrap(), ChargeOutcome::Succeeded);
    }
    // The first outcome stands, whatever the token says later.
    let again = provider.charge(&charge(1, "tok_declined")).await.unwrap();
    assert_eq!(again, ChargeOutcome::Succeeded);

    for wrong in [
        Charge { amount_minor: 5_001, ..order.clone() },
        Charge { currency: "USD".parse().unwrap(), ..order.clone() },
        Charge { amount_minor: 0, ..charge(2, "tok_success") },
        Charge { amount_minor: -1, ..charge(2, "tok_success") },
    ] {
        let error = provider.charge(&wrong).await.unwrap_err();
        assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    }
    let charges = vec![entry(1, PaymentStatus::Succeeded)];
    assert_eq!(provider.ledger().await.unwrap(), Ledger { charges, refunds: vec![] });
}

#[tokio::test]
async fn refunds_happen_once_and_never_exceed_the_charge() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let provider = open(folder.path(), &clock);
    provider.charge(&charge(1, "tok_success")).await.unwrap();
    provider.charge(&charge(2, "tok_declined")).await.unwrap();

    for _ in 0..2 {
        provider.refund(&refund(1, "cancelled", 3_000)).await.unwrap();
    }
    let refused = [
        refund(1, "cancelled", 2_000),
        refund(1, "goodwill", 2_001),
        refund(1, "goodwill", i64::MAX),
        refund(1, "goodwill", 0),
        refund(1, "goodwill", -1),
        Refund { currency: "USD".parse().unwrap(), ..refund(1, "goodwill", 1) },
        refund(2, "cancelled", 1),
        refund(3, "cancelled", 1),
    ];
    for order in refused {
        let error = provider.refund(&order).await.unwrap_err();
        assert!(matches!(error, ProviderError::Refused(_)), "{order:?}: {error}");
    }
    provider.refund(&refund(1, "goodwill", 2_000)).await.unwrap();

    let entered = |reason: &str, amount_minor| LedgerRefund {
        payment: PaymentId::from_u128(1),
        reason: reason.to_owned(),
        amount_minor,
        currency: Currency::EUR,
    };
    let ledger = provider.ledger().await.unwrap();
    assert_eq!(ledger.refunds, [entered("cancelled", 3_000), entered("goodwill", 2_000)]);
    assert_eq!(ledger.charges[1], entry(2, PaymentStatus::Declined));
}

#[tokio::test]
async fn a_file_of_someone_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (text, database) = (folder.path().join("notes.txt"), folder.path().join("other.sqlite"));
    std::fs::write(&text, "buy milk, and then some more text than a header of SQLite has").unwrap();
    let other = rusqlite::Connection::open(&database).unwrap();
    other.execute_batch("CREATE TABLE charges (id)").unwrap();
    drop(other);
    for path in [&text, &database] {
        let before = std::fs::read(path).unwrap();
        let error = MockProvider::open(path, clock(), ANSWER_TIMEOUT).err().unwrap();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        assert_eq!(std::fs::read(path).unwrap(), before);
    }
    let error = MockProvider::open(folder.path(), clock(), ANSWER_TIMEOUT).err().unwrap();
    assert!(matches!(error, OpenError::File { .. }), "{error}");
}

/// What the child of the test below does.
#[tokio::test]
async fn child_charges_for_ever() {
    let Some(folder) = Child::folder() else { return };
    let provider = open(&folder, &clock());
    for number in 0.. {
        provider.charge(&charge(number, "tok_success")).await.unwrap();
        Child::say(&number.to_string());
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<u128> = Vec::new();
    for round in 1..=3 {
        let mut child = Child::start("payment::child_charges_for_ever", folder.path());
        for _ in 0..200 * round {
            acknowledged.push(child.next_line().expect("it charges for ever").parse().unwrap());
        }
        child.kill();
        while let Some(said) = child.next_line() {
            acknowledged.push(said.parse().unwrap());
        }
    }
    let last = acknowledged.into_iter().max().unwrap();
    let ledger = open(folder.path(), &clock()).ledger().await.unwrap();
    let charged: Vec<u128> = ledger.charges.iter().map(|c| c.payment.as_u128()).collect();
    let expected: Vec<u128> = (0..=last).collect();
    assert!(charged.starts_with(&expected), "{} of {last}", charged.len());
    assert!(charged.len() <= expected.len() + 1, "charged what nobody asked for");
}

/// What the child of the test below does: says what it charged, until the disk is full.
#[cfg(unix)]
#[tokio::test]
async fn child_charges_until_the_disk_is_full() {
    let Some(folder) = Child::folder() else { return };
    let provider = open(&folder, &clock());
    for number in 0.. {
        match provider.charge(&charge(number, "tok_success")).await {
            Ok(_) => Child::say(&number.to_string()),
            Err(ProviderError::Unavailable(_)) => break,
            Err(error) => panic!("{error}"),
        }
    }
    Child::say("full");
}

#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_takes_no_order_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let test = "payment::child_charges_until_the_disk_is_full";
    let mut child = Child::start_limited(test, folder.path(), 400);
    let said: Vec<String> = std::iter::from_fn(|| child.next_line()).collect();
    let (end, acknowledged) = said.split_last().unwrap();
    assert_eq!(end, "full");
    assert!(!acknowledged.is_empty());
    let ledger = open(folder.path(), &clock()).ledger().await.unwrap();
    assert_eq!(ledger.charges.len(), acknowledged.len());
}
