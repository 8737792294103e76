//! The views as they are in the database, row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

#[cfg(feature = "embedded-postgres")]
use evently::embedded_postgres::EmbeddedPostgres;
use infra::auth::Role;
#[cfg(feature = "embedded-postgres")]
use infra::data_folder::DataFolder;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool, Row};
#[cfg(feature = "embedded-postgres")]
use tokio_util::sync::CancellationToken;

use crate::people::{Call, Gate, Person};
use crate::server::Server;
use crate::serving::until;

/// Where a rebuild leaves a row: that it was ordered is in the log, too.
const AUDIT: &str = "audit.record";

/// Every table with its rows.
type Rows = BTreeMap<String, Vec<String>>;

async fn rows(pool: &PgPool) -> Rows {
    let tables = sqlx::query(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables \
         WHERE table_type = 'BASE TABLE' AND table_schema NOT IN \
             ('pg_catalog', 'information_schema', 'projection', 'migrations', 'public', 'identity')",
    );
    let mut all = Rows::new();
    for table in tables.fetch_all(pool).await.unwrap() {
        let table: String = table.get(0);
        let but = if table == AUDIT { "WHERE kind <> 'ViewRebuildOrdered'" } else { "" };
        let select = format!("SELECT to_jsonb(t)::text FROM {table} t {but} ORDER BY 1");
        let rows = sqlx::query(AssertSqlSafe(select)).fetch_all(pool).await.unwrap();
        all.insert(table, rows.iter().map(|row| row.get(0)).collect());
    }
    all
}

/// The projections, once they have taken in the whole log and nothing is being rebuilt.
async fn caught_up(admin: &Person) -> Vec<Value> {
    let list = async || {
        let list = admin.ask(&Call::get("/admin/projections")).await.expect(200);
        list.body["items"].as_array().unwrap().clone()
    };
    until("the views have caught up", async || {
        list().await.iter().all(|view| view["lag_records"] == 0 && view["rebuild"].is_null())
    })
    .await;
    let views = list().await;
    assert!(views.iter().all(|view| view["parked"] == 0), "{views:?}");
    views
}

/// Where the views of a server are.
pub(crate) enum Views {
    /// In the database at this address.
    At(String),
    /// In the one inside, which only one process at a time can look into.
    #[cfg(feature = "embedded-postgres")]
    Inside,
}

impl Views {
    /// Every table of every view with its rows. The server is another one afterwards.
    async fn rows(&self, server: &mut Server, gate: &Gate) -> Rows {
        match self {
            Self::At(url) => rows(&infra::postgres::connect(url, 1).unwrap()).await,
            #[cfg(feature = "embedded-postgres")]
            Self::Inside => {
                gate.moved(None);
                assert!(server.stop().await.success());
                let folder = DataFolder::open(server.data()).unwrap().views();
                let inside = EmbeddedPostgres::start(&folder).await.unwrap();
                let pool = infra::postgres::connect(inside.url(), 1).unwrap();
                let rows = rows(&pool).await;
                let stop = CancellationToken::new();
                stop.cancel();
                inside.run(pool, stop).await;
                server.restart().await;
                gate.moved(Some(server.address()));
                rows
            }
        }
    }

    /// What is in the views as they grew is what is in them when they are built again.
    pub(crate) async fn are_same_when_rebuilt(&self, server: &mut Server, gate: &Arc<Gate>) {
        let admin = gate.person(Role::Admin);
        let views = caught_up(&admin).await;
        let live = self.rows(server, gate).await;
        for view in &views {
            let name = view["name"].as_str().unwrap();
            let path = format!("/admin/projections/{name}/rebuild");
            admin.ask(&Call::new(reqwest::Method::POST, path, None)).await.expect(202);
            caught_up(&admin).await;
        }
        let rebuilt = self.rows(server, gate).await;
        assert_eq!(live.keys().collect::<Vec<_>>(), rebuilt.keys().collect::<Vec<_>>());
        for (table, live) in &live {
            assert!(!live.is_empty(), "{table} is empty");
            let both = live.iter().zip(&rebuilt[table]);
            assert_eq!(both.into_iter().find(|(live, rebuilt)| live != rebuilt), None, "{table}");
            assert_eq!(live.len(), rebuilt[table].len(), "{table}");
        }
    }
}
