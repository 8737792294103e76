//! Selling as it is usually done: a row of PostgreSQL counts what is left, its lock makes buyers
//! wait for each other, and each booking is a transaction that is durable when it answers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use hdrhistogram::Histogram;
use tokio_postgres::{Client, Config, NoTls, Statement};
use uuid::Uuid;

use crate::load::histogram;
use crate::postgres::USER;

const CAPACITY: i32 = 1_000_000_000;
const TIER: Uuid = Uuid::from_u128(1);

const TABLES: &str = "
    DROP TABLE IF EXISTS booking, stock;
    CREATE TABLE stock (
        tier uuid PRIMARY KEY,
        available int NOT NULL CHECK (available >= 0),
        sold int NOT NULL
    );
    CREATE TABLE booking (
        id uuid PRIMARY KEY,
        tier uuid NOT NULL,
        user_id uuid NOT NULL,
        quantity int NOT NULL,
        total_minor bigint NOT NULL,
        idempotency_key text NOT NULL,
        expires_at timestamptz NOT NULL
    );";

const TAKE: &str = "UPDATE stock SET available = available - $2, sold = sold + $2
    WHERE tier = $1 AND available >= $2";

const BOOK: &str = "INSERT INTO booking
    VALUES ($3, $1, $4, $2, 5000, $5, now() + interval '5 minutes')";

/// Both in one statement and one round trip; nothing is booked when nothing was taken.
const TAKE_AND_BOOK: &str = "WITH taken AS (
        UPDATE stock SET available = available - $2, sold = sold + $2
        WHERE tier = $1 AND available >= $2
        RETURNING tier, $2 AS quantity)
    INSERT INTO booking
    SELECT $3, tier, $4, quantity, 5000, $5, now() + interval '5 minutes' FROM taken";

/// How a booking is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Begin, update, insert, commit: each a round trip.
    Statements,
    /// One statement that updates and inserts, committed by itself.
    OneTrip,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Bookings a second.
    pub rate: f64,
    /// Latency in microseconds.
    pub latency_us: Histogram<u64>,
}

/// Why the baseline has no figure.
#[derive(Debug, thiserror::Error)]
pub enum RowLockError {
    /// PostgreSQL refused something.
    #[error("PostgreSQL refused")]
    Sql(#[from] tokio_postgres::Error),
    /// The client's runtime could not be started.
    #[error("the client could not be started")]
    Runtime(#[from] std::io::Error),
    /// A booking was refused though there was stock, or the sums do not match: the baseline would
    /// not be doing its job.
    #[error("the baseline sold wrongly: {0}")]
    Wrong(String),
}

/// Sells single places of one tier over `connections`, each as fast as it gets answers.
///
/// # Errors
/// See [`RowLockError`].
pub fn sell(
    host: &Path,
    form: Form,
    connections: usize,
    warm_up: Duration,
    duration: Duration,
) -> Result<Outcome, RowLockError> {
    // One thread is enough for the little the clients do, and leaves the most to PostgreSQL.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut config = Config::new();
        config.host_path(host).user(USER).dbname("postgres");
        let config = Arc::new(config);
        let desk = connect(&config).await?;
        desk.batch_execute(TABLES).await?;
        desk.execute("INSERT INTO stock VALUES ($1, $2, 0)", &[&TIER, &CAPACITY]).await?;
        let buyers = try_join_all((0..connections).map(|_| Buyer::new(&config))).await?;
        let begin = Instant::now() + warm_up;
        let window = (begin, begin + duration);
        let all = try_join_all(
            buyers.into_iter().enumerate().map(|(index, buyer)| buyer.buy(index, form, window)),
        )
        .await?;
        let mut latency_us = histogram();
        let mut made = 0;
        for (count, part) in &all {
            made += count;
            // Same bounds on both sides: adding cannot fail.
            let _ = latency_us.add(part);
        }
        check(&desk, made).await?;
        Ok(Outcome { rate: latency_us.len() as f64 / duration.as_secs_f64(), latency_us })
    })
}

/// What was sold is what was booked, and what the buyers were told.
async fn check(desk: &Client, made: i64) -> Result<(), RowLockError> {
    let sums = "SELECT (SELECT count(*) FROM booking), sold::bigint, available::bigint FROM stock";
    let row = desk.query_one(sums, &[]).await?;
    let (booked, sold, left): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    if booked == made && sold == made && left + sold == i64::from(CAPACITY) {
        return Ok(());
    }
    Err(RowLockError::Wrong(format!("{made} answered, {booked} booked, {sold} sold, {left} left")))
}

async fn connect(config: &Config) -> Result<Client, RowLockError> {
    let (client, connection) = config.connect(NoTls).await?;
    // Ends with its client; what goes wrong on it is seen by the client's next call.
    tokio::spawn(connection);
    Ok(client)
}

struct Buyer {
    client: Client,
    take: Statement,
    book: Statement,
    take_and_book: Statement,
}

impl Buyer {
    async fn new(config: &Config) -> Result<Self, RowLockError> {
        let client = connect(config).await?;
        let take = client.prepare(TAKE).await?;
        let book = client.prepare(BOOK).await?;
        let take_and_book = client.prepare(TAKE_AND_BOOK).await?;
        Ok(Self { client, take, book, take_and_book })
    }

    /// Bookings made, and the latencies of those within the window.
    async fn buy(
        mut self,
        index: usize,
        form: Form,
        window: (Instant, Instant),
    ) -> Result<(i64, Histogram<u64>), RowLockError> {
        let mut latency_us = histogram();
        let mut made = 0;
        let mut sent = Instant::now();
        while sent < window.1 {
            let number = ((index as u128 + 1) << 64) | made as u128;
            let booked = match form {
                Form::Statements => self.statements(number).await?,
                Form::OneTrip => self.one_trip(number).await?,
            };
            if booked != 1 {
                return Err(RowLockError::Wrong(format!("{booked} rows for one booking")));
            }
            made += 1;
            let answered = Instant::now();
            if (window.0..window.1).contains(&answered) {
                let us = answered.duration_since(sent).as_micros();
                latency_us.saturating_record(u64::try_from(us).unwrap_or(u64::MAX));
            }
            sent = answered;
        }
        Ok((made, latency_us))
    }

    async fn statements(&mut self, number: u128) -> Result<u64, RowLockError> {
        let (id, user, key) = names(number);
        let transaction = self.client.transaction().await?;
        let taken = transaction.execute(&self.take, &[&TIER, &1]).await?;
        if taken == 1 {
            transaction.execute(&self.book, &[&TIER, &1, &id, &user, &key]).await?;
        }
        transaction.commit().await?;
        Ok(taken)
    }

    async fn one_trip(&self, number: u128) -> Result<u64, RowLockError> {
        let (id, user, key) = names(number);
        Ok(self.client.execute(&self.take_and_book, &[&TIER, &1, &id, &user, &key]).await?)
    }
}

/// Ids spread like random ones would be worse for the index: these only grow.
fn names(number: u128) -> (Uuid, Uuid, String) {
    (Uuid::from_u128(number), Uuid::from_u128(number % 1000), format!("{number:032x}"))
}
