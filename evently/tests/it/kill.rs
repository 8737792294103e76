//! A crowd buys while the server is killed, again and again, at random moments.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::Time;
use infra::auth::Role;
use infra::clock::{Clock, SystemClock};
use infra::postgres::testing;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::books::Hold;
use crate::crowd::{Dice, Shopper, ask_again};
use crate::fleet::Fleet;
use crate::house::House;
use crate::machine::Machine;
use crate::people::{Gate, Sale};
use crate::server::Server;
use crate::serving::until;
use crate::story::Story;
use crate::view_rows::Views;

/// How often a server that serves is killed. Some are killed before.
const KILLS: usize = 50;
/// The same for one with the database of its views inside.
#[cfg(feature = "embedded-postgres")]
const KILLS_OF_BOTH: usize = 10;
/// The same for a fleet: any of its processes.
const KILLS_IN_FLEET: usize = 25;
const CROWD: usize = 64;
/// Events in which somebody holds a place and then nothing happens for some rounds.
const QUIET: usize = 8;
/// How long such a place is held: over more than one start, and over notes that servers leave for
/// the next one.
const QUIET_HOLD_S: u32 = 4;
/// Answers that are asked for again after a start: the last before the kill.
const ASKED_AGAIN: usize = 12;
/// How long a hold may outlive its deadline, counted from the start of the server if that is later
/// (BK-4).
const SEEN_DEAD_WITHIN_MS: u64 = 1_000;
/// The same where the log may be another process that dies, over all that happens to it.
const SEEN_DEAD_IN_FLEET_WITHIN_MS: u64 = 20_000;

/// All that outlives the servers.
struct Stage {
    dice: Dice,
    house: House,
    log: PathBuf,
    gate: Arc<Gate>,
    machine: Machine,
    crowd: JoinSet<()>,
    story: Story,
    /// How many promises were held against the log.
    known: usize,
    /// When the server there is now was ready.
    born: Time,
    /// When those before it were ready, and when they were killed.
    lives: Vec<(Time, Time)>,
}

impl Stage {
    fn new(mut house: House, dice: Dice) -> Self {
        let folder = house.server().data();
        Self {
            dice,
            log: house.log_file(),
            gate: house.gate(),
            machine: Machine::watch(folder.parent().unwrap()),
            house,
            crowd: JoinSet::new(),
            story: Story::default(),
            known: 0,
            born: SystemClock.now(),
            lives: vec![],
        }
    }

    /// Lets the server live for a while, kills it, starts it again, and looks what it remembers.
    async fn round(&mut self) {
        let most = if self.dice.roll(4) == 0 { 3_500 } else { 1_000 };
        let end = Instant::now() + Duration::from_millis(20 + self.dice.roll(most));
        // A client that finds something wrong ends the test.
        while let Ok(Some(ended)) = tokio::time::timeout_at(end, self.crowd.join_next()).await {
            ended.unwrap();
        }
        let life = (self.born, SystemClock.now());
        self.lives.push(life);
        self.house.lose_one(&self.gate, &mut self.dice).await;
        self.born = SystemClock.now();
        // Whatever was answered was answered before this.
        let told = self.gate.told_since(self.known);
        self.known += told.len();
        self.story.read_on(&self.log).await;
        self.story.bears_out(&told);
        self.check_deaths(life);
        for told in told.into_iter().rev().filter(|told| told.call.has_key()).take(ASKED_AGAIN) {
            self.crowd.spawn(ask_again(self.gate.clone(), told));
        }
    }

    /// Has somebody hold a place where nobody else is, and forget it.
    fn hold_quietly(&mut self, sale: &Sale) {
        let (person, call) = (self.gate.person(Role::Attendee), sale.reserve(&sale.floor, 1));
        self.crowd.spawn(async move {
            person.ask(&call.key("reserve")).await.expect(201);
        });
    }

