//! An event: what people attend (CT-2). Drafted, changed, published, cancelled.
//!
//! This stream is what the organizer wants; the inventory of the same event follows it and owns
//! what is sold.

mod facts;
#[cfg(test)]
mod tests;
mod validation;

pub use facts::*;

use crate::inventory::Plan;
use crate::seating::{Invalid, Section};
use crate::{Aggregate, EventId, Request, Time, UserId};

/// The highest limit of tickets a booking can have.
pub const MAX_LIMIT: u32 = 1_000;
/// How long a hold lasts unless the event says otherwise (BK-1), in seconds.
pub const DEFAULT_HOLD_TTL_S: u32 = 300;
/// How long an offer to someone on the waitlist lasts unless the event says otherwise (WL-2).
pub const DEFAULT_OFFER_TTL_S: u32 = 600;
/// Tickets per booking unless the event says otherwise (BK-7).
pub const DEFAULT_MAX_PER_BOOKING: u32 = 10;

// State and evolve

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// Only its organizer sees it.
    #[default]
    Draft,
    /// Everybody sees it.
    Published,
    /// It will not take place.
    Cancelled,
}

/// An event as its facts tell it.
#[derive(Debug, Clone, Default)]
pub struct Event {
    /// Whose it is; `None` as long as it does not exist.
    pub organizer: Option<UserId>,
    /// All about it; present once it exists.
    pub terms: Option<Terms>,
    /// Where it stands.
    pub status: Status,
    /// How many facts there are; the inventory says by this how far it followed.
    pub version: u64,
    /// Whether it was ever published: others know of it.
    is_known: bool,
    requests: Vec<(UserId, Request)>,
}

impl Event {
    /// What the inventory of this event sells from now on; `None` for a draft or a cancelled one.
    pub fn plan(&self) -> Option<Plan> {
        let terms = self.terms.as_ref().filter(|_| self.status == Status::Published)?;
        Some(Plan {
            starts_at: terms.starts_at,
            ends_at: terms.ends_at,
            currency: terms.currency,
            tiers: terms.tiers.clone(),
            hold_ttl_s: terms.hold_ttl_s,
            offer_ttl_s: terms.offer_ttl_s,
            max_per_booking: terms.max_per_booking,
            max_per_user: terms.max_per_user,
            refund_policy: terms.refund_policy.clone(),
        })
    }

    /// How the `venue` is divided for this event: a published one keeps what it sells (CT-2), a
    /// draft follows the venue.
    pub fn sections(&self, venue: &[Section]) -> Vec<Section> {
        let published = self.terms.as_ref().filter(|_| self.status == Status::Published);
        published.map_or_else(|| venue.to_vec(), |terms| terms.keep_sections(venue))
    }
}

// Commands and decide

/// Who asks, and with what right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The person.
    pub user: UserId,
    /// May act on what others own.
    pub as_admin: bool,
    /// The command's key.
    pub request: Option<Request>,
}

/// What can be asked of an event.
#[derive(Debug, Clone)]
pub enum Command {
    /// Set it up.
    Draft {
        /// The id it gets.
        event: EventId,
        /// Who asks.
        caller: Caller,
        /// All about it.
        terms: Box<Terms>,
        /// How the venue is divided at this moment.
        sections: Vec<Section>,
    },
    /// Change it.
    Change {
        /// Which one.
        event: EventId,
        /// Who asks.
        caller: Caller,
        /// All about it from now on.
        terms: Box<Terms>,
        /// How the venue is divided at this moment.
        sections: Vec<Section>,
    },
    /// Let everybody see it.
    Publish {
        /// Which one.
        event: EventId,
        /// Who asks.
        caller: Caller,
        /// How the venue is divided at this moment.
        sections: Vec<Section>,
    },
    /// Call it off.
    Cancel {
        /// Which one.
        event: EventId,
        /// Who asks.
        caller: Caller,
    },
}

