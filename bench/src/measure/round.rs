//! One run: every load at most once, however many measures compare with it.

use std::cell::OnceCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use infra::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use super::beside::BesideEcho;
use super::{Bench, MeasureError, feed, inventory, logs, views};
use crate::baseline::http;
use crate::baseline::row_locks::{self, Form};
use crate::desk::{Desk, ForSale, publish};
use crate::load::{Expected, Load, Outcome, Pace, Requests};
use crate::log_server::LogServer;
use crate::postgres::Postgres;
use crate::product::{Product, Roles};
use crate::report::Sample;
use crate::server::Server;

const RESERVE: &str = "/api/v1/bookings/reserve";
/// Connections to PostgreSQL, as many as are compared with.
const BUYERS: usize = 64;
/// With fewer connections row locks are handed over faster; shown beside the comparison.
const FEW_BUYERS: usize = 8;
/// Connections of the product's pool to PostgreSQL.
const POOL: u32 = 10;
/// Writes a second while it is measured how soon they are seen.
const WRITES_A_SECOND: u32 = 2_000;

/// One run and what was already measured in it.
pub(super) struct Round<'a> {
    pub(super) bench: &'a Bench,
    hot: OnceCell<Rc<BesideEcho>>,
    distant: OnceCell<Rc<Outcome>>,
    row_locks: OnceCell<Rc<RowLocks>>,
}

/// Row locks in each form.
pub(super) struct RowLocks {
    version: String,
    forms: Vec<(&'static str, row_locks::Outcome)>,
}

impl<'a> Round<'a> {
    pub(super) fn new(bench: &'a Bench) -> Self {
        let (hot, distant, row_locks) = Default::default();
        Self { bench, hot, distant, row_locks }
    }

    /// A load of the product, and axum echoing the reservations that the product is given.
    pub(super) fn beside_echo(
        &self,
        load: impl FnOnce() -> Result<Outcome, MeasureError>,
    ) -> Result<BesideEcho, MeasureError> {
        let (before, load) = (self.echo_at(Pace::Closed)?, load()?);
        Ok(BesideEcho { before, load, after: self.echo_at(Pace::Closed)? })
    }

    /// The echo at half of what it can do.
    pub(super) fn half_echo(&self) -> Result<Outcome, MeasureError> {
        let rate = self.hot()?.after.rate / 2.0;
        self.echo_at(Pace::Open { rate })
    }

    fn echo_at(&self, pace: Pace) -> Result<Outcome, MeasureError> {
        let sold = ForSale::sample();
        let expected = Expected { status: 200, begins: "{\"event_id\":\"evt_" };
        let requests =
            Requests::post(RESERVE, &self.bench.tokens, &[sold.reservation()], 0, expected);
        self.serve(http::echo(RESERVE), requests, pace)
    }

    /// The product selling one event.
    pub(super) fn hot(&self) -> Result<Rc<BesideEcho>, MeasureError> {
        once(&self.hot, || self.beside_echo(|| self.sell(Roles::Commands, 1, Pace::Closed)))
    }

    /// The same at half of what it can do.
    pub(super) fn half_hot(&self) -> Result<Outcome, MeasureError> {
        let rate = self.hot()?.load.rate / 2.0;
        self.sell(Roles::Commands, 1, Pace::Open { rate })
    }

    /// The product selling one event while its views follow in a database beside it.
    pub(super) fn hot_with_views(&self) -> Result<Outcome, MeasureError> {
        let postgres = self.postgres()?;
        let mut outcome = self.sell(Roles::All(postgres.url()), 1, Pace::Closed)?;
        // The database is not another program.
        outcome.cpu = None;
        Ok(outcome)
    }

    /// The product selling a thousand events.
    pub(super) fn spread(&self) -> Result<Outcome, MeasureError> {
        self.sell(Roles::Commands, 1_000, Pace::Closed)
    }

    /// Availability as the product answers it, and the same bytes by a handler that has nothing
    /// else to do.
    pub(super) fn availability(&self) -> Result<(Outcome, Outcome), MeasureError> {
        let runtime = &self.bench.runtime;
        let folder = self.bench.folder()?;
        let product = runtime.block_on(Product::start(folder.path(), Roles::CommandsAndLive))?;
        let sold = self.publish(&product, 1)?[0];
        let path = format!("/api/v1/events/{}/availability", sold.event);
        let body = runtime.block_on(async {
            let mut reader = Desk::open(product.address, &self.bench.tokens[0]).await?;
            reader.get_bytes(&path).await
        })?;
        let expected = Expected { status: 200, begins: "{\"event_id\":\"evt_" };
        let requests = Arc::new(Requests::get(&path, &self.bench.tokens, expected));
        let asked = self.load_of(Pace::Closed).run(&[product.address], &requests);
        runtime.block_on(product.stop());
        let body = Bytes::from(body);
        let server = Server::start(runtime, http::constant(&path, body))?;
        let constant = self.load_of(Pace::Closed).run(&[server.address], &requests);
        server.stop(runtime)?;
        Ok((asked?, constant?))
    }

