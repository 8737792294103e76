//! How spans leave the process: a bounded queue, a thread that sends what is in it, and an end to both.
//! A collector that does not answer costs spans, and nothing else waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::Uri;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, TraceId, TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, IdGenerator, Sampler, SdkTracerProvider, SpanData,
};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::{Sampling, TARGET};
use crate::ids;

/// How long the end of the process waits for what is still in the queue.
const END_WITHIN: Duration = Duration::from_secs(3);

/// The text is no address that spans can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an address like http://collector:4318, of a collector close by that takes OTLP over \
     HTTP; what is far away it passes on itself"
)]
pub struct EndpointError;

/// Spans cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent")]
pub struct ExportError(#[source] ExporterBuildError);

/// Where traces go, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// Base address of the collector; `/v1/traces` is added.
    pub endpoint: String,
    /// Which traces are kept.
    pub sampling: Sampling,
    /// What the process calls itself, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` say so.
    pub service: &'static str,
    /// Of the program.
    pub version: &'static str,
}

/// Whether spans can be sent to `endpoint`. Nobody is asked.
///
/// # Errors
/// See [`EndpointError`].
pub fn check_endpoint(endpoint: &str) -> Result<(), EndpointError> {
    let uri: Uri = endpoint.parse().map_err(|_| EndpointError)?;
    // A name and password would be sent in the clear, and shown.
    let is_bare = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let is_sound = uri.scheme_str() == Some("http") && is_bare && uri.query().is_none();
    is_sound.then_some(()).ok_or(EndpointError)
}

/// What sends spans, until it is told to end.
pub(crate) struct Exporting(SdkTracerProvider);

impl Exporting {
    /// Starts the thread that sends. Other standard variables are respected by the library: headers,
    /// time-out (`OTEL_EXPORTER_OTLP_*`), the queue and its batches (`OTEL_BSP_*`).
    pub(crate) fn start(export: &Export) -> Result<Self, ExportError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", export.endpoint.trim_end_matches('/')))
            .build()
            .map_err(ExportError)?;
        let exporter = Telling { exporter, fails: AtomicBool::new(false) };
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).build())
            // What is not kept gets no span in the first place.
            .with_sampler(Sampler::AlwaysOn)
            .with_id_generator(Ids)
            .with_resource(resource(export))
            .build();
        Ok(Self(provider))
    }

    /// Sends what is in the queue, if somebody takes it in time.
    pub(crate) fn end(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(END_WITHIN) {
            tracing::info!(%error, "the last spans were not sent");
        }
    }
}

/// What makes spans of those of [`super::spans`], and tells them of what was logged in them.
pub(crate) fn layer<S>(exporting: &Exporting) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let ours = filter_fn(|metadata| match metadata.is_span() {
        true => metadata.target() == TARGET,
        false => *metadata.level() <= Level::WARN,
    });
    tracing_opentelemetry::layer()
        .with_tracer(exporting.0.tracer("evently"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        // Parents are named, and not looked for.
        .with_context_activation(false)
        .with_filter(ours.with_max_level_hint(LevelFilter::INFO))
}

fn resource(export: &Export) -> Resource {
    let attributes = [
        KeyValue::new("service.name", export.service),
        KeyValue::new("service.version", export.version),
        // Another one after each start.
        KeyValue::new("service.instance.id", format!("{:032x}", ids::random_u128())),
    ];
    let resource = Resource::builder_empty()
        .with_attributes(attributes)
        .with_detector(Box::new(EnvResourceDetector::new()));
    let name = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    match name {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

/// Numbers of traces and spans.
#[derive(Debug)]
struct Ids;

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(ids::random_u128())
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(ids::random_u64())
    }
}

/// Says once that spans are lost, and once that they are taken again.
#[derive(Debug)]
struct Telling<E> {
    exporter: E,
    fails: AtomicBool,
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter
    for Telling<E>
{
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.exporter.export(batch).await;
        let failed = self.fails.swap(sent.is_err(), Ordering::Relaxed);
        match &sent {
            Err(error) if !failed => {
                tracing::warn!(%error, "the collector takes no spans; they are dropped");
            }
            Ok(()) if failed => tracing::info!("the collector takes spans again"),
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_a_collector_close_by() {
        for sound in ["http://127.0.0.1:4318", "http://collector:4318/", "http://[::1]:4318/otlp"] {
            assert_eq!(check_endpoint(sound), Ok(()), "{sound}");
        }
        for wrong in [
            "",
            "collector",
            "collector:4318",
            "https://collector:4318",
            "grpc://collector:4317",
            "http://ops:s3cret@collector:4318",
            "http://collector:4318/?key=s3cret",
        ] {
            assert_eq!(check_endpoint(wrong), Err(EndpointError), "{wrong}");
        }
    }
}
