//! A component that attacks its host: `guest/hostile`, and `guest/hostile-p3` for WASI 0.3. The test `storm`
//! repeats the attacks in large numbers and with races.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use fast_copy_test_support::command::Form;
use fast_copy_test_support::features::Feature;
use fast_copy_test_support::files::{
    KIB, MIB, allocated, assert_same, dense_file, exists, names, sparse_file, text_file,
};
use fast_copy_test_support::filesystems::{FileSystem, Small, smallest};
use fast_copy_test_support::guest_host::{FORMS, Guest, Output, Preopen, run_with, try_run};
use fast_copy_test_support::held::HeldSlots;
use fast_copy_test_support::running_guest::RunningGuest;
use fast_copy_test_support::waiting::wait_until;
use wasmtime_fast_copy::{CopyRate, CopySlots, FastCopyCtx, FastCopyCtxBuilder};

fast_copy_test_support::tests![
    a_forged_handle_traps_and_creates_no_file,
    very_long_paths_are_name_too_long_or_trap,
    unfinished_jobs_are_limited_and_end_with_the_guest,
    one_of_many_copies_to_one_name_succeeds,
    concurrent_replacements_of_one_name_leave_a_complete_file,
    a_source_of_the_largest_possible_size_is_file_too_large where Holes,
    random_jobs_leave_only_complete_files,
    cancelled_calls_leave_the_queue,
    calls_and_copies_end_when_the_guest_exits,
    ends_of_copies_can_be_dropped_in_every_order,
    progress_can_be_read_in_all_ways,
    unfinished_streams_of_ranges_are_limited where Holes,
    a_full_disk_and_a_full_quota_leave_no_file_and_no_reservation where Small,
];

/// Runs an attack with slots of its own. Returns how often each answer came.
#[track_caller]
fn attack(form: Form, dir: &Path, ctx: FastCopyCtxBuilder, args: &[&str]) -> BTreeMap<String, u64> {
    let slots = CopySlots::new(8);
    let dirs = [Preopen::writable(dir, ".")];
    let ctx = ctx.slots(slots.clone()).build();
    let output = run_with(Guest::Hostile, form, &dirs, args, ctx.clone());
    assert_all_free(&ctx);
    answers(&output)
}

/// Returns how often each answer came, from what the guest has printed.
#[track_caller]
fn answers(output: &Output) -> BTreeMap<String, u64> {
    assert_eq!(output.status, 0, "{output:?}");
    let answers = output.stdout.lines().map(|line| {
        let (answer, count) = line.split_once(' ').unwrap();
        (answer.to_owned(), count.parse().unwrap())
    });
    answers.collect()
}

/// Returns the free space of a file system, in bytes.
fn free(root: &Path) -> u64 {
    let stat = rustix::fs::statvfs(root).unwrap();
    stat.f_bavail * stat.f_frsize
}

/// Asserts that all slots and places become free: the work of dropped calls ends soon.
#[track_caller]
fn assert_all_free(ctx: &FastCopyCtx) {
    let slots = ctx.slots();
    wait_until(|| slots.free() == slots.total() && ctx.waiting() == 0 && ctx.jobs() == 0);
}

/// Returns counts of answers, to compare.
fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts
        .map(|(answer, count)| (answer.to_owned(), count))
        .into()
}

fn count(answers: &BTreeMap<String, u64>, answer: &str) -> u64 {
    answers.get(answer).copied().unwrap_or(0)
}

fn a_forged_handle_traps_and_creates_no_file(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "src", "text");
    let dirs = [Preopen::writable(dir.path(), ".")];
    for form in FORMS {
        let mut handles = vec!["0", "77", "4294967295", "closed", "pollable"];
        if form == Form::P3 {
            handles.push("stream");
        }
        for handle in handles {
            let ctx = FastCopyCtx::new();
            let trap = try_run(Guest::Hostile, form, &dirs, &["handle", handle], ctx);
            let trap = format!("{:#}", trap.expect_err("a forged handle was accepted"));
            let is_refused = trap.contains("handle") || trap.contains("is not a resource");
            assert!(is_refused, "{handle}: {trap}");
            assert_eq!(names(dir.path()), ["src"]);
        }
    }
}

fn very_long_paths_are_name_too_long_or_trap(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "src", "text");
    for form in FORMS {
        for bytes in ["4098", "1000000", "100000000"] {
            let answers = attack(form, dir.path(), FastCopyCtx::builder(), &["string", bytes]);
            assert_eq!(count(&answers, "NameTooLong"), 4, "{bytes}");
        }
        // wasmtime traps on arguments beyond its limit for calls of the host (hostcall fuel).
        let dirs = [Preopen::writable(dir.path(), ".")];
        let ctx = FastCopyCtx::new();
        let trap = try_run(Guest::Hostile, form, &dirs, &["string", "200000000"], ctx);
        assert!(trap.is_err(), "a path of 200 MB");
    }
    assert_eq!(names(dir.path()), ["src"]);
}

