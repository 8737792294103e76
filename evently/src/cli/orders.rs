//! What the operator orders on the command line stands in the log before it is done.

use std::sync::Arc;

use domain::administration::{self, is_plain_word};
use infra::clock::SystemClock;
use infra::data_folder::DataFolderError;

use super::Failure;
use crate::log::{OpenError, OpenLog};
use crate::settings::Checked;

const NO_LOG: &str = "there is no log here to write it down in, and so nothing was changed: name it with \
    --log-url, or the data folder it is in with --data";

/// Before it is done: nothing is without the log saying so.
pub(super) async fn write_down(
    settings: &Checked,
    order: impl Into<administration::Fact>,
) -> Result<(), Failure> {
    let log = match OpenLog::of_commands(settings) {
        Err(OpenError::Folder(DataFolderError::Missing(_))) if settings.shared.is_some() => {
            return Err(Failure::Wrong(vec![NO_LOG.to_owned()]));
        }
        log => log?,
    };
    let written = command_api::write_down(log.shared(), Arc::new(SystemClock), order.into()).await;
    log.close().await;
    Ok(written?)
}

/// What may stay readable in the log for ever.
pub(super) fn plain_word(text: &str) -> Result<String, &'static str> {
    match is_plain_word(text) {
        true => Ok(text.to_owned()),
        false => Err("expected 1 to 64 letters, digits and dashes"),
    }
}
