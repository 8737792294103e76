//! What admins and operators order, with every field and with the least.

use domain::administration::{
    BookingCancellationOrdered, ErasureOrdered, EventCancellationOrdered, Fact,
    MasterKeyRotationOrdered, RolesOrdered, ServiceKeyOrdered, ServiceKeyRevocationOrdered,
    SigningKeyRotationOrdered,
};
use domain::{BookingId, EventId, Request, Role, Scope, Sealed, ServiceKeyId, UserId};

const USER: UserId = UserId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cdef);
const BY: UserId = UserId::from_u128(u128::MAX);
const EVENT: EventId = EventId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_0001);
const KEY: ServiceKeyId = ServiceKeyId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_0002);

/// With every field, and with the least.
pub(super) fn facts() -> (Vec<Fact>, Vec<Fact>) {
    let reason = Sealed::from_text("AQ-reason".to_owned());
    let request = Request::new("0b6f5d0e-Key~1", b"what was asked").ok();
    let (user, by, event, key) = (USER, BY, EVENT, KEY);
    let booking = BookingId { event, number: u64::MAX };
    let roles = |by, request| RolesOrdered {
        user,
        grant: vec![Role::Organizer],
        revoke: vec![Role::Attendee, Role::BoxOffice],
        by,
        reason: reason.clone(),
        request,
    };
    let name = "archive-2".to_owned();
    let most = vec![
        roles(Some(by), request.clone()).into(),
        ErasureOrdered { user, by: Some(by), reason: Some(reason.clone()) }.into(),
        BookingCancellationOrdered {
            booking,
            by,
            reason: Some(reason.clone()),
            request: request.clone(),
        }
        .into(),
        EventCancellationOrdered { event, by, reason: Some(reason.clone()), request }.into(),
        ServiceKeyOrdered { key, name, scopes: Scope::ALL.to_vec() }.into(),
        ServiceKeyRevocationOrdered { key }.into(),
        MasterKeyRotationOrdered {}.into(),
        SigningKeyRotationOrdered { forgets_old: true, reason: Some("leak".to_owned()) }.into(),
    ];
    let (request, none) = (None, None);
    let least = vec![
        roles(None, None).into(),
        ErasureOrdered { user, by: None, reason: None }.into(),
        BookingCancellationOrdered { booking, by, reason: None, request }.into(),
        EventCancellationOrdered { event, by, reason: None, request: none }.into(),
        SigningKeyRotationOrdered { forgets_old: false, reason: None }.into(),
    ];
    (most, least)
}
