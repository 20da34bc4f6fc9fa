//! How much memory a copy takes above the idle process, in a process of its own.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use wasmtime_fast_copy::CopyOptions;

use crate::disks::Disks;
use crate::files::{GIB, KIB};
use crate::filesystems::FileSystem;
use crate::results::Results;
use crate::{Group, inputs};

pub const WORK: &str = "memory";
pub const MILLION: &str = "sparse_copy, 1,000,000 extents of 4 KiB";
pub const DENSE: &str = "sparse_copy, dense GiB";

pub const FLAG: &str = "--memory-of";

pub fn groups() -> Vec<Group> {
    vec![Group {
        work: WORK,
        on: "ext4",
        run,
    }]
}

fn run(group: &Group, _disks: &Disks, fs: &FileSystem, results: &mut Results) -> Result<()> {
    let dir = fs.dir();
    let src = dir.path().join("src");
    let dst = dir.path().join("dst");
    for contender in [MILLION, DENSE] {
        match contender {
            MILLION => inputs::extents(&src, 1_000_000, 4 * KIB)?,
            _ => inputs::sparse(&src, GIB, std::iter::once(0..GIB))?,
        }
        let output = Command::new(std::env::current_exe()?)
            .arg(FLAG)
            .arg(&src)
            .arg(&dst)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{text}");
        let bytes: f64 = text.trim().parse()?;
        println!("  {contender:44} {:.2} MiB above idle", bytes / 1048576.0);
        results.add(group.work, group.on, contender, bytes);
        fs::remove_file(&dst)?;
    }
    Ok(())
}

/// The child's side: prints by how many bytes the peak of its memory grew.
pub fn in_child(args: &[String]) -> Result<()> {
    let [src, dst] = args else {
        anyhow::bail!("{FLAG} SRC DST");
    };
    let before = peak()?;
    CopyOptions::new().no_sync(true).sparse_copy(src, dst)?;
    println!("{}", peak()? - before);
    Ok(())
}

fn peak() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib.context("VmHWM in /proc/self/status")?.parse::<u64>()? * 1024)
}
