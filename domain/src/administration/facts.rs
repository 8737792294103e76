//! What was ordered, as it is stored.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::facts;
use crate::{BookingId, EventId, Request, Role, Scope, Sealed, ServiceKeyId, UserId, VenueId};

/// A person was to be something more, or something no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolesOrdered {
    /// Who.
    pub user: UserId,
    /// What they were to be.
    pub grant: Vec<Role>,
    /// What they were to be no more.
    pub revoke: Vec<Role>,
    /// The admin; absent for the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// Why. Sealed with the key of the person whom it speaks of.
    pub reason: Sealed,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// A person was to be forgotten, and did not ask for it here themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErasureOrdered {
    /// Who.
    pub user: UserId,
    /// The admin; absent for the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// Why: of a few grounds, so that it can stay readable and says nothing of the person. Absent in logs
    /// from before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground: Option<ErasureGround>,
    /// Published events of theirs that were to go on without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventId>,
    /// Why, in logs from before there were grounds. Sealed with the key of the person, and destroyed with
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sealed>,
}

/// Why somebody is forgotten who did not ask for it here themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErasureGround {
    /// They asked for it elsewhere.
    Request,
    /// They have not been here for long.
    Inactivity,
    /// A court or an authority wants it.
    Law,
    /// The account was used for what it is not there for.
    Abuse,
    /// There should not have been an account.
    Mistake,
}

/// The text names no ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected request, inactivity, law, abuse or mistake")]
pub struct GroundError;

impl ErasureGround {
    /// Every ground.
    pub const ALL: [Self; 5] =
        [Self::Request, Self::Inactivity, Self::Law, Self::Abuse, Self::Mistake];

    /// Its name on the command line and in facts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Inactivity => "inactivity",
            Self::Law => "law",
            Self::Abuse => "abuse",
            Self::Mistake => "mistake",
        }
    }
}

impl fmt::Display for ErasureGround {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ErasureGround {
    type Err = GroundError;

    fn from_str(text: &str) -> Result<Self, GroundError> {
        Self::ALL.into_iter().find(|ground| ground.name() == text).ok_or(GroundError)
    }
}

/// An admin wanted a booking cancelled that is another's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BookingCancellationOrdered {
    /// Which booking.
    pub booking: BookingId,
    /// The admin.
    pub by: UserId,
    /// Whose it is; absent if they were erased, and in logs from before this was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// Why. Sealed with the owner's key, or the admin's if no owner is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sealed>,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// An admin wanted an event cancelled that is another's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventCancellationOrdered {
    /// Which event.
    pub event: EventId,
    /// The admin.
    pub by: UserId,
    /// Whose it is; absent if they were erased, and in logs from before this was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// Why. Sealed with the owner's key, or the admin's if no owner is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sealed>,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// An admin wanted an event changed that is another's; how, its stream says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventChangeOrdered {
    /// Which event.
    pub event: EventId,
    /// The admin.
    pub by: UserId,
    /// Whose it is; absent if they were erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// Why. Sealed with the owner's key, or the admin's if no owner is named.
    pub reason: Sealed,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// An admin wanted an event published that is another's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventPublicationOrdered {
    /// Which event.
    pub event: EventId,
    /// The admin.
    pub by: UserId,
    /// Whose it is; absent if they were erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// Why. Sealed with the owner's key, or the admin's if no owner is named.
    pub reason: Sealed,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// An admin wanted a venue changed that is another's; how, its stream says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VenueChangeOrdered {
    /// Which venue.
    pub venue: VenueId,
    /// The admin.
    pub by: UserId,
    /// Whose it is; absent if they were erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// Why. Sealed with the owner's key, or the admin's if no owner is named.
    pub reason: Sealed,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// A view was to be built again from the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ViewRebuildOrdered {
    /// Which one.
    pub view: String,
    /// Who.
    #[serde(flatten)]
    pub operator: Operator,
}

/// What a view could not apply was to be applied again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ViewRetryOrdered {
    /// Which one.
    pub view: String,
    /// Who.
    #[serde(flatten)]
    pub operator: Operator,
}

/// Part of the public feed was to be sent again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FeedReplayOrdered {
    /// Everything after this position of the log.
    pub from: u64,
    /// Who.
    #[serde(flatten)]
    pub operator: Operator,
}

/// Who ordered what is done to nobody, and why. Neither a person nor a service is the command line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Operator {
    /// The admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// The key of the program that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceKeyId>,
    /// Why: one word, which is not sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Sees that a word may stay readable in the log for ever: 1 to 64 letters, digits and dashes.
pub fn is_plain_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

/// A key for another program was to be made, on the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceKeyOrdered {
    /// Which one.
    pub key: ServiceKeyId,
    /// What it is for, as the operator said.
    pub name: String,
    /// What it was to allow.
    pub scopes: Vec<Scope>,
}

/// A key of another program was to count no more, on the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceKeyRevocationOrdered {
    /// Which one.
    pub key: ServiceKeyId,
}

/// The keys of all persons were to be wrapped by another master key, on the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MasterKeyRotationOrdered {}

/// Keys of persons were lost for ever, and new ones to be made in their place, on the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeysRenewalOrdered {}

/// Access tokens were to be signed with another key, on the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SigningKeyRotationOrdered {
    /// Whether nothing that was signed before was to count any more, as after a leak.
    pub forgets_old: bool,
    /// Why, as the operator said: one word, which is not sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

facts! {
    /// What was ordered.
    Fact {
        RolesOrdered = 1,
        ErasureOrdered = 1,
        BookingCancellationOrdered = 1,
        EventCancellationOrdered = 1,
        EventChangeOrdered = 1,
        EventPublicationOrdered = 1,
        VenueChangeOrdered = 1,
        ServiceKeyOrdered = 1,
        ServiceKeyRevocationOrdered = 1,
        MasterKeyRotationOrdered = 1,
        KeysRenewalOrdered = 1,
        SigningKeyRotationOrdered = 1,
        ViewRebuildOrdered = 1,
        ViewRetryOrdered = 1,
        FeedReplayOrdered = 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ground_survives_its_name() {
        for ground in ErasureGround::ALL {
            assert_eq!(ground.name().parse(), Ok(ground));
            assert_eq!(serde_json::to_value(ground).unwrap(), ground.name());
        }
        assert_eq!("letter".parse::<ErasureGround>(), Err(GroundError));
    }

    #[test]
    fn what_stays_readable_is_short_and_plain() {
        for sound in ["archive", "Deploy-2", &"x".repeat(64)] {
            assert!(is_plain_word(sound), "{sound}");
        }
        for wrong in ["", "a b", "ä", "a_b", &"x".repeat(65)] {
            assert!(!is_plain_word(wrong), "{wrong}");
        }
    }
}
