//! A hold dies at its deadline by itself, whoever looks after it, also after a restart (BK-4).

use std::fs;
use std::time::Duration;

use command_api::CLOCKS_APART;
use domain::Time;
use domain::inventory::Fact;
use infra::clock::Clock;
use infra::log::Log;

use crate::support::{FaultyLog, Story, Terms, World, eventually};

/// How long after its deadline a hold may still be seen.
const SEEN_DEAD_WITHIN_MS: u64 = 1_000;

const SHORT: Terms =
    Terms { places: 50, seats: 0, price: 2_500, hold_s: 1, offer_s: 1, starts_in_s: 30 * 86_400 };

/// Every hold that died was seen dead in time: within a second of its deadline, or of the moment
/// from which somebody could look after it.
fn check_deaths(story: &Story, awake_since: Time) -> usize {
    let mut deaths = 0;
    for record in &story.records {
        let Some((_, Fact::Expired(expired))) = crate::support::fact(record) else { continue };
        let deadline = story.booking(expired.booking).expires_at;
        assert!(record.at >= deadline, "died at {} instead of {deadline}", record.at);
        let late = record.at.ms_since(deadline.max(awake_since));
        assert!(late <= SEEN_DEAD_WITHIN_MS, "{} ms after its deadline", late);
        deaths += 1;
    }
    deaths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_and_offers_die_in_time() {
    let world = World::new();
    let node = world.start().await;
    for _ in 0..10 {
        let sale = world.sale(&node, Terms { places: 2, ..SHORT }).await;
        world.buyer(&node).hold(&sale.reserve(1)).await;
        world.buyer(&node).hold(&sale.reserve(1)).await;
        // Takes over when the first dies, and dies as well.
        world.buyer(&node).send(&sale.join(1)).await.expect(201);
    }
    world.until_kind("Expired", 30).await;
    let story = world.verify(&node).await;
    assert_eq!(check_deaths(&story, Time::default()), 30);
    assert_eq!(story.kind("Offered"), 10);
    node.stop().await;
}

#[tokio::test]
async fn a_dead_hold_is_dead_for_every_decision_though_no_timer_ran() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { places: 1, hold_s: 300, ..SHORT }).await;
    let (slow, quick) = (world.buyer(&node), world.buyer(&node));
    let booking = slow.hold(&sale.reserve(1)).await;
    world.clock.skip_s(301);
    quick.hold(&sale.reserve(1)).await;
    slow.pay(&booking, "tok_success").await.refused(409, "HOLD_EXPIRED");
    assert_eq!(world.provider.ledger().await.unwrap().charges, []);
    world.verify(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn a_clock_that_jumps_is_noticed() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { hold_s: 300, ..SHORT }).await;
    let booking = world.buyer(&node).hold(&sale.reserve(1)).await;
    // As after a machine was suspended: timers slept, time went on.
    world.clock.skip_s(400);
    let jumped = world.clock.now();
    world.until_kind("Expired", 1).await;
    let story = world.verify(&node).await;
    assert_eq!(check_deaths(&story, jumped), 1);
    assert!(story.booking(booking.parse().unwrap()).expires_at < jumped);
    node.stop().await;
}

/// As after a bad time server, or a slip of the hand: a day ahead for a while.
#[tokio::test]
async fn a_clock_that_was_ahead_holds_nothing_up_once_it_is_right() {
    const DAY_S: u64 = 86_400;
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { places: 2, hold_s: 300, ..SHORT }).await;
    let (meanwhile, after) = (world.buyer(&node), world.buyer(&node));
    world.clock.skip_s(DAY_S);
    meanwhile.hold(&sale.reserve(1)).await;
    eventually(async || node.log_ahead() == Duration::ZERO).await;
    world.clock.go_back_s(DAY_S);
    eventually(async || node.log_ahead() > CLOCKS_APART).await;

    let held = after.send(&sale.reserve(1)).await.expect(201);
    let deadline: Time = held.text("expires_at").parse().unwrap();
    assert!(deadline < world.clock.now().plus_s(3_600), "{deadline}");
    world.clock.skip_s(301);
    let now = world.clock.now();
    world.until_kind("Expired", 1).await;
    assert_eq!(check_deaths(&world.verify(&node).await, now), 1);
    // There is a place again, and the other hold is as its buyer was told.
    let refused = after.send(&sale.reserve(2)).await.refused(409, "INSUFFICIENT_SEATS");
    assert_eq!(refused.json()["details"]["available"], 1);

    // It is known at once after a start, and until that time has come.
    node.stop().await;
    let node = world.start().await;
    assert!(node.log_ahead() > CLOCKS_APART);
    world.clock.skip_s(DAY_S);
    assert_eq!(node.log_ahead(), Duration::ZERO);
    world.until_kind("Expired", 2).await;
    node.stop().await;
}

#[tokio::test]
async fn a_clock_that_steps_back_a_little_takes_no_time_in_a_stream_back() {
    let world = World::new();
    world.clock.stand_still();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { hold_s: 300, ..SHORT }).await;
    let buyer = world.buyer(&node);
    world.clock.skip_s(59);
    buyer.hold(&sale.reserve(1)).await;
    world.clock.go_back_s(59);
    buyer.hold(&sale.reserve(1)).await;
    let held = world.until_kind("Reserved", 2).await;
    let times: Vec<Time> = held.iter().map(|record| record.at).rev().take(2).collect();
    assert_eq!(times[0], times[1]);
    node.stop().await;
}

