//! The mock provider's books: one SQLite file, written by one thread.
//!
//! The thread carries out all waiting orders in one transaction and only then answers. The file
//! is not synced: it stands for the memory of an outside company, whose durability is not ours;
//! what was answered survives the end of this process, however sudden.

use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::money::CurrencyError;
use domain::{Currency, PaymentId, Time};
use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::{Charge, PaymentStatus, ProviderError, Refund};
use crate::sqlite::{SqliteError, make_private};

/// Marks the file as ours: "EvPL".
const APPLICATION_ID: i32 = 0x4576_504c;

/// How many orders wait before new ones wait to be taken.
const WAITING: usize = 1_024;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS charges (
        payment BLOB NOT NULL PRIMARY KEY,
        amount_minor INTEGER NOT NULL,
        currency TEXT NOT NULL,
        succeeded INTEGER NOT NULL,
        settles_at_ms INTEGER
    );
    CREATE TABLE IF NOT EXISTS refunds (
        payment BLOB NOT NULL REFERENCES charges,
        reason TEXT NOT NULL,
        amount_minor INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (payment, reason)
    );
";

/// Why a ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is something else.
    #[error("{} is not a ledger of the mock payment provider: move it away", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened, read or written.
    #[error(
        "cannot open the mock payment provider's ledger {}: if it is damaged, restore it from a backup, or \
         move it away, and nothing is known any more of charges that were made with it",
        path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: SqliteError,
    },
    /// No thread could be started.
    #[error("cannot start the mock payment provider")]
    Thread(#[source] std::io::Error),
}

/// All that a mock provider did, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Every charge that was decided or is pending.
    pub charges: Vec<LedgerCharge>,
    /// Every refund.
    pub refunds: Vec<LedgerRefund>,
}

/// A charge in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerCharge {
    /// Its key.
    pub payment: PaymentId,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// Of what.
    pub currency: Currency,
    /// What became of it; never `NotFound`.
    pub status: PaymentStatus,
}

/// A refund in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRefund {
    /// The payment it gives back.
    pub payment: PaymentId,
    /// Its key within the payment.
    pub reason: String,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// Of what.
    pub currency: Currency,
}

/// How a new charge is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Declines,
    Succeeds,
    /// Succeeds once this long has passed, or [`Page::settle`] says so.
    SucceedsAfter(Duration),
}

/// Why an order is not entered.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntryError {
    #[error("{0}")]
    Refused(&'static str),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl From<EntryError> for ProviderError {
    fn from(error: EntryError) -> Self {
        match error {
            EntryError::Refused(why) => Self::Refused(why),
            EntryError::Sqlite(error) => Self::Unavailable(error.into()),
        }
    }
}

/// An order to the thread that keeps the books. Carried out, it leaves its answer to be given
/// after the commit.
type Job = Box<dyn FnOnce(&Page<'_>) -> Reply + Send>;
type Reply = Box<dyn FnOnce()>;

/// The thread that keeps the books; it ends when this is dropped.
pub(super) struct Books {
    jobs: mpsc::Sender<Job>,
}

impl Books {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |error: rusqlite::Error| OpenError::File {
            path: path.to_owned(),
            source: error.into(),
        };
        let connection = match connect(path) {
            Ok(Some(connection)) => connection,
            Ok(None) => return Err(OpenError::Foreign { path: path.to_owned() }),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                return Err(OpenError::Foreign { path: path.to_owned() });
            }
            Err(error) => return Err(failed(error)),
        };
        let (jobs, waiting) = mpsc::channel(WAITING);
        std::thread::Builder::new()
            .name("mock-payments".into())
            .spawn(move || keep(connection, waiting))
            .map_err(OpenError::Thread)?;
        Ok(Self { jobs })
    }

    /// Has `question` carried out and committed, and gives its answer.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Page<'_>) -> Result<T, EntryError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |page| {
            let result = question(page);
            // Nobody listens if the caller ran out of time.
            Box::new(move || drop(reply.send(result)))
        });
        let lost = || ProviderError::Unavailable("the ledger cannot be written".into());
        self.jobs.send(job).await.map_err(|_| lost())?;
        Ok(answer.await.map_err(|_| lost())??)
    }
}

