//! What a client asks before anything else.

use std::sync::Arc;

use axum::http::uri::Authority;
use tonic::{Response, Status};

use super::Node;
use crate::log::protocol::{
    ClusterInfo, EndPoint, Member, SupportedMethod, SupportedMethods, WireUuid,
};

/// The service that tells what a server can do.
pub(super) const FEATURES: &str = "event_store.client.server_features.ServerFeatures";

/// The release of the database whose protocol this is, as clients compare it.
const VERSION: &str = "24.10.0-evently";

/// What can be called.
pub(super) async fn features() -> Result<Response<SupportedMethods>, Status> {
    let streams = ["append", "batchappend", "read"]
        .map(|method| (method, "event_store.client.streams.streams"));
    let others = [
        ("read", "event_store.client.gossip.gossip"),
        ("getsupportedmethods", "event_store.client.server_features.serverfeatures"),
    ];
    let described = |(method, service): (&str, &str)| SupportedMethod {
        method: method.to_owned(),
        service: service.to_owned(),
        features: vec![],
    };
    let methods = streams.into_iter().chain(others).map(described).collect();
    Ok(Response::new(SupportedMethods { methods, version: VERSION.to_owned() }))
}

/// The one node there is, at the address by which the client reached it.
pub(super) async fn gossip(
    node: Arc<Node>,
    authority: Option<Authority>,
) -> Result<Response<ClusterInfo>, Status> {
    let address = node.address;
    let (host, port) = match &authority {
        Some(reached) => {
            let host = reached.host().trim_start_matches('[').trim_end_matches(']');
            (host.to_owned(), reached.port_u16().unwrap_or(address.port()))
        }
        None => (address.ip().to_string(), address.port()),
    };
    let member = Member {
        instance: Some(WireUuid::structured(node.log.identity())),
        at: node.clock.now().as_ms().saturating_mul(10_000),
        state: Member::LEADER,
        is_alive: true,
        endpoint: Some(EndPoint { host, port: port.into() }),
    };
    Ok(Response::new(ClusterInfo { members: vec![member] }))
}
