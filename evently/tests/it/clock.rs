//! Records of a time that has not come yet, as a clock leaves them that was ahead (BK-4, OP-2).

use infra::clock::{Clock, SystemClock};
use infra::data_folder::DataFolder;
use infra::log::embedded::EmbeddedOptions;
use infra::log::{Expected, Log, NewRecord};
use uuid::Uuid;

use crate::server::Server;
use crate::serving::{dependency_is, get};
use crate::shop::Shop;

const DAY_S: u64 = 86_400;

#[tokio::test]
async fn a_clock_that_was_wrong_is_told_of_and_keeps_nobody_from_buying() {
    let mut server = Server::start().await;
    dependency_is(&server, "clock", "up").await;
    server.stop().await;
    let folder = DataFolder::open_existing(server.data()).unwrap();
    let log = folder.open_log(EmbeddedOptions::default()).unwrap();
    let of_tomorrow = NewRecord {
        id: Uuid::from_u128(1),
        kind: "VenueCreated".into(),
        version: 1,
        at: SystemClock.now().plus_s(DAY_S),
        metadata: "{}".into(),
        data: b"{}".to_vec().into(),
    };
    log.append("tests-1", Expected::NoStream, vec![of_tomorrow]).await.unwrap();
    log.close().await;

    for start in ["after the log was followed", "as the last one left it"] {
        server.restart().await;
        dependency_is(&server, "clock", "down").await;
        let ready = get(&server, "/health/ready").await;
        assert_eq!(ready["status"], "degraded", "{start}: {ready}");
        let of_clock = |one: &&serde_json::Value| one["name"] == "clock";
        let clock = ready["dependencies"].as_array().unwrap().iter().find(of_clock).unwrap();
        let reason = clock["reason"].as_str().unwrap();
        assert!(reason.contains("a time that comes in 86"), "{reason}");
        let figures = reqwest::get(server.url("/metrics")).await.unwrap().text().await.unwrap();
        let figure =
            figures.lines().find_map(|line| line.strip_prefix("evently_log_ahead_seconds "));
        let ahead_s: f64 = figure.unwrap().parse().unwrap();
        assert!(ahead_s > 60.0 && ahead_s <= DAY_S as f64, "{ahead_s}");
        Shop::open(&server, 1).await.reserve(1, 1).await;
        assert!(server.stop().await.success());
    }
    let told = server.log().matches("records of a time that has not come yet").count();
    assert_eq!(told, 2, "{}", server.log());
}
