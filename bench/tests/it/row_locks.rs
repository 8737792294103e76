use std::time::Duration;

use bench::baseline::row_locks::{Form, sell};
use bench::postgres::{Postgres, PostgresError};

/// Where PostgreSQL is not installed there is nothing to compare with, and nothing to test.
#[test]
fn row_locks_sell_in_both_forms_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = match Postgres::start(folder.path(), None) {
        Err(PostgresError::Absent | PostgresError::NoUser) => return,
        other => other.unwrap(),
    };
    assert!(postgres.version().unwrap().contains("PostgreSQL"));
    let host = postgres.host().to_path_buf();
    for form in [Form::Statements, Form::OneTrip] {
        let sell = || sell(&host, form, 4, Duration::ZERO, Duration::from_millis(200)).unwrap();
        // A machine that is busy with something else may stand still for longer than that.
        assert!((0..100).any(|_| sell().rate > 0.0));
    }
    drop(postgres);
    assert!(!host.exists());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
