//! What is written for those who run it speaks of what there is.

use std::collections::BTreeSet;
use std::process::Stdio;

use crate::server::evently;

const OPERATIONS: &str = include_str!("../../../docs/OPERATIONS.md");
const COMPOSE: &str = include_str!("../../../docker-compose.yml");
const KUBERNETES: &str = include_str!("../../../deploy/kubernetes/evently.yaml");
const NGINX_KUBERNETES: &str = include_str!("../../../deploy/nginx/kubernetes.conf");
const LOG_SERVER: &str = include_str!("../../../deploy/kubernetes/log-server.yaml");
const COLLECTOR: &str = include_str!("../../../deploy/otel/collector.yml");
const TEMPO: &str = include_str!("../../../deploy/tempo/tempo.yml");
const TRACES: &str = include_str!("../../../deploy/grafana/provisioning/datasources/tempo.yml");
const IMAGE: &str = include_str!("../../../Dockerfile");
const NGINX: &str = include_str!("../../../deploy/nginx/compose.conf");
const PROMETHEUS: &str = include_str!("../../../deploy/prometheus/prometheus.yml");

#[tokio::test]
async fn the_program_knows_every_setting_that_deployments_make() {
    let mut help = String::new();
    for command in [["help", "settings"], ["log-server", "--help"]] {
        let told = evently().args(command).output().await.unwrap();
        help += &String::from_utf8(told.stdout).unwrap();
    }
    for (file, text) in [
        ("compose", COMPOSE),
        ("kubernetes", KUBERNETES),
        ("log server", LOG_SERVER),
        ("image", IMAGE),
    ] {
        let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
        let is_setting = |word: &&str| word.starts_with("EVENTLY_") || word.starts_with("OTEL_");
        let names = text.split(|c| !is_name(c)).filter(is_setting);
        let names: BTreeSet<_> = names.chain(["DATABASE_URL"]).collect();
        assert!(names.len() > 2, "{file}: {names:?}");
        for name in names {
            let known = [']', '='].map(|end| format!("[env: {name}{end}"));
            let is_known = known.iter().any(|known| help.contains(known));
            assert!(is_known, "{file}: {name} is no setting");
        }
    }
}

/// What is written as code: lines of blocks, and spans, which may go over the end of a line.
fn code(text: &str) -> Vec<String> {
    let mut code = vec![];
    for (index, part) in text.split("```").enumerate() {
        match index % 2 {
            1 => code.extend(part.lines().skip(1).map(str::to_owned)),
            _ => {
                let spans = part.split('`').skip(1).step_by(2);
                code.extend(spans.map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")));
            }
        }
    }
    code
}

#[tokio::test]
async fn the_program_knows_every_command_that_operators_are_told() {
    let mut told = BTreeSet::new();
    for line in code(OPERATIONS) {
        let Some((before, command)) = line.split_once("evently ") else { continue };
        if before.is_empty() || before.ends_with(' ') {
            let ends = command.find(['#', '|', '>']).unwrap_or(command.len());
            told.insert(command[..ends].trim().to_owned());
        }
    }
    assert!(told.len() > 20, "{told:?}");
    let settings = evently().args(["help", "settings"]).output().await.unwrap();
    let settings = String::from_utf8(settings.stdout).unwrap();
    for command in &told {
        let is_name = |word: &&str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        };
        let is_flag = |word: &&str| word.starts_with('-');
        let words = command.split(' ');
        let names = words.clone().take_while(|word| is_name(word) && !is_flag(word));
        let helped = evently().args(names).arg("--help").output().await.unwrap();
        assert!(helped.status.success(), "{command}: {}", String::from_utf8_lossy(&helped.stderr));
        let help = String::from_utf8(helped.stdout).unwrap() + &settings;
        for flag in words.filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "{command}: there is no {flag}");
        }
    }
}

#[test]
fn traces_find_their_way_from_the_roles_to_grafana() {
    for (text, says) in [
        (COMPOSE, "OTEL_EXPORTER_OTLP_ENDPOINT: \"http://collector:4318\""),
        (COMPOSE, "\n  collector:\n    image: otel/opentelemetry-collector:"),
        (
            COMPOSE,
            "[\"--config=/etc/otel/collector.yml\"]\n    volumes: [\"./deploy/otel:/etc/otel:ro\"]",
        ),
        (COLLECTOR, "http:\n        endpoint: 0.0.0.0:4318"),
        (COLLECTOR, "otlphttp:\n    endpoint: http://tempo:4318"),
        (COLLECTOR, "exporters: [otlphttp]"),
        (COMPOSE, "\n  tempo:\n    image: grafana/tempo:"),
        (TEMPO, "endpoint: 0.0.0.0:4318"),
        (TEMPO, "http_listen_port: 3200"),
        (TRACES, "url: http://tempo:3200"),
    ] {
        assert!(text.contains(says), "{says} is not in:\n{text}");
    }
    // No picture is of whichever version is the latest.
    let images: Vec<_> = COMPOSE.lines().filter(|line| line.contains("  image: ")).collect();
    assert!(images.len() > 8, "{images:?}");
    let is_pinned = |line: &&str| line.rsplit(':').next().is_some_and(|tag| tag.contains('.'));
    assert!(images.iter().all(is_pinned), "{images:?}");
}

/// Compose and Kubernetes themselves would take the files, as far as their schemas say it.
#[tokio::test]
async fn compose_and_kubernetes_take_what_is_written_for_them() {
    let Some(python) = std::env::var_os("EVENTLY_TEST_PYTHON") else {
        println!("left out: .ci/with-services has what Compose and Kubernetes are read with");
        return;
    };
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/deployment.py");
    let mut reader = tokio::process::Command::new(python);
    reader.args([script, root]).args(std::env::var_os("EVENTLY_TEST_COMPOSE_SCHEMA"));
    let told = reader.stdin(Stdio::null()).output().await.unwrap();
    let said = [told.stdout, told.stderr].concat();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn nginx_and_prometheus_name_the_nodes_that_compose_starts() {
    let mut named = BTreeSet::new();
    for text in [NGINX, PROMETHEUS] {
        let ends = text.match_indices(":8080").map(|(end, _)| &text[..end]);
        named.extend(ends.filter_map(|text| text.rsplit([' ', '"']).next()));
    }
    let begins = COMPOSE.match_indices(":\n    <<: *evently").map(|(end, _)| &COMPOSE[..end]);
    let started: BTreeSet<_> = begins.filter_map(|text| text.rsplit(' ').next()).collect();
    assert_eq!(started.len(), 6, "{started:?}");
    assert_eq!(named, started);
}

#[test]
fn nginx_names_the_services_that_kubernetes_has() {
    let ends = NGINX_KUBERNETES.match_indices(":8080").map(|(end, _)| &NGINX_KUBERNETES[..end]);
    let named: BTreeSet<_> = ends.filter_map(|text| text.rsplit(' ').next()).collect();
    let services = KUBERNETES.split("\nkind: Service\nmetadata: { name: ").skip(1);
    let there: BTreeSet<_> = services.filter_map(|rest| rest.split(' ').next()).collect();
    assert_eq!(named, there);
    assert_eq!(there.len(), 3, "{there:?}");
}
