//! A collector of traces, for what is sent to it: OTLP as protobuf over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use parking_lot::Mutex;
use prost::{Message, Oneof};

/// It takes spans until it is dropped.
pub(crate) struct Collector {
    /// As settings name it.
    pub(crate) url: String,
    taken: Taken,
    serving: tokio::task::JoinHandle<()>,
}

type Taken = Arc<Mutex<Vec<Span>>>;

/// A span as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// `service.name` of the process.
    pub(crate) service: String,
    /// In hexadecimal digits, as all numbers.
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    /// Server is 2, client 3, consumer 5.
    pub(crate) kind: i32,
    /// Traces and spans.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) is_error: bool,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Taken::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(taken.clone());
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, taken, serving }
    }

    /// What was sent until now.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.taken.lock().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(taken): State<Taken>, body: Bytes) {
    let request = Request::decode(body).unwrap();
    for of_resource in request.resource_spans {
        let resource = attributes(of_resource.resource.unwrap_or_default().attributes);
        let service = resource["service.name"].clone();
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let links = span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id)));
            taken.lock().push(Span {
                service: service.clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                kind: span.kind,
                links: links.collect(),
                is_error: span.status.is_some_and(|status| status.code == 2),
                name: span.name,
                attributes: attributes(span.attributes),
            });
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::Text(text)) => text,
        Some(Value::Bool(bool)) => bool.to_string(),
        Some(Value::Int(int)) => int.to_string(),
        Some(Value::Double(double)) => double.to_string(),
        None => String::new(),
    };
    all.into_iter().map(|KeyValue { key, value }| (key, text(value))).collect()
}

// What is read of the messages of `opentelemetry.proto.collector.trace.v1`, by its numbers.

#[derive(Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<SentSpan>,
}

#[derive(Message)]
struct SentSpan {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<Link>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

#[derive(Message)]
struct Link {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
}

#[derive(Message)]
struct Status {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Message)]
struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4")]
    value: Option<Value>,
}

#[derive(Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
}
