//! Who gets through at which route: every route, every role, with one's own and with another's.

use Role::{Admin, Attendee, Auditor, BoxOffice, Organizer};
use infra::auth::{Role, Scope};

/// What a route is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    /// Nothing that belongs to one person.
    Nothing,
    Venue,
    Draft,
    Published,
    Hold,
}
use Thing::{Draft, Hold, Nothing, Published, Venue};

/// Who gets through without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    /// Also with one that is no good.
    Anybody,
    /// But not with one that is no good.
    Guests,
    /// Whoever has none is told that nothing is there.
    Hidden,
    Nobody,
    /// Nor with any token of a person: it takes a service key of this scope.
    Services(Scope),
}
use Without::{Anybody, Guests, Hidden, Nobody, Services};

pub(super) struct Row {
    pub(super) route: &'static str,
    pub(super) query: &'static str,
    pub(super) thing: Thing,
    pub(super) without: Without,
    /// Who gets through with their own, and if there is no owner at all.
    pub(super) own: &'static [Role],
    /// Who gets through with another's.
    pub(super) anothers: &'static [Role],
    /// What those of `own` are told who are not of `anothers`.
    pub(super) refusal: u16,
    /// What it is counted as; nothing if empty.
    pub(super) counted: &'static str,
}

impl Row {
    const fn counted(mut self, counted: &'static str) -> Self {
        self.counted = counted;
        self
    }
}

const fn open(route: &'static str) -> Row {
    plain(route, Anybody, &Role::ALL)
}

const fn plain(route: &'static str, without: Without, own: &'static [Role]) -> Row {
    let counted = "general";
    Row { route, query: "", thing: Nothing, without, own, anothers: own, refusal: 0, counted }
}

const fn of(
    thing: Thing,
    route: &'static str,
    own: &'static [Role],
    anothers: &'static [Role],
    refusal: u16,
) -> Row {
    let (query, counted) = ("", "general");
    Row { route, query, thing, without: Nobody, own, anothers, refusal, counted }
}

const BUYERS: &[Role] = &[Attendee, Organizer, BoxOffice, Admin];
const SELLERS: &[Role] = &[Organizer, Admin];

pub(super) const TABLE: &[Row] = &[
    open("GET /health").counted(""),
    open("GET /health/live").counted(""),
    open("GET /health/ready").counted(""),
    open("GET /metrics").counted(""),
    open("GET /openapi.json").counted(""),
    open("GET /.well-known/jwks.json").counted(""),
    open("POST /api/v1/auth/register").counted("authentication"),
    open("POST /api/v1/auth/email/verify").counted("authentication"),
    open("POST /api/v1/auth/login").counted("authentication"),
    open("POST /api/v1/auth/refresh"),
    open("POST /api/v1/auth/logout"),
    open("GET /api/v1/auth/oidc/login").counted("authentication"),
    // Nobody is logged in who was not: that is 401 here too.
    Row { without: Anybody, ..plain("GET /api/v1/auth/oidc/callback", Anybody, &Role::ALL) }
        .counted("authentication"),
    open("POST /api/v1/auth/password/forgot").counted("authentication"),
    open("POST /api/v1/auth/password/reset").counted("authentication"),
    plain("GET /api/v1/users/me", Nobody, &Role::ALL),
    plain("PUT /api/v1/users/me", Nobody, &Role::ALL),
    plain("DELETE /api/v1/users/me", Nobody, &Role::ALL),
    plain("GET /api/v1/users/me/export", Nobody, &Role::ALL).counted("export"),
    plain("PUT /api/v1/users/me/password", Nobody, &Role::ALL).counted("authentication"),
    plain("GET /api/v1/users/me/bookings", Nobody, &Role::ALL),
    open("GET /api/v1/venues"),
    open("GET /api/v1/venues/{venue_id}"),
    plain("POST /api/v1/venues", Nobody, SELLERS),
    of(Venue, "PUT /api/v1/venues/{venue_id}", SELLERS, &[Admin], 403),
    plain("GET /api/v1/events", Guests, &Role::ALL),
    Row { query: "?status=draft", ..plain("GET /api/v1/events", Nobody, SELLERS) },
    Row {
        without: Guests,
        ..of(Published, "GET /api/v1/events/{event_id}", &Role::ALL, &Role::ALL, 0)
    },
    Row {
        without: Hidden,
        ..of(Draft, "GET /api/v1/events/{event_id}", &Role::ALL, &[Admin], 404)
    },
    open("GET /api/v1/events/{event_id}/availability"),
    open("GET /api/v1/events/{event_id}/seats"),
    open("GET /api/v1/events/{event_id}/stream"),
    plain("POST /api/v1/events", Nobody, SELLERS),
    of(Published, "PUT /api/v1/events/{event_id}", SELLERS, &[Admin], 403),
    of(Draft, "PUT /api/v1/events/{event_id}", SELLERS, &[Admin], 404),
    of(Published, "DELETE /api/v1/events/{event_id}", SELLERS, &[Admin], 403),
    of(Draft, "DELETE /api/v1/events/{event_id}", SELLERS, &[Admin], 404),
    of(Published, "POST /api/v1/events/{event_id}/publish", SELLERS, &[Admin], 403),
    of(Draft, "POST /api/v1/events/{event_id}/publish", SELLERS, &[Admin], 404),
    open("POST /api/v1/bookings/check-availability"),
    plain("POST /api/v1/bookings/reserve", Nobody, BUYERS).counted("booking"),
    of(Hold, "POST /api/v1/bookings/confirm", BUYERS, &[], 404).counted("booking"),
    of(Hold, "GET /api/v1/bookings/{booking_id}", &Role::ALL, &[Admin, BoxOffice, Auditor], 404),
    of(Hold, "DELETE /api/v1/bookings/{booking_id}", BUYERS, &[Admin], 404).counted("booking"),
    plain("POST /api/v1/waitlist/join", Nobody, BUYERS).counted("booking"),
    plain("GET /api/v1/waitlist/position", Nobody, &Role::ALL),
    plain("DELETE /api/v1/waitlist/leave", Nobody, BUYERS).counted("booking"),
    plain("GET /api/v1/audit/records", Nobody, &[Auditor, Admin]),
    plain("GET /api/v1/audit/proof/{event_id}", Nobody, &[Auditor, Admin]),
    plain("POST /api/v1/admin/users/{user_id}/roles", Nobody, &[Admin]),
    plain("GET /api/v1/admin/projections", Nobody, &[Admin]),
    plain("POST /api/v1/admin/projections/{name}/rebuild", Nobody, &[Admin]),
    plain("POST /api/v1/admin/projections/{name}/retry", Nobody, &[Admin]),
    plain("GET /api/v1/admin/feed", Nobody, &[Admin]),
    plain("POST /api/v1/admin/feed/replay", Nobody, &[Admin]),
    plain("GET /internal/audit/records", Services(Scope::AuditRead), &[]),
    plain("GET /internal/projections", Services(Scope::ProjectionsRead), &[]),
    plain("POST /internal/projections/{name}/rebuild", Services(Scope::ProjectionsRun), &[]),
    plain("POST /internal/projections/{name}/retry", Services(Scope::ProjectionsRun), &[]),
];

/// Every route for services, and the scope that it takes.
pub(crate) fn services() -> impl Iterator<Item = (&'static str, Scope)> {
    TABLE.iter().filter_map(|row| match row.without {
        Services(scope) => Some((row.route, scope)),
        _ => None,
    })
}
