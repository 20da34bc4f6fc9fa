//! The time of one clone call: a GiB in one extent.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use fast_copy_test_support::command::Form;
use fast_copy_test_support::files::{GIB, allocated};
use fast_copy_test_support::filesystems::FileSystem;
use tokio::runtime::Runtime;
use wasmtime_fast_copy::{CopyMethod, CopyOptions, FastCopyCtx};
use wasmtime_wasi::runtime::spawn_blocking;

use crate::contenders::{FAST, FICLONE, fast_copy_no_sync, staged_ficlone};
use crate::disks::Disks;
use crate::group::Group;
use crate::guests;
use crate::results::{Results, median};
use crate::turns::{ROUNDS, shuffle, timed};
use crate::{checks, inputs};

pub const WORK: &str = "clone-1-extent";

pub const GUEST_SYNC: &str = "guest, sync linker: fast-copy, no-sync";
pub const GUEST_ASYNC: &str = "guest, async linker: fast-copy, no-sync";
pub const GUEST_P3: &str = "guest, WASI 0.3: fast-copy, no-sync";
pub const GUEST_BLOCKING: &str = "guest, async linker, blocking allowed: fast-copy, no-sync";
const GUEST_STAT: &str = "guest, async linker: stat-at of wasi:filesystem";
const HOP: &str = "tokio: spawn_blocking of nothing";
const NATIVE_HOP: &str = "tokio: spawn_blocking of fast_copy, no-sync";
const CP: &str = "cp --reflink=always, a process each";

/// In the order of the table.
pub const CONTENDERS: [&str; 10] = [
    FAST,
    GUEST_SYNC,
    GUEST_ASYNC,
    GUEST_P3,
    GUEST_BLOCKING,
    GUEST_STAT,
    HOP,
    NATIVE_HOP,
    CP,
    FICLONE,
];

/// The calls of each contender in a turn.
///
/// The asynchronous linker wakes a thread for each call, which takes longer after the processors were
/// halted. In the first turn of a run a call took 90 µs more than a native one for 50 calls, 34 µs for
/// the second 100, and 23 µs from the 400th on. While other programs keep the processors awake, the
/// first calls take no longer than the others. So the median of 1000 calls stands for a busy guest, and
/// that of the first 25 for one that clones now and then. Both are judged.
const TURN: usize = 1000;
pub const FIRST: usize = 25;

/// Returns the name of the row with the first calls of a contender.
pub fn first_calls(contender: &str) -> String {
    format!("{contender}, first {FIRST} calls")
}

pub fn groups() -> Vec<Group> {
    ["xfs", "btrfs"]
        .map(|on| Group {
            work: WORK,
            on,
            run,
        })
        .into()
}

/// The samples are the medians of the turns.
fn run(group: &Group, _disks: &Disks, fs: &FileSystem, results: &mut Results) -> Result<()> {
    let dir = fs.dir();
    let src = dir.path().join("src");
    inputs::sparse(&src, GIB, std::iter::once(0..GIB))?;
    let runtime = Runtime::new()?;
    for round in 0..=ROUNDS {
        let mut contenders = CONTENDERS;
        shuffle(round, &mut contenders, |name| (*name).to_owned());
        for contender in contenders {
            let into = tempfile::tempdir_in(dir.path())?;
            let times = turn(contender, dir.path(), into.path(), &runtime)?;
            let times: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
            if round > 0 {
                let (all, first) = (median(&times), median(&times[..FIRST]));
                results.add(group.work, group.on, contender, all);
                results.add(group.work, group.on, &first_calls(contender), first);
            }
            check(&src, into.path(), round)?;
            drop(into);
            inputs::settle(dir.path())?;
        }
    }
    results.print(group.work, group.on, 1e6, "µs");
    Ok(())
}

/// Makes the calls of one contender, one after another.
fn turn(contender: &str, dir: &Path, into: &Path, runtime: &Runtime) -> Result<Vec<Duration>> {
    let src = &dir.join("src");
    let name = |call: usize| into.join(call.to_string());
    let guest = |form, copies| {
        let calls = guests::fast_copy(form, copies, (dir, "src"), (into, "{i}"), false, TURN)?;
        ensure!(
            calls.outcome.contains("CopyMethod::Reflink"),
            "{}",
            calls.outcome
        );
        Ok(calls.times)
    };
    match contender {
        FICLONE => timed(TURN, |i| staged_ficlone(src, &name(i))),
        FAST => timed(TURN, |i| {
            let report = CopyOptions::new().durable(false).fast_copy(src, name(i))?;
            ensure!(report.method == CopyMethod::Reflink);
            Ok(())
        }),
        GUEST_SYNC => guest(Form::Sync, FastCopyCtx::new()),
        GUEST_ASYNC => guest(Form::Async, FastCopyCtx::new()),
        GUEST_P3 => guest(Form::P3, FastCopyCtx::new()),
        GUEST_BLOCKING => {
            let copies = FastCopyCtx::builder().allow_blocking_current_thread(true);
            guest(Form::Async, copies.build())
        }
        GUEST_STAT => guests::stat(Form::Async, (dir, "src"), TURN),
        HOP => timed(TURN, |_| {
            runtime.block_on(spawn_blocking(|| ()));
            Ok(())
        }),
        NATIVE_HOP => timed(TURN, |i| {
            let (src, dst) = (src.clone(), name(i));
            runtime.block_on(spawn_blocking(move || fast_copy_no_sync(&src, &dst)))
        }),
        _ => timed(TURN, |i| {
            let mut cp = Command::new("cp");
            let status = cp.arg("--reflink=always").arg(src).arg(name(i)).status()?;
            ensure!(status.success());
            Ok(())
        }),
    }
}

/// Checks the size and the allocated bytes of each clone, and compares the bytes of one. All of them fit
/// into the file system only because they share blocks.
fn check(src: &Path, into: &Path, round: usize) -> Result<()> {
    for entry in fs::read_dir(into)? {
        let clone = entry?.path();
        ensure!(clone.metadata()?.len() == GIB, "{}", clone.display());
        checks::takes_at_most(&clone, allocated(src))?;
    }
    let one = into.join((round * TURN / (ROUNDS + 1)).to_string());
    if one.exists() {
        checks::same(src, &one)?;
    }
    Ok(())
}
