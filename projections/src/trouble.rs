//! Which views the database does not let be written, for whoever asks how the process is. That it
//! answers a question does not show that.

use std::collections::BTreeMap;
use std::sync::Arc;

use infra::log::Position;
use parking_lot::Mutex;

use crate::Projections;

/// Shared by all runners of a process.
#[derive(Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<Views>>);

/// By name: what could not be written, and why.
type Views = BTreeMap<String, (Position, &'static str)>;

impl Trouble {
    /// What brings the view to `upto` could not be written.
    pub(crate) fn unwritten(&self, name: &str, upto: Position, error: &sqlx::Error) {
        self.0.lock().insert(name.to_owned(), (upto, why(error)));
    }

    /// The view is there, whoever brought it there.
    pub(crate) fn is_at(&self, name: &str, position: Position) {
        let mut views = self.0.lock();
        if views.get(name).is_some_and(|(upto, _)| *upto <= position) {
            views.remove(name);
        }
    }

    /// Others look after the views from now on.
    pub(crate) fn is_over(&self) {
        self.0.lock().clear();
    }

    /// What is wrong, if anything is, in words that are safe to tell anyone.
    pub(crate) fn reason(&self) -> Option<String> {
        let views = self.0.lock();
        let (_, why) = views.values().next()?;
        let names: Vec<&str> = views.keys().map(String::as_str).collect();
        Some(format!("{why}: what is new is not in {} yet", names.join(", ")))
    }
}

impl Projections {
    /// Why views do not get on although the database answers, as far as this process keeps them up to
    /// date; in words that are safe to tell anyone.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.reason()
    }
}

/// PostgreSQL, appendix A.
fn why(error: &sqlx::Error) -> &'static str {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        Some("53100") => "its disk is full",
        Some("53200") => "it has no memory left",
        Some("25006") => "it may only be read",
        Some("42501") => "it does not allow us to write",
        _ => "it cannot be written",
    }
}
