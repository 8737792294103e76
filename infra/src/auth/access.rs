//! Who may do what (AC-1). This table is the one place that decides it: a route that is not in it
//! answers nobody.

use domain::{Role, Roles, Scope, UserId};

use super::Caller;
use crate::limits::Budget;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Everybody. A token that is no good is as none.
    Everybody,
    /// Everybody; whoever shows a token may be told more, and 401 if it is no good.
    Guests,
    /// Whoever has a valid token.
    Known,
    /// Whoever may be one of these.
    These(&'static [Role]),
    /// Services whose key has this scope; no person.
    Services(Scope),
}

/// Who may do what at a route.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// `GET` stands for `HEAD` too.
    pub method: &'static str,
    /// As the router names it.
    pub path: &'static str,
    /// Who may use it.
    pub who: Who,
    /// Who of them may do so with what is another's.
    pub with_anothers: &'static [Role],
    /// What it is counted as.
    pub budget: Budget,
    /// The largest body, in bytes, if it is smaller than what any route takes.
    pub max_body: Option<usize>,
}

/// The largest body of what a buyer asks for, in bytes: a thousand seats and their names. There are
/// many more buyers than others, and more than this is not even read.
const SMALL_BODY: usize = 64 * 1024;

impl Rule {
    /// A rule by which nobody does anything with what is another's.
    pub const fn new(method: &'static str, path: &'static str, who: Who) -> Self {
        Self { method, path, who, with_anothers: &[], budget: Budget::General, max_body: None }
    }

    /// The same, by which these may.
    pub const fn also_anothers(mut self, roles: &'static [Role]) -> Self {
        self.with_anothers = roles;
        self
    }

