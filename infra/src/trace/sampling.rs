//! Which traces are kept, decided where they begin.

use std::str::FromStr;

use super::TraceContext;

/// Which traces are kept: the samplers of OpenTelemetry by their standard names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Who began a trace elsewhere has decided.
    parent_based: bool,
    /// Of those that begin here, from 0 to 1.
    ratio: f64,
}

/// The text names no way to sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SamplingError {
    /// The sampler.
    #[error(
        "expected always_on, always_off, traceidratio, parentbased_always_on, \
         parentbased_always_off or parentbased_traceidratio"
    )]
    Sampler,
    /// Its argument.
    #[error("expected a ratio from 0 to 1, e.g. 0.01 for one trace in a hundred")]
    Ratio,
}

impl Sampling {
    /// By the names of `OTEL_TRACES_SAMPLER` and the ratio of `OTEL_TRACES_SAMPLER_ARG`.
    ///
    /// # Errors
    /// See [`SamplingError`].
    pub fn parse(sampler: &str, ratio: &str) -> Result<Self, SamplingError> {
        let (parent_based, root) = match sampler.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, sampler),
        };
        let ratio = match root {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => f64::from_str(ratio)
                .ok()
                .filter(|ratio| (0.0..=1.0).contains(ratio))
                .ok_or(SamplingError::Ratio)?,
            _ => return Err(SamplingError::Sampler),
        };
        Ok(Self { parent_based, ratio })
    }

    /// Whether a trace is kept that `parent` is part of, or that begins here. A coin tells it, not
    /// the trace's number, which is not known yet: nobody else decides on what begins here.
    pub(super) fn keeps(self, parent: Option<TraceContext>) -> bool {
        match parent {
            Some(parent) if self.parent_based => parent.is_sampled(),
            _ => self.ratio >= 1.0 || toss() < self.ratio,
        }
    }
}

/// From 0 to below 1.
fn toss() -> f64 {
    const BITS: u32 = f64::MANTISSA_DIGITS;
    (crate::ids::random_u64() >> (64 - BITS)) as f64 / (1_u64 << BITS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn kept(sampler: &str, ratio: &str, parent: Option<&str>) -> usize {
        let sampling = Sampling::parse(sampler, ratio).unwrap();
        let parent = parent.map(|parent| parent.parse().unwrap());
        (0..10_000).filter(|_| sampling.keeps(parent)).count()
    }

    #[test]
    fn who_began_a_trace_decides_and_else_the_ratio() {
        let unsampled = SAMPLED.replace("-01", "-00");
        for (sampler, alone, with_sampled, with_unsampled) in [
            ("always_on", 10_000, 10_000, 10_000),
            ("always_off", 0, 0, 0),
            ("parentbased_always_on", 10_000, 10_000, 0),
            ("parentbased_always_off", 0, 10_000, 0),
        ] {
            // The ratio is for others.
            assert_eq!(kept(sampler, "", None), alone, "{sampler}");
            assert_eq!(kept(sampler, "", Some(SAMPLED)), with_sampled, "{sampler}");
            assert_eq!(kept(sampler, "", Some(&unsampled)), with_unsampled, "{sampler}");
        }
        // Beyond doubt, whatever is tossed.
        assert!((500..1_500).contains(&kept("parentbased_traceidratio", "0.1", None)));
        assert!((500..1_500).contains(&kept("traceidratio", "0.1", Some(SAMPLED))));
        assert_eq!(kept("parentbased_traceidratio", "0.1", Some(SAMPLED)), 10_000);
        assert_eq!(kept("parentbased_traceidratio", "0.1", Some(&unsampled)), 0);
        assert_eq!(kept("traceidratio", "0", None), 0);
        assert_eq!(kept("traceidratio", "1", None), 10_000);
    }

    #[test]
    fn what_names_no_sampler_is_refused() {
        for sampler in ["", "on", "parentbased_", "jaeger_remote"] {
            assert_eq!(Sampling::parse(sampler, "1"), Err(SamplingError::Sampler), "{sampler}");
        }
        for ratio in ["", "-0.1", "1.1", "NaN", "10%"] {
            let found = Sampling::parse("traceidratio", ratio);
            assert_eq!(found, Err(SamplingError::Ratio), "{ratio}");
        }
    }
}
