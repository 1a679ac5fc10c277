//! A progress bar on a terminal, and nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Bytes moved so far, for people. Cheap to clone; clones move the same bar.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Of many files: no single one's size is the total.
    many: bool,
}

const KNOWN: &str = "{msg:.dim} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}";
const UNKNOWN: &str = "{msg:.dim} {spinner} {bytes} {bytes_per_sec} in {elapsed}";

impl Progress {
    /// Bar of one transfer. Its [`total`](Self::total) may follow later.
    pub(crate) fn one(visible: bool, label: &str) -> Self {
        Self::new(visible, label, false)
    }

    /// Bar of several transfers, counted together.
    pub(crate) fn of_files(visible: bool) -> Self {
        Self::new(visible, "", true)
    }

    fn new(visible: bool, label: &str, many: bool) -> Self {
        if !visible {
            return Self {
                bar: ProgressBar::hidden(),
                many,
            };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(UNKNOWN) {
            bar.set_style(style);
        }
        bar.set_message(label.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, many }
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    pub(crate) fn label(&self, label: String) {
        self.bar.set_message(label);
    }

    /// Now the size of the transfer is known: there is a share and an end in sight.
    pub(crate) fn total(&self, bytes: u64) {
        if self.many || self.bar.is_hidden() {
            return;
        }
        if let Ok(style) = ProgressStyle::with_template(KNOWN) {
            self.bar.set_style(style);
        }
        self.bar.set_length(bytes);
    }

    /// Lets `tell` write to the terminal without the bar in its way.
    pub(crate) fn aside<T>(&self, tell: impl FnOnce() -> T) -> T {
        self.bar.suspend(tell)
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
