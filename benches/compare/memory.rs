//! The memory of a copy above the idle process, measured in a child process.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use fast_copy_test_support::files::{GIB, KIB, allocated, data_ranges};
use fast_copy_test_support::filesystems::{FileSystem, reflinks};
use wasmtime_fast_copy::CopyOptions;

use crate::contenders::{FAST, FAST_DURABLE, SPARSE, SPARSE_DURABLE};
use crate::disks::Disks;
use crate::group::Group;
use crate::results::Results;
use crate::{checks, inputs};

pub const WORK: &str = "memory";

const MILLION: &str = "1,000,000 extents of 4 KiB";
const GIB_OF_DATA: &str = "dense GiB";

pub const FLAG: &str = "--memory-of";

pub fn groups() -> Vec<Group> {
    ["ext4", "xfs"]
        .map(|on| Group {
            work: WORK,
            on,
            run,
        })
        .into()
}

/// Returns the file system, the contender and the input of each row. `fast_copy` makes a clone on XFS, which
/// is one call and moves no bytes whatever the extents, and copies on ext4.
pub fn rows() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut rows = Vec::new();
    for input in [MILLION, GIB_OF_DATA] {
        for contender in [FAST_DURABLE, FAST, SPARSE_DURABLE, SPARSE] {
            rows.push(("ext4", contender, input));
        }
    }
    for contender in [FAST_DURABLE, FAST] {
        rows.push(("xfs", contender, GIB_OF_DATA));
    }
    rows
}

pub fn name(contender: &str, input: &str) -> String {
    format!("{contender}: {input}")
}

fn run(group: &Group, _disks: &Disks, fs: &FileSystem, results: &mut Results) -> Result<()> {
    let dir = fs.dir();
    let dst = dir.path().join("dst");
    for (_, contender, input) in rows().into_iter().filter(|row| row.0 == group.on) {
        let src = dir.path().join(input);
        if !src.exists() {
            match input {
                MILLION => inputs::extents(&src, 1_000_000, 4 * KIB)?,
                _ => inputs::sparse(&src, GIB, std::iter::once(0..GIB))?,
            }
        }
        let bytes = peak_of(contender, &src, &dst).context(contender)?;
        checks::same(&src, &dst)?;
        match reflinks(group.on) {
            true => checks::takes_at_most(&dst, allocated(&src))?,
            false => checks::no_denser(&dst, &data_ranges(&File::open(&src)?))?,
        }
        fs::remove_file(&dst)?;
        inputs::settle(dir.path())?;
        let name = name(contender, input);
        println!("  {name:50} {:.2} MiB above idle", bytes / 1048576.0);
        results.add(group.work, group.on, &name, bytes);
    }
    Ok(())
}

fn peak_of(contender: &str, src: &Path, dst: &Path) -> Result<f64> {
    let output = Command::new(std::env::current_exe()?)
        .args([FLAG, contender])
        .args([src, dst])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{text}{error}");
    Ok(text.trim().parse()?)
}

/// Copies, as the child process, and prints by how many bytes that raised the peak of memory.
pub fn in_child(args: &[String]) -> Result<()> {
    let [contender, src, dst] = args else {
        bail!("{FLAG} CONTENDER SRC DST");
    };
    let options = CopyOptions::new().durable(!contender.ends_with("no-sync"));
    // This resets the peak to the present resident memory (proc(5)).
    fs::write("/proc/self/clear_refs", "5")?;
    let before = peak()?;
    match contender.starts_with("sparse_copy") {
        true => options.sparse_copy(src, dst)?,
        false => options.fast_copy(src, dst)?,
    };
    println!("{}", peak()? - before);
    Ok(())
}

fn peak() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib.context("VmHWM in /proc/self/status")?.parse::<u64>()? * 1024)
}