    /// PostgreSQL selling the same places with row locks.
    pub(super) fn row_locks(&self) -> Result<Rc<RowLocks>, MeasureError> {
        once(&self.row_locks, || {
            let postgres = self.postgres()?;
            let sell = |form, connections| {
                let (warm_up, duration) = self.times();
                row_locks::sell(postgres.host(), form, connections, warm_up, duration)
            };
            let forms = vec![
                ("statements_64", sell(Form::Statements, BUYERS)?),
                ("one_trip_64", sell(Form::OneTrip, BUYERS)?),
                ("one_trip_8", sell(Form::OneTrip, FEW_BUYERS)?),
            ];
            Ok(RowLocks { version: postgres.version()?, forms })
        })
    }

    /// The booking and availability views built again from a log of many events.
    pub(super) fn rebuild(&self) -> Result<Sample, MeasureError> {
        let folder = self.bench.many_events()?;
        let postgres = self.postgres()?;
        let pool = infra::postgres::connect(&postgres.url(), POOL)?;
        self.bench.runtime.block_on(views::rebuild(folder, pool))
    }

    /// The same in the PostgreSQL that runs inside the process.
    pub(super) fn rebuild_embedded(&self) -> Result<Sample, MeasureError> {
        let (log, views) = (self.bench.many_events()?, self.bench.folder()?);
        self.bench.runtime.block_on(views::rebuild_embedded(log, views.path()))
    }

    /// A log of many events fed to Kafka.
    pub(super) fn feed(&self) -> Result<Sample, MeasureError> {
        let brokers = self.bench.kafka.as_deref().ok_or(MeasureError::NoKafka)?;
        let folder = self.bench.many_events()?;
        let postgres = self.postgres()?;
        let pool = infra::postgres::connect(&postgres.url(), POOL)?;
        self.bench.runtime.block_on(feed::feed(folder, pool, brokers))
    }

    /// The product started on a large inventory.
    pub(super) fn restart(&self) -> Result<Sample, MeasureError> {
        let (folder, token) = (self.bench.one_event()?, &self.bench.tokens[0]);
        self.bench.runtime.block_on(inventory::load(folder, token))
    }

    /// How long until a write is seen in a view, while there are 2,000 writes a second.
    pub(super) fn visible(&self) -> Result<Sample, MeasureError> {
        let runtime = &self.bench.runtime;
        let postgres = self.postgres()?;
        let folder = self.bench.folder()?;
        let roles = Roles::All(postgres.url());
        let product = runtime.block_on(Product::start(folder.path(), roles))?;
        let sold = self.publish(&product, 1)?[0];
        let rate = f64::from(WRITES_A_SECOND - views::WATCHED_A_SECOND);
        let requests = self.reservations(&[sold]);
        let (tokens, address, times) = (&self.bench.tokens, product.address, self.times());
        let (load, seen) = thread::scope(|scope| {
            let watching = scope.spawn(|| {
                let watcher = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                watcher.block_on(views::watch(address, tokens, sold, times))
            });
            let load = self.load_of(Pace::Open { rate }).run(&[address], &requests);
            (load, watching.join())
        });
        runtime.block_on(product.stop());
        let (load, seen) =
            (load?, seen.map_err(|_| MeasureError::Stuck("those who watch the view panicked"))??);
        let ms = |quantile| seen.value_at_quantile(quantile) as f64 / 1e3;
        let writes = (load.answers + seen.len()) as f64 / self.bench.settings.seconds;
        Ok(Sample::of(ms(0.99))
            .with("p50_ms", ms(0.5))
            .with("max_ms", ms(1.0))
            .with("watched", seen.len())
            .with("writes_a_second", writes))
    }

    /// Starts the product on a fresh folder, sells so many events at this pace, and makes sure
    /// that the log has every booking that was answered.
    fn sell(&self, roles: Roles, events: usize, pace: Pace) -> Result<Outcome, MeasureError> {
        let nothing = |_: &_, _: &_| Ok(|| Ok(()));
        Ok(self.sell_beside(roles, events, self.load_of(pace), nothing)?.0)
    }

    /// The same while something else goes on in a thread of its own, which is made ready with the
    /// running product and its data folder.
    pub(super) fn sell_beside<T, W>(
        &self,
        roles: Roles,
        events: usize,
        load: Load,
        make_ready: impl FnOnce(&Product, &Path) -> Result<W, MeasureError>,
    ) -> Result<(Outcome, T), MeasureError>
    where
        T: Send,
        W: FnOnce() -> Result<T, MeasureError> + Send,
    {
        let runtime = &self.bench.runtime;
        let folder = self.bench.folder()?;
        let product = runtime.block_on(Product::start(folder.path(), roles))?;
        let sold = self.publish(&product, events)?;
        let beside = make_ready(&product, folder.path())?;
        let (outcome, beside) = thread::scope(|scope| {
            let beside = scope.spawn(beside);
            let outcome = load.run(&[product.address], &self.reservations(&sold));
            (outcome, beside.join())
        });
        runtime.block_on(product.stop());
        let beside = beside.map_err(|_| MeasureError::Stuck("what ran beside the load panicked"));
        let (outcome, beside) = (outcome?, beside??);
        self.check(folder.path(), &sold, &outcome)?;
        Ok((outcome, beside))
    }

