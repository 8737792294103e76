//! A small model of one inventory: what is taken of what there is, by whom, and until when.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::Time;
use serde::Deserialize;

/// What this model reads of a stored fact, whichever it is.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Stored {
    pub(crate) booking: Option<String>,
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) lines: Vec<Line>,
    pub(crate) expires_at: Option<Time>,
    pub(crate) request: Option<Request>,
    pub(crate) payment: Option<String>,
    pub(crate) waitlist: Option<String>,
    plan: Option<Plan>,
    was_confirmed: Option<bool>,
    amount_minor: Option<i64>,
    refund_minor: Option<i64>,
    tier: Option<String>,
    quantity: Option<u32>,
}

impl Stored {
    pub(crate) fn booking(&self) -> &str {
        self.booking.as_deref().expect("it is about a booking")
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Line {
    tier: String,
    pub(crate) seat: Option<String>,
    quantity: u32,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Request {
    pub(crate) key: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Plan {
    tiers: Vec<PlannedTier>,
}

#[derive(Debug, Clone, Deserialize)]
struct PlannedTier {
    tier: String,
    stock: Stock,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Stock {
    Counted { capacity: u32 },
    Seated { section: String, rows: Vec<Row> },
}

/// A row as the tests' venues have them: seats 1, 2, 3, ...
#[derive(Debug, Clone, Deserialize)]
struct Row {
    label: String,
    seats: u32,
}

/// A hold, which ends by being paid, given back, or dead.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) user: String,
    pub(crate) deadline: Time,
    pub(crate) ended_at: Option<Time>,
}

/// Where a booking stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Standing {
    Held,
    Sold,
    Expired,
    Cancelled,
}

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Money {
    Asked,
    Failed,
    Kept,
    Owed(i64),
    PaidBack(i64),
}

/// Somebody who waits, for which tier, for how many.
type Waiting = (String, Option<String>, u32);

#[derive(Debug, Default)]
pub(crate) struct Books {
    clock: Time,
    capacity: HashMap<String, u32>,
    /// Sold and held, by tier.
    taken: HashMap<String, u32>,
    /// Every seat, and whose it is.
    seats: HashMap<String, Option<String>>,
    bookings: HashMap<String, (Standing, Vec<Line>)>,
    holds: HashMap<String, Hold>,
    /// Of holds that are alive.
    deadlines: BTreeSet<(Time, String)>,
    money: BTreeMap<String, Money>,
    waiting: BTreeMap<String, Waiting>,
}

/// What is wrong with a fact.
type Verdict = Result<(), String>;

fn rule(holds: bool, wrong: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(wrong()) }
}

impl Books {
    /// Takes a record in, or says which rule it breaks.
    pub(crate) fn apply(&mut self, at: Time, kind: &str, fact: &Stored) -> Verdict {
        rule(self.clock <= at, || format!("{kind} was decided before what is before it"))?;
        self.clock = at;
        if let Some((deadline, booking)) = self.deadlines.first()
            && kind != "Expired"
        {
            rule(at < *deadline, || format!("{booking} was alive at {at}, dead since {deadline}"))?;
        }
        match kind {
            "InventoryOpened" | "InventoryRevised" => self.plan(fact.plan.as_ref().unwrap()),
            "Reserved" | "Offered" => self.hold(kind, fact),
            "Reinstated" => {
                let (standing, lines) = self.bookings.remove(fact.booking()).unwrap();
                rule(standing == Standing::Expired && lines == fact.lines, || format!("{fact:?}"))?;
                self.take_places(fact)
            }
            "Confirmed" => {
                self.end_hold(at, fact.booking());
                self.pass_on(fact, Standing::Held, Standing::Sold)?;
                self.came(fact, &[Money::Asked, Money::Failed], Money::Kept)
            }
            "Expired" => {
                let deadline = self.holds[fact.booking()].deadline;
                rule(deadline <= at, || format!("{fact:?} too early"))?;
                self.end_hold(at, fact.booking());
                self.pass_on(fact, Standing::Held, Standing::Expired)
            }
            "Cancelled" => self.cancel(at, fact),
            "PaymentStarted" => {
                let before = self.money.insert(fact.payment.clone().unwrap(), Money::Asked);
                rule(before.is_none(), || format!("{fact:?} again"))
            }
            "PaymentFailed" => self.came(fact, &[Money::Asked], Money::Failed),
            "RefundDue" => {
                let owed = Money::Owed(fact.amount_minor.unwrap());
                self.came(fact, &[Money::Asked, Money::Failed], owed)
            }
            "Refunded" => {
                let amount = fact.amount_minor.unwrap();
                self.came(fact, &[Money::Owed(amount)], Money::PaidBack(amount))
            }
            "WaitlistJoined" => {
                let user = fact.user.clone().unwrap();
                let entry = (user, fact.tier.clone(), fact.quantity.unwrap());
                rule(self.waiting.values().all(|(user, ..)| *user != entry.0), || {
                    format!("{} waits twice", entry.0)
                })?;
                self.waiting.insert(fact.waitlist.clone().unwrap(), entry);
                Ok(())
            }
            "WaitlistLeft" => self.leave_line(fact),
            _ => Err(format!("{kind} is not known here")),
        }
    }

    fn plan(&mut self, plan: &Plan) -> Verdict {
        for planned in &plan.tiers {
            let capacity = match &planned.stock {
                Stock::Counted { capacity } => *capacity,
                Stock::Seated { section, rows } => {
                    let of_row = |row: &Row| {
                        let name = format!("{section}-{}", row.label);
                        (1..=row.seats).map(move |seat| format!("{name}-{seat}"))
                    };
                    for seat in rows.iter().flat_map(of_row) {
                        self.seats.entry(seat).or_default();
                    }
                    rows.iter().map(|row| row.seats).sum()
                }
            };
            self.capacity.insert(planned.tier.clone(), capacity);
            self.check(&planned.tier)?;
        }
        Ok(())
    }

    /// Never oversold (BK-5).
    fn check(&self, tier: &str) -> Verdict {
        let taken = self.taken.get(tier).copied().unwrap_or(0);
        let capacity = self.capacity.get(tier).copied().unwrap_or(0);
        rule(taken <= capacity, || format!("{taken} sold and held of {capacity} in {tier}"))
    }

    fn hold(&mut self, kind: &str, fact: &Stored) -> Verdict {
        if kind == "Offered" {
            self.leave_line(fact)?;
        }
        let (booking, user) = (fact.booking().to_owned(), fact.user.clone().unwrap());
        let deadline = fact.expires_at.unwrap();
        self.deadlines.insert((deadline, booking.clone()));
        self.holds.insert(booking, Hold { user, deadline, ended_at: None });
        self.take_places(fact)
    }

    fn take_places(&mut self, fact: &Stored) -> Verdict {
        let booking = fact.booking();
        rule(!fact.lines.is_empty(), || format!("{booking} holds nothing"))?;
        for line in &fact.lines {
            *self.taken.entry(line.tier.clone()).or_default() += line.quantity;
            self.check(&line.tier)?;
            if let Some(seat) = &line.seat {
                let owner = self.seats.get_mut(seat).ok_or_else(|| format!("no seat {seat}"))?;
                rule(owner.is_none() && line.quantity == 1, || {
                    format!("seat {seat} is of {owner:?} and given to {booking}")
                })?;
                *owner = Some(booking.to_owned());
            }
        }
        let held = (Standing::Held, fact.lines.clone());
        let before = self.bookings.insert(booking.to_owned(), held);
        rule(before.is_none(), || format!("{booking} exists already"))
    }

    /// Changes where a booking stands, and frees its places if nobody owns them any more.
    fn pass_on(&mut self, fact: &Stored, from: Standing, to: Standing) -> Verdict {
        let booking = fact.booking();
        let known = self.bookings.insert(booking.to_owned(), (to, fact.lines.clone()));
        rule(known.as_ref() == Some(&(from, fact.lines.clone())), || {
            format!("{booking} is {known:?}, and now {to:?} with {:?}", fact.lines)
        })?;
        if to != Standing::Sold {
            for line in &fact.lines {
                *self.taken.get_mut(&line.tier).unwrap() -= line.quantity;
                if let Some(seat) = &line.seat {
                    self.seats.insert(seat.clone(), None);
                }
            }
        }
        Ok(())
    }

    fn cancel(&mut self, at: Time, fact: &Stored) -> Verdict {
        self.end_hold(at, fact.booking());
        let sold = fact.was_confirmed.unwrap();
        let from = if sold { Standing::Sold } else { Standing::Held };
        self.pass_on(fact, from, Standing::Cancelled)?;
        let owed = Money::Owed(fact.refund_minor.unwrap());
        self.came(fact, &[Money::Kept], owed)
    }

    fn end_hold(&mut self, at: Time, booking: &str) {
        let hold = self.holds.get_mut(booking).unwrap();
        self.deadlines.remove(&(hold.deadline, booking.to_owned()));
        // One that comes back after its death was dead before.
        hold.ended_at.get_or_insert(at);
    }

    fn came(&mut self, fact: &Stored, from: &[Money], to: Money) -> Verdict {
        let Some(payment) = &fact.payment else { return Ok(()) };
        let before = self.money.insert(payment.clone(), to);
        rule(before.is_some_and(|before| from.contains(&before)), || {
            format!("{payment} was {before:?}, and is {to:?}")
        })
    }

    fn leave_line(&mut self, fact: &Stored) -> Verdict {
        let waitlist = fact.waitlist.as_ref().unwrap();
        let left = self.waiting.remove(waitlist);
        rule(left.is_some_and(|(user, ..)| Some(user) == fact.user), || {
            format!("{waitlist} does not wait")
        })
    }

    pub(crate) fn owner(&self, booking: &str) -> String {
        self.holds[booking].user.clone()
    }

    pub(crate) fn holds(&self) -> impl Iterator<Item = (&String, &Hold)> {
        self.holds.iter()
    }

    pub(crate) fn money(&self) -> impl Iterator<Item = (&String, &Money)> {
        self.money.iter()
    }

    /// Somebody who waits for what is free.
    pub(crate) fn servable(&self) -> Option<&Waiting> {
        let free = |tier: &String| {
            let taken = self.taken.get(tier).copied().unwrap_or(0);
            self.capacity[tier] - taken
        };
        self.waiting.values().find(|(_, tier, quantity)| match tier {
            Some(tier) => *quantity <= free(tier),
            None => self.capacity.keys().any(|tier| *quantity <= free(tier)),
        })
    }
}
