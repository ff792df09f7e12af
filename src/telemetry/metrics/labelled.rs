//! A metric with the labels that the catalogue gives it.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder, NoLabelSet,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

use super::catalogue::{Kind, Metric};

/// Whole numbers and fractions alike.
pub(super) type Level = Gauge<f64, std::sync::atomic::AtomicU64>;

/// What stands in the braces.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Labels<const N: usize> {
    names: &'static [&'static str; N],
    values: [String; N],
}

impl<const N: usize> EncodeLabelSet for Labels<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        for (name, value) in self.names.iter().zip(&self.values) {
            (*name, value.as_str()).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

/// What can be made as the catalogue says.
pub(super) trait Made: Clone {
    fn made(kind: Kind) -> Self;
}

impl Made for Counter {
    fn made(_: Kind) -> Self {
        Self::default()
    }
}

impl Made for Level {
    fn made(_: Kind) -> Self {
        Self::default()
    }
}

impl Made for Histogram {
    fn made(kind: Kind) -> Self {
        let buckets = match kind {
            Kind::Histogram(buckets) => buckets,
            Kind::Counter | Kind::Gauge => &[],
        };
        Self::new(buckets.iter().copied())
    }
}

/// Makes another one when a label's value comes for the first time.
#[derive(Debug, Clone)]
struct Maker(Kind);

impl<M: Made> MetricConstructor<M> for Maker {
    fn new_metric(&self) -> M {
        M::made(self.0)
    }
}

/// A metric, one for each of its labels' values; clones share them.
#[derive(Debug, Clone)]
pub(super) struct By<M, const N: usize> {
    metric: &'static Metric<N>,
    family: Family<Labels<N>, M, Maker>,
}

impl<M, const N: usize> By<M, N>
where
    M: Made + EncodeMetric + TypedMetric + fmt::Debug + Send + Sync + 'static,
{
    pub(super) fn register(registry: &mut Registry, metric: &'static Metric<N>) -> Self {
        let family = Family::new_with_constructor(Maker(metric.kind));
        // What counts is named by the library.
        let name = metric.name.trim_end_matches("_total");
        registry.register(name, metric.help, family.clone());
        Self { metric, family }
    }

    pub(super) fn of(&self, values: [&str; N]) -> M {
        self.family
            .get_or_create_owned(&labels(self.metric, values))
    }
}

fn labels<const N: usize>(metric: &'static Metric<N>, values: [&str; N]) -> Labels<N> {
    Labels {
        names: &metric.labels,
        values: values.map(str::to_owned),
    }
}

/// Writes a metric that is kept elsewhere, as it is now.
pub(super) fn tell<'a, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &'static Metric<N>,
    values: impl IntoIterator<Item = ([&'a str; N], f64)>,
) -> fmt::Result {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let (name, kind) = match metric.kind {
        Kind::Counter => (metric.name.trim_end_matches("_total"), MetricType::Counter),
        Kind::Gauge | Kind::Histogram(_) => (metric.name, MetricType::Gauge),
    };
    let help = format!("{}.", metric.help);
    let mut encoder = encoder.encode_descriptor(name, &help, None, kind)?;
    for (of, value) in values {
        let labels = labels(metric, of);
        let mut one = encoder.encode_family(&labels)?;
        match metric.kind {
            Kind::Counter => one.encode_counter::<NoLabelSet, _, f64>(&value, None)?,
            Kind::Gauge | Kind::Histogram(_) => one.encode_gauge(&value)?,
        }
    }
    Ok(())
}
