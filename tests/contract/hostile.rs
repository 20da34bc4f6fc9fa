//! A component that attacks its host: `guest/hostile`. The test `storm` repeats the attacks in large
//! numbers and with races.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use fast_copy_test_support::command::Form;
use fast_copy_test_support::features::Feature;
use fast_copy_test_support::files::{MIB, assert_same, dense_file, exists, names, text_file};
use fast_copy_test_support::filesystems::{FileSystem, Small, smallest};
use fast_copy_test_support::guest_host::{FORMS, Guest, Preopen, run_with, try_run};
use wasmtime_fast_copy::{CopySlots, FastCopyCtx, FastCopyCtxBuilder};

fast_copy_test_support::tests![
    a_forged_handle_traps_and_creates_no_file,
    very_long_paths_are_name_too_long_or_trap,
    unfinished_jobs_are_limited_and_end_with_the_guest,
    one_of_many_copies_to_one_name_succeeds,
    concurrent_replacements_of_one_name_leave_a_complete_file,
    a_source_of_the_largest_possible_size_is_file_too_large where Holes,
    random_jobs_leave_only_complete_files,
    a_full_disk_and_a_full_quota_leave_no_file_and_no_reservation where Small,
];

/// Runs an attack with slots of its own. Returns how often each answer came.
#[track_caller]
fn attack(form: Form, dir: &Path, ctx: FastCopyCtxBuilder, args: &[&str]) -> BTreeMap<String, u64> {
    let slots = CopySlots::new(8);
    let dirs = [Preopen::writable(dir, ".")];
    let ctx = ctx.slots(slots.clone()).build();
    let output = run_with(Guest::Hostile, form, &dirs, args, ctx);
    assert_eq!(output.status, 0, "{output:?}");
    assert_all_free(&slots);
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

/// Asserts that all slots become free: the work of dropped calls ends soon.
#[track_caller]
fn assert_all_free(slots: &CopySlots) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while slots.free() < 8 {
        assert!(Instant::now() < deadline, "{} slots are free", slots.free());
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn count(answers: &BTreeMap<String, u64>, answer: &str) -> u64 {
    answers.get(answer).copied().unwrap_or(0)
}

fn a_forged_handle_traps_and_creates_no_file(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "src", "text");
    let dirs = [Preopen::writable(dir.path(), ".")];
    for form in FORMS {
        for handle in ["0", "77", "4294967295", "closed", "pollable"] {
            let ctx = FastCopyCtx::new();
            let trap = try_run(Guest::Hostile, form, &dirs, &["handle", handle], ctx);
            let trap = format!("{:#}", trap.expect_err("a forged handle was accepted"));
            assert!(trap.contains("handle"), "{handle}: {trap}");
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
        for name in names(dir.path()) {
            assert_same(&dir.path().join("src"), &dir.path().join(name));
        }
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
    for (seed, form) in [("1", Form::Async), ("2", Form::Sync), ("3", Form::Async)] {
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
        for name in names(dir.path()) {
            assert_same(&src, &dir.path().join(name));
        }
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
        let before = free(&small.root);
        let args = ["crowd", "20", "", "dst"];
        let answers = attack(form, &small.root, unbounded.clone(), &args);
        assert!(count(&answers, "InsufficientSpace") > 0, "{answers:?}");
        assert!(!exists(&small.root.join("dst")));
        // The blocks of the staged files become free once the file system has committed.
        let deadline = Instant::now() + Duration::from_secs(60);
        while free(&small.root) < before {
            assert!(
                Instant::now() < deadline,
                "blocks of staged files are still allocated"
            );
            File::open(&small.root).unwrap().sync_all().unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
