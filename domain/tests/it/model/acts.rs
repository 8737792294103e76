//! What can happen to a shop.

use domain::event::{RefundRule, Stock, Tier};
use domain::inventory::{Command, Fact, Patience, PaymentFailure, PaymentResult, Plan, Wanted};
use domain::seating::{Row, Seats};
use domain::{BookingId, Currency, EventId, PaymentId, Request, TierId, Time, WaitlistId};
use proptest::prelude::*;
use proptest::sample::Index;

use super::person;
use super::shop::Shop;

const EVENT: EventId = EventId::from_u128(7);
const FLOOR: TierId = TierId::from_u128(11);
const STALLS: TierId = TierId::from_u128(12);
const LAWN: TierId = TierId::from_u128(13);
const TIERS: [TierId; 3] = [FLOOR, STALLS, LAWN];
const SEATS: [&str; 6] = ["A-1-1", "A-1-2", "A-1-3", "A-2-x", "A-2-y", "A-9-9"];
const PEOPLE: u8 = 5;

/// How a sale is set up. Small, so that people get in each other's way.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    floor: u32,
    lawn: u32,
    max_per_booking: u32,
    max_per_user: Option<u32>,
    max_of_lawn: Option<u32>,
    starts_s: u64,
    hold_s: u32,
    offer_s: u32,
    floor_opens_s: Option<u64>,
    stalls_close_s: Option<u64>,
    patience: Option<Patience>,
}

impl Arbitrary for Scene {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let sizes = (0..5u32, 0..4u32, 2..6u32, prop::option::weighted(0.3, 1..7u32));
        let times = (200..2_000u64, 20..300u32, 20..400u32);
        let windows = (
            prop::option::weighted(0.2, 0..900u64),
            prop::option::weighted(0.2, 100..4_000u64),
            prop::option::weighted(0.2, 1..4u32),
            prop::option::weighted(0.5, (1..5u32, 1..5u32)),
        );
        (sizes, times, windows)
            .prop_map(|(sizes, times, windows)| Self {
                floor: sizes.0,
                lawn: sizes.1,
                max_per_booking: sizes.2,
                max_per_user: sizes.3,
                starts_s: times.0,
                hold_s: times.1,
                offer_s: times.2,
                floor_opens_s: windows.0,
                stalls_close_s: windows.1,
                max_of_lawn: windows.2,
                patience: windows.3.map(|(holds, lapsed)| Patience { holds, lapsed }),
            })
            .boxed()
    }
}

impl Scene {
    fn reserve(
        &self,
        booking: BookingId,
        user: u8,
        wanted: Wanted,
        request: Option<Request>,
    ) -> Command {
        let (user, patience) = (person(user), self.patience);
        Command::Reserve { booking, user, wanted, patience, request }
    }

    fn plan(&self) -> Plan {
        let label = |label: &str| label.to_owned();
        let rows = vec![
            Row { label: label("1"), seats: Seats::Count(3), accessible: vec![label("1")] },
            Row {
                label: label("2"),
                seats: Seats::Labels(vec![label("x"), label("y")]),
                accessible: vec![],
            },
        ];
        let tier = |tier: TierId, price_minor, stock| Tier {
            tier,
            name: tier.to_string(),
            price_minor,
            stock,
            sale_starts_at: None,
            sale_ends_at: None,
            max_per_booking: None,
        };
        let counted = |capacity| Stock::Counted { capacity, section: None };
        let mut floor = tier(FLOOR, 999, counted(self.floor));
        floor.sale_starts_at = self.floor_opens_s.map(|s| opening().plus_s(s));
        let mut stalls = tier(STALLS, 2_500, Stock::Seated { section: label("A"), rows });
        stalls.sale_ends_at = self.stalls_close_s.map(|s| opening().plus_s(s));
        let mut lawn = tier(LAWN, 0, counted(self.lawn));
        lawn.max_per_booking = self.max_of_lawn;
        let starts_at = opening().plus_s(self.starts_s);
        let rule = |until_s_before_start, percent| RefundRule { until_s_before_start, percent };
        Plan {
            starts_at,
            ends_at: starts_at.plus_s(600),
            currency: Currency::EUR,
            tiers: vec![floor, stalls, lawn],
            hold_ttl_s: self.hold_s,
            offer_ttl_s: self.offer_s,
            max_per_booking: self.max_per_booking,
            max_per_user: self.max_per_user,
            refund_policy: vec![rule(1_800, 100), rule(600, 33)],
        }
    }
}

/// Mostly a quantity that makes sense.
fn few() -> impl Strategy<Value = u32> {
    prop_oneof![9 => 1..4u32, 1 => 0..7u32]
}

pub(super) fn opening() -> Time {
    Time::from_ms(1_800_000_000_000)
}

