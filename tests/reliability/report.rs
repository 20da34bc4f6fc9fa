//! Puts the results of the long forms into `docs/reliability.md`.
//!
//! A file of results has the lines `date`, `kernel`, `commit`, `seconds` and `command`, each followed by a tab and
//! the value. After them comes a line for each row: its name, then `FIGURE=COUNT` for each column.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

/// The argument that makes the report.
pub const FLAG: &str = "--report";

const REPORT: &str = "docs/reliability.md";
const RESULTS: &str = "tests/reliability/results";
/// The lines around the results of a kind in the report.
const BEGIN: &str = "<!-- results: ";
const END: &str = "<!-- end of results -->";

pub fn main() -> ExitCode {
    match make() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn make() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let report = root.join(REPORT);
    let old = fs::read_to_string(&report).with_context(|| REPORT)?;
    let mut new = String::new();
    let mut lines = old.lines();
    let mut used = Vec::new();
    while let Some(line) = lines.next() {
        writeln!(new, "{line}")?;
        let Some(kind) = line
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        let path = root.join(RESULTS).join(format!("{kind}.tsv"));
        let table = match fs::read_to_string(&path) {
            Ok(results) => Results::parse(&results)?.markdown(),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                "No complete run of the long form is recorded yet.\n".to_owned()
            }
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        writeln!(new, "\n{table}\n{END}")?;
        ensure!(
            lines.any(|line| line == END),
            "no end of the results of {kind}"
        );
        used.push(format!("{kind}.tsv"));
    }
    for entry in fs::read_dir(root.join(RESULTS))? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        ensure!(
            !name.ends_with(".tsv") || used.contains(&name),
            "{REPORT} has no place for {RESULTS}/{name}"
        );
    }
    fs::write(&report, new)?;
    Ok(())
}

/// The results of one run of a long form.
struct Results<'a> {
    about: BTreeMap<&'a str, &'a str>,
    columns: Vec<&'a str>,
    rows: Vec<(&'a str, BTreeMap<&'a str, &'a str>)>,
}

impl<'a> Results<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let mut results = Self {
            about: BTreeMap::new(),
            columns: Vec::new(),
            rows: Vec::new(),
        };
        for line in text.lines() {
            let (name, rest) = line.split_once('\t').context("a line without a tab")?;
            if !rest.contains('=') {
                results.about.insert(name, rest);
                continue;
            }
            let mut row = BTreeMap::new();
            for figure in rest.split('\t') {
                let (column, count) = figure.split_once('=').context("a figure without =")?;
                if !results.columns.contains(&column) {
                    results.columns.push(column);
                }
                row.insert(column, count);
            }
            results.rows.push((name, row));
        }
        // Tests run at the same time, and end in any order. Items of the contract begin with their number.
        results.rows.sort_by_key(|(name, _)| {
            let number = name
                .split_once('.')
                .and_then(|(number, _)| number.parse().ok());
            (number.unwrap_or(u64::MAX), *name)
        });
        Ok(results)
    }

    fn markdown(&self) -> String {
        let about = |name| self.about.get(name).copied().unwrap_or("unknown");
        let mut text = format!(
            "`{}`, {}, Linux {}, commit {}, {}:\n\n",
            about("command"),
            about("date"),
            about("kernel"),
            about("commit"),
            duration(about("seconds")),
        );
        let _ = writeln!(text, "| | {} |", self.columns.join(" | "));
        let _ = writeln!(text, "| --- |{}", " ---: |".repeat(self.columns.len()));
        for (name, row) in &self.rows {
            let cell = |column| {
                row.get(column)
                    .map_or(String::new(), |count| grouped(count))
            };
            let cells: Vec<_> = self.columns.iter().map(cell).collect();
            let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
        }
        text
    }
}

fn duration(seconds: &str) -> String {
    match seconds.parse::<u64>() {
        Ok(seconds) if seconds >= 120 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{seconds} s"),
    }
}

/// Returns a number with a comma before each group of three digits.
fn grouped(number: &str) -> String {
    let digits = number.len();
    let mut text = String::new();
    for (index, digit) in number.chars().enumerate() {
        if index > 0 && (digits - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
