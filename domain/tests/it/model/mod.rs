//! Random commands at random moments, against a shop that keeps its books on paper.

mod acts;
mod patience;
mod shop;
mod verdict;

use domain::inventory::{
    BookingStatus, Command, Executed, Fact, Inventory, Ledger, PaymentResult, PaymentStep, Refusal,
};
use domain::{StoredFact, Time, UserId};
use proptest::prelude::*;

use acts::{Act, Scene};
use shop::{Shop, Stage, State};

/// The inventory, the same read back from its facts, the ledger and the shop, side by side.
struct Side {
    live: Inventory,
    replayed: Inventory,
    ledger: Ledger,
    shop: Shop,
    facts: Vec<(Time, Fact)>,
}

impl Side {
    fn new() -> Self {
        let (live, replayed) = (Inventory::default(), Inventory::default());
        let (ledger, shop) = (Ledger::default(), Shop::default());
        Self { live, replayed, ledger, shop, facts: vec![] }
    }

    /// Reads one of the two inventories back from the facts, as after a restart.
    fn restart(&mut self) {
        self.replayed = self.read_back();
    }

    fn read_back(&self) -> Inventory {
        let mut inventory = Inventory::default();
        for (at, fact) in &self.facts {
            let stored = Fact::decode(fact.kind(), fact.version(), &fact.encode());
            inventory.evolve(*at, &stored.expect("a fact reads back"));
        }
        inventory
    }

    /// Carries commands out that another process was faster than: it is as if they never were.
    fn rehearse(&mut self, commands: &[Command], now: Time) {
        let before = self.live.facts();
        self.live.begin();
        let changed_plan = commands.iter().fold(false, |changed, command| {
            let Executed { decided, .. } = self.live.execute(command, now);
            let is_plan = matches!(command, Command::Follow { .. });
            changed || (is_plan && decided.is_ok_and(|facts| !facts.is_empty()))
        });
        self.live.settle(now.plus_s(600));
        if !self.live.roll_back() {
            // Read again, as the runtime does.
            let first_key = self.facts.iter().all(|(_, fact)| acts::key_of_fact(fact).is_none());
            assert!(changed_plan || first_key, "nothing hinders");
            self.live = self.read_back();
        }
        assert_eq!(self.live.facts(), before);
        self.check_state(now);
    }

    /// Carries a command out, and checks all that must hold. `done` is what was carried out under
    /// the command's key before.
    fn execute(&mut self, command: &Command, now: Time, done: Option<&Command>) {
        let before = self.live.facts();
        let Executed { settled, decided } = self.live.execute(command, now);
        for fact in &settled {
            self.shop.check_dropped(fact);
            self.take_in(fact, now);
        }
        // Nothing that time brings about is left when a decision is made.
        let dead = |it: &shop::Booking| it.state == State::Held && it.until <= now;
        assert!(!self.shop.bookings.iter().any(dead), "a hold outlives its deadline");
        assert_eq!(self.shop.first_served(now), None, "somebody in line is not served");
        self.check_verdict(command, now, done, &decided);
        if let (Command::Follow { plan: Some(wanted), .. }, Ok(facts)) = (command, &decided) {
            facts.iter().for_each(|fact| self.shop.check_plan(wanted, fact));
        }
        for fact in decided.iter().flatten() {
            self.take_in(fact, now);
        }
        if let (Command::SettlePayment { payment, result, .. }, Ok(_)) = (command, &decided)
            && *result == PaymentResult::Succeeded
            && let Some(money) = self.shop.money.get_mut(payment)
        {
            money.paid = money.amount_minor;
        }
        let new = settled.len() + decided.as_ref().map_or(0, Vec::len);
        assert_eq!(self.live.facts(), before + new as u64, "a refusal left something behind");
        assert_eq!(self.replayed.execute(command, now), Executed { settled, decided });
        self.check_state(now);
    }

    fn check_verdict(
        &self,
        command: &Command,
        now: Time,
        done: Option<&Command>,
        decided: &Result<Vec<Fact>, Refusal>,
    ) {
        match done {
            Some(done) if done == command => assert_eq!(decided, &Ok(vec![])),
            // As somebody else or for another booking the key may not even be looked for.
            Some(_) => assert!(decided.is_err()),
            None => {
                let happened = decided.as_ref().ok().map(|facts| !facts.is_empty());
                // A round of a cancelled event is no decision.
                assert_eq!(happened, self.shop.may(command, now), "{decided:?}");
            }
        }
    }

    fn take_in(&mut self, fact: &Fact, now: Time) {
        assert_eq!(self.ledger.apply(fact), Ok(()), "{fact:?}");
        self.shop.take_in(fact, now);
        self.facts.push((now, fact.clone()));
    }

    /// Settles as a timer does; the second time there is nothing left.
    fn settle(&mut self, now: Time) {
        let settled = self.live.settle(now);
        for fact in &settled {
            self.take_in(fact, now);
        }
        assert_eq!(self.replayed.settle(now), settled);
        assert_eq!(self.live.settle(now), []);
        assert_eq!(self.replayed.settle(now), []);
        let due = self.live.next_due();
        assert!(due.is_none_or(|due| now < due), "woken at once for nothing");
        self.check_state(now);
    }