fn unfinished_jobs_are_limited_and_end_with_the_guest(fs: &FileSystem) {
    for form in FORMS {
        let dir = fs.dir();
        dense_file(&dir.path().join("src"), 64 * MIB);
        let ctx = FastCopyCtx::builder();
        let answers = attack(form, dir.path(), ctx, &["hoard", "10000"]);
        // Two run and 62 wait.
        assert_eq!(count(&answers, "started"), 64);
        assert_eq!(count(&answers, "Busy"), 10_000 - 64);
        assert_complete(dir.path());
    }
}

fn one_of_many_copies_to_one_name_succeeds(fs: &FileSystem) {
    for form in FORMS {
        let dir = fs.dir();
        dense_file(&dir.path().join("src"), MIB);
        let ctx = FastCopyCtx::builder().max_copies(8);
        let answers = attack(form, dir.path(), ctx, &["crowd", "40", "", "dst"]);
        assert_eq!((count(&answers, "ok"), count(&answers, "Exist")), (1, 39));
        assert_same(&dir.path().join("src"), &dir.path().join("dst"));
        assert_eq!(names(dir.path()), ["dst", "src"]);
    }
}

fn concurrent_replacements_of_one_name_leave_a_complete_file(fs: &FileSystem) {
    for form in FORMS {
        let dir = fs.dir();
        dense_file(&dir.path().join("src"), MIB);
        let ctx = FastCopyCtx::builder().max_copies(8);
        let answers = attack(form, dir.path(), ctx, &["crowd", "40", "replace", "dst"]);
        assert_eq!(count(&answers, "ok"), 40);
        assert_same(&dir.path().join("src"), &dir.path().join("dst"));
        assert_eq!(names(dir.path()), ["dst", "src"]);
    }
}

fn a_source_of_the_largest_possible_size_is_file_too_large(fs: &FileSystem) {
    let dir = fs.dir();
    let file = File::create(dir.path().join("src")).unwrap();
    // The largest size that the file system accepts.
    let mut size = i64::MAX as u64;
    while file.set_len(size).is_err() {
        size -= size / 1024;
    }
    let too_large = size > wasmtime_fast_copy::DEFAULT_MAX_SIZE;
    assert_eq!(too_large, !fs.has(Feature::SizeLimit), "{size}");
    for form in FORMS {
        let ctx = FastCopyCtx::builder();
        let answers = attack(form, dir.path(), ctx, &["spam", "3", "src"]);
        // Below the limit the source is a hole, and so is its copy.
        let expected = if too_large { "FileTooLarge" } else { "ok" };
        assert_eq!(count(&answers, expected), 3, "{answers:?}");
    }
}

fn random_jobs_leave_only_complete_files(fs: &FileSystem) {
    for (seed, form) in [
        ("1", Form::Async),
        ("2", Form::Sync),
        ("3", Form::Async),
        ("4", Form::P3),
        ("5", Form::P3),
    ] {
        let dir = fs.dir();
        let src = dir.path().join("src");
        dense_file(&src, MIB);
        let ctx = FastCopyCtx::builder();
        let answers = attack(form, dir.path(), ctx, &["storm", "400", seed]);
        assert!(count(&answers, "ok") > 0, "{answers:?}");
        for answer in answers.keys() {
            let known = ["ok", "Exist", "Cancelled", "Busy"];
            assert!(known.contains(&answer.as_str()), "{answers:?}");
        }
        assert_complete(dir.path());
    }
}

/// Asserts that all files are complete copies of `src`.
#[track_caller]
fn assert_complete(dir: &Path) {
    for name in names(dir) {
        assert_same(&dir.join("src"), &dir.join(name));
    }
}

/// No slot is free until the calls are cancelled, so all of them wait. The copy that the guest makes then gets
/// one.
fn cancelled_calls_leave_the_queue(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), MIB);
    let slots = CopySlots::new(1);
    let held = HeldSlots::take(&slots, 1);
    let ctx = FastCopyCtx::builder().slots(slots).build();
    let dirs = [Preopen::writable(dir.path(), ".")];
    let args = ["cancel", "80"];
    let mut guest = RunningGuest::new(Guest::Hostile, Form::P3, &dirs, &args, ctx.clone());
    guest.run_until(|| ctx.waiting() == 1);
    held.release();
    let answers = answers(&guest.finish());
    let expected = [("Busy", 80 - 64), ("ok", 1), ("started", 64)];
    assert_eq!(answers, counts(expected));
    assert_all_free(&ctx);
    assert_eq!(names(dir.path()), ["dst", "src"]);
}

