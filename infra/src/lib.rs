//! Adapters to what is outside the domain, behind small traits.

pub mod log;