/// The ledger's file, ready; `None` if it is a database of someone else.
fn connect(path: &Path) -> rusqlite::Result<Option<Connection>> {
    // What refuses this refuses SQLite too, which then says why.
    let _ = make_private(path);
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let mark: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if mark != APPLICATION_ID && (mark != 0 || tables > 0) {
        return Ok(None);
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    if mark != APPLICATION_ID {
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    connection.execute_batch(TABLES)?;
    Ok(Some(connection))
}

fn keep(mut connection: Connection, mut waiting: mpsc::Receiver<Job>) {
    let mut jobs = Vec::new();
    let mut failing = false;
    while waiting.blocking_recv_many(&mut jobs, WAITING) > 0 {
        // Without the commit the replies are dropped, which tells those who ask.
        let done = carry_out(&mut connection, jobs.drain(..));
        // The same failure is not reported again and again.
        match (&done, std::mem::replace(&mut failing, done.is_err())) {
            (Err(error), false) => {
                tracing::error!(%error, "the mock payment provider cannot write its ledger");
            }
            (Ok(()), true) => tracing::info!("the mock payment provider's ledger works again"),
            _ => {}
        }
    }
}

fn carry_out(connection: &mut Connection, jobs: impl Iterator<Item = Job>) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let page = Page(&transaction);
    let replies: Vec<Reply> = jobs.map(|job| job(&page)).collect();
    transaction.commit()?;
    replies.into_iter().for_each(|reply| reply());
    Ok(())
}

/// The books within one transaction.
pub(super) struct Page<'a>(&'a Connection);

