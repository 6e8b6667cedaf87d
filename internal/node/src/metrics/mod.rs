//! Prometheus: every name described and present from the start, series of ended streams removed.

mod names;
mod recorder;
mod series;

pub(crate) use recorder::Metrics;