/// Two calls run, and everything else waits.
fn calls_and_copies_end_when_the_guest_exits(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), 100 * MIB);
    // A copy takes minutes.
    let rate = CopyRate::new(NonZero::new(256 * KIB).unwrap());
    let ctx = FastCopyCtx::builder().rate(rate);
    let answers = attack(Form::P3, dir.path(), ctx, &["exit", "80"]);
    let expected = [("Busy", 80 - 2 - 64), ("started", 2 + 64)];
    assert_eq!(answers, counts(expected));
    assert_eq!(names(dir.path()), ["src"]);
}

fn ends_of_copies_can_be_dropped_in_every_order(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), MIB);
    // Places for all copies: the work of those that are dropped may still be stopping.
    let ctx = FastCopyCtx::builder().max_jobs(270).max_waiting(270);
    let answers = attack(Form::P3, dir.path(), ctx, &["ends", "270"]);
    let expected = [("dropped", 180), ("ok", 90)];
    assert_eq!(answers, counts(expected));
    assert_complete(dir.path());
}

fn progress_can_be_read_in_all_ways(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), 40 * MIB);
    let ctx = FastCopyCtx::builder();
    let answers = attack(Form::P3, dir.path(), ctx, &["reads", "20"]);
    assert_eq!(answers, counts([("ok", 20)]));
    assert_complete(dir.path());
}

/// The host has looked for all ranges of the file at once, and the guest has read one of them.
fn unfinished_streams_of_ranges_are_limited(fs: &FileSystem) {
    for ranges in [3, 1000] {
        let dir = fs.dir();
        let data: Vec<_> = (0..ranges)
            .map(|i| 64 * KIB * i..64 * KIB * i + 4 * KIB)
            .collect();
        sparse_file(&dir.path().join("src"), 64 * KIB * ranges, &data);
        let ctx = FastCopyCtx::builder();
        let answers = attack(Form::P3, dir.path(), ctx, &["ranges", "10000"]);
        let expected = [("Busy", 10_000 - 64), ("started", 64)];
        assert_eq!(answers, counts(expected));
    }
}

fn a_full_disk_and_a_full_quota_leave_no_file_and_no_reservation(fs: &FileSystem) {
    let small = Small::new(fs.name, smallest(fs.name) + 64 * MIB);
    let src = small.root.join("src");
    dense_file(&src, 8 * MIB);
    File::open(&src).unwrap().sync_all().unwrap();
    let quota = wasmtime_fast_copy::CopyQuota::new(20 * MIB);
    let bounded = FastCopyCtx::builder().quota(quota.clone());
    // Each copy replaces the one before, and is charged in full.
    let answers = attack(Form::Async, &small.root, bounded, &["spam", "10", "src"]);
    assert_eq!(count(&answers, "ok"), 2, "{answers:?}");
    assert_eq!(count(&answers, "Quota"), 8);
    assert_eq!(quota.reserved(), 0);
    assert!(quota.used() >= 16 * MIB && quota.used() <= quota.limit());
    fs::remove_file(small.root.join("spam")).unwrap();

    let none = wasmtime_fast_copy::FreeSpaceFloor::NONE;
    let unbounded = FastCopyCtx::builder().free_space_floor(none);
    // The fillers are synchronised: free space counts dirty pages on some file systems only once they
    // are written.
    for i in 0..1000 {
        let dst = small.root.join(format!("filler-{i}"));
        let written = File::create(&dst).and_then(|file| {
            file.write_all_at(&vec![1; MIB as usize], 0)?;
            file.sync_all()
        });
        if written.is_err() {
            let _ = fs::remove_file(&dst);
            break;
        }
    }
    for form in FORMS {
        // Staged files that have names can enlarge the directory.
        let free_or_in_directory = || free(&small.root) + allocated(&small.root);
        let before = free_or_in_directory();
        let args = ["crowd", "20", "", "dst"];
        let answers = attack(form, &small.root, unbounded.clone(), &args);
        assert!(count(&answers, "InsufficientSpace") > 0, "{answers:?}");
        assert!(!exists(&small.root.join("dst")));
        // The blocks of the staged files become free once the file system has committed.
        let deadline = Instant::now() + Duration::from_secs(60);
        while free_or_in_directory() < before {
            assert!(
                Instant::now() < deadline,
                "blocks of staged files are still allocated"
            );
            File::open(&small.root).unwrap().sync_all().unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