impl Page<'_> {
    /// Enters a charge, unless there is one under this payment id; what became of it.
    pub(super) fn charge(
        &self,
        order: &Charge,
        decision: Decision,
        now: Time,
    ) -> Result<PaymentStatus, EntryError> {
        if order.amount_minor <= 0 {
            return Err(EntryError::Refused("a charge is more than 0"));
        }
        if let Some(before) = self.find(order.payment, now)? {
            let same =
                (before.amount_minor, before.currency) == (order.amount_minor, order.currency);
            let refusal = EntryError::Refused("the payment id was used for another amount");
            return same.then_some(before.status).ok_or(refusal);
        }
        let (succeeded, settles_at_ms) = match decision {
            Decision::Declines => (false, None),
            Decision::Succeeds => (true, None),
            Decision::SucceedsAfter(wait) => {
                let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                (true, Some(now.plus_ms(ms).as_ms()))
            }
        };
        self.0.prepare_cached("INSERT INTO charges VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(
            params![
                key(order.payment),
                order.amount_minor,
                order.currency.code(),
                succeeded,
                settles_at_ms
            ],
        )?;
        self.status(order.payment, now)
    }

    /// Lets a charge that is pending succeed now.
    pub(super) fn settle(&self, payment: PaymentId) -> Result<(), EntryError> {
        self.0
            .prepare_cached("UPDATE charges SET settles_at_ms = NULL WHERE payment = ?1")?
            .execute([key(payment)])?;
        Ok(())
    }

    pub(super) fn status(
        &self,
        payment: PaymentId,
        now: Time,
    ) -> Result<PaymentStatus, EntryError> {
        let charge = self.find(payment, now)?;
        Ok(charge.map_or(PaymentStatus::NotFound, |charge| charge.status))
    }

    /// Enters a refund, unless there is one for this payment and reason.
    pub(super) fn refund(&self, order: &Refund, now: Time) -> Result<(), EntryError> {
        let charge = self.find(order.payment, now)?;
        let Some(charge) = charge.filter(|charge| charge.status == PaymentStatus::Succeeded) else {
            return Err(EntryError::Refused("there is no such charge"));
        };
        if order.amount_minor <= 0 || order.currency != charge.currency {
            return Err(EntryError::Refused("a refund is more than 0, in the charge's currency"));
        }
        let before: Option<i64> = self
            .0
            .prepare_cached("SELECT amount_minor FROM refunds WHERE payment = ?1 AND reason = ?2")?
            .query_row(params![key(order.payment), order.reason], |row| row.get(0))
            .optional()?;
        if let Some(amount_minor) = before {
            let refusal = EntryError::Refused("the reason was used for another amount");
            return (amount_minor == order.amount_minor).then_some(()).ok_or(refusal);
        }
        let refunded: i64 = self
            .0
            .prepare_cached(
                "SELECT coalesce(sum(amount_minor), 0) FROM refunds WHERE payment = ?1",
            )?
            .query_row([key(order.payment)], |row| row.get(0))?;
        if refunded.saturating_add(order.amount_minor) > charge.amount_minor {
            return Err(EntryError::Refused("refunds never exceed the charge"));
        }
        self.0.prepare_cached("INSERT INTO refunds VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            key(order.payment),
            order.reason,
            order.amount_minor,
            now.as_ms()
        ])?;
        Ok(())
    }

    pub(super) fn ledger(&self, now: Time) -> Result<Ledger, EntryError> {
        let mut charges = self.0.prepare_cached(&format!("{CHARGES} ORDER BY rowid"))?;
        let charges = charges.query_map([], |row| charge(row, now))?;
        let mut refunds = self.0.prepare_cached(
            "SELECT refunds.payment, reason, refunds.amount_minor, currency
             FROM refunds JOIN charges USING (payment) ORDER BY refunds.rowid",
        )?;
        let refunds = refunds.query_map([], |row| {
            Ok(LedgerRefund {
                payment: payment(row)?,
                reason: row.get(1)?,
                amount_minor: row.get(2)?,
                currency: currency(row, 3)?,
            })
        })?;
        Ok(Ledger {
            charges: charges.collect::<rusqlite::Result<_>>()?,
            refunds: refunds.collect::<rusqlite::Result<_>>()?,
        })
    }

    fn find(&self, payment: PaymentId, now: Time) -> Result<Option<LedgerCharge>, EntryError> {
        let mut charges = self.0.prepare_cached(&format!("{CHARGES} WHERE payment = ?1"))?;
        Ok(charges.query_row([key(payment)], |row| charge(row, now)).optional()?)
    }
}

const CHARGES: &str =
    "SELECT payment, amount_minor, currency, succeeded, settles_at_ms FROM charges";

fn charge(row: &Row<'_>, now: Time) -> rusqlite::Result<LedgerCharge> {
    let settles_at_ms: Option<i64> = row.get(4)?;
    let status = match (row.get(3)?, settles_at_ms) {
        (false, _) => PaymentStatus::Declined,
        (true, Some(ms)) if now < Time::from_ms(ms) => PaymentStatus::Pending,
        (true, _) => PaymentStatus::Succeeded,
    };
    let (payment, currency) = (payment(row)?, currency(row, 2)?);
    Ok(LedgerCharge { payment, amount_minor: row.get(1)?, currency, status })
}

fn key(payment: PaymentId) -> [u8; 16] {
    payment.as_u128().to_be_bytes()
}

fn payment(row: &Row<'_>) -> rusqlite::Result<PaymentId> {
    Ok(PaymentId::from_u128(u128::from_be_bytes(row.get(0)?)))
}

fn currency(row: &Row<'_>, column: usize) -> rusqlite::Result<Currency> {
    let code: String = row.get(column)?;
    let wrong = |error: CurrencyError| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    };
    code.parse().map_err(wrong)
}
