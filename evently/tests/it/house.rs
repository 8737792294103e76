//! What people buy from: one process, or a fleet.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use infra::clock::SystemClock;
use infra::data_folder::DataFolder;
use infra::payment::MockProvider;

use crate::cli::run_on;
use crate::crowd::Dice;
use crate::fleet::Fleet;
use crate::people::Gate;
use crate::server::Server;
use crate::story::Story;

pub(crate) enum House {
    One(Box<Server>),
    Fleet(Box<Fleet>),
}

impl House {
    pub(crate) fn gate(&self) -> Arc<Gate> {
        match self {
            Self::One(server) => Gate::new(server),
            Self::Fleet(fleet) => Gate::with(fleet.doors(), fleet.shared()),
        }
    }

    /// The file of its log.
    pub(crate) fn log_file(&self) -> PathBuf {
        match self {
            Self::One(server) => server.data().join("log.sqlite"),
            Self::Fleet(fleet) => fleet.log_file(),
        }
    }

    /// What is paid and paid back is what the log says (PM-3).
    pub(crate) async fn settled(&self, story: &Story) {
        let shared = match self {
            Self::One(server) => server.shared(),
            Self::Fleet(fleet) => fleet.shared().to_owned(),
        };
        let ledger = DataFolder::mock_payments(&shared);
        let provider = MockProvider::open(&ledger, Arc::new(SystemClock), Duration::ZERO).unwrap();
        story.agrees_with(&provider.ledger().await.unwrap());
    }

    /// The log is unaltered and was never oversold.
    pub(crate) async fn verify(&self) {
        let data = match self {
            Self::One(server) => server.data(),
            Self::Fleet(fleet) => fleet.log.data(),
        };
        let (status, _, said) = run_on(&data, &["audit", "verify"]).await;
        assert_eq!(status, 0, "{said}");
    }

    /// Nothing crashed by itself.
    pub(crate) fn is_well(&self) {
        let logged = match self {
            Self::One(server) => server.log(),
            Self::Fleet(fleet) => fleet.logged(),
        };
        assert!(!logged.contains("panicked"), "{logged}");
    }

    /// Kills a process. A single one may die again before it is ready.
    pub(crate) async fn lose_one(&mut self, gate: &Gate, dice: &mut Dice) {
        match self {
            Self::One(server) => {
                server.kill().await;
                gate.moved(None);
                if dice.roll(4) == 0 {
                    let life = Duration::from_millis(dice.roll(200));
                    server.restart_in_vain(life).await;
                }
                server.restart().await;
                gate.moved(Some(server.address()));
            }
            Self::Fleet(fleet) => {
                fleet.lose_one(dice).await;
                gate.has(fleet.doors());
            }
        }
    }

    /// One of those that end when they are told to.
    pub(crate) fn server(&mut self) -> &mut Server {
        match self {
            Self::One(server) => server,
            Self::Fleet(fleet) => &mut fleet.queries,
        }
    }

    pub(crate) async fn stop(&mut self) {
        match self {
            Self::One(server) => assert!(server.stop().await.success()),
            Self::Fleet(fleet) => fleet.stop().await,
        }
    }
}
