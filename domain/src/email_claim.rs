//! Whose an email address is (AC-1): one stream for each address, so that its expected revision
//! lets one of many who register at the same moment have it.

use std::fmt;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::facts;
use crate::{Aggregate, Time, UserId};

/// What stands for an address in its stream's name: a hash of it, keyed with a secret of this
/// address alone. Once that secret is destroyed, nobody can tell the address, not even by guessing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EmailHash(pub [u8; 32]);

impl fmt::Display for EmailHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EmailHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('#')?;
        fmt::Display::fmt(self, f)
    }
}

// Facts

/// The address belongs to an account from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmailClaimed {
    /// Whose it is.
    pub user: UserId,
}

/// The address belongs to nobody any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmailReleased {
    /// Whose it was.
    pub user: UserId,
}

facts! {
    /// What can have happened to an address.
    Fact { EmailClaimed = 1, EmailReleased = 1 }
}

// State and evolve

/// An address as its facts tell it.
#[derive(Debug, Clone, Default)]
pub struct EmailClaim {
    /// Whose it is.
    pub holder: Option<UserId>,
}

// Commands and decide

/// What can be asked of an address.
#[derive(Debug, Clone)]
pub enum Command {
    /// Let it be this account's.
    Claim(UserId),
    /// Let it not be this account's any more.
    Release(UserId),
}

/// Why an address says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It belongs to another account.
    Taken {
        /// Which one. Not to be told to clients.
        holder: UserId,
    },
}

impl Aggregate for EmailClaim {
    const CATEGORY: &'static str = "email";
    type Id = EmailHash;
    type Fact = Fact;
    type Command = Command;
    type Refusal = Refusal;

    fn evolve(&mut self, _at: Time, fact: &Fact) {
        self.holder = match fact {
            Fact::EmailClaimed(fact) => Some(fact.user),
            Fact::EmailReleased(_) => None,
        };
    }

    fn decide(&self, command: &Command, _now: Time) -> Result<Vec<Fact>, Refusal> {
        match (command, self.holder) {
            (Command::Claim(user), None) => Ok(vec![EmailClaimed { user: *user }.into()]),
            (Command::Claim(user), Some(holder)) if holder != *user => {
                Err(Refusal::Taken { holder })
            }
            (Command::Release(user), Some(holder)) if holder == *user => {
                Ok(vec![EmailReleased { user: *user }.into()])
            }
            // As asked already; an address that is another's by now is not taken from them.
            _ => Ok(vec![]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: UserId = UserId::from_u128(1);
    const OTHER: UserId = UserId::from_u128(2);

    fn claimed(user: UserId) -> Fact {
        EmailClaimed { user }.into()
    }

    fn released(user: UserId) -> Fact {
        EmailReleased { user }.into()
    }

    #[test]
    fn an_address_has_one_holder() {
        let table = [
            (vec![], Command::Claim(ONE), Ok(vec![claimed(ONE)])),
            (vec![claimed(ONE)], Command::Claim(ONE), Ok(vec![])),
            (vec![claimed(ONE)], Command::Claim(OTHER), Err(Refusal::Taken { holder: ONE })),
            (vec![claimed(ONE)], Command::Release(OTHER), Ok(vec![])),
            (vec![claimed(ONE)], Command::Release(ONE), Ok(vec![released(ONE)])),
            (vec![], Command::Release(ONE), Ok(vec![])),
            (vec![claimed(ONE), released(ONE)], Command::Claim(OTHER), Ok(vec![claimed(OTHER)])),
        ];
        for (given, when, then) in table {
            let mut claim = EmailClaim::default();
            given.iter().for_each(|fact| claim.evolve(Time::default(), fact));
            assert_eq!(claim.decide(&when, Time::default()), then, "{given:?} {when:?}");
        }
    }
}
