//! Hosts under attack, in numbers: paths that are exchanged while they are resolved, guests that take
//! all they can get, and what is left of ten thousand calls.
//!
//! The short form is a test. `FAST_COPY_LONG=1` makes it the long one (`tests/storm/long.sh`), which
//! takes some minutes and prints its figures. Nothing else runs in this process meanwhile: it counts
//! its threads, descriptors and memory.

mod crowd;
#[path = "../contract/support/files.rs"]
#[allow(dead_code, reason = "shared with the contract's tests")]
mod files;
#[path = "../contract/support/filesystems.rs"]
#[allow(dead_code, reason = "shared with the contract's tests")]
mod filesystems;
#[path = "../contract/support/guest_host.rs"]
#[allow(dead_code, reason = "shared with the contract's tests")]
mod guest_host;
mod leaks;
#[path = "../contract/support/program.rs"]
#[allow(dead_code, reason = "shared with the contract's tests")]
mod program;
mod race;
mod view;

use std::process::ExitCode;
use std::sync::Arc;

use filesystems::{FileSystem, Mounts};
use libtest_mimic::{Arguments, Trial};

struct Test {
    name: &'static str,
    run: fn(&FileSystem),
    makes_sense_on: fn(&str) -> bool,
}

const TESTS: [Test; 8] = [
    Test {
        name: "no_raced_path_leads_out",
        run: race::no_raced_path_leads_out,
        makes_sense_on: everywhere,
    },
    Test {
        name: "no_raced_copy_leads_out",
        run: race::no_raced_copy_leads_out,
        makes_sense_on: everywhere,
    },
    Test {
        name: "no_raced_path_leads_out_without_openat2",
        run: race::no_raced_path_leads_out_without_openat2,
        makes_sense_on: everywhere,
    },
    Test {
        name: "no_raced_copy_leads_out_without_openat2",
        run: race::no_raced_copy_leads_out_without_openat2,
        makes_sense_on: everywhere,
    },
    Test {
        name: "no_raced_guest_leads_out",
        run: race::no_raced_guest_leads_out,
        makes_sense_on: everywhere,
    },
    Test {
        name: "nobody_fails_or_starves_beside_attackers",
        run: crowd::nobody_fails_or_starves_beside_attackers,
        makes_sense_on: everywhere,
    },
    Test {
        name: "an_extent_bomb_is_not_cloned",
        run: crowd::an_extent_bomb_is_not_cloned,
        makes_sense_on: filesystems::reflinks,
    },
    Test {
        name: "ten_thousand_calls_leave_nothing",
        run: leaks::ten_thousand_calls_leave_nothing,
        makes_sense_on: everywhere,
    },
];

fn everywhere(_file_system: &str) -> bool {
    true
}

/// One that clones, and one that copies.
const FILE_SYSTEMS: [&str; 2] = ["xfs", "tmpfs"];

/// How often something is done: the long form, or the short one.
fn times(long: usize, short: usize) -> usize {
    match std::env::var_os("FAST_COPY_LONG") {
        Some(_) => long,
        None => short,
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let mounts = filesystems::enter_namespace().map(|()| Mounts::new());
    let mut trials = Vec::new();
    let mut ignored = false;
    for name in FILE_SYSTEMS {
        let mounted = match &mounts {
            _ if arguments.list => Err("only listed".to_owned()),
            Ok(mounts) => mounts.mount(name, times(32 << 30, 8 << 30) as u64),
            Err(reason) => Err(reason.clone()),
        };
        if let (Err(reason), false) = (&mounted, arguments.list) {
            eprintln!("{name} can't be tested here, so its tests are ignored: {reason}");
            ignored = true;
        }
        let fs = mounted.ok().map(Arc::new);
        for test in TESTS.iter().filter(|test| (test.makes_sense_on)(name)) {
            let (fs, missing) = (fs.clone(), fs.is_none());
            let trial = Trial::test(format!("{name}::{}", test.name), move || {
                (test.run)(fs.as_deref().ok_or("there is no such file system here")?);
                Ok(())
            });
            trials.push(trial.with_ignored_flag(missing));
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
