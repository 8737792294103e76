//! The command line: what is asked wrongly, settings, tokens.

use std::path::Path;
use std::time::Duration;

use infra::auth::Role;
use tokio::time::timeout;

use crate::server::{Server, evently};

/// How long a command may take that ends by itself, on however slow a machine. It does not end if it
/// serves, say, what it should refuse.
const DEADLINE: Duration = Duration::from_secs(180);

/// How the program ended and what it said: status, standard output, standard error.
pub(crate) async fn run(args: &[&str]) -> (i32, String, String) {
    said(evently().args(args)).await
}

/// The same, on a data folder.
pub(crate) async fn run_on(data: &Path, args: &[&str]) -> (i32, String, String) {
    said(evently().args(args).arg("--data").arg(data)).await
}

/// The same, of any command.
pub(crate) async fn said(command: &mut tokio::process::Command) -> (i32, String, String) {
    let output = timeout(DEADLINE, command.kill_on_drop(true).output()).await;
    let output = output.unwrap_or_else(|_| panic!("it does not end: {command:?}")).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn help_and_version_are_results() {
    let commands: [&[&str]; 23] = [
        &[],
        &["help"],
        &["serve"],
        &["log-server"],
        &["token"],
        &["demo"],
        &["audit"],
        &["admin", "create"],
        &["privacy", "erase"],
        &["keys", "rotate-master"],
        &["keys", "begin-anew"],
        &["audit", "verify"],
        &["audit", "export"],
        &["audit", "tail"],
        &["projections"],
        &["projections", "status"],
        &["projections", "rebuild"],
        &["projections", "retry"],
        &["feed"],
        &["feed", "status"],
        &["feed", "replay"],
        &["config"],
        &["config", "check"],
    ];
    for command in commands {
        for help in ["--help", "-h"] {
            let (status, out, err) = run(&[command, &[help]].concat()).await;
            assert_eq!((status, err.as_str()), (0, ""), "{command:?}");
            let usage = out.lines().find(|line| line.starts_with("Usage: evently")).unwrap();
            assert!(usage.contains("[OPTIONS]"), "{command:?}: {usage}");
            assert!(out.contains("Examples:\n  evently"), "{command:?}: {out}");
            // The settings are told once, and are no less there.
            assert_eq!(out.contains("--data <DIR>"), command.is_empty(), "{command:?}: {out}");
            assert_eq!(out.contains("evently help settings"), !command.is_empty(), "{command:?}");
        }
        let (status, told, err) = run(&[&["help"], command].concat()).await;
        assert_eq!((status, err.as_str()), (0, ""), "help {command:?}");
        assert_eq!(told, run(&[command, &["--help"]].concat()).await.1);
    }
    let (status, settings, err) = run(&["help", "settings"]).await;
    assert_eq!((status, err.as_str()), (0, ""));
    for setting in ["--data <DIR>", "EVENTLY_DATA", "--database-url <URL>", "--log-format", "TOML"]
    {
        assert!(settings.contains(setting), "{setting}: {settings}");
    }
    let (status, out, _) = run(&["--version"]).await;
    assert_eq!((status, out), (0, format!("evently {}\n", env!("CARGO_PKG_VERSION"))));
}

/// Whoever follows the help of a role gets no further complaint before it starts.
#[tokio::test]
async fn help_names_every_setting_without_which_a_role_does_not_start() {
    for role in ["command-api", "query-api", "projector"] {
        let (_, help, _) = run(&[role, "--help"]).await;
        let told = help.split("Options:").next().unwrap();
        let mut given = vec![role];
        for (setting, value) in [
            ("--log-url", "esdb://127.0.0.1:1?tls=false"),
            ("--database-url", "postgres://nobody@127.0.0.1:1/none"),
        ] {
            // What is missing is told before anything is begun.
            let (status, _, err) = run(&given).await;
            assert_eq!(status, 2, "{role}: {err}");
            assert!(err.contains(&format!("name one with {setting}")), "{role}: {err}");
            assert!(told.contains(setting), "{role} does not name {setting}: {help}");
            given.extend([setting, value]);
        }
    }
}

#[tokio::test]
async fn who_asks_wrongly_is_told_with_status_2() {
    let wrong: [(&[&str], &str); 17] = [
        (&["sell"], "unrecognized subcommand"),
        (&["--port", "80"], "unexpected argument"),
        (&["token", "--user", "bob"], "expected an id like usr_"),
        (&["token", "--role", "king"], "expected attendee"),
        (&["token", "--ttl", "forever"], "expected a number"),
        (&["token", "--ttl", "-5m"], "expected a number with s, m, h or d, from 1s to 365d"),
        (&["token", "--bogus"], "Usage: evently token"),
        (&["help", "dreams"], "there is no command dreams"),
        (&["privacy", "erase", "ada@"], "expected an address like ada@example.org"),
        (&["audit"], "Usage"),
        (&["admin", "create", "--email", "ada"], "expected an address like ada@example.org"),
        (&["privacy", "erase", "ada"], "expected an id like usr_"),
        (&["privacy", "erase", "ada@example.org", "--reason", "x"], "expected request, inactivity"),
        (&["demo", "--seats", "1"], "2..=500000"),
        (&["projections", "rebuild", "dreams"], "catalog, availability, seats, bookings"),
        (&["projections", "retry", "dreams"], "catalog, availability, seats, bookings"),
        (&["serve", "--listen", "nowhere"], "not an address like 127.0.0.1:8080"),
    ];
    for (args, says) in wrong {
        let (status, out, err) = run(args).await;
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.contains(says), "{args:?}: {err}");
    }
}

