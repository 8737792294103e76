//! What the product is compared with.

pub mod http;
pub mod row_locks;
