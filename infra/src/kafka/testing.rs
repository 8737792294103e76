//! A Kafka broker for tests, which can be stopped, killed and started again; and what is in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use tempfile::TempDir;

use crate::testing::ServerProcess;

/// Set where Kafka has to be there: nothing may be left out.
const REQUIRED: &str = "EVENTLY_TEST_KAFKA";
/// How long a start may take on a busy machine, and an answer of one that runs.
const PATIENCE: Duration = Duration::from_secs(180);
const ANSWER: Duration = Duration::from_secs(10);

/// A broker of its own on free ports of this machine. Gone when it is dropped.
#[derive(Debug)]
pub struct Broker {
    /// For what becomes of it. It ends before its folder goes.
    pub process: ServerProcess,
    folder: TempDir,
    jars: OsString,
    port: u16,
    /// Where it speaks TLS, if it does.
    secured: u16,
}

/// How a broker proves who it is, and whom it lets in.
#[derive(Debug, Clone, Copy)]
pub struct Secured<'a> {
    /// Key and certificate of `localhost`, in PEM.
    pub identity: &'a str,
    /// A name that it knows.
    pub user: &'a str,
    /// Its password, by SCRAM-SHA-512.
    pub password: &'a str,
}

/// A message as a reader finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// In which part of its topic.
    pub partition: i32,
    /// Where in it.
    pub offset: i64,
    /// Messages of one key are in order.
    pub key: String,
    /// By name.
    pub headers: BTreeMap<String, String>,
    /// What it says.
    pub payload: Vec<u8>,
}

impl Broker {
    /// Starts one, and waits until it answers; `None` when there is no Kafka on this machine.
    ///
    /// # Panics
    /// It is there but does not start, or it is not although `EVENTLY_TEST_KAFKA` is set.
    pub async fn start() -> Option<Self> {
        Self::start_with(None).await
    }

    /// The same, which also speaks TLS with those whom it knows.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_secured(secured: Secured<'_>) -> Option<Self> {
        Self::start_with(Some(secured)).await
    }

    async fn start_with(secured: Option<Secured<'_>>) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let has_java = std::env::split_paths(&path).any(|folder| folder.join("java").is_file());
        let Some(jars) = jars().filter(|_| has_java) else {
            let required = std::env::var_os(REQUIRED).is_some();
            assert!(!required, "{REQUIRED} is set, but there is no Kafka, or no Java");
            let left_out =
                "LEFT OUT: what is tested on a Kafka broker. .ci/with-services has one.\n";
            // Who closed standard error does not want to know.
            let _ = io::stderr().write_all(left_out.as_bytes());
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [port, secure_port] = configure(folder.path(), secured);
        let format = ["kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c"];
        let mut format = java(&jars, folder.path(), &format);
        format.arg(folder.path().join("properties"));
        if let Some(Secured { user, password, .. }) = secured {
            let known = format!("SCRAM-SHA-512=[name={user},password={password}]");
            format.args(["--add-scram", &known]);
        }
        assert!(format.status().expect("java runs").success(), "{}", said(folder.path()));
        let process = run(&jars, folder.path());
        let broker = Self { process, folder, jars, port, secured: secure_port };
        broker.answers().await;
        Some(broker)
    }

    /// As settings name it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The same, where it speaks TLS.
    pub fn secured_address(&self) -> String {
        format!("localhost:{}", self.secured)
    }

    /// The same one again, on what it kept, after it was killed.
    pub async fn restart(&mut self) {
        self.process = run(&self.jars, self.folder.path());
        self.answers().await;
    }

    /// What is in a topic: each part in order. Nothing if there is no such topic.
    ///
    /// # Panics
    /// The broker does not answer.
    pub fn read(&self, topic: &str) -> Vec<Received> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address()).set("group.id", "test");
        config.set("enable.auto.commit", "false").set("allow.auto.create.topics", "false");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let all = consumer.fetch_metadata(None, ANSWER).expect("it answers");
        let topics = all.topics().iter().filter(|it| it.name() == topic);
        let mut wanted = TopicPartitionList::new();
        let mut missing = 0;
        for partition in topics.flat_map(|topic| topic.partitions()) {
            let (low, high) = ends(&consumer, topic, partition.id());
            if high > low {
                let listed =
                    wanted.add_partition_offset(topic, partition.id(), Offset::Offset(low));
                listed.expect("an offset");
                missing += high - low;
            }
        }
        consumer.assign(&wanted).expect("it is there");
        let (mut found, deadline) = (vec![], Instant::now() + PATIENCE);
        while (found.len() as i64) < missing {
            assert!(Instant::now() < deadline, "{} of {missing} read", found.len());
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                found.push(received(&message.expect("it can be read")));
            }
        }
        found.sort_by_key(|message| (message.partition, message.offset));
        found
    }

    /// Has a topic treated otherwise from now on.
    ///
    /// # Panics
    /// The broker does not do it.
    pub async fn set(&self, topic: &str, name: &str, value: &str) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address());
        let admin: AdminClient<_> = config.create().expect("a client");
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
        let changed = admin.alter_configs(&[change], &AdminOptions::new()).await;
        changed.expect("it answers").remove(0).expect("it does it");
    }

    /// Runs one of the tools that come with Kafka against this broker; what it prints.
    ///
    /// # Panics
    /// It does not run.
    pub fn tool(&self, class: &str, args: &[&str]) -> String {
        let mut tool = java(&self.jars, self.folder.path(), &[class, "--bootstrap-server"]);
        let told = tool.arg(self.address()).args(args).stdout(Stdio::piped()).output();
        let told = told.expect("java runs");
        String::from_utf8_lossy(&told.stdout).into_owned()
    }

    async fn answers(&self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "{}", said(self.folder.path()));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Where a part begins and ends; one that was just made has nobody yet who knows.
