//! What the runtime needs of an aggregate, and what comes back from a command.

use domain::inventory::{self, BookingSnapshot, Inventory};
use domain::{
    Aggregate, StoredFact, Time, UserId, account::Account, administration::Administration,
    attempt::Attempt, email_claim::EmailClaim, event::Event, login_claim::LoginClaim, venue::Venue,
};
use infra::log::Position;
use infra::trace::TraceContext;
use uuid::Uuid;

/// State that commands are executed on. The inventory settles first and is batched; the others are
/// plain [`Aggregate`]s.
pub(crate) trait Decider: Default + Send + 'static {
    type Command: Send + Sync + 'static;
    type Fact: StoredFact + Clone + Send + Sync + 'static;
    type Refusal: Send + 'static;
    /// What an answer tells of the state besides the facts.
    type Seen: Send + 'static;

    fn evolve(&mut self, at: Time, fact: &Self::Fact);

    /// Settles and decides; the facts are taken in already.
    fn execute(&mut self, command: &Self::Command, now: Time) -> Executed<Self>;

    /// What time alone brings about, not more than fits an append.
    fn settle(&mut self, _now: Time) -> Vec<Self::Fact> {
        vec![]
    }

    /// As much of that as has to be before anything is decided; and whether that was all.
    fn settle_first(&mut self, _now: Time) -> (Vec<Self::Fact>, bool) {
        (vec![], true)
    }

    /// From here on facts can be taken back.
    fn begin(&mut self) {}

    /// What was taken in since `begin` is durable.
    fn commit(&mut self) {}

    /// Takes back what was taken in since `begin`. If it cannot, the state is read anew.
    fn roll_back(&mut self) -> bool {
        false
    }

    /// What a command is called where it is told of, e.g. `Reserve`.
    fn name(_command: &Self::Command) -> &'static str {
        "command"
    }

    /// What the answer to `command` tells of the state right after it; `done` says whether it
    /// brought anything about.
    fn see(&self, command: &Self::Command, done: bool) -> Self::Seen;
}

/// What came of a command.
pub(crate) struct Executed<D: Decider> {
    /// What time alone had brought about before the command was looked at.
    pub(crate) settled: Vec<D::Fact>,
    pub(crate) decided: Result<Vec<D::Fact>, D::Refusal>,
}

impl Decider for Inventory {
    type Command = inventory::Command;
    type Fact = inventory::Fact;
    type Refusal = inventory::Refusal;
    type Seen = Seen;

    fn evolve(&mut self, at: Time, fact: &Self::Fact) {
        Self::evolve(self, at, fact);
    }

    fn execute(&mut self, command: &Self::Command, now: Time) -> Executed<Self> {
        let executed = Self::execute(self, command, now);
        Executed { settled: executed.settled, decided: executed.decided }
    }

    fn settle(&mut self, now: Time) -> Vec<Self::Fact> {
        Self::settle(self, now)
    }

    fn settle_first(&mut self, now: Time) -> (Vec<Self::Fact>, bool) {
        let settled = self.settle_stock(now);
        let all = settled.len() < inventory::SETTLED_AT_ONCE;
        (settled, all)
    }

    fn begin(&mut self) {
        Self::begin(self);
    }

    fn commit(&mut self) {
        Self::commit(self);
    }

    fn roll_back(&mut self) -> bool {
        Self::roll_back(self)
    }

    fn name(command: &Self::Command) -> &'static str {
        command.name()
    }

    fn see(&self, command: &Self::Command, done: bool) -> Seen {
        use inventory::Command as C;
        if done && matches!(command, C::Reserve { .. }) {
            // Its fact says everything; this is the hot path.
            return Seen::default();
        }
        let booking = match command {
            C::StartPayment { booking, .. }
            | C::SettlePayment { booking, .. }
            | C::Cancel { booking, .. }
            | C::Find { booking } => self.booking(*booking),
            _ => None,
        };
        let (user, request): (Option<UserId>, _) = match command {
            C::Reserve { user, request, .. }
            | C::StartPayment { user, request, .. }
            | C::Cancel { user, request, .. }
            | C::JoinWaitlist { user, request, .. }
            | C::LeaveWaitlist { user, request } => (Some(*user), request.as_ref()),
            _ => (None, None),
        };
        let done_at = user.zip(request).and_then(|(user, request)| self.done_at(user, request));
        Seen { booking, done_at }
    }
}

