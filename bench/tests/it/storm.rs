use std::time::Duration;

use bench::product::{Product, Roles};
use bench::storm::Storm;
use domain::UserId;
use infra::auth::{Keys, Role};
use infra::clock::SystemClock;
use infra::data_folder::DataFolder;
use tokio::runtime::Runtime;

#[test]
fn a_storm_has_passwords_looked_at_and_sends_some_away() {
    let folder = tempfile::tempdir().unwrap();
    DataFolder::open(folder.path()).unwrap();
    let keys = Keys::load_or_create(folder.path(), std::sync::Arc::new(SystemClock)).unwrap();
    let hour = Duration::from_secs(3_600);
    let token = keys.issue(UserId::from_u128(1), &[Role::Attendee], hour).unwrap();
    let runtime = Runtime::new().expect("threads");
    let product = runtime.block_on(Product::start(folder.path(), Roles::Commands)).unwrap();
    let storm = runtime.block_on(Storm::make(product.address, folder.path(), &token)).unwrap();
    // A machine that is busy with something else may take longer than that for a single one.
    let is_one = |_| {
        let seen = storm.rage(Duration::ZERO, Duration::from_secs(2)).unwrap();
        let hashing = seen.hashing.unwrap();
        seen.let_in > 0 && seen.refused > 0 && seen.sent_away > 0 && !hashing.is_zero()
    };
    assert!((0..60).any(is_one));
    runtime.block_on(product.stop());
}
