//! The log as an outsider reads it, and what was promised held against it.
//!
//! Reads the stored JSON with a model of its own: nothing of what decides is asked here, so that a
//! guard missing there is seen here.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use infra::log::embedded::EmbeddedLog;
use infra::log::{Log, Position, Record};
use infra::payment::{self, PaymentStatus};

use crate::books::{Books, Hold, Money, Stored};
use crate::people::Told;

#[derive(Default)]
pub(crate) struct Story {
    end: Position,
    /// What each record of an inventory says.
    records: HashMap<u64, (String, Stored)>,
    kinds: BTreeMap<String, usize>,
    books: HashMap<String, Books>,
    /// By person and key: where it was carried out.
    executed: HashMap<(String, String), Position>,
}

impl Story {
    /// Reads the log from its beginning.
    pub(crate) async fn read(log: &Path) -> Self {
        let mut story = Self::default();
        story.read_on(log).await;
        story
    }

    /// Reads what came since. Panics where more is sold and held than there is, a seat gets a
    /// second owner, a hold outlives its deadline, or a key is executed twice.
    pub(crate) async fn read_on(&mut self, log: &Path) {
        let log = EmbeddedLog::open_read_only(log).unwrap();
        loop {
            let page = log.read_all(self.end, 5_000).await.unwrap();
            let Some(last) = page.last() else { break };
            self.end = last.position;
            page.iter().for_each(|record| self.take(record));
        }
        log.close().await;
    }

    fn take(&mut self, record: &Record) {
        let Some(event) = record.stream.strip_prefix("inventory-") else { return };
        let position = record.position;
        let stored: Stored = serde_json::from_slice(&record.data).unwrap();
        let books = self.books.entry(event.to_owned()).or_default();
        let applied = books.apply(record.at, &record.kind, &stored);
        applied.unwrap_or_else(|wrong| panic!("at position {position}: {wrong}"));
        // A payment's key is carried out when it starts; the confirmation only repeats it.
        if let Some(request) = &stored.request
            && !(&*record.kind == "Confirmed" && stored.payment.is_some())
        {
            let user = stored.user.clone().unwrap_or_else(|| books.owner(stored.booking()));
            let before = self.executed.insert((user, request.key.clone()), position);
            assert_eq!(before, None, "key {} was executed again at {position}", request.key);
        }
        *self.kinds.entry(record.kind.to_string()).or_default() += 1;
        self.records.insert(position.0, (record.kind.to_string(), stored));
    }

    /// What was told is in the log, at the position that was told.
    pub(crate) fn bears_out(&self, told: &[Told]) {
        for told in told {
            let path = told.call.path().split('?').next().unwrap();
            let (kinds, member): (&[&str], _) = match path {
                "/bookings/reserve" => (&["Reserved"], "booking_id"),
                "/bookings/confirm" => (&["Confirmed"], "booking_id"),
                "/waitlist/join" => (&["WaitlistJoined"], "waitlist_id"),
                "/waitlist/leave" => (&["WaitlistLeft", "Cancelled"], "waitlist_id"),
                path if path.starts_with("/bookings/") => (&["Cancelled"], "booking_id"),
                _ => continue,
            };
            let Some((kind, stored)) = self.records.get(&told.position) else {
                panic!("{told:?} is not in the log");
            };
            assert!(kinds.contains(&kind.as_str()), "{kind} was told as {told:?}");
            let id = if member == "booking_id" { &stored.booking } else { &stored.waitlist };
            assert_eq!(id.as_deref(), told.body[member].as_str(), "{told:?}");
            assert_eq!(stored.user.as_deref(), Some(&*told.user.to_string()), "{told:?}");
            // Whatever is told of a booking besides.
            let deadline = stored.expires_at.filter(|_| kind == "Reserved");
            let told_deadline = told.body["expires_at"].as_str();
            assert_eq!(deadline.map(|it| it.to_string()).as_deref(), told_deadline, "{told:?}");
            if let Some(items) = told.body["line_items"].as_array() {
                let seats: Vec<_> = items.iter().map(|item| item["seat"].as_str()).collect();
                let lines = stored.lines.iter().map(|line| line.seat.as_deref());
                assert_eq!(lines.collect::<Vec<_>>(), seats, "{told:?}");
            }
        }
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.kinds.get(kind).copied().unwrap_or(0)
    }

    /// Every hold there ever was.
    pub(crate) fn holds(&self) -> impl Iterator<Item = (&String, &Hold)> {
        self.books.values().flat_map(Books::holds)
    }

    /// Holds nobody has ended yet, with whose they are.
    pub(crate) fn open(&self) -> Vec<(String, String)> {
        let open = self.holds().filter(|(_, hold)| hold.ended_at.is_none());
        open.map(|(booking, hold)| (booking.clone(), hold.user.clone())).collect()
    }

    /// Whether no hold is alive but those of this event, and no payment open.
    pub(crate) fn is_at_rest_but(&self, event: &str) -> bool {
        let of_others = |books: &&String| !books.contains(event);
        let others = self.books.iter().filter(|(name, _)| of_others(name)).map(|(_, books)| books);
        let mut open = others.flat_map(Books::holds).filter(|(_, hold)| hold.ended_at.is_none());
        open.next().is_none() && self.has_no_open_payment()
    }

    /// Whether no hold is alive and no payment open.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.open().is_empty() && self.has_no_open_payment()
    }

    fn has_no_open_payment(&self) -> bool {
        self.money().all(|(_, money)| !matches!(money, Money::Asked | Money::Owed(_)))
    }

    /// Nobody waits for what is free (WL-2).
    pub(crate) fn has_served_all_it_can(&self) {
        for books in self.books.values() {
            assert_eq!(books.servable(), None, "there is enough for somebody who waits");
        }
    }

    fn money(&self) -> impl Iterator<Item = (&String, &Money)> {
        self.books.values().flat_map(Books::money)
    }

    /// Every charge has a confirmed booking or was paid back once, and nothing else was paid back
    /// (PM-3). Holds at rest.
    pub(crate) fn agrees_with(&self, provider: &payment::Ledger) {
        let books: HashMap<_, _> = self.money().collect();
        let mut paid_back = HashMap::new();
        for refund in &provider.refunds {
            let before = paid_back.insert(refund.payment.to_string(), refund.amount_minor);
            assert_eq!(before, None, "{refund:?} is the second");
        }
        let charged = provider.charges.iter().filter(|it| it.status == PaymentStatus::Succeeded);
        let charged: HashMap<_, _> =
            charged.map(|charge| (charge.payment.to_string(), charge.amount_minor)).collect();
        for (payment, amount) in &charged {
            let came_of_it = books.get(payment).copied();
            match came_of_it {
                Some(Money::Kept) => assert_eq!(paid_back.get(payment), None, "{payment}"),
                Some(Money::PaidBack(back)) => {
                    assert_eq!(paid_back.get(payment), Some(back), "{payment}");
                    assert!(back <= amount, "{payment}");
                }
                _ => panic!("paid and nothing: {payment} is {came_of_it:?}"),
            }
        }
        for (payment, money) in books {
            let has_charge = charged.contains_key(payment);
            assert_eq!(has_charge, *money != Money::Failed, "{payment} is {money:?}");
        }
        assert!(paid_back.keys().all(|payment| charged.contains_key(payment)));
    }
}

impl std::fmt::Display for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds: Vec<_> =
            self.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        write!(f, "{} records: {}", self.end, kinds.join(", "))
    }
}
