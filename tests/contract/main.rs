//! The contract, line by line, on ext4, XFS, btrfs and tmpfs: natively, and through a real
//! component in both linker forms.
//!
//! Needs root (to mount), mkfs for the file systems, and strace (to make system calls fail, to stop
//! a copy at one of them, and to kill it there). Where something is missing the tests are ignored,
//! with the reason; with `CI` set that is a failure.

#![allow(
    clippy::single_range_in_vec_init,
    reason = "lists of extents, some of one"
)]

mod allocation;
mod cancel;
mod child;
mod fallback;
mod faults;
mod files;
mod filesystems;
mod guest;
mod guest_host;
mod limits;
mod opening;
mod power_cut;
mod publishing;
mod same_file;
mod source_changes;
mod without_openat2;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use filesystems::{FileSystem, Mounts};
use libtest_mimic::{Arguments, Trial};

/// A test, run once on each file system.
type Test = fn(&FileSystem);

/// Names the tests of a module by their functions.
#[macro_export]
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub const TESTS: &[(&str, $crate::Test)] = &[$((stringify!($name), $name)),+];
    };
}

const MODULES: &[(&str, &[(&str, Test)])] = &[
    ("opening", opening::TESTS),
    ("same_file", same_file::TESTS),
    ("publishing", publishing::TESTS),
    ("power_cut", power_cut::TESTS),
    ("source_changes", source_changes::TESTS),
    ("allocation", allocation::TESTS),
    ("fallback", fallback::TESTS),
    ("faults", faults::TESTS),
    ("limits", limits::TESTS),
    ("cancel", cancel::TESTS),
    ("guest", guest::TESTS),
    ("without_openat2", without_openat2::TESTS),
];

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == child::FLAG) {
        return child::main(args.split_off(2));
    }
    let missing = filesystems::enter_namespace().and_then(|()| missing_tools());
    if let Err(reason) = &missing {
        eprintln!("The contract can't be tested here, so its tests are ignored: {reason}");
        if std::env::var_os("CI").is_some() {
            return ExitCode::FAILURE;
        }
    }

    let arguments = Arguments::from_args();
    let ready = missing.is_ok() && !arguments.list;
    let mounts = ready.then(Mounts::new);
    let mut trials = Vec::new();
    for name in filesystems::NAMES {
        let fs = Arc::new(match &mounts {
            Some(mounts) => mounts.mount(name),
            None => FileSystem {
                name,
                root: "/nonexistent".into(),
            },
        });
        for (module, tests) in MODULES {
            for (test, run) in *tests {
                let fs = fs.clone();
                let trial = Trial::test(format!("{name}::{module}::{test}"), move || {
                    run(&fs);
                    Ok(())
                });
                trials.push(trial.with_ignored_flag(missing.is_err()));
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(mounts);
    conclusion.exit_code()
}

fn missing_tools() -> Result<(), String> {
    for tool in ["mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "strace", "prlimit"] {
        let found = Command::new(tool)
            .arg("-V")
            .env(
                "PATH",
                format!(
                    "{}:/usr/sbin:/sbin",
                    std::env::var("PATH").unwrap_or_default()
                ),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if found.is_err() {
            return Err(format!("there is no {tool}"));
        }
    }
    Ok(())
}

/// Runs a program that must succeed.
#[track_caller]
fn run(command: &mut Command) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs what must not wait for anything that never comes.
#[track_caller]
fn without_waiting<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        let _ = sender.send(result);
    });
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(_) => panic!("still waiting after a minute"),
    }
}
