//! Settings of traces, under the names that OpenTelemetry gave them.

use infra::trace::{self, Sampling, SamplingError};

/// Where traces go, and which, as given.
#[derive(Debug, Clone, clap::Args)]
pub struct TraceSettings {
    /// OpenTelemetry collector that takes traces, e.g. `http://collector:4318`; without it there are none
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        hide_short_help = true
    )]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// Which traces are kept that somebody else began, or that begin here: one of the samplers of
    /// OpenTelemetry
    #[arg(
        long,
        global = true,
        value_name = "SAMPLER",
        env = "OTEL_TRACES_SAMPLER",
        default_value = "parentbased_traceidratio",
        hide_short_help = true
    )]
    pub otel_traces_sampler: String,
    /// How many of the traces that begin here are kept, from 0 to 1
    #[arg(
        long,
        global = true,
        value_name = "RATIO",
        env = "OTEL_TRACES_SAMPLER_ARG",
        default_value = "0.01",
        hide_short_help = true
    )]
    pub otel_traces_sampler_arg: String,
}

/// Where traces go, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// The collector.
    pub endpoint: String,
    /// Which are kept.
    pub sampling: Sampling,
}

impl TraceSettings {
    /// Where traces go, and which; there are none if absent. What is wrong is told.
    pub(crate) fn check(&self, wrong: &mut Vec<String>) -> Option<Traces> {
        let (sampler, ratio) = (&self.otel_traces_sampler, &self.otel_traces_sampler_arg);
        let sampling = Sampling::parse(sampler, ratio);
        let sampling = sampling.map_err(|error| {
            let key = match error {
                SamplingError::Sampler => "otel_traces_sampler (OTEL_TRACES_SAMPLER)",
                SamplingError::Ratio => "otel_traces_sampler_arg (OTEL_TRACES_SAMPLER_ARG)",
            };
            wrong.push(format!("{key}: {error}"));
        });
        let endpoint = self.otel_exporter_otlp_endpoint.clone().filter(|url| !url.is_empty())?;
        if std::env::var("OTEL_SDK_DISABLED").is_ok_and(|text| text.eq_ignore_ascii_case("true")) {
            return None;
        }
        if let Err(error) = trace::check_endpoint(&endpoint) {
            let key = "otel_exporter_otlp_endpoint (OTEL_EXPORTER_OTLP_ENDPOINT)";
            wrong.push(format!("{key}: {error}"));
        }
        Some(Traces { endpoint, sampling: sampling.ok()? })
    }

    /// Of a key, what is set.
    pub(super) fn value(&self, key: &str) -> Option<String> {
        match key {
            "otel_exporter_otlp_endpoint" => {
                let endpoint = self.otel_exporter_otlp_endpoint.clone()?;
                // It is refused, and not repeated.
                Some(if endpoint.contains('@') { "***".to_owned() } else { endpoint })
            }
            "otel_traces_sampler" => Some(self.otel_traces_sampler.clone()),
            _ => Some(self.otel_traces_sampler_arg.clone()),
        }
    }
}
