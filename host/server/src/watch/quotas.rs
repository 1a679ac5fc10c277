//! Quotas as metrics: usage by owner, by group and by backend, and what reconciliations have mended.

use std::fmt;
use std::time::Duration;

use holdall::Host;
use holdall::ledger::{QuotaUsage, Reconciled};
use prometheus_client::encoding::DescriptorEncoder;

use super::metrics::{counter, gauge, signed};

/// Longest wait for the ledger, for each backend.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Quotas(Vec<QuotaOf>);

#[derive(Debug)]
struct QuotaOf {
    backend: String,
    usage: Option<Vec<QuotaUsage>>,
    mended: Reconciled,
}

impl Quotas {
    /// Of each backend with a quota; without usage when the ledger does not answer.
    pub(super) async fn of(host: &Host) -> Self {
        let mut quotas = Vec::new();
        for name in host.backends() {
            let Ok(backend) = host.handle(&name) else {
                continue;
            };
            if backend.has_quota() {
                let usage = tokio::time::timeout(PATIENCE, backend.quota()).await;
                quotas.push(QuotaOf {
                    mended: backend.reconciled(),
                    usage: usage.ok().and_then(Result::ok).flatten(),
                    backend: name,
                });
            }
        }
        Self(quotas)
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        type Read = fn(&QuotaUsage) -> Option<u64>;
        const GAUGES: [(&str, &str, Read); 4] = [
            (
                "holdall_quota_used_bytes",
                "Bytes that are stored, by owner, group and backend",
                |it| Some(it.used),
            ),
            (
                "holdall_quota_reserved_bytes",
                "Bytes that uploads in progress and signed URLs have reserved",
                |it| Some(it.reserved),
            ),
            (
                "holdall_quota_limit_bytes",
                "Most bytes that may be stored",
                |it| it.limit,
            ),
            ("holdall_quota_objects", "Objects that are stored", |it| {
                Some(it.objects)
            }),
        ];
        let each = || {
            self.0.iter().flat_map(|quota| {
                let usage = quota.usage.iter().flatten();
                usage.map(|row| (quota.backend.as_str(), row))
            })
        };
        for (name, help, read) in GAUGES {
            let samples = each().filter_map(|(backend, row)| {
                let labels = [
                    ("backend", backend),
                    ("scope", &*row.scope),
                    ("name", &*row.name),
                ];
                Some((labels, signed(read(row)?)))
            });
            gauge(encoder, name, help, samples)?;
        }
        gauge(
            encoder,
            "holdall_ledger_up",
            "1 while the ledger of quotas answers",
            self.0.iter().map(|quota| {
                let labels = [("backend", quota.backend.as_str())];
                (labels, i64::from(quota.usage.is_some()))
            }),
        )?;
        counter(
            encoder,
            "holdall_quota_reconciliations",
            "Reconciliations of the ledger with a listing",
            self.0.iter().map(|quota| {
                let labels = [("backend", quota.backend.as_str())];
                (labels, quota.mended.runs)
            }),
        )?;
        let mended = self.0.iter().flat_map(|quota| {
            let of = &quota.mended;
            let what = [
                ("added", of.added),
                ("removed", of.removed),
                ("corrected", of.corrected),
                ("released", of.released),
                ("counters", of.counters),
            ];
            let backend = ("backend", quota.backend.as_str());
            what.map(|(what, count)| ([backend, ("what", what)], count))
        });
        counter(
            encoder,
            "holdall_quota_mended",
            "What reconciliations have mended: objects added, removed and corrected, reservations released, counters",
            mended,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::collector::Collector;
    use prometheus_client::registry::Registry;

    #[derive(Debug)]
    struct Shown(Quotas);

    impl Collector for Shown {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
            self.0.encode(&mut encoder)
        }
    }

    /// Of a ledger that does not answer, too.
    #[test]
    fn what_reconciliations_mended_is_shown_by_kind() {
        let mut mended = Reconciled::default();
        (mended.runs, mended.added, mended.removed) = (3, 1, 2);
        (mended.corrected, mended.released, mended.counters) = (4, 5, 6);
        let backend = "photos".to_owned();
        let usage = None;
        let quota = QuotaOf {
            backend,
            usage,
            mended,
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Shown(Quotas(vec![quota]))));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let of = |what: &str| {
            format!("holdall_quota_mended_total{{backend=\"photos\",what=\"{what}\"}}")
        };
        for line in [
            "holdall_ledger_up{backend=\"photos\"} 0".to_owned(),
            "holdall_quota_reconciliations_total{backend=\"photos\"} 3".to_owned(),
            format!("{} 1", of("added")),
            format!("{} 2", of("removed")),
            format!("{} 4", of("corrected")),
            format!("{} 5", of("released")),
            format!("{} 6", of("counters")),
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
        }
    }
}
