//! `/metrics`, and what is made of it: alerts and dashboards speak of figures that there are (OP-2).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use infra::auth::Role;
use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::log_server::LogServer;
use crate::server::Server;
use crate::serving::{get, until};
use crate::shop::{Shop, answer};

const ALERTS: &str = include_str!("../../../deploy/prometheus/alerts.yml");
const DASHBOARD: &str = include_str!("../../../deploy/grafana/dashboards/evently.json");
const OPERATIONS: &str = include_str!("../../../docs/OPERATIONS.md");

async fn figures(server: &Server) -> String {
    let answer = reqwest::get(server.url("/metrics")).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    answer.text().await.unwrap()
}

#[tokio::test]
async fn what_happens_is_counted() {
    let server = Server::start().await;
    let shop = Shop::open(&server, 3).await;
    let booking = shop.reserve(1, 2).await;
    shop.confirm(1, &booking).await;
    until("the views have it", async || {
        figures(&server).await.contains("evently_projection_lag_records{projection=\"bookings\"} 0")
    })
    .await;
    let unknown = reqwest::get(server.url("/nowhere/evt_7")).await.unwrap();
    assert_eq!(unknown.status(), 404);
    let figures = figures(&server).await;
    let reserve = "method=\"POST\",route=\"/api/v1/bookings/reserve\"";
    for line in [
        &format!("evently_http_requests_total{{{reserve},status=\"201\"}} 1\n"),
        &format!("evently_http_request_duration_seconds_count{{{reserve}}} 1\n"),
        "evently_http_requests_total{method=\"any\",route=\"none\",status=\"404\"} 1\n",
        "evently_info{role=\"serve\",version=",
        "evently_facts_total{kind=\"Reserved\"} 1\n",
        "evently_facts_total{kind=\"Confirmed\"} 1\n",
        "evently_inventories 1\n",
        "evently_mailbox_commands 0\n",
        "evently_live_violations_total 0\n",
        "evently_projection_parked_records{projection=\"seats\"} 0\n",
    ] {
        assert!(figures.contains(line), "{line} is not in:\n{figures}");
    }
    for counted in [
        "evently_commands_total{outcome=\"done\"}",
        "evently_batch_commands_count",
        "evently_append_duration_seconds_count{outcome=\"written\"}",
    ] {
        let line = figures.lines().find(|line| line.starts_with(counted)).unwrap();
        assert!(!line.ends_with(" 0"), "{line}");
    }
    // Nobody's id, event or path is told.
    assert!(!figures.contains("evt_") && !figures.contains("bkg_"), "{figures}");
    check_with_promtool(&figures).await;
}

/// Of whichever process decided them, and after a restart.
#[tokio::test]
async fn holds_are_told_by_state() {
    let mut server = Server::start().await;
    let told = async |server: &Server, holds: [u64; 5]| {
        let states = ["held", "offered", "confirmed", "cancelled", "expired"].iter().zip(holds);
        let line = |(state, count)| format!("evently_holds{{state=\"{state}\"}} {count}\n");
        let lines: String = states.map(line).collect();
        until("the figures tell of every hold", async || figures(server).await.contains(&lines))
            .await;
    };
    told(&server, [0; 5]).await;
    let shop = Shop::open(&server, 4).await;
    let booking = shop.reserve(1, 2).await;
    shop.confirm(1, &booking).await;
    shop.reserve(2, 1).await;
    let returned = shop.reserve(3, 1).await;
    let wait = json!({"event_id": shop.event, "tier_id": shop.tier, "quantity": 1});
    let wait_for = shop.ask(Method::POST, "/waitlist/join", 4, &[Role::Attendee]).json(&wait);
    answer(wait_for, 201).await;
    let back = format!("/bookings/{returned}");
    answer(shop.ask(Method::DELETE, &back, 3, &[Role::Attendee]), 200).await;
    drop(shop);
    told(&server, [1, 1, 1, 1, 0]).await;
    assert!(server.stop().await.success());
    server.restart().await;
    told(&server, [1, 1, 1, 1, 0]).await;
    check_with_promtool(&figures(&server).await).await;
}

