//! Copies of a guest at the same time: calls of WASI 0.3, jobs of WASI 0.2, and the guest's own stream copy.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fast_copy_test_support::command::Form;
use fast_copy_test_support::files::{MIB, allocated};
use fast_copy_test_support::filesystems::FileSystem;
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};

use crate::disks::Disks;
use crate::group::Group;
use crate::guests::{self, InFlight};
use crate::results::{Results, Row};
use crate::turns::{ROUNDS, shuffle};
use crate::{checks, inputs};

pub const WORK: &str = "copies-in-flight";

pub const P3: &str = "WASI 0.3: async fast-copy, no-sync";
pub const P2: &str = "WASI 0.2: jobs, async linker: fast-copy, no-sync";
pub const STREAM: &str = "WASI 0.3: write-via-stream(read-via-stream)";

/// In the order of the table.
pub const CONTENDERS: [&str; 3] = [P3, P2, STREAM];

/// The numbers of copies in flight.
pub const IN_FLIGHT: [usize; 3] = [1, 8, 64];

/// The copies of a turn, and their size.
const COPIES: usize = 256;
pub const SIZE: u64 = 4 * MIB;

/// The copies that the host runs at once. The others wait.
const SLOTS: usize = 8;

pub fn groups() -> Vec<Group> {
    ["xfs", "ext4"]
        .map(|on| Group {
            work: WORK,
            on,
            run,
        })
        .into()
}

fn run(group: &Group, _disks: &Disks, fs: &FileSystem, results: &mut Results) -> Result<()> {
    let dir = fs.dir();
    let src = dir.path().join("src");
    inputs::sparse(&src, SIZE, std::iter::once(0..SIZE))?;
    let mut turns: Vec<(&str, usize)> = Vec::new();
    for contender in CONTENDERS {
        turns.extend(IN_FLIGHT.map(|in_flight| (contender, in_flight)));
    }
    for round in 0..=ROUNDS {
        shuffle(round, &mut turns, |turn| format!("{turn:?}"));
        for &(contender, in_flight) in &turns {
            let into = tempfile::tempdir_in(dir.path())?;
            let times = turn(contender, dir.path(), into.path(), in_flight)
                .with_context(|| format!("{contender}, {in_flight} in flight"))?;
            if round > 0 {
                for (figure, sample) in Figure::ALL.into_iter().zip(figures(&times)) {
                    let name = row_name(contender, in_flight, figure);
                    results.add(group.work, group.on, &name, sample);
                }
            }
            check(&src, into.path(), contender != STREAM)?;
            drop(into);
            inputs::settle(dir.path())?;
        }
    }
    results.print(group.work, group.on, 1e6, "µs");
    Ok(())
}

/// A figure of a turn.
#[derive(Clone, Copy, Debug)]
pub enum Figure {
    /// The time of all copies, divided by their number.
    PerCopy,
    /// The median of the times from a call to its end.
    Latency,
    /// Of a hundred calls, the second slowest takes that long.
    SlowLatency,
}

impl Figure {
    const ALL: [Self; 3] = [Self::PerCopy, Self::Latency, Self::SlowLatency];
}

fn figures(times: &InFlight) -> [f64; 3] {
    let mut calls: Vec<f64> = times.calls.iter().map(Duration::as_secs_f64).collect();
    calls.sort_by(f64::total_cmp);
    [
        times.total.as_secs_f64() / calls.len() as f64,
        calls[calls.len() / 2],
        calls[calls.len() * 99 / 100],
    ]
}

fn row_name(contender: &str, in_flight: usize, figure: Figure) -> String {
    let figure = match figure {
        Figure::PerCopy => "time per copy",
        Figure::Latency => "latency",
        Figure::SlowLatency => "latency, 99 %",
    };
    format!("{contender}, {in_flight} in flight, {figure}")
}

/// Returns the samples of a contender.
pub fn row<'a>(
    results: &'a Results,
    on: &str,
    contender: &str,
    in_flight: usize,
    figure: Figure,
) -> Option<&'a Row> {
    results.row(WORK, on, &row_name(contender, in_flight, figure))
}

fn turn(contender: &str, dir: &Path, into: &Path, in_flight: usize) -> Result<InFlight> {
    let into = into.file_name().and_then(|name| name.to_str());
    let dst = format!("{}/{{i}}", into.context("a name")?);
    let copies = FastCopyCtx::builder()
        .slots(CopySlots::new(SLOTS))
        .max_copies(SLOTS)
        .build();
    let form = match contender {
        STREAM => return guests::own_copies_in_flight(dir, "src", &dst, COPIES, in_flight),
        P3 => Form::P3,
        _ => Form::Async,
    };
    guests::fast_copies_in_flight(form, copies, dir, "src", &dst, COPIES, in_flight)
}

fn check(src: &Path, into: &Path, ours: bool) -> Result<()> {
    let mut copies = 0;
    for entry in fs::read_dir(into)? {
        let copy = entry?.path();
        checks::same(src, &copy)?;
        if ours {
            checks::takes_at_most(&copy, allocated(src))?;
        }
        copies += 1;
    }
    ensure!(copies == COPIES, "{copies} copies");
    Ok(())
}
