//! Transactions of whom nobody hears the end.

use std::future::poll_fn;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use infra::postgres::{begin, commit};
use parking_lot::Mutex;

/// What is told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_commit_that_is_dropped_is_a_commit_and_nothing_else() {
    let Some(postgres) = infra::postgres::testing::server() else { return };
    let pool = infra::postgres::connect(&postgres.empty_database().await, 1).unwrap();
    let told = Told::default();
    let writer = told.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _telling = tracing::subscriber::set_default(subscriber);
    sqlx::raw_sql("CREATE TABLE seen (n int)").execute(&pool).await.unwrap();
    for polls in 1..=20 {
        let mut transaction = begin(&pool, "BEGIN").await.unwrap();
        sqlx::query("INSERT INTO seen VALUES (1)").execute(&mut *transaction).await.unwrap();
        {
            let mut left = 1 + polls % 3;
            let mut committing = pin!(commit(transaction));
            poll_fn(|context| {
                left -= 1;
                match committing.as_mut().poll(context) {
                    Poll::Pending if left > 0 => Poll::Pending,
                    _ => Poll::Ready(()),
                }
            })
            .await;
        }
        let rows = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM seen");
        assert_eq!(rows.fetch_one(&pool).await.unwrap(), i64::from(polls));
    }
    // So that one can tell that it would be seen.
    let before = String::from_utf8(told.0.lock().clone()).unwrap();
    sqlx::raw_sql("ROLLBACK").execute(&pool).await.unwrap();
    let after = String::from_utf8(told.0.lock().clone()).unwrap();
    assert!(!before.contains("no transaction"), "{before}");
    assert!(after.contains("no transaction in progress"), "{after}");
}
