//! Projections on a PostgreSQL server.

// The attribute tells the linter that this is test code.
#[cfg(test)]
mod admin;
#[cfg(test)]
mod feed;
#[cfg(test)]
mod native;
