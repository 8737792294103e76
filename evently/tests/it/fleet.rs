//! The product as separate processes on one log server and one database.

use std::path::{Path, PathBuf};

use infra::postgres::testing;
use tempfile::TempDir;

use crate::crowd::Dice;
use crate::log_server::LogServer;
use crate::people::Doors;
use crate::server::Server;

/// All of them. Gone when it is dropped.
pub(crate) struct Fleet {
    shared: TempDir,
    pub(crate) log: LogServer,
    pub(crate) commands: Vec<Server>,
    pub(crate) queries: Server,
    /// The first is the one that is asked.
    pub(crate) projectors: Vec<Server>,
    /// Of the views.
    pub(crate) database: String,
}

impl Fleet {
    /// So many command nodes and projectors; `None` without a PostgreSQL.
    pub(crate) async fn start(nodes: usize) -> Option<Self> {
        Self::start_with(nodes, &[]).await
    }

    /// The same, with more arguments for each part.
    pub(crate) async fn start_with(nodes: usize, more: &[&str]) -> Option<Self> {
        let Some(postgres) = testing::server() else {
            println!("left out: PostgreSQL is not installed");
            return None;
        };
        Some(Self::start_on(postgres, nodes, more).await)
    }

    /// The same, in a database of this server.
    pub(crate) async fn start_on(postgres: &testing::Server, nodes: usize, more: &[&str]) -> Self {
        let database = postgres.empty_database().await;
        let (shared, log) = (tempfile::tempdir().unwrap(), LogServer::start().await);
        let folder = shared.path().to_owned();
        let args = [&["--log-url", &log.url, "--database-url", &database], more].concat();
        let part = async |role| Server::start_part(role, &folder, &args).await;
        let (mut commands, mut projectors) = (vec![], vec![]);
        for _ in 0..nodes {
            commands.push(part("command-api").await);
            projectors.push(part("projector").await);
        }
        let queries = part("query-api").await;
        Self { shared, log, commands, queries, projectors, database }
    }

    pub(crate) fn shared(&self) -> &Path {
        self.shared.path()
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.log.data().join("log.sqlite")
    }

    /// Where each part is.
    pub(crate) fn doors(&self) -> Doors {
        Doors {
            commands: self.commands.iter().map(Server::address).collect(),
            queries: Some(self.queries.address()),
            admin: Some(self.projectors[0].address()),
        }
    }

    fn parts(&mut self) -> impl Iterator<Item = &mut Server> {
        self.commands.iter_mut().chain(&mut self.projectors).chain([&mut self.queries])
    }

    /// Kills one of them, whichever, and starts it again. What is at its door meanwhile finds
    /// nobody.
    pub(crate) async fn lose_one(&mut self, dice: &mut Dice) {
        let count = self.parts().count();
        // Whatever else there is needs the log.
        let lost = dice.roll(count as u64 * 3 / 2) as usize;
        if lost >= count {
            self.log.kill().await;
            self.log.restart().await;
        }
        if let Some(part) = self.parts().nth(lost) {
            part.kill().await;
            part.restart().await;
        }
    }

    /// Stops all but the log server.
    pub(crate) async fn stop(&mut self) {
        for part in self.parts() {
            assert!(part.stop().await.success(), "{}", part.log());
        }
    }

    /// What they logged.
    pub(crate) fn logged(&self) -> String {
        let parts = self.commands.iter().chain(&self.projectors).chain([&self.queries]);
        parts.map(Server::log).collect()
    }
}
