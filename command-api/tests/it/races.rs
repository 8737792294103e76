//! Many clients at once for the last places, by every path there is.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::http::StatusCode;
use domain::UserId;
use domain::inventory::{BookingStatus, Fact};
use tokio::task::JoinSet;

use crate::support::{Answer, Call, Client, Node, Sale, Terms, World, cancel, confirm};

const CLIENTS: usize = 200;

/// A person who talks to one node and, when repeating, to another.
#[derive(Clone)]
struct Buyer {
    number: usize,
    home: Client,
    away: Client,
}

impl Buyer {
    fn key(&self, call: Call, name: &str) -> Call {
        call.key(format!("{}-{name}", self.number))
    }

    /// Asks until there is an answer other than "come again".
    async fn ask(&self, call: &Call) -> Answer {
        loop {
            let answer = self.home.send(call).await;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
        }
    }

    /// The same three times at once, here and there. Refusals may differ, for places come back;
    /// but there is only one success.
    async fn ask_thrice(&self, call: &Call) -> Answer {
        let elsewhere = Self { home: self.away.clone(), ..self.clone() };
        let all = tokio::join!(self.ask(call), elsewhere.ask(call), self.ask(call));
        let (done, refused): (Vec<_>, Vec<_>) =
            <[Answer; 3]>::from(all).into_iter().partition(|answer| answer.status.is_success());
        assert!(done.windows(2).all(|pair| pair[0].body == pair[1].body));
        done.into_iter().chain(refused).next().unwrap()
    }

    async fn buy(self, sale: Arc<Sale>) {
        let number = self.number;
        let quantity = (number % 3) as u32 + 1;
        let (row, next) = (number % 25 + 1, (number + 7) % 25 + 1);
        let (row, next) = (format!("A-1-{row}"), format!("A-1-{next}"));
        let wanted = match number % 4 {
            0 | 1 => sale.reserve(quantity),
            2 => sale.seats(&[&row]),
            _ => sale.seats(&[&row, &next]),
        };
        let wanted = self.key(wanted, "reserve");
        let held = match number % 5 {
            0 => self.ask_thrice(&wanted).await,
            _ => self.ask(&wanted).await,
        };
        if !held.status.is_success() {
            assert!(["INSUFFICIENT_SEATS", "SEAT_TAKEN"].contains(&&*held.code()), "{held:?}");
            // Places may have come back in between.
            self.ask(&self.key(sale.join(quantity), "join")).await;
            return;
        }
        let booking = held.text("booking_id");
        match number % 6 {
            0 => {
                self.ask(&self.key(cancel(&booking), "cancel")).await.expect(200);
            }
            1 => {
                let paid = self.key(confirm(&booking, "tok_success"), "confirm");
                self.ask(&paid).await.expect(200);
                self.ask_thrice(&self.key(cancel(&booking), "cancel")).await.expect(200);
            }
            2 => {
                let paid = self.key(confirm(&booking, "tok_declined"), "declined");
                self.ask(&paid).await.refused(409, "PAYMENT_DECLINED");
                self.ask(&self.key(confirm(&booking, "tok_success"), "confirm")).await.expect(200);
            }
            _ => {
                let paid = self.key(confirm(&booking, "tok_success"), "confirm");
                self.ask(&paid).await.expect(200);
            }
        }
    }

    /// Takes an offer, or gives it back.
    async fn answer_offer(self, booking: String, sale: Arc<Sale>, round: usize) {
        let name = format!("{booking}-{round}");
        match self.number % 3 {
            0 => self.ask(&self.key(cancel(&booking), &name)).await.expect(200),
            1 => self.ask(&self.key(sale.leave(), &name)).await.expect(200),
            _ => self.ask(&self.key(confirm(&booking, "tok_success"), &name)).await.expect(200),
        };
    }
}

