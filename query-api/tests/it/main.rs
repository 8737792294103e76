//! Query endpoints against a real log and a real database.

// The attribute tells the linter that this is test code.
#[cfg(test)]
mod availability;
#[cfg(test)]
mod check_availability;
#[cfg(test)]
mod facts;
#[cfg(test)]
mod following;
#[cfg(test)]
mod seats;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod world;
