//! The machine and the programs of a measurement.

use std::fs;
use std::process::Command;

use fast_copy_test_support::program::administrative;

/// Returns a line for each property that the figures depend on, except those in [`run`].
pub fn describe() -> Vec<String> {
    let mut lines = vec!["ext4, XFS and btrfs are on loop devices".to_owned()];
    // In a virtual machine, the time to wake a thread depends on this.
    if let Ok(nanos) = fs::read_to_string("/sys/module/haltpoll/parameters/guest_halt_poll_ns") {
        lines.push(format!(
            "an idle processor halts after {} ns (guest_halt_poll_ns)",
            nanos.trim()
        ));
    }
    if reports_free_pages() {
        lines.push(
            "free memory is given back to the host (free page reporting), but for a reserve"
                .to_owned(),
        );
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

/// Whether the balloon device of this virtual machine has `VIRTIO_BALLOON_F_REPORTING`, bit 5.
pub fn reports_free_pages() -> bool {
    let Ok(devices) = fs::read_dir("/sys/bus/virtio/drivers/virtio_balloon") else {
        return false;
    };
    devices
        .filter_map(|device| fs::read_to_string(device.ok()?.path().join("features")).ok())
        .any(|features| features.as_bytes().get(5) == Some(&b'1'))
}

/// Returns what differs between runs: `2026-01-31, commit 0123abc; PROCESSOR, 2 cores, 24 GiB, Linux 6.12`.
pub fn run() -> String {
    let day = output("date", &["-u", "+%F"]).unwrap_or_default();
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    // The run itself changes its results and the files made from them.
    let others = ["--", ".", ":!benches/results", ":!README.md"];
    let changes = output("git", &[&["status", "--porcelain"], &others[..]].concat());
    let with = match changes.is_none_or(|changes| changes.is_empty()) {
        true => "",
        false => " with changes",
    };
    format!("{day}, commit {commit}{with}{MACHINE}{}", hardware())
}

/// Stands before the machine in the text of a run.
const MACHINE: &str = "; ";

/// Returns the machine in the text of a run.
pub fn of_run(run: &str) -> Option<&str> {
    Some(run.split_once(MACHINE)?.1)
}

fn hardware() -> String {
    let processor = line_of("/proc/cpuinfo", "model name").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = memory("MemTotal").unwrap_or(0) >> 30;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{processor}, {cores} cores, {memory} GiB, Linux {}",
        kernel.trim()
    )
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.trim().to_owned())
}

/// Returns the value of a line of `/proc/meminfo`, in bytes.
pub fn memory(key: &str) -> Option<u64> {
    let text = line_of("/proc/meminfo", key)?;
    let kib: u64 = text.strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

fn line_of(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn version(program: &str, flag: &str) -> Option<String> {
    let output = administrative(program).arg(flag).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Some(text.lines().next()?.trim().to_owned())
}
