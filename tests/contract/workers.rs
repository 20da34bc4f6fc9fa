//! The contract for two threads that move the bytes of one copy.
//!
//! One of the threads moves a file of less than a batch (8 MiB of data or 128 extents) alone, so the
//! sources are larger.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;

use fast_copy_test_support::files::{
    GIB, KIB, MIB, assert_allocated_at_most, assert_same, dense_file, exists, four_extents, names,
    sparse_file, write_data,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{Function, ONE_WORKER, TWO_WORKERS};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::Copy;
use wasmtime_fast_copy::{CopyControl, CopyErrorKind, CopyMethod, CopyOptions};

fast_copy_test_support::tests![
    a_large_copy_uses_two_threads_and_a_small_one_uses_one,
    workers_sets_the_number_of_threads,
    a_copy_uses_one_thread_where_a_second_cannot_be_started,
    concurrent_copies_do_not_each_use_two_threads where Offload,
    an_error_in_either_thread_ends_the_copy,
    an_error_in_the_second_thread_ends_the_copy,
    the_first_of_two_errors_is_returned,
    a_failing_call_never_makes_a_wrong_copy,
    a_source_changed_during_a_copy_by_two_threads_is_source_changed,
    a_killed_copy_by_two_threads_leaves_no_file where UnnamedFiles,
    extents_at_the_boundaries_of_pieces_and_batches_are_copied where Holes,
    written_zeros_are_copied_and_preallocated_blocks_become_holes where Holes and Preallocation,
    writeback_is_started_early_for_long_pieces_only where Disk,
    a_failed_sync_file_range_is_ignored_unless_data_was_lost where Disk,
];

/// Makes a source of several batches.
fn large(dir: &Path) -> PathBuf {
    let src = dir.join("src");
    dense_file(&src, 48 * MIB);
    File::open(&src).unwrap().sync_all().unwrap();
    src
}

/// Returns the threads that wrote to a copy.
fn writers(calls: &[String]) -> BTreeSet<&str> {
    calls
        .iter()
        .filter(|call| call.contains("pwrite64(") || call.contains("copy_file_range("))
        .filter_map(|call| call.split(' ').next())
        .collect()
}

/// Returns how many threads a copy has started.
fn started(calls: &[String]) -> usize {
    let clones = |call: &&String| call.contains("clone3(") || call.contains("clone(");
    calls.iter().filter(clones).count()
}

fn a_large_copy_uses_two_threads_and_a_small_one_uses_one(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    // The default is the number of processors, and at most two.
    let threads = thread::available_parallelism().unwrap().get().min(2);
    // On a loaded machine the first thread can be done before the second one runs: then another copy is made.
    let both_write = (0..50).any(|_| {
        let copy = Copy::new(Function::Sparse, &src, &dst).options(&["replace"]);
        let (outcome, calls) = copy.trace();
        assert_eq!(outcome, Outcome::Ok("Copy".into(), 48 * MIB));
        assert_same(&src, &dst);
        assert_eq!(started(&calls), threads - 1);
        writers(&calls).len() == threads
    });
    assert!(both_write, "the second thread never wrote");

    let small = dir.path().join("small");
    dense_file(&small, 8 * MIB);
    let dst = dir.path().join("copy of small");
    let (_, calls) = Copy::new(Function::Sparse, &small, &dst).trace();
    assert_eq!(started(&calls), 0);
    assert_eq!(writers(&calls).len(), 1);
}

fn workers_sets_the_number_of_threads(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    for (workers, threads) in [("workers=1", 0), ("workers=2", 1), ("workers=9", 1)] {
        let copy = Copy::new(Function::Sparse, &src, &dst);
        let (_, calls) = copy.options(&["replace", workers]).trace();
        assert_eq!(started(&calls), threads, "{workers}");
        assert_same(&src, &dst);
    }
}

fn a_copy_uses_one_thread_where_a_second_cannot_be_started(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    let injections = ["clone3:error=EAGAIN", "clone:error=EAGAIN"];
    let (outcome, calls) =
        Copy::new(Function::SparseTwoThreads, &src, &dst).trace_injected(&injections);
    assert_eq!(outcome, Outcome::Ok("Copy".into(), 48 * MIB));
    assert!(started(&calls) > 0, "the copy has tried to start no thread");
    assert_eq!(writers(&calls).len(), 1);
    assert_same(&src, &dst);
}

/// One thread offloads and two don't, so the method shows how many there were.
fn concurrent_copies_do_not_each_use_two_threads(fs: &FileSystem) {
    let dir = fs.dir();
    let src = large(dir.path());
    let options = CopyOptions::new().replace(true).durable(false);
    let copies = 3 * thread::available_parallelism().unwrap().get();
    // Copies may happen to run one after another, so there are several rounds.
    let seen = (0..50).any(|_| {
        let methods: Vec<CopyMethod> = thread::scope(|scope| {
            let threads: Vec<_> = (0..copies)
                .map(|i| {
                    let (dst, src) = (dir.path().join(i.to_string()), &src);
                    let options = &options;
                    scope.spawn(move || options.fast_copy(src, dst).unwrap().method)
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        methods.contains(&CopyMethod::Offload)
    });
    assert!(seen, "each of many copies had two threads");
    for i in 0..copies {
        assert_same(&src, &dir.path().join(i.to_string()));
    }
}

fn an_error_in_either_thread_ends_the_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    for (call, errno, number) in [
        ("pread64", "EIO", libc::EIO),
        ("pwrite64", "ENOSPC", libc::ENOSPC),
        ("pwrite64", "EIO", libc::EIO),
    ] {
        // strace counts the calls of each thread: the first to make 20 fails.
        let injection = format!("{call}:error={errno}:when=20");
        let outcome = Copy::new(Function::SparseTwoThreads, &src, &dst).run_injected(&[&injection]);
        outcome.assert_errno(number);
        assert_eq!(names(dir.path()), ["src"]);
    }
    // Interrupted calls are repeated in both threads.
    let copy = Copy::new(Function::SparseTwoThreads, &src, &dst);
    let interrupted = [
        "pread64:error=EINTR:when=9+5",
        "pwrite64:error=EINTR:when=9+5",
    ];
    let outcome = copy.run_injected(&interrupted);
    assert_eq!(outcome, Outcome::Ok("Copy".into(), 48 * MIB));
    assert_same(&src, &dst);
}

/// The calling thread is delayed until the second one has failed.
fn an_error_in_the_second_thread_ends_the_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    let copy = Copy::new(Function::SparseTwoThreads, &src, &dst);
    let delay = "clone3:delay_exit=2000000";
    // Only the second thread makes so many calls while the first is delayed.
    let outcome = copy.run_injected(&[delay, "pwrite64:error=ENOSPC:when=100"]);
    outcome.assert_errno(libc::ENOSPC);
    assert_eq!(names(dir.path()), ["src"]);
}

/// The first read of the calling thread is delayed, and fails after the first write of the second thread.
fn the_first_of_two_errors_is_returned(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    let copy = Copy::new(Function::SparseTwoThreads, &src, &dst);
    // strace counts the calls of each thread, and the dynamic linker has made some in the first thread.
    let loading = copy.calls_before("pread64");
    assert!(
        loading > 0,
        "the injection would hit the first reads of both threads"
    );
    fs::remove_file(&dst).unwrap();
    let second = format!("pread64:error=EIO:delay_enter=2000000:when={}", loading + 1);
    // The second thread sets its name (prctl), and is delayed there until the first is at its read.
    let (first, later) = ("pwrite64:error=ENOSPC:when=1", "prctl:delay_enter=500000");
    let (outcome, calls) = copy.trace_injected(&[first, later, &second]);
    let failed = calls.iter().filter(|call| call.contains("(INJECTED)"));
    let failed: Vec<_> = failed.map(|call| &call[..call.len().min(200)]).collect();
    assert_eq!(failed.len(), 2, "{outcome:?}, {failed:#?}");
    outcome.assert_errno(libc::ENOSPC);
    assert_eq!(names(dir.path()), ["src"]);
}

/// The same as for small files in `strategies`.
fn a_failing_call_never_makes_a_wrong_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 20 * MIB);
    File::open(&src).unwrap().sync_all().unwrap();
    let copy = Copy::new(Function::SparseTwoThreads, &src, &dst);
    for call in [
        "fstat",
        "statx",
        "ftruncate",
        "lseek",
        "pread64",
        "pwrite64",
        "fchmod",
        "fsync",
        "linkat",
    ] {
        let before = copy.calls_before(call);
        let _ = fs::remove_file(&dst);
        for error in ["EINTR", "EAGAIN", "EINVAL", "EIO", "ENOSPC"] {
            for number in [before + 1, before + 2, before + 12] {
                let injection = format!("{call}:error={error}:when={number}");
                match copy.run_injected(&[&injection]) {
                    Outcome::Ok(..) => assert_same(&src, &dst),
                    // The last call of a copy synchronises the directory.
                    Outcome::Err(..) if call == "fsync" && exists(&dst) => assert_same(&src, &dst),
                    Outcome::Err(..) => assert!(!exists(&dst), "{injection}"),
                    Outcome::Killed(_) => panic!("{injection}: killed"),
                }
                let _ = fs::remove_file(&dst);
                assert_eq!(names(dir.path()), ["src"], "{injection}");
            }
        }
    }
}

fn a_source_changed_during_a_copy_by_two_threads_is_source_changed(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    let changes: [fn(&File); 3] = [
        |file| file.set_len(GIB / 8).unwrap(),
        |file| file.set_len(GIB).unwrap(),
        |file| file.write_all_at(b"new", 0).unwrap(),
    ];
    for change in changes {
        let seen = (0..20).any(|_| {
            dense_file(&src, 256 * MIB);
            let control = CopyControl::new();
            let options = CopyOptions::new().durable(false).max_workers(TWO_WORKERS);
            let options = options.control(control.clone());
            let file = File::options().write(true).open(&src).unwrap();
            let result = thread::scope(|scope| {
                let copying = scope.spawn(|| options.sparse_copy(&src, &dst));
                while control.copied() == 0 && !copying.is_finished() {
                    std::hint::spin_loop();
                }
                change(&file);
                copying.join().unwrap()
            });
            match result {
                Ok(_) => {
                    // The copy ended before the change.
                    fs::remove_file(&dst).unwrap();
                    false
                }
                Err(error) => {
                    assert!(
                        matches!(error.kind(), CopyErrorKind::SourceChanged),
                        "{error}"
                    );
                    assert_eq!(names(dir.path()), ["src"]);
                    true
                }
            }
        });
        assert!(seen, "all of 20 copies ended before the change");
    }
}

fn a_killed_copy_by_two_threads_leaves_no_file(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    // The first thread to make ten writes is stopped.
    let stopped = Copy::new(Function::SparseTwoThreads, &src, &dst)
        .start_and_stop_at("pwrite64:when=10", &[]);
    assert_eq!(stopped.kill(), Outcome::Killed(libc::SIGKILL));
    assert_eq!(names(dir.path()), ["src"]);
}

/// Pieces end at multiples of 8 MiB, and batches after 128 extents.
fn extents_at_the_boundaries_of_pieces_and_batches_are_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    let edge = 8 * MIB;
    let block = 4 * KIB;
    let lists: [Vec<std::ops::Range<u64>>; 5] = [
        vec![0..edge, edge + block..2 * edge],
        vec![edge - block..edge + block, 3 * edge - block..3 * edge],
        vec![block..5 * edge + block],
        (0..129)
            .map(|i| 2 * i * block..(2 * i + 1) * block)
            .collect(),
        (0..1000)
            .map(|i| 3 * i * block..(3 * i + 1) * block)
            .collect(),
    ];
    for data in lists {
        let end = data.last().unwrap().end;
        for size in [end, end + 1, end + edge, end - 1] {
            sparse_file(&src, size.max(end), &data);
            File::options()
                .write(true)
                .open(&src)
                .unwrap()
                .set_len(size)
                .unwrap();
            for workers in [ONE_WORKER, TWO_WORKERS] {
                let _ = fs::remove_file(&dst);
                let options = CopyOptions::new().durable(false).max_workers(workers);
                let report = options.sparse_copy(&src, &dst).unwrap();
                let wanted: u64 = data.iter().map(|range| range.end - range.start).sum();
                assert_eq!(report.copied, wanted - end.saturating_sub(size));
                assert_same(&src, &dst);
                assert_allocated_at_most(&dst, wanted);
            }
        }
    }
}