/// What an answer tells of an inventory besides the facts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The booking the command was about, right after it.
    pub(crate) booking: Option<BookingSnapshot>,
    /// Revision of the fact that carried the request out.
    pub(crate) done_at: Option<u64>,
}

/// An aggregate without batching: executing is deciding, seeing is a copy.
macro_rules! plain {
    ($aggregate:ty) => {
        impl Decider for $aggregate {
            type Command = <$aggregate as Aggregate>::Command;
            type Fact = <$aggregate as Aggregate>::Fact;
            type Refusal = <$aggregate as Aggregate>::Refusal;
            type Seen = $aggregate;

            fn evolve(&mut self, at: Time, fact: &Self::Fact) {
                Aggregate::evolve(self, at, fact);
            }

            fn execute(&mut self, command: &Self::Command, now: Time) -> Executed<Self> {
                let decided = self.decide(command, now);
                for fact in decided.iter().flatten() {
                    Aggregate::evolve(self, now, fact);
                }
                Executed { settled: vec![], decided }
            }

            fn see(&self, _command: &Self::Command, _done: bool) -> Self {
                self.clone()
            }
        }
    };
}

plain!(Venue);
plain!(Event);
plain!(Account);
plain!(EmailClaim);
plain!(Administration);
plain!(LoginClaim);
plain!(Attempt);

/// A command with what its records say about where it came from.
#[derive(Debug)]
pub(crate) struct Job<C> {
    pub(crate) command: C,
    pub(crate) origin: Origin,
}

/// Where a command came from; becomes the metadata of its records.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Names the command; its records' ids are derived from it, so that it is never done twice.
    pub(crate) id: Uuid,
    /// The request id that the client saw.
    pub(crate) correlation: Option<String>,
    /// The record that caused it, if it was not a request.
    pub(crate) causation: Option<Uuid>,
    /// Where in a trace it is.
    pub(crate) trace: Option<TraceContext>,
    /// Who asked; nobody for what the system does by itself.
    pub(crate) actor: Option<UserId>,
}

impl Origin {
    /// A command of the system itself.
    pub(crate) fn system() -> Self {
        let id = Uuid::from_u128(infra::ids::random_u128());
        Self { id, correlation: None, causation: None, trace: None, actor: None }
    }

    /// A further command of whoever gave this one, because of `record`.
    pub(crate) fn because_of(&self, record: Uuid) -> Self {
        Self { id: Self::system().id, causation: Some(record), ..self.clone() }
    }
}

/// A command that was carried out, durably, now or before.
#[derive(Debug, Clone)]
pub(crate) struct Done<F, S> {
    /// What it brought about, in order; none if nothing was to be done, or it was done before.
    pub(crate) facts: Vec<F>,
    /// Position of its last fact, or of the stream's last record known.
    pub(crate) position: Position,
    /// What the state looked like right after it.
    pub(crate) seen: S,
}

/// Why a command was not carried out.
#[derive(Debug)]
pub(crate) enum Failure<R> {
    /// The domain says no.
    Refused(R),
    /// Too many commands wait already. Nothing was done.
    Overloaded,
    /// The log cannot be read or written. Nothing was acknowledged; asking again is safe with the
    /// same `Idempotency-Key`.
    Unavailable,
    /// As before: the log cannot be written, for this reason, in words that are safe to tell.
    Unwritable(String),
    /// A record of the stream is not what the product wrote. Nothing is decided on it until somebody
    /// mends the log.
    Damaged,
}

impl<R> Failure<R> {
    /// Whether the domain was not asked, so that the same may be asked again.
    pub(crate) fn is_of_log(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

pub(crate) type Outcome<D> =
    Result<Done<<D as Decider>::Fact, <D as Decider>::Seen>, Failure<<D as Decider>::Refusal>>;
