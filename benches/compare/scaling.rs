//! The time of a copy against the apparent size, the data, the extents, and concurrent copies.
//!
//! On ext4, which copies bytes, without synchronisation. A contender's name ends with `@` and the point.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fast_copy_test_support::files::{GIB, KIB, MIB, data_ranges};
use fast_copy_test_support::filesystems::FileSystem;

use crate::contenders::{FAST, fast_copy_no_sync};
use crate::disks::Disks;
use crate::group::Group;
use crate::results::{Results, Row};
use crate::turns::{ROUNDS, shuffle};
use crate::{checks, inputs};

const BY_SIZE: &str = "scaling-apparent-size";
const BY_DATA: &str = "scaling-data";
const BY_EXTENTS: &str = "scaling-extents";
const BY_COPIES: &str = "scaling-copies-at-once";

/// The pieces of work, each with a title and a label for the axis.
pub const WORKS: [(&str, &str, &str); 4] = [
    (
        BY_SIZE,
        "the apparent size",
        "GiB of apparent size, 64 MiB of them data",
    ),
    (BY_DATA, "the data", "MiB of data"),
    (BY_EXTENTS, "the extents", "extents of 4 KiB"),
    (BY_COPIES, "copies at once", "copies of 256 MiB at once"),
];

pub const CP: &str = "cp";

pub fn groups() -> Vec<Group> {
    WORKS
        .map(|(work, ..)| Group {
            work,
            on: "ext4",
            run,
        })
        .into()
}

/// Returns the points: GiB of apparent size, MiB of data, extents, copies.
fn points(work: &str) -> &'static [u64] {
    match work {
        BY_SIZE => &[1, 16, 256, 1024, 4096],
        BY_DATA => &[64, 128, 256, 512, 1024, 2048],
        BY_EXTENTS => &[1000, 5000, 20_000, 50_000, 100_000],
        _ => &[1, 2, 4, 8],
    }
}

fn build(work: &str, src: &Path, point: u64) -> Result<()> {
    match work {
        BY_SIZE => inputs::spread(src, point * GIB, 64, MIB),
        BY_DATA => inputs::sparse(src, point * MIB, std::iter::once(0..point * MIB)),
        BY_EXTENTS => inputs::extents(src, point, 4 * KIB),
        _ => inputs::sparse(src, 256 * MIB, std::iter::once(0..256 * MIB)),
    }
}

type One = fn(&Path, &Path) -> Result<()>;

/// Returns the samples of fast_copy and cp at each point, in order.
pub fn points_of<'a>(results: &'a Results, work: &'a str) -> Vec<(u64, &'a Row, &'a Row)> {
    let at = |contender, point| results.row(work, "ext4", &format!("{contender}@{point}"));
    points(work)
        .iter()
        .filter_map(|&point| Some((point, at(FAST, point)?, at(CP, point)?)))
        .collect()
}

fn run(group: &Group, _disks: &Disks, fs: &FileSystem, results: &mut Results) -> Result<()> {
    let dir = fs.dir();
    for &point in points(group.work) {
        let src = dir.path().join(format!("src-{point}"));
        build(group.work, &src, point)?;
    }
    let mut turns: Vec<(u64, &str, One)> = Vec::new();
    for &point in points(group.work) {
        turns.push((point, FAST, fast_copy_no_sync));
        turns.push((point, CP, cp));
    }
    for round in 0..=ROUNDS {
        shuffle(round, &mut turns, |(point, name, _)| {
            format!("{name}@{point}")
        });
        for (point, contender, copy) in &turns {
            let src = dir.path().join(format!("src-{point}"));
            let copies = if group.work == BY_COPIES { *point } else { 1 };
            let time = at_once(copies, &src, *copy)?;
            if round > 0 {
                let name = format!("{contender}@{point}");
                results.add(group.work, group.on, &name, time.as_secs_f64());
            }
        }
    }
    results.print(group.work, group.on, 1e3, "ms");
    Ok(())
}

/// Makes copies at the same time, checks and removes them. Returns the time from the first start to the
/// last end.
fn at_once(copies: u64, src: &Path, copy: One) -> Result<Duration> {
    let copies: Vec<_> = (0..copies)
        .map(|i| src.with_extension(format!("copy-{i}")))
        .collect();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = copies
            .iter()
            .map(|dst| scope.spawn(move || copy(src, dst)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("a copy panicked"))
    })?;
    let time = start.elapsed();
    let data = data_ranges(&File::open(src)?);
    for dst in &copies {
        checks::same(src, dst)?;
        checks::no_denser(dst, &data)?;
        fs::remove_file(dst)?;
    }
    inputs::settle(src.parent().unwrap())?;
    Ok(time)
}

fn cp(src: &Path, dst: &Path) -> Result<()> {
    let mut cp = Command::new("cp");
    let status = cp.arg(src).arg(dst).stdin(Stdio::null()).status()?;
    ensure!(status.success());
    Ok(())
}
