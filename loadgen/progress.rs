//! The line that is shown while a run goes on, if someone watches.
//!
//! Source of its shape: output of redis-benchmark 7.0.15.
//!
//! Not here: when it is shown (`run`).

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use crate::latency::{count, msec};
use crate::options::{Options, Output};
use crate::output::print;

/// The line that shows how far a run is.
pub(crate) struct Progress {
    title: String,
    is_on: bool,
    /// Requests, latencies and time at the last line.
    last: (u64, u64, Duration),
    /// Characters of the last line, to be covered.
    width: usize,
}

impl Progress {
    /// Returns the progress of a run that has not begun. It stays silent unless someone watches.
    pub(crate) fn new(title: &str, options: &Options) -> Self {
        let shows_text = matches!(options.output, Output::Full | Output::Quiet);
        Self {
            title: title.to_owned(),
            is_on: shows_text && (options.progress || std::io::stdout().is_terminal()),
            last: (0, 0, Duration::ZERO),
            width: 0,
        }
    }

    /// Returns whether anything is shown.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Shows the sums (`requests`, latencies in microseconds) after `elapsed`.
    pub(crate) fn show(&mut self, sums: (u64, u64), elapsed: Duration, is_warmup: bool) {
        if !self.is_on {
            return;
        }
        // The sums start again when the warm-up ends.
        if sums.0 < self.last.0 || elapsed < self.last.2 {
            self.last = (0, 0, Duration::ZERO);
        }
        let line = self.line(sums, elapsed, is_warmup);
        self.last = (sums.0, sums.1, elapsed);
        let width = line.len();
        print(&format!("{line:<old$}\r", old = self.width));
        self.width = width;
    }

    fn line(&self, sums: (u64, u64), elapsed: Duration, is_warmup: bool) -> String {
        let (requests, latency, before) = self.last;
        let part = count(sums.0.saturating_sub(requests));
        let part_seconds = elapsed.saturating_sub(before).as_secs_f64();
        let mut line = String::new();
        if is_warmup {
            line.push_str("Warming up ");
        }
        let written = write!(
            line,
            "{}: rps={:.1} (overall: {:.1}) avg_msec={:.3} (overall: {:.3})",
            self.title,
            part / part_seconds,
            count(sums.0) / elapsed.as_secs_f64(),
            msec(sums.1.saturating_sub(latency)) / part,
            msec(sums.1) / count(sums.0),
        );
        debug_assert!(written.is_ok(), "a string takes everything");
        line
    }

    /// Covers the last line.
    pub(crate) fn clear(&mut self) {
        if self.width > 0 {
            print(&format!("{:1$}\r", "", self.width));
            self.width = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Parsed, parse};

    #[test]
    fn progress_line_has_the_shape_of_redis_benchmark() {
        let words = [b"--progress".to_vec()];
        let Ok(Parsed::Run(options)) = parse(&words) else {
            panic!("the option is known")
        };
        let mut progress = Progress::new("SET", &options);
        assert!(progress.is_on());
        assert_eq!(
            progress.line((500, 50_000), Duration::from_millis(250), false),
            "SET: rps=2000.0 (overall: 2000.0) avg_msec=0.100 (overall: 0.100)"
        );
        progress.last = (500, 50_000, Duration::from_millis(250));
        assert_eq!(
            progress.line((600, 80_000), Duration::from_millis(500), true),
            "Warming up SET: rps=400.0 (overall: 1200.0) avg_msec=0.300 (overall: 0.133)"
        );
    }
}
