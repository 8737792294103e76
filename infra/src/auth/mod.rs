//! Who is asking: bearer tokens (JWT, EdDSA only) and roles, and what they may do (AC-1, AC-2).

mod access;
mod barred;
mod cache;
mod caller;
mod follow;
mod guard;
mod keys;
mod ring;
mod services;
#[cfg(test)]
mod tests;
mod verifier;

pub use access::{RULES, Rule, Who};
pub use barred::ACCESS_TTL;
pub use caller::{Caller, MaybeCaller, OPERATOR};
pub use domain::{Role, RoleError, Roles, Scope};
pub use guard::{Admission, Guarded};
pub use keys::{IssueError, KeyError, Keys};
pub use services::{Actor, ServiceCaller};
pub use verifier::{Auth, AuthError};
