//! What is written for those who run it speaks of what there is.

use std::collections::BTreeSet;

use crate::server::evently;

const COMPOSE: &str = include_str!("../../../docker-compose.yml");
const KUBERNETES: &str = include_str!("../../../deploy/kubernetes/evently.yaml");
const IMAGE: &str = include_str!("../../../Dockerfile");
const NGINX: &str = include_str!("../../../deploy/nginx/evently.conf");
const PROMETHEUS: &str = include_str!("../../../deploy/prometheus/prometheus.yml");

#[tokio::test]
async fn the_program_knows_every_setting_that_deployments_make() {
    let help = evently().args(["serve", "--help"]).output().await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for (file, text) in [("compose", COMPOSE), ("kubernetes", KUBERNETES), ("image", IMAGE)] {
        let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
        let names = text.split(|c| !is_name(c)).filter(|word| word.starts_with("EVENTLY_"));
        let names: BTreeSet<_> = names.chain(["DATABASE_URL"]).collect();
        assert!(names.len() > 2, "{file}: {names:?}");
        for name in names {
            let known = [']', '='].map(|end| format!("[env: {name}{end}"));
            let is_known = known.iter().any(|known| help.contains(known));
            assert!(is_known, "{file}: {name} is no setting");
        }
    }
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
