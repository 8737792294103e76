//! Requests by route: how many, how answered, how long it took (RED).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use parking_lot::Mutex;

use super::{Durations, Kind, Text, durations, loaded, zeros};

/// Answers that are told apart; all others are one. The frequent ones first.
const STATUSES: [u16; 18] =
    [200, 201, 409, 304, 503, 404, 429, 401, 403, 422, 400, 202, 204, 405, 408, 413, 415, 500];

/// Methods of routes, of which there are few.
pub struct Requests(Mutex<Vec<&'static RouteFigures>>);

/// The requests of one route with one method.
pub struct RouteFigures {
    method: &'static str,
    /// The pattern of its path.
    route: &'static str,
    took: Durations,
    /// By [`STATUSES`].
    statuses: [AtomicU64; STATUSES.len()],
    others: AtomicU64,
}

impl Requests {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(vec![]))
    }

    /// Where requests of a route are counted. To be asked for once, and kept.
    pub fn of(&self, method: &'static str, route: &'static str) -> &'static RouteFigures {
        let mut all = self.0.lock();
        let known = all.iter().find(|known| (known.method, known.route) == (method, route));
        if let Some(known) = known {
            return known;
        }
        // For ever: there are as many as there are routes.
        let new: &'static RouteFigures = Box::leak(Box::new(RouteFigures {
            method,
            route,
            took: durations(),
            statuses: zeros(),
            others: AtomicU64::new(0),
        }));
        all.push(new);
        new
    }

    pub(super) fn write(&self, text: &mut Text) {
        // Routes of other roles are not served here.
        let mut all = self.0.lock().clone();
        all.retain(|route| route.took.is_counted());
        let name = "evently_http_requests_total";
        text.family(name, Kind::Counter, "Requests answered, by status.");
        for route in &all {
            let statuses = STATUSES.iter().zip(loaded(&route.statuses));
            for (status, count) in statuses.filter(|(_, count)| *count > 0) {
                text.sample(name, &route.labels_with(&status.to_string()), count as f64);
            }
            let others = route.others.load(Ordering::Relaxed);
            if others > 0 {
                text.sample(name, &route.labels_with("other"), others as f64);
            }
        }
        let name = "evently_http_request_duration_seconds";
        text.family(name, Kind::Histogram, "Time from a request to the head of its answer.");
        for route in all {
            route.took.write(text, name, &[("method", route.method), ("route", route.route)]);
        }
    }
}

impl RouteFigures {
    /// Counts an answer.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        let status = STATUSES.iter().position(|known| *known == status.as_u16());
        let counter = status.map_or(&self.others, |status| &self.statuses[status]);
        counter.fetch_add(1, Ordering::Relaxed);
        self.took.took(took);
    }

    /// The method and the pattern of the path; nothing for requests that came to no route.
    pub(crate) fn route(&self) -> Option<(&'static str, &'static str)> {
        self.route.starts_with('/').then_some((self.method, self.route))
    }

    fn labels_with<'a>(&'a self, status: &'a str) -> [(&'static str, &'a str); 3] {
        [("method", self.method), ("route", self.route), ("status", status)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_counted_in_one_place_for_each_method() {
        let requests = Requests::new();
        let first = requests.of("GET", "/a/{id}");
        first.answered(StatusCode::OK, Duration::from_millis(1));
        let again = requests.of("GET", "/a/{id}");
        again.answered(StatusCode::IM_A_TEAPOT, Duration::from_millis(1));
        requests.of("PUT", "/a/{id}").answered(StatusCode::OK, Duration::from_millis(1));
        requests.of("PUT", "/never");
        assert!(std::ptr::eq(first, again));
        let mut text = Text::new();
        requests.write(&mut text);
        let text = text.finish();
        let of = "{method=\"GET\",route=\"/a/{id}\"";
        for line in [
            format!("evently_http_requests_total{of},status=\"200\"}} 1\n"),
            format!("evently_http_requests_total{of},status=\"other\"}} 1\n"),
            format!("evently_http_request_duration_seconds_count{of}}} 2\n"),
            "requests_total{method=\"PUT\",route=\"/a/{id}\",status=\"200\"} 1\n".into(),
        ] {
            assert!(text.contains(&line), "{line} is not in:\n{text}");
        }
        assert!(!text.contains("/never"));
    }
}
