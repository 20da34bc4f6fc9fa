//! Prints a table of copies on stdout, and their notes on stderr.

use std::time::Duration;

use fast_copy::CopyReport;

use crate::notes;
use crate::size::human_size;

pub struct Table {
    /// The width of the first column in characters.
    width: usize,
}

impl Table {
    /// Prints the line with the columns' titles.
    pub fn start(title: &str, names: &[String]) -> Self {
        let longest = names.iter().map(|name| name.chars().count()).max();
        let width = longest.unwrap_or(0).max(title.len());
        println!("{title:width$}  METHOD     APPARENT      COPIED   ALLOCATED  DURABLE       TIME");
        Self { width }
    }

    /// Prints the line of a copy.
    pub fn row(&self, name: &str, report: &CopyReport, time: Duration) {
        println!(
            "{name:width$}  {:7}  {:>10}  {:>10}  {:>10}  {:7}  {:>9}",
            report.method,
            human_size(report.size),
            human_size(report.copied),
            human_size(report.allocated),
            if report.durable { "yes" } else { "no" },
            format!("{:.2} ms", time.as_secs_f64() * 1000.0),
            width = self.width,
        );
        for note in notes::texts(report.notes) {
            eprintln!("note: {name} {note}");
        }
    }
}
