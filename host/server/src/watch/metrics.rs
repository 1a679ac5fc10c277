//! `GET /metrics`: what the host and the server count, for Prometheus.
//!
//! Read from the counters of the host at each scrape; nothing is counted twice.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::response::Response;
use holdall::{BackendStatus, OperationReport, PluginFaults, Status};
use http::header::{CONTENT_TYPE, HeaderValue};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;

use crate::call::{Call, Query};
use crate::problem::Problem;
use crate::watch::policies;
use crate::watch::quotas::Quotas;

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The server's own counts.
#[derive(Debug)]
pub(crate) struct Requests {
    /// By status, from 100 on.
    answered: [AtomicU64; 500],
    in_flight: AtomicI64,
    last_reload: Mutex<LastReload>,
}

/// Outcome of the last reload of the configuration; the start counts as one.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct LastReload {
    successful: bool,
    /// Time of it, in seconds since 1970.
    at: i64,
    /// Time of the last successful one, in seconds since 1970.
    succeeded_at: i64,
    /// Why it failed.
    error: Option<String>,
}

impl Requests {
    pub(crate) fn new() -> Self {
        let requests = Self {
            answered: [const { AtomicU64::new(0) }; 500],
            in_flight: AtomicI64::new(0),
            last_reload: Mutex::default(),
        };
        requests.reloaded(Ok(()));
        requests
    }