/// The race, through these nodes; returns when nobody has an open offer or payment.
pub(crate) async fn race(world: &World, nodes: &[&Node], sale: Sale) {
    let sale = Arc::new(sale);
    let buyers: HashMap<UserId, Buyer> = (0..CLIENTS)
        .map(|number| {
            let home = world.buyer(nodes[number % nodes.len()]);
            let away = nodes[(number + 1) % nodes.len()];
            let away = world.somebody(away, home.user, &[infra::auth::Role::Attendee]);
            (home.user, Buyer { number, home, away })
        })
        .collect();
    let mut racing: JoinSet<()> =
        buyers.values().map(|buyer| buyer.clone().buy(sale.clone())).collect();
    while let Some(ended) = racing.join_next().await {
        ended.unwrap();
    }
    for round in 0.. {
        let story = world.story().await;
        let offers = story.facts(sale.event).into_iter().filter_map(|(_, fact)| match fact {
            Fact::Offered(offer) => Some(offer),
            _ => None,
        });
        let is_open = |id| story.booking(id).status == BookingStatus::Held;
        let open: Vec<_> = offers.filter(|offer| is_open(offer.booking)).collect();
        if open.is_empty() {
            break;
        }
        for offer in open {
            let buyer = buyers[&offer.user].clone();
            racing.spawn(buyer.answer_offer(offer.booking.to_string(), sale.clone(), round));
        }
        while let Some(ended) = racing.join_next().await {
            ended.unwrap();
        }
    }
    world.until_settled().await;
}

pub(crate) fn last_fifty() -> Terms {
    Terms { places: 25, seats: 25, ..Terms::default() }
}

/// One race and what it must leave behind; which kinds of facts came of it.
async fn race_for_the_last_fifty() -> BTreeSet<&'static str> {
    let world = World::new();
    let mut node = world.start().await;
    let sale = world.sale(&node, last_fifty()).await;
    race(&world, &[&node], sale).await;
    let story = world.verify(&node).await;
    story.agrees_with(&world.provider).await;
    // Another process takes over and knows all of it.
    node.stop().await;
    node = world.start().await;
    world.verify(&node).await;
    node.stop().await;
    KINDS.into_iter().filter(|kind| story.kind(kind) > 0).collect()
}

const KINDS: [&str; 6] =
    ["Reserved", "Confirmed", "Cancelled", "WaitlistJoined", "Offered", "Refunded"];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_clients_race_for_the_last_fifty_places() {
    let mut seen = BTreeSet::new();
    // Who wins is chance, and with it what becomes of the places: all of it has to come up.
    for _ in 0..20 {
        seen.extend(race_for_the_last_fifty().await);
        if seen.len() == KINDS.len() {
            return;
        }
    }
    panic!("nothing but {seen:?} in 20 races");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_waits_is_served_in_the_order_of_joining_under_any_race() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { places: 30, ..Terms::default() }).await;
    let mut bookings = vec![];
    for _ in 0..30 {
        let buyer = world.buyer(&node);
        bookings.push((buyer.hold(&sale.reserve(1)).await, buyer));
    }
    let mut racing = JoinSet::new();
    for _ in 0..60 {
        let (waiting, join) = (world.buyer(&node), sale.join(1).key("join"));
        racing.spawn(async move {
            waiting.send(&join).await.expect(201);
        });
    }
    while racing.join_next().await.is_some() {}
    for (booking, buyer) in bookings {
        racing.spawn(async move {
            buyer.send(&cancel(&booking)).await.expect(200);
        });
        let (public, reserve) = (world.buyer(&node), sale.reserve(1));
        racing.spawn(async move {
            public.send(&reserve).await.refused(409, "INSUFFICIENT_SEATS");
        });
    }
    while let Some(ended) = racing.join_next().await {
        ended.unwrap();
    }
    let story = world.verify(&node).await;
    let (mut joined, mut offered) = (vec![], vec![]);
    for (_, fact) in story.facts(sale.event) {
        match fact {
            Fact::WaitlistJoined(fact) => joined.push(fact.waitlist),
            Fact::Offered(fact) => offered.push(fact.waitlist),
            _ => {}
        }
    }
    assert_eq!((joined.len(), offered.len()), (60, 30));
    assert_eq!(joined[..30], offered);
    node.stop().await;
}