fn ends(consumer: &BaseConsumer, topic: &str, partition: i32) -> (i64, i64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match consumer.fetch_watermarks(topic, partition, ANSWER) {
            Ok(ends) => return ends,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        // Nothing comes: it only waits.
        assert!(consumer.poll(Duration::from_millis(50)).is_none());
    }
}

fn received(message: &BorrowedMessage<'_>) -> Received {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"")).into_owned();
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    Received {
        partition: message.partition(),
        offset: message.offset(),
        key: text(message.key()),
        headers: headers.map(|header| (header.key.to_owned(), text(header.value))).collect(),
        payload: message.payload().unwrap_or_default().to_vec(),
    }
}

/// Where `.ci/with-services` put Kafka.
fn jars() -> Option<OsString> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
    let folders =
        fs::read_dir(cache.join("evently-ci")).ok()?.filter_map(|it| Some(it.ok()?.path()));
    let is_kafka = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        // What is being fetched has a dot instead.
        name.is_some_and(|name| name.starts_with("kafka-")) && path.join("lib").is_dir()
    };
    Some(folders.filter(is_kafka).max()?.join("lib").join("*").into_os_string())
}

/// Writes the settings; the ports it will listen at, of which it speaks TLS at the second if at all.
fn configure(folder: &Path, secured: Option<Secured<'_>>) -> [u16; 2] {
    let sockets = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let [port, secure_port, controller] =
        sockets.map(|socket| socket.local_addr().expect("it is bound").port());
    let (listens, is_at, settings) = match secured {
        Some(secured) => (
            format!(",SECURED://127.0.0.1:{secure_port}"),
            format!(",SECURED://localhost:{secure_port}"),
            secure(folder, secured),
        ),
        None => Default::default(),
    };
    // One that was killed is let in again when nobody waits for the one before it any more.
    let settings = format!(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listens}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}{is_at}\n\
         log.dirs={}\noffsets.topic.num.partitions=1\n\
         offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\nshare.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n\
         auto.create.topics.enable=false\n\
         broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\n{settings}",
        folder.join("data").display()
    );
    fs::write(folder.join("properties"), settings).expect("the folder can be written");
    [port, secure_port]
}

/// What it takes to speak TLS, and to let in by password alone.
fn secure(folder: &Path, secured: Secured<'_>) -> String {
    let identity = folder.join("identity.pem");
    fs::write(&identity, secured.identity).expect("the folder can be written");
    format!(
        "listener.security.protocol.map=\
         PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL\n\
         listener.name.secured.ssl.keystore.type=PEM\n\
         listener.name.secured.ssl.keystore.location={}\n\
         listener.name.secured.sasl.enabled.mechanisms=SCRAM-SHA-512\n\
         listener.name.secured.scram-sha-512.sasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required;\n",
        identity.display()
    )
}

fn run(jars: &OsString, folder: &Path) -> ServerProcess {
    let mut command = java(jars, folder, &["kafka.Kafka"]);
    ServerProcess::spawn(command.arg(folder.join("properties")))
}

fn java(jars: &OsString, folder: &Path, args: &[&str]) -> Command {
    let log = File::options().create(true).append(true).open(folder.join("log"));
    let log = log.expect("the folder can be written");
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]).arg(jars);
    command.args(args).current_dir(folder).stdin(Stdio::null());
    command.stdout(log.try_clone().expect("another handle")).stderr(log);
    command
}

fn said(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}
