//! Facts as they are stored: a kind, a version, and JSON.

use crate::{Sealed, UserId};
use crate::{account, administration, attempt, email_claim, event, inventory, login_claim, venue};

/// Facts of one aggregate, as the log stores them.
pub trait StoredFact: Sized {
    /// Every kind with the version written today, in the order of declaration.
    const KINDS: &'static [(&'static str, u16)];

    /// What happened, e.g. `Reserved`. The record's type.
    fn kind(&self) -> &'static str;

    /// The version of the data's form, from 1.
    fn version(&self) -> u16;

    /// The record's data: one JSON object.
    fn encode(&self) -> Vec<u8>;

    /// Reads what any version of this program wrote.
    ///
    /// # Errors
    /// The kind or version is unknown, or the data is not what that version writes.
    fn decode(kind: &str, version: u16, data: &[u8]) -> Result<Self, FactError>;
}

/// Why a record is not a fact this program knows.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    /// Written by a newer program, or not one of ours.
    #[error("no fact {kind} of version {version} is known; {}", written_by(*version))]
    Unknown {
        /// The record's type.
        kind: String,
        /// The record's schema version.
        version: u16,
    },
    /// The data does not have the form that its kind and version promise.
    #[error("the data of {kind} is damaged")]
    Damaged {
        /// The record's type.
        kind: String,
        /// What the parser met.
        source: serde_json::Error,
    },
}

/// The version of what others wrote to the log is 0.
fn written_by(version: u16) -> &'static str {
    match version {
        0 => "it was not written by this product",
        _ => "a newer evently may have written it",
    }
}

/// Reads a fact's data. That it is text is checked once, not string by string.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(
    kind: &str,
    data: &[u8],
) -> Result<T, FactError> {
    let parsed = match std::str::from_utf8(data) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(data),
    };
    parsed.map_err(|source| FactError::Damaged { kind: kind.to_owned(), source })
}

/// Declares an aggregate's facts: an enum of structs of the same names, their stored kinds and
/// versions.
macro_rules! facts {
    ($(#[$doc:meta])* $name:ident { $($kind:ident = $version:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "each variant is documented at the struct it holds")]
        pub enum $name {
            $($kind($kind)),+
        }

        impl $crate::StoredFact for $name {
            const KINDS: &'static [(&'static str, u16)] = &[$((stringify!($kind), $version)),+];

            fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => stringify!($kind)),+
                }
            }

            fn version(&self) -> u16 {
                match self {
                    $(Self::$kind(_) => $version),+
                }
            }

            fn encode(&self) -> Vec<u8> {
                // Most facts fit without growing.
                let mut data = Vec::with_capacity(512);
                let written = match self {
                    $(Self::$kind(fact) => serde_json::to_writer(&mut data, fact)),+
                };
                written.expect("a fact has only text keys and finite numbers");
                data
            }

            fn decode(kind: &str, version: u16, data: &[u8]) -> Result<Self, $crate::FactError> {
                match (kind, version) {
                    $((stringify!($kind), $version) => $crate::fact::parse(kind, data)
                        .map(Self::$kind),)+
                    _ => Err($crate::FactError::Unknown { kind: kind.to_owned(), version }),
                }
            }
        }

        $(impl From<$kind> for $name {
            fn from(fact: $kind) -> Self {
                Self::$kind(fact)
            }
        })+

        /// The JSON Schema of each kind's data, by kind.
        pub fn schemas() -> Vec<(&'static str, schemars::Schema)> {
            vec![$((stringify!($kind), schemars::schema_for!($kind))),+]
        }
    };
}
pub(crate) use facts;

