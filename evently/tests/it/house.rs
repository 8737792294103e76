//! What people buy from: one process, or a fleet.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use infra::clock::SystemClock;
use infra::data_folder::DataFolder;
use infra::kafka::testing::Broker;
use infra::payment::MockProvider;
use infra::postgres::testing;
use infra::redis::testing::Redis;

use crate::cli::run_on;
use crate::crowd::Dice;
use crate::feed::{everything_arrived, is_fed};
use crate::fleet::Fleet;
use crate::people::Gate;
use crate::server::Server;
use crate::story::Story;

pub(crate) struct House {
    parts: Parts,
    /// What it uses is there as long as it is.
    _redis: Option<Redis>,
    /// What it feeds.
    broker: Option<Broker>,
}

enum Parts {
    One(Box<Server>),
    Fleet(Box<Fleet>),
}

impl From<Server> for House {
    fn from(server: Server) -> Self {
        Self { parts: Parts::One(Box::new(server)), _redis: None, broker: None }
    }
}

impl From<Fleet> for House {
    fn from(fleet: Fleet) -> Self {
        Self { parts: Parts::Fleet(Box::new(fleet)), _redis: None, broker: None }
    }
}

impl House {
    /// One process on a PostgreSQL, and on a Redis and a Kafka of its own where they are installed, with
    /// the address of its database; `None` without a PostgreSQL.
    pub(crate) async fn on_servers() -> Option<(Self, String)> {
        let Some(postgres) = testing::server() else {
            println!("left out: PostgreSQL is not installed");
            return None;
        };
        let database = postgres.empty_database().await;
        let (redis, broker) = (Redis::start(), Broker::start().await);
        let mut args = vec!["--database-url".to_owned(), database.clone()];
        args.extend(redis.iter().flat_map(|redis| ["--redis-url".to_owned(), redis.url()]));
        let brokers = |broker: &Broker| ["--kafka-brokers".to_owned(), broker.address()];
        args.extend(broker.iter().flat_map(brokers));
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let server = Server::start_with(&args).await;
        Some((Self { _redis: redis, ..Self::from(server) }.feeding(broker), database))
    }

    /// It feeds this broker.
    pub(crate) fn feeding(self, broker: Option<Broker>) -> Self {
        Self { broker, ..self }
    }

    pub(crate) fn is_fleet(&self) -> bool {
        matches!(self.parts, Parts::Fleet(_))
    }

    pub(crate) fn gate(&self) -> Arc<Gate> {
        match &self.parts {
            Parts::One(server) => Gate::new(server),
            Parts::Fleet(fleet) => Gate::with(fleet.doors(), fleet.shared()),
        }
    }

    /// The file of its log.
    pub(crate) fn log_file(&self) -> PathBuf {
        match &self.parts {
            Parts::One(server) => server.data().join("log.sqlite"),
            Parts::Fleet(fleet) => fleet.log_file(),
        }
    }

    /// What is paid and paid back is what the log says (PM-3).
    pub(crate) async fn settled(&self, story: &Story) {
        let shared = match &self.parts {
            Parts::One(server) => server.shared(),
            Parts::Fleet(fleet) => fleet.shared().to_owned(),
        };
        let ledger = DataFolder::mock_payments(&shared);
        let provider = MockProvider::open(&ledger, Arc::new(SystemClock), Duration::ZERO).unwrap();
        story.agrees_with(&provider.ledger().await.unwrap());
    }

    /// Everything that may be told is told, in order for each event (OP-3).
    pub(crate) async fn has_fed_everything(&self) {
        let Some(broker) = &self.broker else { return };
        let (data, shared) = match &self.parts {
            Parts::One(server) => (server.data(), server.shared()),
            Parts::Fleet(fleet) => (fleet.projectors[0].data(), fleet.shared().to_owned()),
        };
        is_fed(&data, &shared).await;
        everything_arrived(broker, &self.log_file()).await;
    }

    /// The log is unaltered and was never oversold.
    pub(crate) async fn verify(&self) {
        let data = match &self.parts {
            Parts::One(server) => server.data(),
            Parts::Fleet(fleet) => fleet.log.data(),
        };
        let (status, _, said) = run_on(&data, &["audit", "verify"]).await;
        assert_eq!(status, 0, "{said}");
    }

    /// Nothing crashed by itself.
    pub(crate) fn is_well(&self) {
        let logged = match &self.parts {
            Parts::One(server) => server.log(),
            Parts::Fleet(fleet) => fleet.logged(),
        };
        assert!(!logged.contains("panicked"), "{logged}");
    }

    /// Kills a process. A single one may die again before it is ready.
    pub(crate) async fn lose_one(&mut self, gate: &Gate, dice: &mut Dice) {
        match &mut self.parts {
            Parts::One(server) => {
                server.kill().await;
                gate.moved(None);
                if dice.roll(4) == 0 {
                    let life = Duration::from_millis(dice.roll(200));
                    server.restart_in_vain(life).await;
                }
                server.restart().await;
                gate.moved(Some(server.address()));
            }
            Parts::Fleet(fleet) => {
                fleet.lose_one(dice).await;
                gate.has(fleet.doors());
            }
        }
    }

    /// One of those that end when they are told to.
    pub(crate) fn server(&mut self) -> &mut Server {
        match &mut self.parts {
            Parts::One(server) => server,
            Parts::Fleet(fleet) => &mut fleet.queries,
        }
    }

    pub(crate) async fn stop(&mut self) {
        match &mut self.parts {
            Parts::One(server) => assert!(server.stop().await.success()),
            Parts::Fleet(fleet) => fleet.stop().await,
        }
    }
}