    /// The log has every booking that was answered, and no other.
    fn check(&self, log: &Path, sold: &[ForSale], seen: &Outcome) -> Result<(), MeasureError> {
        let stored = self.bench.runtime.block_on(logs::reserved(log, sold))?;
        match stored == seen.total {
            true => Ok(()),
            false => Err(MeasureError::Lost { answered: seen.total, stored }),
        }
    }

    /// The product selling one event on a log server in another process.
    pub(super) fn distant(&self) -> Result<Rc<Outcome>, MeasureError> {
        once(&self.distant, || self.sell_at_a_distance(1))
    }

    /// The same with two command nodes, each asked by half of the buyers.
    pub(super) fn two_nodes(&self) -> Result<Outcome, MeasureError> {
        self.sell_at_a_distance(2)
    }

    fn sell_at_a_distance(&self, nodes: usize) -> Result<Outcome, MeasureError> {
        let runtime = &self.bench.runtime;
        let mut server = LogServer::start(self.bench.data.path())?;
        let mut products = vec![];
        for _ in 0..nodes {
            let folder = self.bench.folder()?;
            let roles = Roles::CommandsOn(server.url.clone());
            products.push((runtime.block_on(Product::start(folder.path(), roles))?, folder));
        }
        let addresses: Vec<_> = products.iter().map(|(product, _)| product.address).collect();
        let sold = self.publish(&products[0].0, 1)?;
        let outcome = self.load_of(Pace::Closed).run(&addresses, &self.reservations(&sold));
        for (product, _) in products {
            runtime.block_on(product.stop());
        }
        let mut outcome = outcome?;
        self.check(server.stop()?, &sold, &outcome)?;
        // The log server is not another program.
        outcome.cpu = None;
        Ok(outcome)
    }

    fn publish(&self, product: &Product, count: usize) -> Result<Vec<ForSale>, MeasureError> {
        let (token, now) = (&self.bench.organizer, SystemClock.now());
        Ok(self.bench.runtime.block_on(publish(product.address, token, now, count))?)
    }

    fn reservations(&self, sold: &[ForSale]) -> Arc<Requests> {
        let bodies: Vec<_> = sold.iter().map(ForSale::reservation).collect();
        let expected = Expected { status: 201, begins: "{\"booking_id\":\"bkg_" };
        Arc::new(Requests::post(RESERVE, &self.bench.tokens, &bodies, 0, expected))
    }

    pub(super) fn postgres(&self) -> Result<Postgres, MeasureError> {
        let bin = self.bench.postgres_bin.as_deref();
        Ok(Postgres::start(self.bench.data.path(), bin)?)
    }

    fn times(&self) -> (Duration, Duration) {
        self.bench.times()
    }

    pub(super) fn load_of(&self, pace: Pace) -> Load {
        let (warm_up, duration) = self.times();
        let settings = &self.bench.settings;
        let (connections, threads) = (settings.connections, settings.generator_threads);
        Load { connections, threads, warm_up, duration, pace }
    }

    /// Serves `router` while the load lasts.
    fn serve(
        &self,
        router: Router,
        requests: Requests,
        pace: Pace,
    ) -> Result<Outcome, MeasureError> {
        let server = Server::start(&self.bench.runtime, router)?;
        let outcome = self.load_of(pace).run(&[server.address], &Arc::new(requests));
        server.stop(&self.bench.runtime)?;
        Ok(outcome?)
    }
}

impl RowLocks {
    /// Bookings a second of the stronger form with the connections that are compared.
    pub(super) fn best(&self) -> f64 {
        let compared = self.forms.iter().filter(|(name, _)| name.ends_with("_64"));
        compared.map(|(_, outcome)| outcome.rate).fold(0.0, f64::max)
    }

    /// All forms, for the report.
    pub(super) fn seen(&self) -> Value {
        let forms = self.forms.iter().map(|(name, outcome)| {
            let ms = |quantile| outcome.latency_us.value_at_quantile(quantile) as f64 / 1e3;
            let seen = json!({"rate": outcome.rate, "p50_ms": ms(0.5), "p99_ms": ms(0.99)});
            ((*name).to_owned(), seen)
        });
        let version = ("version".to_owned(), json!(self.version));
        Value::Object(forms.chain([version]).collect())
    }
}

/// What was made before, or what `make` makes; a failure is not kept.
fn once<T>(
    cell: &OnceCell<Rc<T>>,
    make: impl FnOnce() -> Result<T, MeasureError>,
) -> Result<Rc<T>, MeasureError> {
    if let Some(made) = cell.get() {
        return Ok(Rc::clone(made));
    }
    let made = Rc::new(make()?);
    Ok(Rc::clone(cell.get_or_init(|| made)))
}