    pub(crate) fn reloaded(&self, outcome: Result<(), &str>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |it| signed(it.as_secs()));
        let mut last = self.lock_last_reload();
        last.at = now;
        last.successful = outcome.is_ok();
        last.error = outcome.err().map(str::to_owned);
        if last.successful {
            last.succeeded_at = now;
        }
    }

    pub(crate) fn last_reload(&self) -> LastReload {
        self.lock_last_reload().clone()
    }

    fn lock_last_reload(&self) -> MutexGuard<'_, LastReload> {
        let last = self.last_reload.lock();
        last.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn began(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Its handler is done, or was dropped with its connection; a body may still be on its way.
    pub(crate) fn ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, status: http::StatusCode) {
        if let Some(count) = self.answered.get(usize::from(status.as_u16()) - 100) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn seen(&self) -> Vec<(String, u64)> {
        let counts = self.answered.iter().enumerate();
        counts
            .map(|(at, count)| ((at + 100).to_string(), count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

pub(crate) async fn metrics(call: Call, query: Query) -> Result<Response, Problem> {
    query.finish()?;
    call.access.check_admin()?;
    let requests = call.app.requests();
    let host = call.app.host();
    let scrape = Scrape {
        quotas: Quotas::of(host).await,
        status: host.status(),
        answered: requests.seen(),
        in_flight: requests.in_flight.load(Ordering::Relaxed),
        last_reload: requests.last_reload(),
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut body = String::new();
    text::encode(&mut body, &registry).expect("writing to a String does not fail");
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
    Ok(response)
}

/// Everything at one moment.
#[derive(Debug)]
struct Scrape {
    quotas: Quotas,
    status: Status,
    answered: Vec<(String, u64)>,
    in_flight: i64,
    last_reload: LastReload,
}

type Labels<'a, const N: usize> = [(&'static str, &'a str); N];
type None<'a> = Option<&'a Exemplar<Labels<'a, 0>, u64>>;

/// The name of a family without its unit, and the unit: OpenMetrics wants a `UNIT` line for it, and the
/// encoder appends it to the name.
fn unit_of(name: &str) -> (&str, Option<&'static Unit>) {
    for (suffix, unit) in [("_bytes", &Unit::Bytes), ("_seconds", &Unit::Seconds)] {
        if let Some(name) = name.strip_suffix(suffix) {
            return (name, Some(unit));
        }
    }
    (name, None)
}

/// One family: name and help, then a sample for each set of labels.
pub(super) fn counter<'a, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
) -> fmt::Result {
    let (name, unit) = unit_of(name);
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
    for (labels, value) in samples {
        let none: None<'_> = None;
        family
            .encode_family(&labels)?
            .encode_counter(&value, none)?;
    }
    Ok(())
}

pub(super) fn gauge<'a, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels<'a, N>, i64)>,
) -> fmt::Result {
    let (name, unit) = unit_of(name);
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in samples {
        family.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        self.requests(encoder)?;
        self.operations(encoder)?;
        self.backends(encoder)?;
        policies::encode(&self.status, encoder)?;
        self.quotas.encode(encoder)?;
        self.plugins(encoder)
    }
}

impl Scrape {
    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let answered = self.answered.iter();
        counter(
            encoder,
            "holdall_http_requests",
            "Requests that were answered, by status",
            answered.map(|(status, count)| ([("status", status.as_str())], *count)),
        )?;
        gauge(
            encoder,
            "holdall_http_requests_in_flight",
            "Requests that have no answer yet",
            [([], self.in_flight)],
        )?;
        gauge(
            encoder,
            "holdall_config_last_reload_successful",
            "Whether the last reload of the configuration succeeded",
            [([], i64::from(self.last_reload.successful))],
        )?;
        gauge(
            encoder,
            "holdall_config_last_reload_success_timestamp_seconds",
            "Time of the last successful reload of the configuration",
            [([], self.last_reload.succeeded_at)],
        )
    }

    /// Each operation of each backend, with its two labels.
    fn each(&self) -> impl Iterator<Item = (Labels<'_, 2>, &OperationReport)> {
        self.status.backends.iter().flat_map(|backend| {
            let operations = backend.counters.operations.iter();
            operations.map(|(operation, report)| {
                let labels = [("backend", backend.name.as_str()), ("operation", operation)];
                (labels, report)
            })
        })
    }

    fn operations(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        counter(
            encoder,
            "holdall_operations",
            "Operations that began",
            self.each().map(|(labels, report)| (labels, report.calls)),
        )?;
        let errors = self.each().flat_map(|(labels, report)| {
            let [backend, operation] = labels;
            let errors = report.errors.iter();
            errors.map(move |(code, count)| ([backend, operation, ("code", *code)], *count))
        });
        counter(
            encoder,
            "holdall_operation_errors",
            "Operations and bodies of downloads that failed, by code",
            errors,
        )?;
        counter(
            encoder,
            "holdall_operations_dropped",
            "Operations whose caller went away before the answer",
            self.each().map(|(labels, report)| (labels, report.dropped)),
        )?;
        gauge(
            encoder,
            "holdall_operations_in_flight",
            "Operations that are going on",
            self.each()
                .map(|(labels, report)| (labels, signed(report.in_flight))),
        )?;
        let mut family = encoder.encode_descriptor(
            "holdall_operation_duration",
            "Time to the answer; of a download to where its body begins",
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for (labels, report) in self.each() {
            let latency = &report.latency;
            let bounds = holdall::Latency::bounds().iter();
            let bounds = bounds
                .map(|bound| bound.as_secs_f64())
                .chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(latency.counts.iter().copied()).collect();
            let none: Option<&std::collections::HashMap<usize, Exemplar<Labels<'_, 0>, f64>>> =
                None;
            family.encode_family(&labels)?.encode_histogram(
                latency.sum.as_secs_f64(),
                latency.count(),
                &buckets,
                none,
            )?;
        }
        Ok(())
    }

    fn backends(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        type Read = fn(&BackendStatus) -> u64;
        const COUNTERS: [(&str, &str, Read); 7] = [
            (
                "holdall_backend_received_bytes",
                "Payload bytes that went into the plugin",
                |it| it.counters.bytes_in,
            ),
            (
                "holdall_backend_sent_bytes",
                "Payload bytes that came out of the plugin",
                |it| it.counters.bytes_out,
            ),
            (
                "holdall_backend_opens",
                "Instances that were opened",
                |it| it.counters.opens,
            ),
            ("holdall_backend_failed_opens", "Opens that failed", |it| {
                it.counters.failed_opens
            }),
            (
                "holdall_backend_evictions",
                "Instances that were given up after a fault or refused credentials",
                |it| it.counters.evictions,
            ),
            (
                "holdall_backend_released_at_deadline",
                "Callers released at their deadline while the plugin was busy",
                |it| it.counters.released_at_deadline,
            ),
            (
                "holdall_backend_spooled",
                "Uploads of unknown length that went through a temporary file",
                |it| it.counters.spooled,
            ),
        ];
        let each = || self.status.backends.iter();
        for (name, help, read) in COUNTERS {
            let samples = each().map(|it| ([("backend", it.name.as_str())], read(it)));
            counter(encoder, name, help, samples)?;
        }
        gauge(
            encoder,
            "holdall_backend_open",
            "1 while an instance is open",
            each().map(|it| {
                let labels = [
                    ("backend", it.name.as_str()),
                    ("plugin", it.plugin.as_str()),
                ];
                (labels, i64::from(it.state == "open"))
            }),
        )?;
        gauge(
            encoder,
            "holdall_backend_generation",
            "How often the name was registered",
            each().map(|it| ([("backend", it.name.as_str())], signed(it.generation))),
        )
    }

    fn plugins(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let loaded = || {
            let plugins = self.status.plugins.iter();
            plugins.filter_map(|plugin| Some((plugin.name.as_str(), plugin.faults?)))
        };
        let panics = loaded().flat_map(|(name, faults)| {
            let places = [
                ("call", faults.panics_in_calls),
                ("drop", faults.panics_in_drops),
                ("task", faults.panics_in_tasks),
            ];
            places.map(|(place, count)| ([("plugin", name), ("in", place)], count))
        });
        counter(
            encoder,
            "holdall_plugin_panics",
            "Panics inside a plugin: in a call, in a drop, in a task or thread of its own",
            panics,
        )?;
        type Read = fn(&PluginFaults) -> u64;
        const COUNTERS: [(&str, &str, Read); 2] = [
            (
                "holdall_plugin_abandoned",
                "Operations that were pending when their caller went away",
                |it| it.abandoned,
            ),
            (
                "holdall_plugin_late_results",
                "Results that came after their caller had gone, and were freed",
                |it| it.late_results,
            ),
        ];
        let plugins = self.status.plugins.iter();
        let mapped = plugins.map(|plugin| ([("plugin", plugin.name.as_str())], plugin.generations));
        gauge(
            encoder,
            "holdall_plugin_generations",
            "Files of a plugin that are mapped, the one in service and earlier ones",
            mapped.map(|(labels, count)| (labels, signed(count))),
        )?;
        for (name, help, read) in COUNTERS {
            let samples = loaded().map(|(plugin, faults)| ([("plugin", plugin)], read(&faults)));
            counter(encoder, name, help, samples)?;
        }
        Ok(())
    }
}

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
