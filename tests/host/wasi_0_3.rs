//! Threads, panics, deadlines and limits in WASI 0.3. A guest makes the calls.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use fast_copy_test_support::command::Form;
use fast_copy_test_support::files::{KIB, assert_same, dense_file, names, sparse_file};
use fast_copy_test_support::guest_host::{Guest, Preopen, run_with};
use fast_copy_test_support::held::{HeldCopies, HeldSlots};
use fast_copy_test_support::running_guest::RunningGuest;
use fast_copy_test_support::waiting::wait_until;
use tempfile::{TempDir, tempdir};
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};

use crate::gate::Panics;

/// The arguments of a copy, for the guest `probe`.
const COPY: [&str; 6] = ["sparse-copy", ".", "src", ".", "dst-{i}", "no-sync"];

/// A call of a copy, and a copy with progress.
fn both_kinds() -> [Vec<&'static str>; 2] {
    [COPY.to_vec(), [&["progress", "read"], &COPY[..]].concat()]
}

/// Makes a directory with the file `src`.
fn dir_with_src() -> TempDir {
    let dir = tempdir().unwrap();
    dense_file(&dir.path().join("src"), 100_000);
    dir
}

#[test]
fn a_panic_of_a_hook_leaves_run_concurrent_with_its_payload() {
    let dir = dir_with_src();
    let dirs = [Preopen::writable(dir.path(), ".")];
    for args in both_kinds() {
        for may_block in [false, true] {
            let slots = CopySlots::new(1);
            let ctx = FastCopyCtx::builder()
                .slots(slots.clone())
                .hooks(Panics)
                .allow_blocking_current_thread(may_block);
            let run = || run_with(Guest::Probe, Form::P3, &dirs, &args, ctx.build());
            let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&4711_u32), "{args:?}");
            assert_eq!(slots.free(), 1);
        }
    }
    assert_eq!(names(dir.path()), ["src"]);
}

/// The thread of a copy hangs, here in a hook.
#[test]
fn the_deadline_ends_a_copy_whose_thread_hangs() {
    let dir = dir_with_src();
    let dirs = [Preopen::writable(dir.path(), ".")];
    for args in both_kinds() {
        let slots = CopySlots::new(1);
        let hangs = HeldCopies::default();
        let ctx = FastCopyCtx::builder()
            .slots(slots.clone())
            .hooks(hangs.hooks())
            .timeout(Some(Duration::from_millis(300)))
            .build();
        let output = run_with(Guest::Probe, Form::P3, &dirs, &args, ctx.clone());
        let last = output.stdout.lines().last();
        assert_eq!(last, Some("err ErrorCode::Timeout None"), "{output:?}");
        assert_eq!(slots.free(), 0, "the thread still hangs");
        hangs.release();
        wait_until(|| slots.free() == 1 && ctx.jobs() == 0);
    }
    assert_eq!(names(dir.path()), ["src"]);
}

/// A copy that finds a free slot runs on the guest's thread. The others wait, and run on those of the slots.
#[test]
fn all_copies_succeed_with_allow_blocking_current_thread() {
    let dir = dir_with_src();
    let dirs = [Preopen::writable(dir.path(), ".")];
    let slots = CopySlots::new(2);
    let ctx = FastCopyCtx::builder()
        .slots(slots.clone())
        .allow_blocking_current_thread(true);
    for all_wait in [false, true] {
        let ctx = ctx.clone().build();
        let args = [&["many"], &COPY[..], &["64", "64"]].concat();
        let mut guest = RunningGuest::new(Guest::Probe, Form::P3, &dirs, &args, ctx.clone());
        if all_wait {
            let held = HeldSlots::take(&slots, 2);
            guest.run_until(|| ctx.waiting() == 64);
            held.release();
        }
        let output = guest.finish();
        assert_eq!(output.stdout.lines().next(), Some("64 ok"), "{output:?}");
        wait_until(|| (slots.free(), ctx.waiting()) == (2, 0));
        for i in 0..64 {
            let copy = dir.path().join(format!("dst-{i}"));
            assert_same(&dir.path().join("src"), &copy);
            fs::remove_file(copy).unwrap();
        }
    }
}

/// The guest keeps the stream, and does not read.
#[test]
fn a_cancelled_read_of_ranges_keeps_no_slot() {
    for may_block in [false, true] {
        let dir = tempdir().unwrap();
        let data = [0..4 * KIB, 64 * KIB..68 * KIB];
        sparse_file(&dir.path().join("src"), 128 * KIB, &data);
        let dirs = [Preopen::writable(dir.path(), ".")];
        let slots = CopySlots::new(1);
        let held = HeldSlots::take(&slots, 1);
        let ctx = FastCopyCtx::builder()
            .slots(slots.clone())
            .allow_blocking_current_thread(may_block)
            .build();
        let args = ["ranges-cancel", "go", ".", "src"];
        let mut guest = RunningGuest::new(Guest::Probe, Form::P3, &dirs, &args, ctx.clone());
        guest.run_until(|| (ctx.jobs(), ctx.waiting()) == (1, 0));
        held.release();
        HeldSlots::take(&slots, 1).release();
        File::create(dir.path().join("go")).unwrap();
        let output = guest.finish();
        assert_eq!(output.stdout, "ok 0+4096 65536+4096\n");
        assert_eq!((ctx.jobs(), slots.free()), (0, 1));
    }
}

#[test]
fn guests_of_both_versions_share_the_limits_of_one_context() {
    let dir = dir_with_src();
    let dirs = [Preopen::writable(dir.path(), ".")];
    let slots = CopySlots::new(1);
    let held = HeldSlots::take(&slots, 1);
    let ctx = FastCopyCtx::builder().slots(slots).max_jobs(4).build();
    // It keeps two copies while it waits for the third.
    let args = [&["hoard", "both", "2"], &COPY[..]].concat();
    let mut guest = RunningGuest::new(Guest::Probe, Form::P3, &dirs, &args, ctx.clone());
    guest.run_until(|| (ctx.jobs(), ctx.waiting()) == (3, 3));
    let args = ["hoard", "10"];
    let output = run_with(Guest::Hostile, Form::Async, &dirs, &args, ctx.clone());
    assert_eq!(output.stdout, "Busy 9\nstarted 1\n");
    wait_until(|| (ctx.jobs(), ctx.waiting()) == (3, 3));
    held.release();
    let output = guest.finish();
    let lines: Vec<_> = output.stdout.lines().collect();
    assert_eq!((lines.len(), lines[1]), (3, "2 ok"), "{output:?}");
    assert!(lines.iter().all(|line| line.contains("ok")), "{output:?}");
    assert_eq!(
        names(dir.path()),
        ["dst-0", "dst-1", "dst-2", "dst-3", "src"]
    );
}
