//! What admins and operators order, with every field and with the least.

use domain::administration::{
    BookingCancellationOrdered, ErasureGround, ErasureOrdered, EventCancellationOrdered,
    EventChangeOrdered, EventPublicationOrdered, Fact, FeedReplayOrdered, KeysRenewalOrdered,
    MasterKeyRotationOrdered, Operator, RolesOrdered, ServiceKeyOrdered,
    ServiceKeyRevocationOrdered, SigningKeyRotationOrdered, VenueChangeOrdered, ViewRebuildOrdered,
    ViewRetryOrdered,
};
use domain::{BookingId, EventId, Request, Role, Scope, Sealed, ServiceKeyId, UserId, VenueId};

const USER: UserId = UserId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cdef);
const BY: UserId = UserId::from_u128(u128::MAX);
const EVENT: EventId = EventId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_0001);
const KEY: ServiceKeyId = ServiceKeyId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_0002);
const VENUE: VenueId = VenueId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_0003);

fn sealed() -> Sealed {
    Sealed::from_text("AQ-reason".to_owned())
}

fn asked() -> Option<Request> {
    Request::new("0b6f5d0e-Key~1", b"what was asked").ok()
}

/// With every field, and with the least.
pub(super) fn facts() -> (Vec<Fact>, Vec<Fact>) {
    (most(), least())
}

fn most() -> Vec<Fact> {
    let (user, by, event, key, venue) = (USER, BY, EVENT, KEY, VENUE);
    let (booking, owner, reason) = (BookingId { event, number: u64::MAX }, Some(USER), sealed());
    let (sealed, request) = (Some(sealed()), asked());
    let operator = Operator { by: Some(BY), service: Some(KEY), reason: Some("case-7".to_owned()) };
    let view = || "bookings".to_owned();
    let (ground, events) = (None, vec![]);
    vec![
        RolesOrdered {
            user,
            grant: vec![Role::Organizer],
            revoke: vec![Role::Attendee, Role::BoxOffice],
            by: Some(by),
            reason: reason.clone(),
            request: request.clone(),
        }
        .into(),
        // What came later has files of its own.
        ErasureOrdered { user, by: Some(by), ground, events, reason: sealed.clone() }.into(),
        BookingCancellationOrdered {
            booking,
            by,
            owner: None,
            reason: sealed.clone(),
            request: request.clone(),
        }
        .into(),
        EventCancellationOrdered { event, by, owner: None, reason: sealed, request: asked() }
            .into(),
        EventChangeOrdered { event, by, owner, reason: reason.clone(), request: asked() }.into(),
        EventPublicationOrdered { event, by, owner, reason: reason.clone(), request: asked() }
            .into(),
        VenueChangeOrdered { venue, by, owner, reason, request }.into(),
        ServiceKeyOrdered { key, name: "archive-2".to_owned(), scopes: Scope::ALL.to_vec() }.into(),
        ServiceKeyRevocationOrdered { key }.into(),
        MasterKeyRotationOrdered {}.into(),
        KeysRenewalOrdered {}.into(),
        SigningKeyRotationOrdered { forgets_old: true, reason: Some("leak".to_owned()) }.into(),
        ViewRebuildOrdered { view: view(), operator: operator.clone() }.into(),
        ViewRetryOrdered { view: view(), operator: operator.clone() }.into(),
        FeedReplayOrdered { from: u64::MAX, operator }.into(),
    ]
}

fn least() -> Vec<Fact> {
    let (user, by, event, venue, owner) = (USER, BY, EVENT, VENUE, None);
    let (booking, reason) = (BookingId { event, number: u64::MAX }, sealed());
    let (request, operator) = (None, Operator::default());
    let view = || "bookings".to_owned();
    vec![
        RolesOrdered {
            user,
            grant: vec![Role::Organizer],
            revoke: vec![Role::Attendee, Role::BoxOffice],
            by: None,
            reason: reason.clone(),
            request: None,
        }
        .into(),
        ErasureOrdered { user, by: None, ground: None, events: vec![], reason: None }.into(),
        BookingCancellationOrdered { booking, by, owner, reason: None, request: None }.into(),
        EventCancellationOrdered { event, by, owner, reason: None, request: None }.into(),
        EventChangeOrdered { event, by, owner, reason: reason.clone(), request: None }.into(),
        EventPublicationOrdered { event, by, owner, reason: reason.clone(), request: None }.into(),
        VenueChangeOrdered { venue, by, owner, reason, request }.into(),
        SigningKeyRotationOrdered { forgets_old: false, reason: None }.into(),
        ViewRebuildOrdered { view: view(), operator: operator.clone() }.into(),
        ViewRetryOrdered { view: view(), operator: operator.clone() }.into(),
        FeedReplayOrdered { from: 0, operator }.into(),
    ]
}

/// With fields that came later.
pub(super) fn later() -> Vec<(&'static str, Fact)> {
    let (user, by, event, owner) = (USER, BY, EVENT, Some(USER));
    let booking = BookingId { event, number: u64::MAX };
    let (ground, events) = (Some(ErasureGround::Inactivity), vec![EVENT]);
    let erasure = ErasureOrdered { user, by: None, ground, events, reason: None };
    let (reason, request) = (Some(sealed()), asked());
    let (again, asked) = (reason.clone(), request.clone());
    let of_booking = BookingCancellationOrdered { booking, by, owner, reason, request };
    let of_event = EventCancellationOrdered { event, by, owner, reason: again, request: asked };
    vec![("ground", erasure.into()), ("owner", of_booking.into()), ("owner", of_event.into())]
}