/// FIEMAP is queried only for ranges of zeros; adjacent ranges have different answers here.
fn written_zeros_are_copied_and_preallocated_blocks_become_holes(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    let file = File::create(&src).unwrap();
    // Data, written zeros, data; then a preallocated part with data in the middle.
    write_data(&file, 0..MIB);
    file.write_all_at(&vec![0; MIB as usize], MIB).unwrap();
    write_data(&file, 2 * MIB..3 * MIB);
    let flags = rustix::fs::FallocateFlags::empty();
    rustix::fs::fallocate(&file, flags, 3 * MIB, 3 * MIB).unwrap();
    write_data(&file, 4 * MIB..4 * MIB + 64 * KIB);
    file.sync_all().unwrap();
    // In the page cache, SEEK_DATA reports all of it as data.
    fs::read(&src).unwrap();
    for workers in [ONE_WORKER, TWO_WORKERS] {
        let _ = fs::remove_file(&dst);
        let options = CopyOptions::new().max_workers(workers);
        let report = options.sparse_copy(&src, &dst).unwrap();
        assert_same(&src, &dst);
        let nonzero = 2 * MIB + 64 * KIB;
        let kept = if fs.has_fiemap() {
            nonzero + MIB
        } else {
            nonzero
        };
        assert_eq!(report.copied, kept, "{workers} workers");
        assert_allocated_at_most(&dst, kept);
    }
}

