//! What a command says that failed because a disk is full, whatever it was that could not be written.

use super::Failure;
use crate::settings::Checked;

/// What a start takes of an empty disk, rounded up: most of it the database of the views.
const NEEDED_MB: u64 = 100;

/// The failure, or what it comes of.
pub(super) fn explained(failure: Failure, settings: &Checked) -> Failure {
    let Failure::Failed(error) = failure else { return failure };
    if !infra::room::may_be_lack(&*error) {
        return Failure::Failed(error);
    }
    let folders = [settings.data.as_path(), settings.shared()];
    let Some(full) = folders.into_iter().find(|folder| infra::room::is_full(folder)) else {
        return Failure::Failed(error);
    };
    tracing::debug!(error = &*error as &dyn std::error::Error, "a disk is full");
    let full = full.display();
    Failure::Wrong(vec![format!(
        "the disk that {full} is on is full: free {NEEDED_MB} MB there, or more, and try again; what was \
         written before is as it was"
    )])
}