/// What became of the wake list while nobody ran.
#[derive(Debug, Clone, Copy)]
enum WakeFile {
    AsLeft,
    Missing,
    Damaged,
    Empty,
    /// From before the holds.
    Old,
}

async fn die_after_a_restart(file: WakeFile, crash: bool) {
    let world = World::new();
    let path = world.folder.path().join("wake.json");
    let mut sales = vec![];
    let first = world.start().await;
    for _ in 0..3 {
        sales.push(world.sale(&first, Terms { hold_s: 2, ..SHORT }).await);
    }
    first.stop().await;
    let old = fs::read(&path).unwrap();

    let node = world.start_doomed("wake.json").await;
    for sale in &sales {
        world.buyer(node.node()).hold(&sale.reserve(1)).await;
    }
    node.end(crash).await;
    match file {
        WakeFile::AsLeft => {}
        WakeFile::Missing => fs::remove_file(&path).unwrap(),
        WakeFile::Damaged => fs::write(&path, &old[..old.len() / 2]).unwrap(),
        WakeFile::Empty => fs::write(&path, b"").unwrap(),
        WakeFile::Old => fs::write(&path, old).unwrap(),
    }
    let awake_since = world.clock.now();
    let node = world.start().await;
    world.until_kind("Expired", 3).await;
    let story = world.verify(&node).await;
    assert_eq!(check_deaths(&story, awake_since), 3, "{file:?}");
    node.stop().await;
}

#[tokio::test]
async fn holds_die_after_a_stop_though_nobody_touches_them() {
    die_after_a_restart(WakeFile::AsLeft, false).await;
}

#[tokio::test]
async fn holds_die_after_a_crash_though_nobody_touches_them() {
    die_after_a_restart(WakeFile::AsLeft, true).await;
}

#[tokio::test]
async fn holds_die_though_the_wake_list_is_gone_or_useless() {
    for file in [WakeFile::Missing, WakeFile::Damaged, WakeFile::Empty, WakeFile::Old] {
        die_after_a_restart(file, true).await;
    }
}

#[tokio::test]
async fn a_log_that_lost_its_end_sells_nothing_until_the_loss_is_accepted() {
    let world = World::new();
    let path = world.folder.path().join("wake.json");
    fs::write(&path, br#"{"followed":1000000,"due":{}}"#).unwrap();
    let refused = world.refused("wake.json").await.to_string();
    assert!(refused.contains("ends at position 0, but was followed to position 1000000"));
    assert!(refused.contains(&format!("delete {}", path.display())), "{refused}");
    fs::remove_file(&path).unwrap();
    world.start().await.stop().await;
}

/// Whatever was acknowledged is missed if it is cut off.
#[tokio::test]
async fn who_stops_in_order_notes_where_the_log_ended() {
    let world = World::new();
    let log = FaultyLog::new(world.open_log());
    log.deafen();
    let node = world.start_on(log, "wake.json").await;
    let sale = world.sale(&node, SHORT).await;
    let booking = world.buyer(&node).hold(&sale.reserve(1)).await;
    node.stop().await;
    let followed = command_api::followed_to(&world.folder.path().join("wake.json"));
    assert_eq!(followed, Some(world.log.head().await.unwrap()), "{booking}");
}

#[tokio::test]
async fn a_hold_whose_deadline_passed_while_nobody_ran_is_dead_at_once() {
    let world = World::new();
    let node = world.start_doomed("wake.json").await;
    let sale = world.sale(node.node(), Terms { hold_s: 60, ..SHORT }).await;
    world.buyer(node.node()).hold(&sale.reserve(1)).await;
    node.end(true).await;
    world.clock.skip_s(86_400);
    let awake_since = world.clock.now();
    let node = world.start().await;
    world.until_kind("Expired", 1).await;
    assert_eq!(check_deaths(&world.verify(&node).await, awake_since), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_death_that_could_not_be_written_is_not_forgotten_by_a_restart() {
    let world = World::new();
    let log = FaultyLog::new(world.open_log());
    let node = world.start_on(log.clone(), "wake.json").await;
    let sale = world.sale(&node, SHORT).await;
    world.buyer(&node).hold(&sale.reserve(1)).await;
    let before = log.appends();
    log.away(true);
    eventually(async || log.appends() > before).await;
    node.stop().await;
    let awake_since = world.clock.now();
    let node = world.start().await;
    world.until_kind("Expired", 1).await;
    assert_eq!(check_deaths(&world.verify(&node).await, awake_since), 1);
    node.stop().await;
}

#[tokio::test]
async fn idle_writers_go_and_come_back() {
    let mut world = World::new();
    // Shorter than the pause between two looks below, each of which keeps the writer busy.
    world.settings.idle = Duration::from_millis(2);
    let log = FaultyLog::new(world.open_log());
    let node = world.start_on(log.clone(), "wake.json").await;
    let sale = world.sale(&node, Terms { hold_s: 3, ..SHORT }).await;
    let buyer = world.buyer(&node);
    buyer.hold(&sale.reserve(1)).await;
    let held_until = world.clock.now().plus_s(3);
    // Each time it was gone, it is read from its beginning again.
    let loads = log.loads();
    eventually(async || {
        buyer.send(&sale.leave()).await.refused(404, "NOT_WAITING");
        log.loads() > loads
    })
    .await;
    world.until_kind("Expired", 1).await;
    assert_eq!(check_deaths(&world.verify(&node).await, held_until), 1);
    buyer.hold(&sale.reserve(1)).await;
    node.stop().await;
}
