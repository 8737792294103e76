//! More commands than an inventory can take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::inventory;
use tokio::task::JoinSet;

use crate::support::{FaultyLog, Terms, World, eventually};

#[tokio::test]
async fn a_full_mailbox_turns_away_before_any_work() {
    let mut world = World::new();
    world.settings.mailbox = 3;
    let log = FaultyLog::new(world.open_log());
    let node = world.start_on(log.clone(), "wake.json").await;
    let sale = world.sale(&node, Terms::default()).await;
    let other = world.sale(&node, Terms::default()).await;

    log.block(inventory::stream(sale.event));
    let before = log.appends();
    let mut waiting = JoinSet::new();
    let ask = |waiting: &mut JoinSet<_>| {
        let (buyer, reserve) = (world.buyer(&node), sale.reserve(1));
        waiting.spawn(async move { buyer.send(&reserve).await });
    };
    ask(&mut waiting);
    eventually(async || log.appends() > before).await;
    let turned_away = Arc::new(AtomicUsize::new(0));
    let mut refused = vec![];
    for _ in 0..9 {
        ask(&mut waiting);
    }
    // One is being written and three wait: six too many.
    while refused.len() < 6 {
        let answer = waiting.join_next().await.unwrap().unwrap();
        refused.push(answer.refused(503, "TOO_MANY_WAITING"));
        turned_away.fetch_add(1, Ordering::SeqCst);
    }
    assert_eq!((waiting.len(), log.appends()), (4, before + 1));
    assert!(refused.iter().all(|answer| answer.headers["retry-after"] == "1"));
    // Nobody else is bothered.
    world.buyer(&node).hold(&other.reserve(1)).await;

    log.unblock();
    while let Some(answer) = waiting.join_next().await {
        answer.unwrap().expect(201);
    }
    let story = world.verify(&node).await;
    assert_eq!(story.facts(sale.event).len(), 1 + 4);
    world.buyer(&node).hold(&sale.reserve(1)).await;
    node.stop().await;
}

#[tokio::test]
async fn a_stop_answers_what_waits() {
    let world = World::new();
    let log = FaultyLog::new(world.open_log());
    let node = world.start_on(log.clone(), "wake.json").await;
    let sale = world.sale(&node, Terms::default()).await;
    log.block(inventory::stream(sale.event));
    let before = log.appends();
    let mut waiting = JoinSet::new();
    for _ in 0..20 {
        let (buyer, reserve) = (world.buyer(&node), sale.reserve(1));
        waiting.spawn(async move { buyer.send(&reserve).await });
    }
    eventually(async || log.appends() > before).await;
    let late = world.buyer(&node);
    let stopping = tokio::spawn(node.stop());
    eventually(async || {
        let answer = late.send(&sale.leave()).await;
        answer.code() == "LOG_UNAVAILABLE"
    })
    .await;
    log.unblock();
    stopping.await.unwrap();
    while let Some(answer) = waiting.join_next().await {
        answer.unwrap().expect(201);
    }
    assert_eq!(world.story().await.kind("Reserved"), 20);
}