    /// Whoever looks after the inventory is told in time (BK-4, WL-2).
    fn check_due(&self, now: Time) {
        let is_held = |it: &&shop::Booking| it.state == State::Held;
        let deadline = self.shop.bookings.iter().filter(is_held).map(|it| it.until).min();
        let offer = self.shop.first_served(now).map(|_| now);
        for inventory in [&self.live, &self.replayed] {
            let due = inventory.next_due();
            for needed in deadline.into_iter().chain(offer) {
                assert!(due.is_some_and(|due| due <= needed), "due {due:?}, needed {needed}");
            }
        }
    }

    fn check_state(&self, now: Time) {
        self.check_due(now);
        self.check_bookings();
        self.check_stock();
        self.check_money(now);
    }

    fn check_bookings(&self) {
        assert_eq!(self.live.waiting() as usize, self.shop.line.len());
        assert_eq!(self.live.waiting(), self.replayed.waiting());
        assert_eq!(self.live.booking_count(), self.shop.bookings.len());
        for kept in &self.shop.bookings {
            let booking = self.live.booking(kept.id).expect("one");
            assert_eq!(self.replayed.booking(kept.id).as_ref(), Some(&booking));
            let status = match kept.state {
                State::Held => BookingStatus::Held,
                State::Sold => BookingStatus::Confirmed,
                State::Expired => BookingStatus::Expired,
                State::Cancelled => BookingStatus::Cancelled,
            };
            assert_eq!((booking.user, booking.status), (kept.user, status));
            assert_eq!((&booking.lines, booking.expires_at), (&kept.lines, kept.until));
            let of = |(revision, (_, fact)): (usize, &(Time, Fact))| {
                (fact.booking() == Some(kept.id)).then_some(revision as u64)
            };
            let story: Vec<u64> = self.facts.iter().enumerate().filter_map(of).collect();
            assert_eq!(booking.story, story);
        }
    }

    /// Never oversold (BK-5): counted from the bookings themselves.
    fn check_stock(&self) {
        let live =
            self.shop.bookings.iter().filter(|it| matches!(it.state, State::Held | State::Sold));
        let lines: Vec<_> = live.flat_map(|it| &it.lines).collect();
        for count in self.ledger.tiers() {
            let tier = count.terms.tier;
            let mine = lines.iter().filter(|line| line.tier == tier);
            let taken: u32 = mine.map(|line| line.quantity).sum();
            assert_eq!(taken, count.held + count.sold);
            assert!(taken <= count.capacity);
        }
        let mut seats: Vec<_> = lines.iter().filter_map(|line| line.seat.as_ref()).collect();
        let all = seats.len();
        seats.sort_unstable();
        seats.dedup();
        assert_eq!(seats.len(), all, "a seat has two owners");
    }

    /// All money that came is kept, owed or was given back, and what is to be done is known (PM-3).
    fn check_money(&self, now: Time) {
        let steps = self.live.payment_steps(now);
        assert_eq!(steps, self.replayed.payment_steps(now));
        for (payment, money) in &self.shop.money {
            assert_eq!(money.paid, money.kept + money.owed + money.refunded, "{payment}");
            assert!(money.kept >= 0 && money.owed >= 0, "{payment}");
            let refund = steps.iter().find_map(|step| match step {
                PaymentStep::Refund { payment: of, amount_minor, .. } if of == payment => {
                    Some(*amount_minor)
                }
                _ => None,
            });
            assert_eq!(refund.unwrap_or(0), money.owed, "{payment}");
            let (booking, payment) = (money.booking, *payment);
            let started_at = money.started;
            let ask = PaymentStep::AskProvider { booking, payment, started_at };
            let asked = steps.contains(&ask);
            let late = money.started.plus_s(domain::inventory::CHARGE_PATIENCE_S) <= now;
            assert_eq!(asked, money.stage == Stage::Asked && late, "{payment}");
        }
    }
}

proptest! {
    #[test]
    fn the_inventory_keeps_the_books_of_a_shop(
        scene in any::<Scene>(),
        acts in prop::collection::vec(any::<Act>(), 1..120),
    ) {
        let (mut side, mut now) = (Side::new(), acts::opening());
        // Commands under a key, with what was asked, once they were carried out.
        let mut done: Vec<Command> = vec![];
        side.execute(&acts::open(&scene), now, None);
        for (step, act) in acts.iter().enumerate() {
            now = act.later(now, side.live.next_due());
            let trial = acts[step..].iter().take(5).enumerate();
            let trial = trial.filter_map(|(more, act)| act.command(step + more, &scene, &side.shop));
            side.rehearse(&trial.collect::<Vec<_>>(), now);
            if matches!(act, Act::Restart) {
                side.restart();
            } else if matches!(act, Act::Settle | Act::Wait { .. } | Act::UntilDue { .. }) {
                side.settle(now);
            } else if let Act::Repeat { which, other_body } = act {
                let Some(first) = which.of(&done) else { continue };
                let again = if *other_body { acts::with_other_body(first) } else { first.clone() };
                side.execute(&again, now, Some(first));
            } else if let Some(command) = act.command(step, &scene, &side.shop) {
                let before = side.live.facts();
                side.execute(&command, now, None);
                let carried_out = side.facts.len() as u64 > before
                    && side.facts.last().is_some_and(|(_, fact)| acts::key_of_fact(fact) == acts::key(&command));
                if acts::key(&command).is_some() && carried_out {
                    done.push(command);
                }
            }
        }
        // In the end all holds die, and whoever is owed something gets it back.
        side.settle(now.plus_s(30 * 86_400));
    }
}

/// A person of the scene.
fn person(number: u8) -> UserId {
    UserId::from_u128(u128::from(number) + 1)
}