    /// The same, counted as something else.
    pub const fn counted_as(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// The same, of a small body.
    pub const fn small(mut self) -> Self {
        self.max_body = Some(SMALL_BODY);
        self
    }

    /// Whether someone with these roles may use it.
    pub fn admits(&self, roles: Roles) -> bool {
        match self.who {
            Who::Everybody | Who::Guests | Who::Known => true,
            Who::These(these) => roles.has_any(these),
            Who::Services(_) => false,
        }
    }
}

const fn get(path: &'static str, who: Who) -> Rule {
    Rule::new("GET", path, who)
}

const fn post(path: &'static str, who: Who) -> Rule {
    Rule::new("POST", path, who)
}

const fn put(path: &'static str, who: Who) -> Rule {
    Rule::new("PUT", path, who)
}

const fn delete(path: &'static str, who: Who) -> Rule {
    Rule::new("DELETE", path, who)
}

/// What a password or a mail could be had with.
const fn guarded(path: &'static str) -> Rule {
    post(path, Who::Everybody).counted_as(Budget::Authentication).small()
}

/// What machines ask, again and again.
const fn free(path: &'static str) -> Rule {
    get(path, Who::Everybody).counted_as(Budget::Free)
}

const ADMIN: &[Role] = &[Role::Admin];
const AUDITORS: Who = Who::These(&[Role::Auditor, Role::Admin]);

/// Those who may book and wait. Auditors only look.
const BUYERS: Who = Who::These(&[Role::Attendee, Role::Organizer, Role::BoxOffice, Role::Admin]);

/// Those who may set up venues and events.
const SELLERS: &[Role] = &[Role::Organizer, Role::Admin];
const ORGANIZERS: Who = Who::These(SELLERS);

/// Who may look at a booking that is another's: those who help, sell and check.
const COUNTER: &[Role] = &[Role::Admin, Role::BoxOffice, Role::Auditor];

/// Every route.
pub const RULES: &[Rule] = &[
    free("/health"),
    free("/health/live"),
    free("/health/ready"),
    free("/metrics"),
    free("/openapi.json"),
    free("/.well-known/jwks.json"),
    guarded("/api/v1/auth/register"),
    guarded("/api/v1/auth/email/verify"),
    guarded("/api/v1/auth/login"),
    post("/api/v1/auth/refresh", Who::Everybody).small(),
    post("/api/v1/auth/logout", Who::Everybody).small(),
    get("/api/v1/auth/oidc/login", Who::Everybody).counted_as(Budget::Authentication),
    get("/api/v1/auth/oidc/callback", Who::Everybody).counted_as(Budget::Authentication),
    guarded("/api/v1/auth/password/forgot"),
    guarded("/api/v1/auth/password/reset"),
    get("/api/v1/users/me", Who::Known),
    put("/api/v1/users/me", Who::Known).small(),
    delete("/api/v1/users/me", Who::Known).small(),
    get("/api/v1/users/me/export", Who::Known).counted_as(Budget::Export),
    put("/api/v1/users/me/password", Who::Known).counted_as(Budget::Authentication).small(),
    get("/api/v1/users/me/bookings", Who::Known),
    get("/api/v1/venues", Who::Everybody),
    get("/api/v1/venues/{venue_id}", Who::Everybody),
    post("/api/v1/venues", ORGANIZERS),
    put("/api/v1/venues/{venue_id}", ORGANIZERS).also_anothers(ADMIN),
    get("/api/v1/events", Who::Guests).also_anothers(ADMIN),
    get("/api/v1/events/{event_id}", Who::Guests).also_anothers(ADMIN),
    get("/api/v1/events/{event_id}/availability", Who::Everybody),
    get("/api/v1/events/{event_id}/seats", Who::Everybody),
    get("/api/v1/events/{event_id}/stream", Who::Everybody),
    post("/api/v1/events", ORGANIZERS),
    put("/api/v1/events/{event_id}", ORGANIZERS).also_anothers(ADMIN),
    delete("/api/v1/events/{event_id}", ORGANIZERS).also_anothers(ADMIN),
    post("/api/v1/events/{event_id}/publish", ORGANIZERS).also_anothers(ADMIN),
    post("/api/v1/bookings/check-availability", Who::Everybody),
    post("/api/v1/bookings/reserve", BUYERS).counted_as(Budget::Booking).small(),
    post("/api/v1/bookings/confirm", BUYERS).counted_as(Budget::Booking).small(),
    get("/api/v1/bookings/{booking_id}", Who::Known).also_anothers(COUNTER),
    delete("/api/v1/bookings/{booking_id}", BUYERS)
        .also_anothers(ADMIN)
        .counted_as(Budget::Booking)
        .small(),
    post("/api/v1/waitlist/join", BUYERS).counted_as(Budget::Booking).small(),
    get("/api/v1/waitlist/position", Who::Known),
    delete("/api/v1/waitlist/leave", BUYERS).counted_as(Budget::Booking).small(),
    get("/api/v1/audit/records", AUDITORS),
    get("/api/v1/audit/proof/{event_id}", AUDITORS),
    post("/api/v1/admin/users/{user_id}/roles", Who::These(ADMIN)).small(),
    get("/api/v1/admin/projections", Who::These(ADMIN)),
    post("/api/v1/admin/projections/{name}/rebuild", Who::These(ADMIN)),
    post("/api/v1/admin/projections/{name}/retry", Who::These(ADMIN)),
    get("/api/v1/admin/feed", Who::These(ADMIN)),
    post("/api/v1/admin/feed/replay", Who::These(ADMIN)),
    get("/internal/audit/records", Who::Services(Scope::AuditRead)),
    get("/internal/projections", Who::Services(Scope::ProjectionsRead)),
    post("/internal/projections/{name}/rebuild", Who::Services(Scope::ProjectionsRun)),
    post("/internal/projections/{name}/retry", Who::Services(Scope::ProjectionsRun)),
];

impl Caller {
    /// Whether they may do what they ask for with what belongs to `owner`.
    pub fn may_with(&self, owner: UserId) -> bool {
        self.user == owner || self.with_anothers
    }

    /// Whether they may look for events of their own that are not published.
    pub fn may_have_drafts(&self) -> bool {
        self.roles.has_any(SELLERS)
    }
}
