//! What test programs have left behind. They are known by the directory of their temporary files.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use fast_copy_test_support::files::names;

pub struct Process {
    pub is_stopped: bool,
}

/// Returns the processes that have the directory in their environment.
pub fn processes(dir: &Path) -> Vec<Process> {
    let dir = dir.to_str().unwrap();
    let all = fs::read_dir("/proc").unwrap();
    all.filter_map(|entry| {
        let process = entry.ok()?.path();
        // A process that has ended has no environment.
        let environment = fs::read(process.join("environ")).ok()?;
        if !String::from_utf8_lossy(&environment).contains(dir) {
            return None;
        }
        let stat = fs::read_to_string(process.join("stat")).ok()?;
        let (_, state) = stat.rsplit_once(") ")?;
        Some(Process {
            is_stopped: state.starts_with(['t', 'T']),
        })
    })
    .collect()
}

/// Returns the files below a path, or the file itself, that loop devices are attached to in any namespace.
pub fn loop_devices(of: &Path) -> Vec<PathBuf> {
    let devices = fs::read_dir("/sys/block").unwrap();
    devices
        .filter_map(|device| {
            let file = device.ok()?.path().join("loop/backing_file");
            Some(PathBuf::from(fs::read_to_string(file).ok()?.trim_end()))
        })
        .filter(|file| file.starts_with(of))
        .collect()
}

pub fn is_mounted(root: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let root = root.to_str().unwrap();
    mounts.lines().any(|line| line.contains(root))
}

/// Waits until the kernel has done what it does after the end of a process, or fails after a minute.
#[track_caller]
pub fn wait_until(otherwise: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{otherwise}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
pub fn assert_nothing_left(dir: &Path) {
    assert_eq!(processes(dir).len(), 0);
    assert!(!is_mounted(dir));
    wait_until("a loop device is still attached", || {
        loop_devices(dir).is_empty()
    });
    assert!(names(dir).is_empty());
}
