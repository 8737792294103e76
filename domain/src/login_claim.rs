//! Whose a log-in at another provider is (AC-1): one stream for each issuer and subject, so that one account
//! has it, whoever logs in at the same moment.

use std::fmt;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::facts;
use crate::{Aggregate, Time, UserId};

/// What stands for issuer and subject in the stream's name: a hash keyed with a secret of this log-in
/// alone, which goes when the person is forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoginHash(pub [u8; 32]);

impl fmt::Display for LoginHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LoginHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('#')?;
        fmt::Display::fmt(self, f)
    }
}

// Facts

/// Whoever logs in so there is this person here, from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoginClaimed {
    /// Whose it is.
    pub user: UserId,
}

/// The log-in belongs to nobody any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoginReleased {
    /// Whose it was.
    pub user: UserId,
}

facts! {
    /// What can have happened to a log-in.
    Fact { LoginClaimed = 1, LoginReleased = 1 }
}

// State and evolve

/// A log-in as its facts tell it.
#[derive(Debug, Clone, Default)]
pub struct LoginClaim {
    /// Whose it is.
    pub holder: Option<UserId>,
}

// Commands and decide

/// What can be asked of a log-in.
#[derive(Debug, Clone)]
pub enum Command {
    /// Let it be this account's.
    Claim(UserId),
    /// Let it not be this account's any more.
    Release(UserId),
}

/// Why a log-in says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It belongs to another account.
    Taken {
        /// Which one.
        holder: UserId,
    },
}

impl Aggregate for LoginClaim {
    const CATEGORY: &'static str = "login";
    type Id = LoginHash;
    type Fact = Fact;
    type Command = Command;
    type Refusal = Refusal;

    fn evolve(&mut self, _at: Time, fact: &Fact) {
        self.holder = match fact {
            Fact::LoginClaimed(fact) => Some(fact.user),
            Fact::LoginReleased(_) => None,
        };
    }

    fn decide(&self, command: &Command, _now: Time) -> Result<Vec<Fact>, Refusal> {
        match (command, self.holder) {
            (Command::Claim(user), None) => Ok(vec![LoginClaimed { user: *user }.into()]),
            (Command::Claim(user), Some(holder)) if holder != *user => {
                Err(Refusal::Taken { holder })
            }
            (Command::Release(user), Some(holder)) if holder == *user => {
                Ok(vec![LoginReleased { user: *user }.into()])
            }
            // As asked already; what is another's by now is not taken from them.
            _ => Ok(vec![]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_has_one_holder() {
        const ONE: UserId = UserId::from_u128(1);
        const OTHER: UserId = UserId::from_u128(2);
        let claimed = |user| Fact::from(LoginClaimed { user });
        let released = |user| Fact::from(LoginReleased { user });
        let table = [
            (vec![], Command::Claim(ONE), Ok(vec![claimed(ONE)])),
            (vec![claimed(ONE)], Command::Claim(ONE), Ok(vec![])),
            (vec![claimed(ONE)], Command::Claim(OTHER), Err(Refusal::Taken { holder: ONE })),
            (vec![claimed(ONE)], Command::Release(OTHER), Ok(vec![])),
            (vec![claimed(ONE)], Command::Release(ONE), Ok(vec![released(ONE)])),
            (vec![claimed(ONE), released(ONE)], Command::Claim(OTHER), Ok(vec![claimed(OTHER)])),
        ];
        for (given, when, then) in table {
            let mut claim = LoginClaim::default();
            given.iter().for_each(|fact| claim.evolve(Time::default(), fact));
            assert_eq!(claim.decide(&when, Time::default()), then, "{given:?} {when:?}");
        }
    }
}
