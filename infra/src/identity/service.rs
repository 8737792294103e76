//! Keys of services: other programs of the operator.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Scope, ServiceKeyId, Time};
use zeroize::Zeroizing;

use super::TokenHash;
use crate::ids::{self, NoRandomness};

/// What keys begin with, so that whoever finds one sees what it is.
const PREFIX: &str = "evently_svc_";

/// A service's key as it is kept: nobody can ask with what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceKey {
    /// Names it.
    pub id: ServiceKeyId,
    /// Of the key itself, which has 256 random bits.
    pub hash: TokenHash,
    /// What it is for, as whoever made it said.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// Since when.
    pub created_at: Time,
    /// Until when, if it does not count any more.
    pub revoked_at: Option<Time>,
}

impl ServiceKey {
    /// A new key, and what its bearer has to show.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn make(
        name: &str,
        scopes: &[Scope],
        now: Time,
    ) -> Result<(Self, Zeroizing<String>), NoRandomness> {
        let secret = Zeroizing::new(ids::secret()?);
        let token = Zeroizing::new(PREFIX.to_owned() + &URL_SAFE_NO_PAD.encode(*secret));
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        let key = Self {
            id: ServiceKeyId::from_u128(ids::time_ordered(now)),
            hash: TokenHash::of(&token),
            name: name.to_owned(),
            scopes,
            created_at: now,
            revoked_at: None,
        };
        Ok((key, token))
    }

    /// The scopes' names with one space between them.
    pub fn scope_names(&self) -> String {
        let names: Vec<_> = self.scopes.iter().map(|scope| scope.name()).collect();
        names.join(" ")
    }

    /// The scopes with these names. One that this program does not know allows nothing here.
    pub(super) fn scopes_of(names: &str) -> Vec<Scope> {
        names.split(' ').filter_map(|name| name.parse().ok()).collect()
    }
}