pub(super) fn open(scene: &Scene) -> Command {
    Command::Follow { event: EVENT, event_version: 2, plan: Some(scene.plan()) }
}

/// What happens next. People and things are meant by any number.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Wait {
        ms: u64,
    },
    /// Just before, at, or just after the next moment something is due.
    UntilDue {
        off: i8,
    },
    Settle,
    Restart,
    Reserve {
        user: u8,
        tier: usize,
        quantity: u32,
    },
    ReserveSeats {
        user: u8,
        seats: Vec<usize>,
    },
    /// All that is left of a tier, if one booking can have so many.
    ReserveRest {
        user: u8,
        tier: usize,
    },
    ReserveAgain {
        user: u8,
        which: Index,
    },
    Pay {
        which: Index,
        stranger: Option<u8>,
    },
    Provider {
        which: Index,
        answer: u8,
    },
    Refund {
        which: Index,
    },
    Cancel {
        which: Index,
        by: Option<u8>,
        as_admin: bool,
    },
    Join {
        user: u8,
        tier: Option<usize>,
        quantity: u32,
    },
    Leave {
        user: u8,
    },
    Forget {
        user: u8,
    },
    Revise {
        scene: Box<Scene>,
        stale: bool,
    },
    Close,
    Repeat {
        which: Which,
        other_body: bool,
    },
}

/// One of a list.
#[derive(Debug, Clone)]
pub(super) struct Which(Index);

impl Which {
    pub(super) fn of<'a, T>(&self, list: &'a [T]) -> Option<&'a T> {
        (!list.is_empty()).then(|| self.0.get(list))
    }
}

impl Arbitrary for Act {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let user = || 0..PEOPLE;
        // Mostly seats that there are.
        let seat = prop_oneof![20 => 0..SEATS.len() - 1, 1 => Just(SEATS.len() - 1)];
        let which = any::<Index>;
        prop_oneof![
            4 => (0..40_000u64).prop_map(|ms| Self::Wait { ms }),
            3 => (-1..=1i8).prop_map(|off| Self::UntilDue { off }),
            1 => Just(Self::Settle),
            2 => Just(Self::Restart),
            8 => (user(), 0..3usize, few())
                .prop_map(|(user, tier, quantity)| Self::Reserve { user, tier, quantity }),
            6 => (user(), prop::collection::vec(seat, 0..4))
                .prop_map(|(user, seats)| Self::ReserveSeats { user, seats }),
            6 => (user(), 0..3usize).prop_map(|(user, tier)| Self::ReserveRest { user, tier }),
            1 => (user(), which()).prop_map(|(user, which)| Self::ReserveAgain { user, which }),
            8 => (which(), prop::option::weighted(0.1, user()))
                .prop_map(|(which, stranger)| Self::Pay { which, stranger }),
            8 => (which(), 0..4u8).prop_map(|(which, answer)| Self::Provider { which, answer }),
            2 => which().prop_map(|which| Self::Refund { which }),
            5 => (which(), prop::option::weighted(0.1, user()), any::<bool>())
                .prop_map(|(which, by, as_admin)| Self::Cancel { which, by, as_admin }),
            7 => (user(), prop::option::weighted(0.6, 0..3usize), few())
                .prop_map(|(user, tier, quantity)| Self::Join { user, tier, quantity }),
            2 => user().prop_map(|user| Self::Leave { user }),
            1 => user().prop_map(|user| Self::Forget { user }),
            2 => (any::<Scene>(), any::<bool>())
                .prop_map(|(scene, stale)| Self::Revise { scene: Box::new(scene), stale }),
            1 => (0..12u8).prop_map(|rare| if rare == 0 { Self::Close } else { Self::Settle }),
            3 => (which(), any::<bool>())
                .prop_map(|(which, other_body)| Self::Repeat { which: Which(which), other_body }),
        ]
        .boxed()
    }
}

impl Act {
    /// When it happens.
    pub(super) fn later(&self, now: Time, due: Option<Time>) -> Time {
        match self {
            Self::Wait { ms } => now.plus_ms(*ms),
            Self::UntilDue { off } => {
                let due = due.unwrap_or(now).as_ms() + i64::from(*off);
                now.max(Time::from_ms(due))
            }
            _ => now,
        }
    }

