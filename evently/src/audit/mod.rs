//! Proving the log unaltered and never oversold (AU-2), and handing it out (AU-1).

pub(crate) mod export;
pub(crate) mod source;
pub(crate) mod verdict;
pub(crate) mod verify;