/// Any fact of the product, for those who read the whole log.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// Of a `venue-...` stream.
    Venue(venue::Fact),
    /// Of an `event-...` stream.
    Event(event::Fact),
    /// Of an `inventory-...` stream.
    Inventory(inventory::Fact),
    /// Of an `account-...` stream.
    Account(account::Fact),
    /// Of an `email-...` stream.
    Email(email_claim::Fact),
    /// Of a `login-...` stream.
    Login(login_claim::Fact),
    /// Of an `admin-...` stream.
    Admin(administration::Fact),
    /// Of an `attempt-...` stream.
    Attempt(attempt::Fact),
}

/// The same of whichever fact it is.
macro_rules! whichever {
    ($fact:expr, $of:ident => $what:expr) => {
        match $fact {
            Fact::Venue($of) => $what,
            Fact::Event($of) => $what,
            Fact::Inventory($of) => $what,
            Fact::Account($of) => $what,
            Fact::Email($of) => $what,
            Fact::Login($of) => $what,
            Fact::Admin($of) => $what,
            Fact::Attempt($of) => $what,
        }
    };
}

impl Fact {
    /// As [`StoredFact::kind`].
    pub fn kind(&self) -> &'static str {
        whichever!(self, fact => fact.kind())
    }

    /// As [`StoredFact::version`].
    pub fn version(&self) -> u16 {
        whichever!(self, fact => fact.version())
    }

    /// As [`StoredFact::encode`].
    pub fn encode(&self) -> Vec<u8> {
        whichever!(self, fact => fact.encode())
    }

    /// Why an admin wanted it, in words that are sealed, and whose key they are sealed with.
    pub fn reason(&self) -> Option<(UserId, &Sealed)> {
        match self {
            Self::Account(fact) => fact.reason(),
            Self::Admin(fact) => fact.reason(),
            _ => None,
        }
    }

    /// The fact in a record of `stream`; `None` when the stream is none of ours.
    ///
    /// # Errors
    /// As [`StoredFact::decode`].
    pub fn decode(
        stream: &str,
        kind: &str,
        version: u16,
        data: &[u8],
    ) -> Result<Option<Self>, FactError> {
        use crate::Aggregate;
        let category = stream.split_once('-').map_or(stream, |(category, _)| category);
        Ok(Some(match category {
            venue::Venue::CATEGORY => Self::Venue(StoredFact::decode(kind, version, data)?),
            event::Event::CATEGORY => Self::Event(StoredFact::decode(kind, version, data)?),
            inventory::CATEGORY => Self::Inventory(StoredFact::decode(kind, version, data)?),
            account::Account::CATEGORY => Self::Account(StoredFact::decode(kind, version, data)?),
            email_claim::EmailClaim::CATEGORY => {
                Self::Email(StoredFact::decode(kind, version, data)?)
            }
            login_claim::LoginClaim::CATEGORY => {
                Self::Login(StoredFact::decode(kind, version, data)?)
            }
            administration::Administration::CATEGORY => {
                Self::Admin(StoredFact::decode(kind, version, data)?)
            }
            attempt::Attempt::CATEGORY => Self::Attempt(StoredFact::decode(kind, version, data)?),
            _ => return Ok(None),
        }))
    }
}

/// The JSON Schema of the data of every fact: category, kind, schema.
pub fn schemas() -> Vec<(&'static str, &'static str, schemars::Schema)> {
    use crate::Aggregate;
    let of = |category, schemas: Vec<(&'static str, schemars::Schema)>| {
        schemas.into_iter().map(move |(kind, schema)| (category, kind, schema))
    };
    of(venue::Venue::CATEGORY, venue::schemas())
        .chain(of(event::Event::CATEGORY, event::schemas()))
        .chain(of(inventory::CATEGORY, inventory::schemas()))
        .chain(of(account::Account::CATEGORY, account::schemas()))
        .chain(of(email_claim::EmailClaim::CATEGORY, email_claim::schemas()))
        .chain(of(login_claim::LoginClaim::CATEGORY, login_claim::schemas()))
        .chain(of(administration::Administration::CATEGORY, administration::schemas()))
        .chain(of(attempt::Attempt::CATEGORY, attempt::schemas()))
        .collect()
}