fn writeback_is_started_early_for_long_pieces_only(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    let writebacks = |calls: &[String]| {
        let starts = |call: &&String| call.contains("sync_file_range(");
        calls.iter().filter(starts).count()
    };
    for workers in ["workers=1", "workers=2"] {
        let copy = Copy::new(Function::Sparse, &src, &dst);
        let (_, calls) = copy.options(&["replace", workers]).trace();
        assert_eq!(writebacks(&calls), 6, "{workers}");
        let copy = Copy::new(Function::Sparse, &src, &dst);
        let (_, calls) = copy.options(&["replace", "no-sync", workers]).trace();
        assert_eq!(writebacks(&calls), 0, "{workers}");
    }
    let fragments = dir.path().join("fragments");
    four_extents(&fragments);
    let copy = Copy::new(Function::Sparse, &fragments, &dst);
    let (_, calls) = copy.options(&["replace"]).trace();
    assert_eq!(writebacks(&calls), 0);
}

/// `fsync` decides whether the copy is durable. But an error that reports lost data may not come again at
/// `fsync`, so it ends the copy.
fn a_failed_sync_file_range_is_ignored_unless_data_was_lost(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    for errno in ["ENOSYS", "EINVAL", "ESPIPE", "EPERM", "ENOMEM"] {
        let copy = Copy::new(Function::SparseTwoThreads, &src, &dst).options(&["replace"]);
        let outcome = copy.run_injected(&[&format!("sync_file_range:error={errno}")]);
        assert_eq!(outcome, Outcome::Ok("Copy".into(), 48 * MIB), "{errno}");
        assert_same(&src, &dst);
    }
    fs::remove_file(&dst).unwrap();
    for (injection, number) in [
        ("sync_file_range:error=EIO", libc::EIO),
        ("sync_file_range:error=ENOSPC", libc::ENOSPC),
        ("sync_file_range:error=EUCLEAN", libc::EUCLEAN),
        ("fsync:error=EIO:when=1", libc::EIO),
    ] {
        let outcome = Copy::new(Function::SparseTwoThreads, &src, &dst).run_injected(&[injection]);
        outcome.assert_errno(number);
        assert_eq!(names(dir.path()), ["src"]);
    }
}