/// Why an event says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such event.
    NotFound,
    /// It exists already: the id was used before.
    Exists,
    /// It belongs to another organizer.
    NotYours,
    /// The key was used for something else (BK-6).
    KeyReused,
    /// It was cancelled before.
    AlreadyCancelled,
    /// It was published before.
    AlreadyPublished,
    /// It began before now.
    Started,
    /// It was set up in a venue that is divided otherwise by now: this does not fit any more.
    VenueChanged(Invalid),
    /// A value cannot be accepted.
    Invalid(Invalid),
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl Aggregate for Event {
    const CATEGORY: &'static str = "event";
    type Id = EventId;
    type Fact = Fact;
    type Command = Command;
    type Refusal = Refusal;

    fn evolve(&mut self, _at: Time, fact: &Fact) {
        self.version += 1;
        let (by, request) = match fact {
            Fact::EventDrafted(fact) => {
                self.organizer = Some(fact.organizer);
                self.terms = Some(fact.terms.clone());
                (fact.organizer, &fact.request)
            }
            Fact::EventChanged(fact) => {
                self.terms = Some(fact.terms.clone());
                (fact.by, &fact.request)
            }
            Fact::EventPublished(fact) => {
                self.status = Status::Published;
                self.is_known = true;
                (fact.by, &fact.request)
            }
            Fact::EventCancelled(fact) => {
                self.status = Status::Cancelled;
                (fact.by, &fact.request)
            }
        };
        self.requests.extend(request.clone().map(|request| (by, request)));
    }

    fn decide(&self, command: &Command, now: Time) -> Result<Vec<Fact>, Refusal> {
        let (Command::Draft { caller, .. }
        | Command::Change { caller, .. }
        | Command::Publish { caller, .. }
        | Command::Cancel { caller, .. }) = command;
        match crate::request::find(&self.requests, caller.user, caller.request.as_ref()) {
            Some(true) => return Ok(vec![]),
            Some(false) => return Err(Refusal::KeyReused),
            None => {}
        }
        match command {
            Command::Draft { event, caller, terms, sections } => {
                self.draft(*event, caller, terms, sections, now)
            }
            Command::Change { event, caller, terms, sections } => {
                self.change(*event, caller, terms, sections, now)
            }
            Command::Publish { event, caller, sections } => {
                self.publish(*event, caller, sections, now)
            }
            Command::Cancel { event, caller } => self.cancel(*event, caller, now),
        }
    }
}

impl Event {
    /// Nothing, if the caller may touch the event. What was never published is not even there for
    /// others.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::NotYours`].
    pub fn let_touch(&self, caller: &Caller) -> Result<(), Refusal> {
        if self.organizer == Some(caller.user) || self.organizer.is_some() && caller.as_admin {
            return Ok(());
        }
        Err(if self.is_known { Refusal::NotYours } else { Refusal::NotFound })
    }

    /// The terms, if the caller may touch the event and it is not over.
    fn owned_by(&self, caller: &Caller) -> Result<&Terms, Refusal> {
        let terms = self.terms.as_ref().ok_or(Refusal::NotFound)?;
        self.let_touch(caller)?;
        if self.status == Status::Cancelled {
            return Err(Refusal::AlreadyCancelled);
        }
        Ok(terms)
    }

    fn draft(
        &self,
        event: EventId,
        caller: &Caller,
        terms: &Terms,
        sections: &[Section],
        now: Time,
    ) -> Result<Vec<Fact>, Refusal> {
        if self.organizer.is_some() {
            return Err(Refusal::Exists);
        }
        terms.check(sections, now)?;
        let (organizer, terms, request) = (caller.user, terms.clone(), caller.request.clone());
        Ok(vec![EventDrafted { event, organizer, terms, request }.into()])
    }

    fn change(
        &self,
        event: EventId,
        caller: &Caller,
        terms: &Terms,
        sections: &[Section],
        now: Time,
    ) -> Result<Vec<Fact>, Refusal> {
        let before = self.owned_by(caller)?;
        if before.starts_at <= now && self.status == Status::Published {
            return Err(Refusal::Started);
        }
        if self.status == Status::Published {
            terms.check_replacing(before, sections, now)?;
        } else {
            terms.check(sections, now)?;
        }
        let terms = terms.clone();
        let (by, request) = (caller.user, caller.request.clone());
        Ok(vec![EventChanged { event, by, terms, request }.into()])
    }

    fn publish(
        &self,
        event: EventId,
        caller: &Caller,
        sections: &[Section],
        now: Time,
    ) -> Result<Vec<Fact>, Refusal> {
        let terms = self.owned_by(caller)?;
        if self.status == Status::Published {
            return Err(Refusal::AlreadyPublished);
        }
        if terms.starts_at <= now {
            return Err(Refusal::Started);
        }
        // Nothing is sold yet: what the venue lost since the draft must not be (BK-5).
        terms.check_tiers(sections).map_err(Refusal::VenueChanged)?;
        Ok(vec![EventPublished { event, by: caller.user, request: caller.request.clone() }.into()])
    }

    fn cancel(&self, event: EventId, caller: &Caller, now: Time) -> Result<Vec<Fact>, Refusal> {
        let terms = self.owned_by(caller)?;
        if self.status == Status::Published && terms.ends_at <= now {
            return Err(Refusal::Started);
        }
        Ok(vec![EventCancelled { event, by: caller.user, request: caller.request.clone() }.into()])
    }
}
