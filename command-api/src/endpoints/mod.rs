//! One file per endpoint.

mod account_body;
mod as_admin;
pub(crate) mod cancel_booking;
pub(crate) mod cancel_event;
pub(crate) mod change_event;
pub(crate) mod change_password;
pub(crate) mod change_profile;
pub(crate) mod change_roles;
pub(crate) mod change_venue;
pub(crate) mod confirm;
pub(crate) mod create_venue;
pub(crate) mod draft_event;
pub(crate) mod erase_me;
mod event_body;
pub(crate) mod export_me;
pub(crate) mod forgot_password;
pub(crate) mod join_waitlist;
pub(crate) mod leave_waitlist;
pub(crate) mod log_in;
pub(crate) mod log_out;
pub(crate) mod oidc_callback;
pub(crate) mod oidc_login;
pub(crate) mod profile;
pub(crate) mod publish_event;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod reserve;
pub(crate) mod reset_password;
mod venue_body;
pub(crate) mod verify_email;

/// A number as the domain may have it. One that it cannot have becomes one that it refuses: it alone
/// knows, and says, from where to where numbers go.
fn in_bounds<T: TryFrom<i64> + From<u8> + std::ops::Not<Output = T>>(number: i64) -> T {
    T::try_from(number).unwrap_or_else(|_| !T::from(0))
}

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
    register::register,
    verify_email::verify_email,
    log_in::log_in,
    refresh::refresh,
    log_out::log_out,
    oidc_login::oidc_login,
    oidc_callback::oidc_callback,
    forgot_password::forgot_password,
    reset_password::reset_password,
    profile::profile,
    change_profile::change_profile,
    change_password::change_password,
    erase_me::erase_me,
    export_me::export_me,
    change_roles::change_roles,
))]
pub(crate) struct Document;
