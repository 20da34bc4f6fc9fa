//! The samples, and the file that keeps them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::turns::ROUNDS;

/// The samples of one contender at one piece of work on one file system.
#[derive(Clone, Debug)]
pub struct Row {
    pub work: String,
    pub on: String,
    pub contender: String,
    /// Allocated bytes of its last copy.
    pub allocated: Option<u64>,
    /// In seconds; of the work `memory` in bytes.
    pub samples: Vec<f64>,
}

impl Row {
    pub fn median(&self) -> f64 {
        median(&self.samples)
    }

    /// Returns the median of each round. A single sample counts for all rounds.
    pub fn rounds(&self) -> Vec<f64> {
        match self.samples.len() / ROUNDS {
            0 => vec![self.median(); ROUNDS],
            calls => self.samples.chunks_exact(calls).map(median).collect(),
        }
    }

    pub fn least(&self) -> f64 {
        self.samples.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub fn most(&self) -> f64 {
        self.samples.iter().copied().fold(0.0, f64::max)
    }
}

pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

#[derive(Debug, Default)]
pub struct Results {
    /// Lines about the machine: file systems, settings of the kernel, versions of the peers.
    pub machine: Vec<String>,
    /// When, from what and where the samples of each group were measured, by its name.
    pub runs: BTreeMap<String, String>,
    pub rows: Vec<Row>,
}

impl Results {
    pub fn describe_machine(&mut self, lines: Vec<String>) {
        self.machine = lines;
    }

    /// Removes the samples of a group, and records the run that measures it.
    pub fn start(&mut self, work: &str, on: &str, run: &str) {
        self.remove(work, on);
        self.runs.insert(format!("{work}/{on}"), run.to_owned());
    }

    /// Returns the run that measured a group.
    pub fn run(&self, work: &str, on: &str) -> Option<&str> {
        self.runs.get(&format!("{work}/{on}")).map(String::as_str)
    }

    /// Removes the samples of a group.
    pub fn remove(&mut self, work: &str, on: &str) {
        self.rows.retain(|row| row.work != work || row.on != on);
        self.runs.remove(&format!("{work}/{on}"));
    }

    pub fn add(&mut self, work: &str, on: &str, contender: &str, sample: f64) {
        self.add_copy(work, on, contender, sample, None);
    }

    pub fn add_copy(
        &mut self,
        work: &str,
        on: &str,
        contender: &str,
        sample: f64,
        allocated: Option<u64>,
    ) {
        let found = self
            .rows
            .iter_mut()
            .find(|row| row.work == work && row.on == on && row.contender == contender);
        match found {
            Some(row) => {
                row.samples.push(sample);
                row.allocated = allocated;
            }
            None => self.rows.push(Row {
                work: work.to_owned(),
                on: on.to_owned(),
                contender: contender.to_owned(),
                allocated,
                samples: vec![sample],
            }),
        }
    }

    pub fn group(&self, work: &str, on: &str) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(move |row| row.work == work && row.on == on)
    }

    pub fn row(&self, work: &str, on: &str, contender: &str) -> Option<&Row> {
        self.group(work, on).find(|row| row.contender == contender)
    }

    /// Returns the median of a contender, if it took part.
    pub fn median(&self, work: &str, on: &str, contender: &str) -> Option<f64> {
        Some(self.row(work, on, contender)?.median())
    }

    /// Prints a group, in a unit of which a second has `a_second`.
    pub fn print(&self, work: &str, on: &str, a_second: f64, unit: &str) {
        for row in self.group(work, on) {
            let allocated = row.allocated.map(|bytes| format!("  {} MiB", bytes >> 20));
            println!(
                "  {:50} {:9.1} {unit}  ({:.1} to {:.1}){}",
                row.contender,
                row.median() * a_second,
                row.least() * a_second,
                row.most() * a_second,
                allocated.unwrap_or_default()
            );
        }
    }

    pub fn save(&self) -> Result<()> {
        let mut text = String::new();
        for line in &self.machine {
            writeln!(text, "# {line}")?;
        }
        for (group, run) in &self.runs {
            writeln!(text, "@ {group}\t{run}")?;
        }
        writeln!(text, "work\ton\tcontender\tallocated\tsamples")?;
        for row in &self.rows {
            let allocated = row.allocated.map(|bytes| bytes.to_string());
            let samples: Vec<_> = row.samples.iter().map(|s| format!("{s:.9}")).collect();
            writeln!(
                text,
                "{}\t{}\t{}\t{}\t{}",
                row.work,
                row.on,
                row.contender,
                allocated.unwrap_or_default(),
                samples.join(" ")
            )?;
        }
        fs::create_dir_all(dir())?;
        fs::write(file(), text).context("keeping the samples")
    }

    pub fn load() -> Result<Self> {
        let text = fs::read_to_string(file())
            .with_context(|| format!("no results yet: {}", file().display()))?;
        let mut results = Self::default();
        for line in text.lines() {
            if let Some(line) = line.strip_prefix("# ") {
                results.machine.push(line.to_owned());
                continue;
            }
            if let Some((group, run)) = line.strip_prefix("@ ").and_then(|l| l.split_once('\t')) {
                results.runs.insert(group.to_owned(), run.to_owned());
                continue;
            }
            let fields: Vec<&str> = line.split('\t').collect();
            let [work, on, contender, allocated, samples] = fields[..] else {
                anyhow::bail!("not a line of results: {line}");
            };
            if work == "work" {
                continue;
            }
            results.rows.push(Row {
                work: work.to_owned(),
                on: on.to_owned(),
                contender: contender.to_owned(),
                allocated: allocated.parse().ok(),
                samples: samples
                    .split(' ')
                    .map(str::parse)
                    .collect::<Result<_, _>>()?,
            });
        }
        Ok(results)
    }
}

/// Returns the folder of the samples, the report and the charts.
pub fn dir() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results").into()
}

fn file() -> PathBuf {
    dir().join("samples.tsv")
}
