//! Shows progress on stderr: as a bar on a terminal, as lines elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::size::human_size;

/// How often a copy is asked for its progress.
pub const TICK: Duration = Duration::from_millis(50);

/// Work that takes less time than this shows no bar.
const SHOW_AFTER: Duration = Duration::from_millis(200);

/// The time between two updates of the bar.
const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// The time between two lines, and before the first.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The width of the bar in characters.
const BAR_WIDTH: usize = 30;

/// The progress of some work. Dropping it erases the bar.
pub struct Progress<'a> {
    name: &'a str,
    terminal: bool,
    start: Instant,
    next: Instant,
    shown: bool,
}

impl<'a> Progress<'a> {
    /// Starts the work. Shows nothing yet.
    pub fn start(name: &'a str) -> Self {
        let (terminal, start) = (stderr().is_terminal(), Instant::now());
        let wait = if terminal { SHOW_AFTER } else { LINE_INTERVAL };
        Self {
            name,
            terminal,
            start,
            next: start + wait,
            shown: false,
        }
    }

    /// Shows how many bytes of `total` are done, if an update is due.
    ///
    /// The bar does not move while the host clones, which copies no bytes, or while it synchronises a copy.
    pub fn show(&mut self, done: u64, total: u64) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        if self.terminal {
            eprint!("\r{}", bar(self.name, done, total));
            let _ = stderr().flush();
            self.shown = true;
            self.next = now + BAR_INTERVAL;
        } else {
            let seconds = (now - self.start).as_secs();
            eprintln!("{}: {} after {seconds} s", self.name, human_size(done));
            self.next = now + LINE_INTERVAL;
        }
    }

    /// Erases the bar, until the next update.
    pub fn hide(&mut self) {
        if self.shown {
            eprint!("\r\x1b[K");
            self.shown = false;
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.hide();
    }
}

/// Returns the bar with its percentage and the bytes done.
fn bar(name: &str, done: u64, total: u64) -> String {
    let total = total.max(1);
    let part = done.min(total) as f64 / total as f64;
    let full = (part * BAR_WIDTH as f64) as usize;
    format!(
        "{name} [{}{}] {:3.0} %  {}\x1b[K",
        "#".repeat(full),
        "-".repeat(BAR_WIDTH - full),
        part * 100.0,
        human_size(done),
    )
}
