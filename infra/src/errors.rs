//! Errors as people read them.

use std::error::Error;

/// An error and what caused it, on one line.
pub fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.fold(error.to_string(), |chain, cause| format!("{chain}: {cause}"))
}
