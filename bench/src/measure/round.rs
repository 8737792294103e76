//! One run: every load at most once, however many measures compare with it.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use domain::Time;
use domain::inventory::Fact;
use serde_json::{Value, json};

use super::{Bench, MeasureError, inventory};
use crate::baseline::http;
use crate::baseline::row_locks::{self, Form};
use crate::load::{Expected, Load, Outcome, Pace, Requests};
use crate::postgres::Postgres;
use crate::report::Sample;
use crate::sale;
use crate::server::Server;

const RESERVE: &str = "/api/v1/bookings/reserve";
const AVAILABILITY: &str = "/api/v1/events/evt_01jd2yc5f9e7kbg4v1rm0n8wq3/availability";
/// Connections to PostgreSQL, as the issue of these figures sets them.
const BUYERS: usize = 64;
/// With fewer connections row locks are handed over faster; shown beside the comparison.
const FEW_BUYERS: usize = 8;

/// One run and what was already measured in it.
pub(super) struct Round<'a> {
    bench: &'a Bench,
    echo: OnceCell<Rc<Outcome>>,
    constant: OnceCell<Rc<Outcome>>,
    row_locks: OnceCell<Rc<RowLocks>>,
}

/// Row locks in each form.
pub(super) struct RowLocks {
    version: String,
    forms: Vec<(&'static str, row_locks::Outcome)>,
}

impl<'a> Round<'a> {
    pub(super) fn new(bench: &'a Bench) -> Self {
        let (echo, constant, row_locks) = Default::default();
        Self { bench, echo, constant, row_locks }
    }

    /// axum parsing and echoing the reservations that the product is given.
    pub(super) fn echo(&self) -> Result<Rc<Outcome>, MeasureError> {
        once(&self.echo, || self.echo_at(Pace::Closed))
    }

    /// The same at half of what it can do.
    pub(super) fn half_echo(&self) -> Result<Outcome, MeasureError> {
        let rate = self.echo()?.rate / 2.0;
        self.echo_at(Pace::Open { rate })
    }

    fn echo_at(&self, pace: Pace) -> Result<Outcome, MeasureError> {
        let body = json!({
            "event_id": "evt_01jd2yc5f9e7kbg4v1rm0n8wq3",
            "tier_id": "tier_01jd2yc5f9e7kbg4v1rm0n8wq4",
            "quantity": 1,
        });
        let expected = Expected { status: 200, begins: "{\"event_id\":\"evt_" };
        let requests =
            Requests::post(RESERVE, &self.bench.tokens, &[body.to_string()], 0, expected);
        self.put(http::echo(RESERVE), requests, pace)
    }

    /// axum answering with as many bytes as an availability answer has.
    pub(super) fn constant(&self) -> Result<Rc<Outcome>, MeasureError> {
        once(&self.constant, || {
            let body = Bytes::from(vec![b' '; 450]);
            let expected = Expected { status: 200, begins: "  " };
            let requests = Requests::get(AVAILABILITY, &self.bench.tokens, expected);
            self.put(http::constant(AVAILABILITY, body), requests, Pace::Closed)
        })
    }

    /// PostgreSQL selling the same places with row locks.
    pub(super) fn row_locks(&self) -> Result<Rc<RowLocks>, MeasureError> {
        once(&self.row_locks, || {
            let folder = self.bench.data.path();
            let postgres = Postgres::start(folder, self.bench.postgres_bin.as_deref())?;
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

    /// The facts of one large event.
    pub(super) fn sale(&self) -> &[(Time, Fact)] {
        self.bench.sale.get_or_init(|| sale::history(inventory::FACTS))
    }

    /// The same facts read from a log that was written before.
    pub(super) fn load(&self) -> Result<Sample, MeasureError> {
        let runtime = &self.bench.runtime;
        let path = self.bench.data.path().join("sale.db");
        if self.bench.sale_log.get().is_none() {
            runtime.block_on(inventory::write(&path, self.sale()))?;
        }
        let path = self.bench.sale_log.get_or_init(|| path);
        runtime.block_on(inventory::load(path))
    }

    fn times(&self) -> (Duration, Duration) {
        let settings = &self.bench.settings;
        (Duration::from_secs_f64(settings.warm_up_s), Duration::from_secs_f64(settings.seconds))
    }

    /// Serves `router` while the load lasts.
    fn put(&self, router: Router, requests: Requests, pace: Pace) -> Result<Outcome, MeasureError> {
        let (warm_up, duration) = self.times();
        let settings = &self.bench.settings;
        let load = Load {
            connections: settings.connections,
            threads: settings.generator_threads,
            warm_up,
            duration,
            pace,
        };
        let server = Server::start(&self.bench.runtime, router)?;
        let outcome = load.run(server.address, &Arc::new(requests));
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
