//! 200 clients race for the last 50 places by every path, over HTTP, against the real program.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use infra::auth::Role;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::fleet::Fleet;
use crate::house::House;
use crate::people::{Call, Person, Reply, Sale, cancel, confirm};
use crate::server::Server;
use crate::story::Story;

const CLIENTS: usize = 200;
/// Half of the places are on the floor, half are seats.
const PLACES: u32 = 25;
/// How long what has to come may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone)]
struct Buyer {
    number: usize,
    person: Person,
    sale: Sale,
}

impl Buyer {
    async fn ask(&self, call: Call, name: &str) -> Reply {
        self.person.ask(&call.key(format!("{}-{name}", self.number))).await
    }

    /// Three times at once. Refusals may differ, for places come back; but there is one success.
    async fn ask_thrice(&self, call: Call, name: &str) -> Reply {
        let ask = || self.ask(call.clone(), name);
        let all = tokio::join!(ask(), ask(), ask());
        let (done, refused): (Vec<_>, Vec<_>) =
            <[Reply; 3]>::from(all).into_iter().partition(|reply| reply.status.is_success());
        assert!(done.windows(2).all(|pair| pair[0].body == pair[1].body), "{done:?}");
        done.into_iter().chain(refused).next().unwrap()
    }

    async fn buy(self, start: Arc<Barrier>) {
        let (number, sale) = (self.number, &self.sale);
        let quantity = number % 3 + 1;
        let (seat, next) = (number % 25 + 1, (number + 7) % 25 + 1);
        let (wanted, tier) = match number % 4 {
            0 => (sale.reserve(&sale.floor, quantity), Some(&sale.floor)),
            1 => (sale.reserve(&sale.seated, quantity), Some(&sale.seated)),
            2 => (sale.seats(&[seat]), Some(&sale.seated)),
            _ => (sale.seats(&[seat, next]), None),
        };
        start.wait().await;
        let held = match number % 5 {
            0 => self.ask_thrice(wanted, "reserve").await,
            _ => self.ask(wanted, "reserve").await,
        };
        if held.status.is_success() {
            self.decide(held.text("booking_id")).await;
        } else {
            assert!(["INSUFFICIENT_SEATS", "SEAT_TAKEN"].contains(&held.code()), "{held:?}");
            // Places may have come back in between.
            self.ask(sale.join(tier.map(String::as_str), quantity), "join").await;
        }
    }

    /// What becomes of a hold. It lives long enough for any of this.
    async fn decide(&self, booking: String) {
        let pay = || self.ask(confirm(&booking, "tok_success"), "confirm");
        let give_back = || self.ask(cancel(&booking), "cancel");
        match self.number % 7 {
            0 => {
                give_back().await.expect(200);
            }
            1 => {
                pay().await.expect(200);
                self.ask_thrice(cancel(&booking), "cancel").await.expect(200);
            }
            2 => {
                let declined = self.ask(confirm(&booking, "tok_declined"), "declined").await;
                assert_eq!(declined.expect(409).code(), "PAYMENT_DECLINED");
                pay().await.expect(200);
            }
            3 => {
                self.ask_thrice(confirm(&booking, "tok_success"), "confirm").await;
                pay().await.expect(200);
            }
            4 => {
                let (paid, back) = tokio::join!(pay(), give_back());
                assert!(paid.status == 200 || back.status == 200, "{paid:?} {back:?}");
            }
            _ => {
                pay().await.expect(200);
            }
        }
    }

    /// Takes an offer, or gives it back.
    async fn answer_offer(self, booking: String) {
        match self.number % 3 {
            0 => self.ask(cancel(&booking), &booking).await.expect(200),
            1 => self.ask(self.sale.leave(), &booking).await.expect(200),
            _ => self.ask(confirm(&booking, "tok_success"), &booking).await.expect(200),
        };
    }
}

/// Waits for all. What the log tells goes before what a client complains of.
async fn all(mut racing: JoinSet<()>, log: &Path) -> Story {
    let mut complaints = vec![];
    while let Some(ended) = racing.join_next().await {
        complaints.extend(ended.err());
    }
    let story = Story::read(log).await;
    assert!(complaints.is_empty(), "{complaints:?}");
    story
}

const KINDS: [&str; 6] =
    ["Reserved", "Confirmed", "Cancelled", "WaitlistJoined", "Offered", "Refunded"];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_clients_race_for_the_last_fifty_places() {
    races(Server::start().await.into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn they_race_where_roles_are_processes_on_a_log_server() {
    let Some(fleet) = Fleet::start(1).await else { return };
    races(fleet.into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn they_race_where_two_command_nodes_decide_on_one_event() {
    let Some(fleet) = Fleet::start(2).await else { return };
    races(fleet.into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn they_race_where_postgresql_redis_and_kafka_are_servers() {
    let Some((house, _)) = House::on_servers().await else { return };
    races(house).await;
}

async fn races(house: House) {
    let mut seen = BTreeSet::new();
    // Who wins is chance, and with it what becomes of the places: all of it has to come up.
    for _ in 0..10 {
        seen.extend(race(&house).await);
        if seen.len() == KINDS.len() {
            return house.has_fed_everything().await;
        }
    }
    panic!("nothing but {seen:?} in 10 races");
}

/// One race and what it must leave behind; which kinds of facts came of it.
async fn race(house: &House) -> BTreeSet<&'static str> {
    let (gate, log) = (house.gate(), house.log_file());
    let sale = Sale::open(&gate, PLACES, PLACES, 600).await;
    let buyers: HashMap<_, _> = (0..CLIENTS)
        .map(|number| {
            let (person, sale) = (gate.person(Role::Attendee), sale.clone());
            (person.user.to_string(), Buyer { number, person, sale })
        })
        .collect();
    let start = Arc::new(Barrier::new(CLIENTS));
    let racing = buyers.values().cloned().map(|buyer| buyer.buy(start.clone())).collect();
    let mut story = all(racing, &log).await;
    // Offers of returned places go round until nobody has an open one, and all is paid back.
    let mut pulse = tokio::time::interval(Duration::from_millis(50));
    let end = tokio::time::Instant::now() + PATIENCE;
    while !story.is_at_rest() {
        assert!(pulse.tick().await < end, "offers or refunds never come to their end");
        let answer = |(booking, user): (String, String)| {
            let buyer = buyers[&user].clone();
            buyer.answer_offer(booking)
        };
        story = all(story.open().into_iter().map(answer).collect(), &log).await;
    }

    let told = gate.told_since(0);
    story.bears_out(&told);
    story.has_served_all_it_can();
    house.settled(&story).await;
    house.verify().await;
    house.is_well();
    println!("{} promises kept; {story}", told.len());
    KINDS.into_iter().filter(|kind| story.count(kind) > 0).collect()
}