#[tokio::test]
async fn it_is_called_evently_whatever_its_file_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("evently-1.2.3");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_evently"), &other).unwrap();
    for args in [&["--help"][..], &["token", "--help"], &["token", "--ttl", "x"]] {
        let (_, out, err) = said(tokio::process::Command::new(&other).args(args)).await;
        assert!(!format!("{out}{err}").contains("1.2.3"), "{out}{err}");
    }
}

#[tokio::test]
async fn a_setting_comes_from_flag_environment_file_or_default() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evently.toml");
    std::fs::write(&file, "data = \"/from/file\"\nlisten = \"127.0.0.1:1\"\nlog = \"warn\"")
        .unwrap();
    let mut command = evently();
    let data = folder.path().join("from").join("flag");
    command.args(["config", "check", "--json", "--config"]).arg(&file).arg("--data").arg(&data);
    command.env("EVENTLY_DATA", "/from/environment").env("EVENTLY_LISTEN", "127.0.0.1:2");
    command.env("DATABASE_URL", "postgres://me:s3cret@db/evently");
    command.env("EVENTLY_KAFKA_PASSWORD", "s3cret").env("EVENTLY_KAFKA_USER", "feed");
    command.env("EVENTLY_KAFKA_TLS", "on");
    command.env("EVENTLY_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let (status, out, err) = said(&mut command).await;
    assert_eq!((status, err.as_str()), (0, ""));
    let out: serde_json::Value = serde_json::from_str(&out).unwrap();
    let settings = out["settings"].as_array().unwrap().iter();
    let found: Vec<_> = settings
        .map(|s| format!("{} {} {}", s["key"], s["value"], s["origin"]).replace('"', ""))
        .collect();
    let expected = [
        &format!("data {} flag", data.display()),
        "listen 127.0.0.1:2 environment",
        "database_url postgres://***@db/evently environment",
        "log_url null default",
        "redis_url null default",
        "kafka_brokers null default",
        "kafka_partitions 12 default",
        "kafka_replication null default",
        "kafka_tls on environment",
        "kafka_tls_ca null default",
        "kafka_user feed environment",
        "kafka_password *** environment",
        "shared null default",
        "master_key *** environment",
        "smtp_url null default",
        "mail_from null default",
        "rate_limits off environment",
        "trusted_proxies null default",
        "connections_per_address null default",
        "oidc_issuer null default",
        "oidc_client_id null default",
        "oidc_client_secret null default",
        "oidc_scopes openid email profile default",
        "oidc_redirect_url null default",
        "cors_origins null default",
        "log warn file",
        "log_format text default",
        "otel_exporter_otlp_endpoint null default",
        "otel_traces_sampler parentbased_traceidratio default",
        "otel_traces_sampler_arg 0.01 default",
    ];
    assert_eq!(found, expected);
    assert_eq!((&out["sound"], &out["wrong"]), (&true.into(), &serde_json::json!([])));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the check left something");
}

