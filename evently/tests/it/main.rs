//! Tests of the program as a whole: the binary as a process of its own.

// The attribute tells the linter that this is test code.
#[cfg(test)]
mod absences;
#[cfg(test)]
mod accounts;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod books;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod collector;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod deployment;
#[cfg(test)]
mod dex;
#[cfg(test)]
mod erasing;
#[cfg(test)]
mod feed;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod house;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod log_server;
#[cfg(test)]
mod lost;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod nginx;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod people;
#[cfg(test)]
mod projections;
#[cfg(test)]
mod race;
#[cfg(test)]
mod reasons;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod room;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod server;
#[cfg(test)]
mod services;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod story;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod view_rows;
#[cfg(test)]
#[cfg(feature = "embedded-postgres")]
mod views;