    /// The command of a person or of the system; none if there is nothing it could be about.
    pub(super) fn command(&self, step: usize, scene: &Scene, shop: &Shop) -> Option<Command> {
        let number = step as u64 + 1;
        let request = Request::new(&format!("key-{step}"), b"body").ok();
        let booking = BookingId { event: EVENT, number };
        let booked = |which: &Index| one_of(which, shop.bookings.iter());
        let paid = |which: &Index| one_of(which, shop.money.iter());
        Some(match self {
            Self::Reserve { user, tier, quantity } => {
                let wanted = Wanted::Quantity { tier: TIERS[*tier], quantity: *quantity };
                scene.reserve(booking, *user, wanted, request)
            }
            Self::ReserveSeats { user, seats } => {
                let seats = seats.iter().map(|seat| SEATS[*seat].to_owned()).collect();
                scene.reserve(booking, *user, Wanted::Seats(seats), request)
            }
            Self::ReserveRest { user, tier } => {
                let (tier, quantity) = (TIERS[*tier], shop.rest(TIERS[*tier]));
                scene.reserve(booking, *user, Wanted::Quantity { tier, quantity }, request)
            }
            Self::ReserveAgain { user, which } => {
                let wanted = Wanted::Quantity { tier: FLOOR, quantity: 1 };
                scene.reserve(booked(which)?.id, *user, wanted, request)
            }
            Self::Pay { which, stranger } => {
                let found = booked(which)?;
                let user = stranger.map_or(found.user, person);
                let payment = PaymentId::from_u128(u128::from(number));
                Command::StartPayment { booking: found.id, user, payment, request }
            }
            Self::Provider { which, answer } => {
                let (payment, money) = paid(which)?;
                let result = match answer {
                    0 => PaymentResult::Failed(PaymentFailure::Declined),
                    1 => PaymentResult::Failed(PaymentFailure::NeverArrived),
                    _ => PaymentResult::Succeeded,
                };
                Command::SettlePayment { booking: money.booking, payment: *payment, result }
            }
            Self::Refund { which } => {
                let (payment, money) = paid(which)?;
                Command::SettleRefund { booking: money.booking, payment: *payment }
            }
            Self::Cancel { which, by, as_admin } => {
                let found = booked(which)?;
                let (booking, user) = (found.id, by.map_or(found.user, person));
                Command::Cancel { booking, user, as_admin: *as_admin, request }
            }
            Self::Join { user, tier, quantity } => Command::JoinWaitlist {
                waitlist: WaitlistId::from_u128(u128::from(number)),
                user: person(*user),
                tier: tier.map(|tier| TIERS[tier]),
                quantity: *quantity,
                patience: scene.patience,
                request,
            },
            Self::Forget { user } => Command::Forget { user: person(*user) },
            Self::Leave { user } => Command::LeaveWaitlist { user: person(*user), request },
            Self::Revise { scene: changed, stale } => {
                let starts_s = changed.starts_s.max(scene.starts_s);
                let plan = Scene { starts_s, ..(**changed).clone() }.plan();
                let event_version = if *stale { 2 } else { number + 2 };
                Command::Follow { event: EVENT, event_version, plan: Some(plan) }
            }
            Self::Close => Command::Follow { event: EVENT, event_version: number + 2, plan: None },
            Self::Wait { .. }
            | Self::UntilDue { .. }
            | Self::Settle
            | Self::Restart
            | Self::Repeat { .. } => return None,
        })
    }
}

fn one_of<T>(which: &Index, all: impl ExactSizeIterator<Item = T>) -> Option<T> {
    let mut all = all;
    (all.len() > 0).then(|| which.index(all.len())).and_then(|at| all.nth(at))
}

/// The key of a command, if it has one.
pub(super) fn key(command: &Command) -> Option<&Request> {
    match command {
        Command::Reserve { request, .. }
        | Command::StartPayment { request, .. }
        | Command::Cancel { request, .. }
        | Command::JoinWaitlist { request, .. }
        | Command::LeaveWaitlist { request, .. } => request.as_ref(),
        _ => None,
    }
}

/// The key of a fact, if it has one.
pub(super) fn key_of_fact(fact: &Fact) -> Option<&Request> {
    match fact {
        Fact::Reserved(fact) => fact.request.as_ref(),
        Fact::PaymentStarted(fact) => fact.request.as_ref(),
        Fact::Confirmed(fact) => fact.request.as_ref(),
        Fact::Cancelled(fact) => fact.request.as_ref(),
        Fact::WaitlistJoined(fact) => fact.request.as_ref(),
        Fact::WaitlistLeft(fact) => fact.request.as_ref(),
        _ => None,
    }
}

/// The same key, but something else was asked.
pub(super) fn with_other_body(command: &Command) -> Command {
    let mut command = command.clone();
    match &mut command {
        Command::Reserve { request, .. }
        | Command::StartPayment { request, .. }
        | Command::Cancel { request, .. }
        | Command::JoinWaitlist { request, .. }
        | Command::LeaveWaitlist { request, .. } => {
            let key = request.as_ref().map(|request| request.key.clone()).unwrap_or_default();
            *request = Request::new(&key, b"something else").ok();
        }
        _ => {}
    }
    command
}
