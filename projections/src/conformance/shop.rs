//! People who buy at random: long, valid histories of one inventory.

use domain::event::{RefundRule, Stock, Tier};
use domain::inventory::{Command, Inventory, PaymentFailure, PaymentResult, Plan, Wanted};
use domain::seating::{Row, Seats};
use domain::{
    BookingId, Currency, EventId, Fact, PaymentId, TierId, Time, UserId, WaitlistId, inventory,
};

use super::stage::at;

/// One event's inventory and those who come to it.
pub(super) struct Shop {
    event: EventId,
    inventory: Inventory,
    now: Time,
    random: u64,
    version: u64,
    made: u64,
    bookings: Vec<(BookingId, UserId)>,
    payments: Vec<(BookingId, PaymentId)>,
    waiting: Vec<UserId>,
}

impl Shop {
    /// The same `seed` gives the same history.
    pub(super) fn new(event: EventId, seed: u64) -> Self {
        let (inventory, now) = (Inventory::default(), at(0));
        let random = seed | 1;
        Self {
            event,
            inventory,
            now,
            random,
            version: 0,
            made: 0,
            bookings: Vec::new(),
            payments: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// What happens next, at which moment; often nothing.
    pub(super) fn next(&mut self) -> (Time, Vec<Fact>) {
        self.now = self.now.plus_ms(self.pick(15_000));
        let command = if self.version == 0 { self.follow() } else { self.command() };
        let executed = self.inventory.execute(&command, self.now);
        let facts = executed.settled.into_iter().chain(executed.decided.into_iter().flatten());
        (self.now, facts.map(Fact::Inventory).collect())
    }

    /// At least so many facts, each with its moment.
    pub(super) fn history(&mut self, facts: usize) -> Vec<(Time, Fact)> {
        let mut history = Vec::new();
        while history.len() < facts {
            let (now, facts) = self.next();
            history.extend(facts.into_iter().map(|fact| (now, fact)));
        }
        history
    }

    /// The event is called off.
    pub(super) fn close(&mut self) -> Vec<(Time, Fact)> {
        self.version += 1;
        let (event, event_version) = (self.event, self.version);
        let commands = [Command::Follow { event, event_version, plan: None }, Command::Settle];
        let mut history = Vec::new();
        for command in commands {
            let executed = self.inventory.execute(&command, self.now);
            history.extend(executed.settled.into_iter().chain(executed.decided.expect("it is so")));
        }
        history.into_iter().map(|fact| (self.now, Fact::Inventory(fact))).collect()
    }

    fn command(&mut self) -> Command {
        let user = UserId::from_u128(u128::from(self.pick(30)));
        self.made += 1;
        let made = (self.event.as_u128() << 64) | u128::from(self.made);
        match self.pick(20) {
            0..8 => {
                let booking = BookingId { event: self.event, number: self.random };
                self.bookings.push((booking, user));
                Command::Reserve {
                    booking,
                    user,
                    wanted: self.wanted(),
                    patience: None,
                    request: None,
                }
            }
            8..11 => {
                let (booking, user) = self.some_booking();
                let payment = PaymentId::from_u128(made);
                self.payments.push((booking, payment));
                Command::StartPayment { booking, user, payment, request: None }
            }
            11..14 => {
                let (booking, payment) = self.some_payment();
                let result = if self.pick(4) == 0 {
                    PaymentResult::Failed(PaymentFailure::Declined)
                } else {
                    PaymentResult::Succeeded
                };
                Command::SettlePayment { booking, payment, result }
            }
            14 => {
                let (booking, payment) = self.some_payment();
                Command::SettleRefund { booking, payment }
            }
            15 => {
                let (booking, user) = self.some_booking();
                Command::Cancel { booking, user, as_admin: false, request: None }
            }
            16..18 => {
                self.waiting.push(user);
                Command::JoinWaitlist {
                    waitlist: WaitlistId::from_u128(made),
                    user,
                    tier: self.maybe_tier(),
                    quantity: self.small(3),
                    patience: None,
                    request: None,
                }
            }
            18 => {
                let user = self.waiting.pop().unwrap_or(user);
                Command::LeaveWaitlist { user, request: None }
            }
            _ => self.follow(),
        }
    }

    fn wanted(&mut self) -> Wanted {
        let tier = tier(self.event, self.pick(2));
        if self.pick(3) == 0 {
            let seat = |row, seat| format!("A-{row}-{seat}");
            Wanted::Seats(vec![seat(self.small(2), self.small(4))])
        } else {
            Wanted::Quantity { tier, quantity: self.small(3) }
        }
    }

    fn maybe_tier(&mut self) -> Option<TierId> {
        let some = self.pick(3);
        (some > 0).then(|| tier(self.event, some - 1))
    }

    fn some_booking(&mut self) -> (BookingId, UserId) {
        let nobodys = (BookingId { event: self.event, number: 0 }, UserId::from_u128(0));
        let recent = self.bookings.len().saturating_sub(12);
        let some = recent + self.place(12);
        self.bookings.get(some).or(self.bookings.last()).copied().unwrap_or(nobodys)
    }

    fn some_payment(&mut self) -> (BookingId, PaymentId) {
        let none = (BookingId { event: self.event, number: 0 }, PaymentId::from_u128(0));
        let recent = self.payments.len().saturating_sub(4);
        let some = recent + self.place(4);
        self.payments.get(some).or(self.payments.last()).copied().unwrap_or(none)
    }

    /// The organizer changes prices and capacities.
    fn follow(&mut self) -> Command {
        self.version += 1;
        let capacity = 6 + self.small(6);
        let plan = plan(self.event, capacity, 1_000 + i64::from(self.small(9)));
        Command::Follow { event: self.event, event_version: self.version, plan: Some(plan) }
    }

    /// A number from 1 to `most`.
    fn small(&mut self, most: u64) -> u32 {
        1 + u32::try_from(self.pick(most)).expect("it is small")
    }

    fn place(&mut self, below: u64) -> usize {
        usize::try_from(self.pick(below)).expect("it is small")
    }

    /// A number below `below`, by xorshift.
    fn pick(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }
}

fn tier(event: EventId, place: u64) -> TierId {
    TierId::from_u128((event.as_u128() << 4) | u128::from(place))
}

fn plan(event: EventId, capacity: u32, price_minor: i64) -> Plan {
    let row = |label: &str| Row { label: label.into(), seats: Seats::Count(4), accessible: vec![] };
    let stalls = Stock::Seated { section: "A".into(), rows: vec![row("1"), row("2")] };
    let sold = |place, name: &str, stock| Tier {
        tier: tier(event, place),
        name: name.into(),
        price_minor,
        stock,
        sale_starts_at: None,
        sale_ends_at: None,
        max_per_booking: None,
    };
    Plan {
        starts_at: at(90 * 86_400),
        ends_at: at(91 * 86_400),
        currency: Currency::EUR,
        tiers: vec![
            sold(0, "Floor", Stock::Counted { capacity, section: None }),
            sold(1, "Stalls", stalls),
        ],
        hold_ttl_s: 120,
        offer_ttl_s: 60,
        max_per_booking: 4,
        max_per_user: None,
        refund_policy: vec![RefundRule { until_s_before_start: 0, percent: 50 }],
    }
}

/// Histories of several events, mixed as they would come into one log.
pub(super) fn histories(events: u64, seed: u64, facts: usize) -> Vec<(Time, Fact)> {
    let mut all = Vec::new();
    for event in 1..=events {
        let mut shop = Shop::new(EventId::from_u128(u128::from(event)), seed.wrapping_add(event));
        let mut history = shop.history(facts);
        if (seed + event).is_multiple_of(2) {
            history.extend(shop.close());
        }
        let each = history.into_iter().enumerate();
        all.extend(each.map(|(place, (at, fact))| (place, event, at, fact)));
    }
    all.sort_by_key(|(place, event, ..)| (*place, *event));
    all.into_iter().map(|(_, _, at, fact)| (at, fact)).collect()
}

/// The facts of all kinds that came up.
pub(super) fn kinds(history: &[(Time, Fact)]) -> std::collections::BTreeSet<&'static str> {
    history.iter().map(|(_, fact)| fact.kind()).collect()
}

/// Every kind an inventory can have.
pub(super) fn inventory_kinds() -> std::collections::BTreeSet<&'static str> {
    use domain::StoredFact;
    inventory::Fact::KINDS.iter().map(|(kind, _)| *kind).collect()
}