    /// In this life no hold was seen alive longer than a second after its deadline. What the machine
    /// was late by is not the server's fault. Returns by how many milliseconds the latest was late.
    fn check_deaths(&self, (born, died): (Time, Time)) -> u64 {
        // Who is not there sees nothing, and who waits for the log does not either.
        let (within, born) = match self.house.is_fleet() {
            false => (SEEN_DEAD_WITHIN_MS, born),
            true => (SEEN_DEAD_IN_FLEET_WITHIN_MS, Time::default()),
        };
        let late = |(booking, hold): (&String, &Hold)| {
            let (from, to) = (hold.deadline.max(born), hold.ended_at.unwrap_or(died).min(died));
            let late = to.ms_since(from);
            if late > within {
                let lost = self.machine.lost_ms(from, to);
                let deadline = hold.deadline;
                assert!(
                    late <= within + lost,
                    "{booking} was alive from {from} to {to}, dead since {deadline}; {lost} ms lost",
                );
            }
            late
        };
        self.story.holds().map(late).max().unwrap_or(0)
    }
}

/// What is kept through so many kills of this server, which has just been started on nothing.
async fn keeps_everything(house: House, views: Views, kills: usize) {
    let given = std::env::var("EVENTLY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(infra::ids::random_u64);
    println!("EVENTLY_TEST_SEED={seed}");
    let mut stage = Stage::new(house, Dice(seed));
    let sale = Sale::open(&stage.gate, 60, 20, 1).await;
    let mut quiet = vec![];
    for _ in 0..QUIET {
        quiet.push(Sale::open(&stage.gate, 20, 20, QUIET_HOLD_S).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..CROWD {
        let dice = Dice(stage.dice.roll(u64::MAX));
        let (gate, sale, stop) = (stage.gate.clone(), sale.clone(), stop.clone());
        stage.crowd.spawn(Shopper { dice, gate, sale, stop }.shop());
    }
    for kill in 0..kills {
        stage.hold_quietly(&quiet[kill % QUIET]);
        stage.round().await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = stage.crowd.join_next().await {
        ended.unwrap();
    }
    until("holds and payments have come to their end", async || {
        Story::read(&stage.log).await.is_at_rest()
    })
    .await;
    stage.lives.push((stage.born, SystemClock.now()));

    stage.house.has_fed_everything().await;
    views.are_same_when_rebuilt(stage.house.server(), &stage.gate).await;
    stage.house.verify().await;
    stage.house.stop().await;
    stage.house.verify().await;
    stage.house.is_well();

    // From the beginning, as an auditor reads it.
    stage.story = Story::read(&stage.log).await;
    let told = stage.gate.told_since(0);
    stage.story.bears_out(&told);
    let latest = stage.lives.iter().map(|life| stage.check_deaths(*life)).max();
    stage.house.settled(&stage.story).await;
    println!("{kills} kills; {} promises kept; {}", told.len(), stage.story);
    println!("the latest death was seen after {} ms", latest.unwrap_or(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_however_often_the_server_is_killed() {
    let Some((house, database)) = House::on_servers().await else { return };
    keeps_everything(house, Views::At(database), KILLS).await;
}

#[cfg(feature = "embedded-postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn neither_when_the_database_of_the_views_dies_with_it() {
    // With no other database, this is where everything is tried.
    let kills = if testing::server().is_some() { KILLS_OF_BOTH } else { KILLS };
    keeps_everything(Server::start().await.into(), Views::Inside, kills).await;
}

/// A fleet with so many command nodes, of which one process after the other is killed.
async fn a_fleet_keeps_everything(nodes: usize) {
    let Some(fleet) = Fleet::start(nodes).await else { return };
    let views = Views::At(fleet.database.clone());
    keeps_everything(fleet.into(), views, KILLS_IN_FLEET).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_where_roles_are_processes_on_a_log_server() {
    a_fleet_keeps_everything(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_where_two_command_nodes_decide_on_one_event() {
    a_fleet_keeps_everything(2).await;
}
