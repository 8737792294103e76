//! A running `evently` in a folder of its own: started on a free port, stopped, killed, and started
//! again on the same data.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use domain::UserId;
use infra::auth::{Keys, Role};
use infra::clock::SystemClock;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a start or a stop may take before the test fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// A server and its data. Both are gone when it is dropped.
pub(crate) struct Server {
    folder: TempDir,
    /// The command that starts it.
    role: &'static str,
    /// Where its keys are, if not with its data.
    shared: Option<PathBuf>,
    args: Vec<String>,
    circumstances: Circumstances,
    running: Option<Running>,
}

/// What the program finds around itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Circumstances {
    Usual,
    /// Standard error is a pipe that nobody reads.
    Unheard,
    /// Writing beyond a limit of the size of files is an error, and not a signal that kills. The
    /// limit is for the test to set.
    SmallFiles,
    /// It may have so few files open, and begins with fewer still.
    FewFiles(u32),
}

struct Running {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// A server on new data, ready to answer.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with more arguments. They are kept for later starts.
    pub(crate) async fn start_with(args: &[&str]) -> Self {
        Self::start_in(Circumstances::Usual, args).await
    }

    /// The same, in circumstances that are kept too.
    pub(crate) async fn start_in(circumstances: Circumstances, args: &[&str]) -> Self {
        Self::launch("serve", None, circumstances, args).await
    }

    /// A part of the product, which shares `shared` with other parts.
    pub(crate) async fn start_part(role: &'static str, shared: &Path, args: &[&str]) -> Self {
        Self::launch(role, Some(shared.to_owned()), Circumstances::Usual, args).await
    }

    async fn launch(
        role: &'static str,
        shared: Option<PathBuf>,
        circumstances: Circumstances,
        args: &[&str],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let args = args.iter().map(ToString::to_string).collect();
        let mut server = Self { folder, role, shared, args, circumstances, running: None };
        server.restart().await;
        server
    }

    /// Starts it again on the same data, after [`Self::kill`] or [`Self::stop`].
    pub(crate) async fn restart(&mut self) {
        assert!(self.running.is_none(), "it still runs");
        let mut process = self.spawn();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(DEADLINE, lines.next_line()).await.expect("it starts in time").unwrap();
        let Some(line) = line else { panic!("it did not start:\n{}", self.log()) };
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).parse().unwrap();
        self.running = Some(Running { process, address });
    }

    /// Starts it, and kills it so soon that it may not be ready yet.
    pub(crate) async fn restart_in_vain(&self, life: Duration) {
        let mut process = self.spawn();
        let _still_runs = timeout(life, process.wait()).await;
        process.kill().await.unwrap();
    }

    fn spawn(&self) -> Child {
        let mut command = match self.circumstances {
            Circumstances::SmallFiles => after("trap '' XFSZ"),
            Circumstances::FewFiles(most) => after(&format!("ulimit -n {most}; ulimit -Sn 100")),
            _ => evently(),
        };
        let standard_error = match self.circumstances {
            Circumstances::Unheard => std::io::pipe().unwrap().1.into(),
            _ => self.log_file(),
        };
        command
            .args([self.role, "--listen", "127.0.0.1:0", "--data"])
            .arg(self.data())
            .args(self.shared.iter().flat_map(|shared| [Path::new("--shared"), shared.as_path()]))
            .args(&self.args)
            .stdout(Stdio::piped())
            .stderr(standard_error)
            .spawn()
            .unwrap()
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it shares with others, or its data folder.
    pub(crate) fn shared(&self) -> PathBuf {
        self.shared.clone().unwrap_or_else(|| self.data())
    }

    /// Where it listens. A new start has a new port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("it runs").address
    }

    /// The whole address of `path`, which begins with `/`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The operating system's number of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().and_then(|running| running.process.id()).expect("it runs")
    }

    /// A bearer token that is valid for an hour, also after later starts.
    pub(crate) fn token(&self, user: UserId, roles: &[Role]) -> String {
        let keys = Keys::load_or_create(&self.shared(), Arc::new(SystemClock)).unwrap();
        keys.issue(user, roles, Duration::from_secs(3600)).unwrap()
    }

    /// What it logged, through all starts.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log.txt")).unwrap_or_default()
    }

    /// `kill -9`: it is gone when this returns.
    pub(crate) async fn kill(&mut self) {
        let mut running = self.running.take().expect("it runs");
        running.process.kill().await.unwrap();
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        infra::testing::signal(self.pid(), signal);
    }

    /// Tells it to stop and waits until it has.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("it runs");
        let ended = timeout(DEADLINE, running.process.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end:\n{}", self.log())).unwrap()
    }

    fn log_file(&self) -> Stdio {
        let path: &Path = &self.folder.path().join("log.txt");
        std::fs::File::options().create(true).append(true).open(path).unwrap().into()
    }
}

/// The program, without settings from the environment of the test; killed when dropped.
pub(crate) fn evently() -> Command {
    without_settings(PROGRAM)
}

/// The program, in a shell that was told something before.
fn after(told: &str) -> Command {
    let mut shell = without_settings("sh");
    shell.args(["-c", &format!("{told}; exec \"$0\" \"$@\""), PROGRAM]);
    shell
}

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_evently");

/// The same of any program.
pub(crate) fn without_settings(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in [
        "EVENTLY_DATA",
        "DATABASE_URL",
        "EVENTLY_LOG_URL",
        "EVENTLY_MASTER_KEY",
        "EVENTLY_SMTP_URL",
        "EVENTLY_MAIL_FROM",
        "EVENTLY_TRUSTED_PROXIES",
        "EVENTLY_CONNECTIONS_PER_ADDRESS",
        "EVENTLY_CORS_ORIGINS",
        "EVENTLY_LOG",
        "EVENTLY_SHARED",
        "EVENTLY_REDIS_URL",
        "EVENTLY_KAFKA_BROKERS",
        "EVENTLY_KAFKA_PARTITIONS",
        "EVENTLY_KAFKA_REPLICATION",
        "EVENTLY_KAFKA_TLS",
        "EVENTLY_KAFKA_TLS_CA",
        "EVENTLY_KAFKA_USER",
        "EVENTLY_KAFKA_PASSWORD",
        "EVENTLY_OIDC_ISSUER",
        "EVENTLY_OIDC_CLIENT_ID",
        "EVENTLY_OIDC_CLIENT_SECRET",
        "EVENTLY_OIDC_SCOPES",
        "EVENTLY_OIDC_REDIRECT_URL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_SDK_DISABLED",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
    ] {
        command.env_remove(name);
    }
    // Nobody else's port, whatever is started.
    command.env("EVENTLY_LISTEN", "127.0.0.1:0");
    // Crowds come from one machine here.
    command.env("EVENTLY_RATE_LIMITS", "off");
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}
