//! One file per query endpoint: request, response, handler, documentation.

pub(crate) mod availability;
pub(crate) mod check_availability;
pub(crate) mod seats;
pub(crate) mod stream;