#[tokio::test]
async fn alerts_and_dashboards_speak_of_figures_that_there_are() {
    // Nobody is there, which is a figure too.
    let nobody = ["--redis-url", "redis://127.0.0.1:1", "--kafka-brokers", "127.0.0.1:1"];
    let server = Server::start_with(&nobody).await;
    // What is counted by route is there when somebody has asked.
    Shop::open(&server, 1).await.reserve(1, 1).await;
    get(&server, "/api/v1/events").await;
    let figures = figures(&server).await + &LogServer::start().await.tells("/metrics").await.1;
    assert!(figures.contains("evently_redis_up 0\n"));
    assert!(figures.contains("evently_kafka_up 0\n"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let dashboard = DASHBOARD.replace("\\\"", "\"");
    let (mut named, mut chosen) = (BTreeSet::new(), BTreeSet::new());
    for text in [ALERTS, &dashboard] {
        let begins = text.match_indices("evently_").map(|(begin, _)| &text[begin..]);
        for text in begins {
            let (name, rest) = text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()));
            named.insert(name);
            let Some((chooses, _)) = rest.strip_prefix('{').and_then(|it| it.split_once('}'))
            else {
                continue;
            };
            chosen.extend(chooses.split(',').map(|one| (name, one.trim())));
        }
    }
    assert!(named.len() > 8 && chosen.len() > 4, "{named:?} {chosen:?}");
    let groups = [ALERTS, DASHBOARD].into_iter().flat_map(|text| text.split("by (").skip(1));
    for label in groups.flat_map(|text| text.split(')').next().unwrap_or_default().split(", ")) {
        assert!(figures.contains(&format!("{label}=\"")), "no figure has {label}");
    }
    for name in named {
        let of_histogram = ["_bucket", "_count", "_sum"];
        let base = of_histogram.iter().find_map(|suffix| name.strip_suffix(suffix));
        let base = base.unwrap_or(name);
        assert!(figures.contains(&format!("# TYPE {base} ")), "there is no figure {name}");
    }
    for (name, chooses) in chosen {
        let (label, values) = chooses.split_once('=').unwrap();
        let (label, values) = (label.trim_end_matches('!'), values.trim_start_matches('~'));
        for value in values.trim_matches('"').split('|') {
            // Of what is not written out, only that there is such a label.
            let sample = match value.contains('.') {
                true => format!("{label}=\""),
                false => format!("{label}=\"{value}\""),
            };
            let mut of_it = figures.lines().filter(|line| line.starts_with(&format!("{name}{{")));
            assert!(of_it.any(|line| line.contains(&sample)), "no {name} has {sample}");
        }
    }
}

#[test]
fn it_is_written_what_to_do_on_each_alert() {
    let alerts = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: Evently"));
    let alerts: Vec<_> = alerts.collect();
    let told: Vec<_> =
        OPERATIONS.lines().filter_map(|line| line.strip_prefix("### Evently")).collect();
    assert_eq!(alerts, told);
    assert_eq!(alerts.len(), ALERTS.matches("alert:").count());
}

fn promtool() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("promtool"));
    let found = found.into_iter().find(|path| path.is_file());
    if found.is_none() {
        println!("left out: promtool is not installed");
        assert!(std::env::var_os("EVENTLY_TEST_PROMTOOL").is_none(), "promtool is to be installed");
    }
    found
}

/// What Prometheus itself says of the figures and of what is made of them.
async fn check_with_promtool(figures: &str) {
    let Some(promtool) = promtool() else { return };
    let mut check = Command::new(&promtool);
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut check = check.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    check.stdin.take().unwrap().write_all(figures.as_bytes()).await.unwrap();
    let told = check.wait_with_output().await.unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus");
    for (what, file) in [("config", "prometheus.yml"), ("rules", "alerts.yml")] {
        let told = promtool_on(&promtool, &["check", what], &folder.join(file)).await;
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    }
    let told = promtool_on(&promtool, &["test", "rules"], &folder.join("alerts_test.yml")).await;
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stdout));
}

async fn promtool_on(promtool: &Path, args: &[&str], file: &Path) -> std::process::Output {
    Command::new(promtool).args(args).arg(file).stdin(Stdio::null()).output().await.unwrap()
}
