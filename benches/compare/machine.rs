//! What was measured with.

use std::fs;

use crate::program::administrators;

/// A line for each thing that a figure depends on.
pub fn describe() -> Vec<String> {
    let processor = line_of("/proc/cpuinfo", "model name").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory: u64 = line_of("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or(0);
    let mut lines = vec![
        format!("{processor}, {cores} cores, {} GiB", memory >> 20),
        format!(
            "Linux {}; ext4, XFS and btrfs on loop devices",
            fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
        ),
        format!(
            "wasmtime-fast-copy {}, release build",
            env!("CARGO_PKG_VERSION")
        ),
    ];
    // What it takes to wake a thread depends on this, where the kernel runs in a virtual machine.
    if let Ok(nanos) = fs::read_to_string("/sys/module/haltpoll/parameters/guest_halt_poll_ns") {
        lines.push(format!(
            "an idle processor halts after {} ns (guest_halt_poll_ns)",
            nanos.trim()
        ));
    }
    for (program, flag) in [
        ("rustc", "--version"),
        ("cp", "--version"),
        ("qemu-img", "--version"),
        ("rsync", "--version"),
        ("xcp", "--version"),
        ("mkfs.ext4", "-V"),
        ("mkfs.xfs", "-V"),
        ("mkfs.btrfs", "--version"),
    ] {
        lines.push(version(program, flag).unwrap_or_else(|| format!("{program}: not installed")));
    }
    lines
}

fn line_of(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn version(program: &str, flag: &str) -> Option<String> {
    let output = administrators(program).arg(flag).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Some(text.lines().next()?.trim().to_owned())
}
