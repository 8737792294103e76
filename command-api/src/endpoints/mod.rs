//! One file per endpoint.

pub(crate) mod cancel_booking;
pub(crate) mod cancel_event;
pub(crate) mod change_event;
pub(crate) mod change_venue;
pub(crate) mod confirm;
pub(crate) mod create_venue;
pub(crate) mod draft_event;
mod event_body;
pub(crate) mod join_waitlist;
pub(crate) mod leave_waitlist;
pub(crate) mod publish_event;
pub(crate) mod reserve;
mod venue_body;

/// The API document's part on commands.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    create_venue::create_venue,
    change_venue::change_venue,
    draft_event::draft_event,
    change_event::change_event,
    publish_event::publish_event,
    cancel_event::cancel_event,
    reserve::reserve,
    confirm::confirm,
    cancel_booking::cancel_booking,
    join_waitlist::join_waitlist,
    leave_waitlist::leave_waitlist,
))]
pub(crate) struct Document;
