//! The views, one file each.

mod audit;
mod availability;
mod bookings;
mod catalog;
mod seats;
mod waitlist;

pub use audit::Audit;
pub use availability::Availability;
pub use bookings::Bookings;
pub use catalog::Catalog;
pub use seats::Seats;
pub use waitlist::Waitlist;

use crate::Projection;

/// Every view there is.
pub static ALL: [&dyn Projection; 6] =
    [&Catalog, &Availability, &Seats, &Bookings, &Waitlist, &Audit];
