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
mod bounds;
mod cancel;
mod clone_disk;
mod crowded;
mod descriptors;
mod fallback;
mod guest;
mod host_choices;
mod hostile;
mod limits;
mod maps;
mod opening;
mod power_cut;
mod preopens;
mod publishing;
mod quota;
mod same_file;
mod source_changes;
mod staged_names;
mod support;
mod ways;
mod without_openat2;
mod workers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use support::filesystems::{FileSystem, Mounts};
use support::program::run;
use support::{child, files, filesystems, guest_host};

/// A test, run once on each file system that it makes sense on.
pub struct Test {
    name: &'static str,
    run: fn(&FileSystem),
    makes_sense_on: fn(&str) -> bool,
}

/// Names the tests of a module by their functions, and says which of them are only for some file
/// systems.
#[macro_export]
macro_rules! tests {
    ($($name:ident $(where $condition:path)?),+ $(,)?) => {
        pub const TESTS: &[$crate::Test] = &[$($crate::tests!(@ $name $($condition)?)),+];
    };
    (@ $name:ident) => { $crate::tests!(@ $name $crate::everywhere) };
    (@ $name:ident $condition:path) => {
        $crate::Test { name: stringify!($name), run: $name, makes_sense_on: $condition }
    };
}

fn everywhere(_file_system: &str) -> bool {
    true
}

const MODULES: &[(&str, &[Test])] = &[
    ("opening", opening::TESTS),
    ("same_file", same_file::TESTS),
    ("publishing", publishing::TESTS),
    ("staged_names", staged_names::TESTS),
    ("power_cut", power_cut::TESTS),
    ("source_changes", source_changes::TESTS),
    ("allocation", allocation::TESTS),
    ("maps", maps::TESTS),
    ("fallback", fallback::TESTS),
    ("ways", ways::TESTS),
    ("limits", limits::TESTS),
    ("descriptors", descriptors::TESTS),
    ("bounds", bounds::TESTS),
    ("quota", quota::TESTS),
    ("cancel", cancel::TESTS),
    ("guest", guest::TESTS),
    ("clone_disk", clone_disk::TESTS),
    ("preopens", preopens::TESTS),
    ("host_choices", host_choices::TESTS),
    ("hostile", hostile::TESTS),
    ("without_openat2", without_openat2::TESTS),
    ("workers", workers::TESTS),
    ("crowded", crowded::TESTS),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some(child::FLAG) => return child::main(&args[2..]),
        Some(guest_host::FLAG) => return guest_host::main(&args[2..]),
        _ => {}
    }
    let arguments = Arguments::from_args();
    let mounts = filesystems::enter_namespace()
        .and_then(|()| missing_tool("strace", "-V"))
        .map(|()| Mounts::new());

    let mut trials = Vec::new();
    let mut ignored = false;
    for name in filesystems::NAMES {
        let mounted = match &mounts {
            _ if arguments.list => Err("only listed".to_owned()),
            Ok(mounts) => mounts.mount(name, 3 << 30),
            Err(reason) => Err(reason.clone()),
        };
        if let (Err(reason), false) = (&mounted, arguments.list) {
            eprintln!("{name} can't be tested here, so its tests are ignored: {reason}");
            ignored = true;
        }
        let fs = mounted.ok().map(Arc::new);
        for (module, tests) in MODULES {
            for test in tests.iter().filter(|test| (test.makes_sense_on)(name)) {
                let (fs, missing) = (fs.clone(), fs.is_none());
                let title = format!("{name}::{module}::{}", test.name);
                let trial = Trial::test(title, move || {
                    (test.run)(fs.as_deref().ok_or("there is no such file system here")?);
                    Ok(())
                });
                trials.push(trial.with_ignored_flag(missing));
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(mounts);
    if ignored && std::env::var_os("CI").is_some() {
        eprintln!("In CI nothing may be ignored.");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn missing_tool(tool: &str, harmless: &str) -> Result<(), String> {
    match Command::new(tool).arg(harmless).output() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{tool}: {error}")),
    }
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