#[tokio::test]
async fn a_check_names_a_folder_that_cannot_be_made_and_an_address_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thesis.txt");
    std::fs::write(&file, "years of work").unwrap();
    let dangling = folder.path().join("dangling");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &dangling).unwrap();
    // Nobody can make anything in /proc.
    let proc = Path::new("/proc/evently/data").to_owned();
    for data in [proc, dangling, file.join("data")] {
        let (status, out, err) = run_on(&data, &["config", "check"]).await;
        assert_eq!(status, 1, "{out}{err}");
        assert!(err.contains(data.to_str().unwrap()), "{err}");
    }
    let data = folder.path().join("data");
    let check = ["config", "check", "--data", data.to_str().unwrap()];
    let (status, _, err) = said(evently().args(check).env("EVENTLY_LISTEN", "")).await;
    assert_eq!(status, 1);
    assert!(err.contains("listen is \"\", not an address"), "{err}");
    let (status, out, err) = said(evently().args(check).env("EVENTLY_LISTN", "1")).await;
    assert_eq!(status, 1);
    assert!(err.contains("EVENTLY_LISTN is in the environment, and no setting"), "{err}");
    assert!(!out.contains("Nothing is wrong"), "{out}");
    std::fs::create_dir(&data).unwrap();
    let (status, out, err) = run(&check).await;
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.lines().last().unwrap().starts_with("# Nothing is wrong"), "{out}");
    out.parse::<toml::Table>().unwrap();
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0);
}

#[tokio::test]
async fn everything_that_is_wrong_with_settings_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evently.toml");
    std::fs::write(&file, "port = 80\nlog_format = \"yaml\"").unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let ask = |check: &[&str]| {
        let mut command = evently();
        command.args(check).arg("--config").arg(&file).arg("--data").arg(folder.path());
        command.env("DATABASE_URL", "mysql://me:s3cret@db").env("EVENTLY_LOG", "infra=loudest");
        command.env("EVENTLY_LOG_URL", "http://me:s3cret@log").env("EVENTLY_LISTEN", "nowhere");
        command.env("EVENTLY_MASTER_KEY", "s3cret").env("EVENTLY_SMTP_URL", "http://me:s3cret@m");
        command.env("EVENTLY_MAIL_FROM", "Evently <tickets@example.org>");
        command.env("EVENTLY_RATE_LIMITS", "many").env("EVENTLY_TRUSTED_PROXIES", "everybody");
        command.env("EVENTLY_CORS_ORIGINS", "*").env("EVENTLY_KAFKA_BROKERS", "localhost");
        command.env("EVENTLY_KAFKA_PARTITIONS", "0").env("EVENTLY_KAFKA_REPLICATION", "many");
        command.env("EVENTLY_KAFKA_TLS", "sometimes").env("EVENTLY_KAFKA_PASSWORD", "s3cret");
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cret@collector:4318");
        command.env("OTEL_TRACES_SAMPLER_ARG", "10%");
        command
    };
    for (args, expected) in [(&["config", "check"][..], 1), (&["serve"][..], 2)] {
        let (status, out, err) = said(&mut ask(args)).await;
        assert_eq!(status, expected, "{err}");
        for says in [
            "unknown key port",
            "listen is \"nowhere\"",
            "database_url (DATABASE_URL) is not an address",
            "log_url (EVENTLY_LOG_URL): expected an address like esdb://",
            "master_key (EVENTLY_MASTER_KEY)",
            "smtp_url (EVENTLY_SMTP_URL)",
            "kafka_brokers (EVENTLY_KAFKA_BROKERS): expected brokers like",
            "kafka_partitions (EVENTLY_KAFKA_PARTITIONS): expected a number from 1",
            "kafka_replication (EVENTLY_KAFKA_REPLICATION): expected a number from 1",
            "kafka_tls (EVENTLY_KAFKA_TLS): expected on or off",
            "takes both kafka_user (EVENTLY_KAFKA_USER) and kafka_password",
            "rate_limits (EVENTLY_RATE_LIMITS): expected off, on",
            "trusted_proxies (EVENTLY_TRUSTED_PROXIES): expected addresses",
            "cors_origins (EVENTLY_CORS_ORIGINS): expected origins",
            "the log filter is not like",
            "log_format: expected text or json",
            "otel_exporter_otlp_endpoint (OTEL_EXPORTER_OTLP_ENDPOINT): expected an address",
            "otel_traces_sampler_arg (OTEL_TRACES_SAMPLER_ARG): expected a ratio",
        ] {
            assert!(err.contains(says), "{args:?} does not say {says:?}:\n{err}");
        }
        assert!(!format!("{out}{err}").contains("s3cret"), "{out}{err}");
    }
    let (_, _, err) = said(&mut ask(&["config", "check"])).await;
    assert!(err.contains("that are not Evently's"), "{err}");
}

