//! Adapters against what they adapt.

// The attribute tells the linter that this is test code.
#[cfg(test)]
mod auth;
#[cfg(test)]
mod child;
#[cfg(test)]
mod data_folder;
#[cfg(test)]
mod extractors;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod kafka;
#[cfg(test)]
#[cfg(feature = "kafka-tls")]
mod kafka_tls;
#[cfg(test)]
mod log;
#[cfg(test)]
mod log_server;
#[cfg(test)]
mod payment;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod rates;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod service;
#[cfg(test)]
mod sockets;
#[cfg(test)]
mod wait;
