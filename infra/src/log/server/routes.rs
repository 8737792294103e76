//! Which call is answered by what.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::{Request, Response};
use futures::future::BoxFuture;
use prost::Message;
use tonic::Status;
use tonic::body::Body;
use tonic::codec::ProstCodec;
use tonic::server::Grpc;
use tower::{Service, service_fn};

use super::refusal::Refusal;
use super::{Node, append, batch, node, read};
use crate::log::Unfit;
use crate::log::protocol::DeleteReq;

/// Bytes of one message at most: a record with as much data and metadata as the log takes.
const MAX_MESSAGE: usize = 2 * Unfit::MAX_RECORD + (64 << 10);

const IMMUTABLE: &str = "not supported: this log is immutable, nothing in it is ever deleted";

/// The protocol's service, one for all connections.
#[derive(Clone)]
pub(super) struct Routes(Arc<Node>);

impl Routes {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self(node)
    }
}

impl Service<Request<Body>> for Routes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let node = Arc::clone(&self.0);
        Box::pin(async move { Ok(answer(node, request).await) })
    }
}

async fn answer(node: Arc<Node>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let Some((service, method)) = path[1..].split_once('/') else { return unknown() };
    // Official clients ask what a server can do before they say who they are.
    if service != node::FEATURES
        && let Err(refusal) = node.access.check(request.headers())
    {
        return Status::from(refusal).into_http();
    }
    match (service, method) {
        ("event_store.client.streams.Streams", method) => streams(node, method, request).await,
        (node::FEATURES, "GetSupportedMethods") => {
            let features = service_fn(|_: tonic::Request<()>| node::features());
            grpc().unary(features, request).await
        }
        ("event_store.client.gossip.Gossip", "Read") => {
            let authority = request.uri().authority().cloned();
            let gossip =
                service_fn(|_: tonic::Request<()>| node::gossip(node.clone(), authority.clone()));
            grpc().unary(gossip, request).await
        }
        _ => unknown(),
    }
}

async fn streams(node: Arc<Node>, method: &str, request: Request<Body>) -> Response<Body> {
    match method {
        "Append" => {
            let append = service_fn(|call| append::append(node.clone(), call));
            grpc().client_streaming(append, request).await
        }
        "BatchAppend" => {
            let batch = service_fn(|call| batch::batch_append(node.clone(), call));
            grpc().streaming(batch, request).await
        }
        "Read" => {
            let read = service_fn(|call| read::read(node.clone(), call));
            grpc().server_streaming(read, request).await
        }
        "Delete" | "Tombstone" => {
            let refuse = async |_: tonic::Request<DeleteReq>| {
                Err::<tonic::Response<()>, _>(Status::from(Refusal::unsupported(IMMUTABLE)))
            };
            grpc().unary(service_fn(refuse), request).await
        }
        _ => unknown(),
    }
}

fn grpc<E, D>() -> Grpc<ProstCodec<E, D>>
where
    E: Message + 'static,
    D: Message + Default + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(MAX_MESSAGE)
}

fn unknown() -> Response<Body> {
    Status::unimplemented("this log server has no such method").into_http()
}
