//! Who is asking: bearer tokens (JWT, EdDSA only) and roles (AC-1, AC-2).

mod cache;
mod caller;
mod keys;
#[cfg(test)]
mod tests;
mod verifier;

pub use caller::{Caller, MaybeCaller};
pub use domain::{Role, RoleError, Roles};
pub use keys::{IssueError, KeyError, Keys};
pub use verifier::{Auth, AuthError};