/// What brokers are told of a name they are told over TLS alone.
#[tokio::test]
async fn a_link_to_brokers_has_all_that_it_takes_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = folder.path().join("ca.pem");
    let ask = async |settings: &[(&str, &str)]| {
        let mut command = evently();
        command.args(["config", "check", "--data"]).arg(folder.path().join("data"));
        command.env("EVENTLY_KAFKA_BROKERS", "kafka:9093").envs(settings.iter().copied());
        let (status, _, err) = said(&mut command).await;
        (status, err)
    };
    let login = [("EVENTLY_KAFKA_USER", "feed"), ("EVENTLY_KAFKA_PASSWORD", "s3cret")];
    let (status, err) = ask(&login).await;
    assert_eq!(status, 1);
    assert!(err.contains("take kafka_tls (EVENTLY_KAFKA_TLS): on"), "{err}");
    let ca = ("EVENTLY_KAFKA_TLS_CA", nothing.to_str().unwrap());
    let (status, err) = ask(&[("EVENTLY_KAFKA_TLS", "on"), ca]).await;
    assert_eq!(status, 1);
    assert!(err.contains("kafka_tls_ca (EVENTLY_KAFKA_TLS_CA)"), "{err}");
    assert!(err.contains("No such file"), "{err}");
    let (status, err) = ask(&[("EVENTLY_KAFKA_TLS", "on"), login[0], login[1]]).await;
    match cfg!(feature = "kafka-tls") {
        true => assert_eq!((status, err.as_str()), (0, "")),
        false => assert!(status == 1 && err.contains("--features kafka-tls"), "{err}"),
    }
}

#[tokio::test]
async fn a_token_is_all_that_is_printed_and_is_accepted() {
    let server = Server::start().await;
    let data = server.data();
    let (status, token, err) = run_on(&data, &["token", "--role", "auditor"]).await;
    assert_eq!(status, 0);
    assert!(err.starts_with("for usr_"), "{err}");
    assert_eq!(token.lines().count(), 1);
    let records = reqwest::Client::new().get(server.url("/api/v1/audit/records"));
    let answer = records.bearer_auth(token.trim_end()).send().await.unwrap();
    assert_eq!(answer.status(), 200);

    let user = domain::UserId::from_u128(7).to_string();
    let args = ["token", "--user", &user, "--role", "admin", "--role", "attendee", "--ttl", "5m"];
    let (status, token, err) = run_on(&data, &args).await;
    assert_eq!((status, err.as_str()), (0, ""));
    let keys =
        infra::auth::Keys::load_or_create(&data, std::sync::Arc::new(infra::clock::SystemClock));
    let auth =
        infra::auth::Auth::new(&keys.unwrap(), std::sync::Arc::new(infra::clock::SystemClock));
    let caller = auth.verify(token.trim_end()).unwrap();
    assert_eq!(caller.user.to_string(), user);
    assert!(caller.roles.has(Role::Admin) && caller.roles.has(Role::Attendee));
    assert!(!caller.roles.has(Role::Auditor));
}

#[tokio::test]
async fn what_is_not_a_data_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("data");
    let (status, out, err) = run_on(&missing, &["token"]).await;
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(err.contains("there is no data folder at") && !missing.exists(), "{err}");

    std::fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let commands: [&[&str]; 3] = [&["serve"], &["token"], &["audit", "verify"]];
    for command in commands {
        let (status, out, err) = run_on(folder.path(), command).await;
        assert_eq!((status, out.as_str()), (1, ""));
        assert!(err.contains("that are not Evently's"), "{err}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
