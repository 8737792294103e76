//! Query endpoints against a real log and a real database.

// The attribute tells the linter that this is test code.
#[cfg(test)]
mod audit;
#[cfg(test)]
mod availability;
#[cfg(test)]
mod bookings;
#[cfg(test)]
mod check_availability;
#[cfg(test)]
mod document;
#[cfg(test)]
mod event;
#[cfg(test)]
mod events;
#[cfg(test)]
mod facts;
#[cfg(test)]
mod following;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod seats;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod venues;
#[cfg(test)]
mod waitlist;
#[cfg(test)]
mod world;
