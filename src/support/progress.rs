//! Progress on a terminal: bytes, rate, time left. In a pipe, nothing.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Whether progress is shown.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    shown: bool,
}

/// One piece of long work.
pub struct Work(ProgressBar);

impl Progress {
    pub fn hidden() -> Self {
        Self { shown: false }
    }

    /// Shown when standard error is a terminal.
    pub fn on_terminal() -> Self {
        Self {
            shown: std::io::stderr().is_terminal(),
        }
    }

    /// Work measured in bytes; the total of a pipe is unknown.
    pub fn bytes(self, name: &str, total: Option<u64>) -> Work {
        self.work(
            name,
            total,
            "{spinner} {msg} {bytes}/{total_bytes} {bar:30} {bytes_per_sec}, {eta} left",
            "{spinner} {msg} {bytes} {bytes_per_sec}",
        )
    }

    /// Work measured in records.
    pub fn records(self, name: &str, total: u64) -> Work {
        self.work(
            name,
            Some(total),
            "{spinner} {msg} {human_pos}/{human_len} {bar:30} {per_sec}, {eta} left",
            "{msg}",
        )
    }

    fn work(self, name: &str, total: Option<u64>, sized: &str, unsized_: &str) -> Work {
        let target = if self.shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = if total.is_some() { sized } else { unsized_ };
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(name.to_owned());
        if self.shown {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Work(bar)
    }
}

impl Work {
    /// How far it is.
    pub fn at(&self, position: u64) {
        self.0.set_position(position);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
