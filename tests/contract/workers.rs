//! Two threads that move the bytes of one copy: the contract holds for them too.
//!
//! A file of less than a batch (8 MiB of data, 128 extents) is moved by whichever of them comes
//! first, so the sources here are larger.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;

use fast_copy_test_support::files::{
    GIB, KIB, MIB, assert_allocated_at_most, assert_same, dense_file, exists, four_extents, names,
    sparse_file, write_data,
};
use fast_copy_test_support::filesystems::{FileSystem, has_disk, is_ext4};
use fast_copy_test_support::function::Function;
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::Copy;
use wasmtime_fast_copy::{CopyControl, CopyErrorKind, CopyMethod, CopyOptions};

fast_copy_test_support::tests![
    a_large_copy_has_two_threads_and_a_small_one_has_one,
    a_caller_chooses_how_many,
    a_copy_is_made_alone_where_no_thread_can_be_had,
    copies_at_once_have_no_second_thread_each where is_ext4,
    a_fault_in_either_thread_ends_the_copy,
    a_fault_in_the_other_thread_alone_ends_the_copy,
    of_two_faults_the_first_is_told,
    no_fault_makes_a_wrong_copy,
    a_source_changed_under_two_threads_is_an_error,
    a_copy_by_two_that_is_killed_leaves_nothing,
    extents_at_the_edges_of_pieces_are_copied,
    zeros_that_were_written_stay_and_others_do_not,
    the_disk_is_told_early_of_long_pieces_only where has_disk,
    what_the_disk_is_told_early_can_only_make_the_copy_fail where has_disk,
];

/// Enough for two threads to take turns.
fn large(dir: &Path) -> PathBuf {
    let src = dir.join("src");
    dense_file(&src, 48 * MIB);
    File::open(&src).unwrap().sync_all().unwrap();
    src
}

/// The threads that wrote into a copy.
fn writers(calls: &[String]) -> BTreeSet<&str> {
    calls
        .iter()
        .filter(|call| call.contains("pwrite64(") || call.contains("copy_file_range("))
        .filter_map(|call| call.split(' ').next())
        .collect()
}

/// How many threads a copy has started.
fn started(calls: &[String]) -> usize {
    let clones = |call: &&String| call.contains("clone3(") || call.contains("clone(");
    calls.iter().filter(clones).count()
}

fn a_large_copy_has_two_threads_and_a_small_one_has_one(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    let (outcome, calls) = Copy::new(Function::Sparse, &src, &dst).trace();
    assert_eq!(outcome, Outcome::Ok("Copy".into(), 48 * MIB));
    assert_same(&src, &dst);
    // Two where there are two processors.
    let threads = thread::available_parallelism().unwrap().get().min(2);
    assert_eq!(started(&calls), threads - 1);
    assert_eq!(writers(&calls).len(), threads);

    let small = dir.path().join("small");
    dense_file(&small, 8 * MIB);
    let dst = dir.path().join("copy of small");
    let (_, calls) = Copy::new(Function::Sparse, &small, &dst).trace();
    assert_eq!(started(&calls), 0);
    assert_eq!(writers(&calls).len(), 1);
}

fn a_caller_chooses_how_many(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    for (workers, threads) in [("workers=0", 0), ("workers=1", 0), ("workers=9", 1)] {
        let copy = Copy::new(Function::Sparse, &src, &dst);
        let (_, calls) = copy.options(&["replace", workers]).trace();
        assert_eq!(started(&calls), threads, "{workers}");
        assert_same(&src, &dst);
    }
}

fn a_copy_is_made_alone_where_no_thread_can_be_had(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    let injections = ["clone3:error=EAGAIN", "clone:error=EAGAIN"];
    let (outcome, calls) = Copy::new(Function::SparseByTwo, &src, &dst).trace_injected(&injections);
    assert_eq!(outcome, Outcome::Ok("Copy".into(), 48 * MIB));
    assert!(started(&calls) > 0, "no thread was asked for");
    assert_eq!(writers(&calls).len(), 1);
    assert_same(&src, &dst);
}

/// One thread alone lets the kernel move the bytes, two don't: so the method tells.
fn copies_at_once_have_no_second_thread_each(fs: &FileSystem) {
    let dir = fs.dir();
    let src = large(dir.path());
    let options = CopyOptions::new().replace(true).no_sync(true);
    let copies = 3 * thread::available_parallelism().unwrap().get();
    // They may happen to come one after another.
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

fn a_fault_in_either_thread_ends_the_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    for (call, errno, number) in [
        ("pread64", "EIO", libc::EIO),
        ("pwrite64", "ENOSPC", libc::ENOSPC),
        ("pwrite64", "EIO", libc::EIO),
    ] {
        // strace counts each thread's calls; the first to come to 20 fails.
        let injection = format!("{call}:error={errno}:when=20");
        let outcome = Copy::new(Function::SparseByTwo, &src, &dst).run_injected(&[&injection]);
        outcome.assert_errno(number);
        assert_eq!(names(dir.path()), ["src"]);
    }
    // What can be done again is, in both threads.
    let copy = Copy::new(Function::SparseByTwo, &src, &dst);
    let interrupted = [
        "pread64:error=EINTR:when=9+5",
        "pwrite64:error=EINTR:when=9+5",
    ];
    let outcome = copy.run_injected(&interrupted);
    assert_eq!(outcome, Outcome::Ok("Copy".into(), 48 * MIB));
    assert_same(&src, &dst);
}

/// The calling thread is held back until the other one has failed: it must hear of it.
fn a_fault_in_the_other_thread_alone_ends_the_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    let copy = Copy::new(Function::SparseByTwo, &src, &dst);
    let held = "clone3:delay_exit=2000000";
    // The calling thread never comes to so many.
    let outcome = copy.run_injected(&[held, "pwrite64:error=ENOSPC:when=100"]);
    outcome.assert_errno(libc::ENOSPC);
    assert_eq!(names(dir.path()), ["src"]);
}

/// The calling thread's first read is held back, and fails behind the other thread's first write.
fn of_two_faults_the_first_is_told(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    let copy = Copy::new(Function::SparseByTwo, &src, &dst);
    // strace counts each thread's calls, and the calling one has made some to load the program.
    let loading = copy.calls_before("pread64");
    assert!(loading > 0, "both threads' first reads would fail");
    fs::remove_file(&dst).unwrap();
    let second = format!("pread64:error=EIO:delay_enter=2000000:when={}", loading + 1);
    // The other thread names itself, and waits there until the calling one is at its read.
    let (first, later) = ("pwrite64:error=ENOSPC:when=1", "prctl:delay_enter=500000");
    let (outcome, calls) = copy.trace_injected(&[first, later, &second]);
    let failed = calls.iter().filter(|call| call.contains("(INJECTED)"));
    let failed: Vec<_> = failed.map(|call| &call[..call.len().min(200)]).collect();
    assert_eq!(failed.len(), 2, "{outcome:?}, {failed:#?}");
    outcome.assert_errno(libc::ENOSPC);
    assert_eq!(names(dir.path()), ["src"]);
}

/// As in the matrix for small files.
fn no_fault_makes_a_wrong_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 20 * MIB);
    File::open(&src).unwrap().sync_all().unwrap();
    let copy = Copy::new(Function::SparseByTwo, &src, &dst);
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
                    // The last call of a copy: the directory's synchronisation.
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

fn a_source_changed_under_two_threads_is_an_error(fs: &FileSystem) {
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
            let options = CopyOptions::new().no_sync(true).workers(2);
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
                    // The copy was faster than the change.
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
        assert!(seen, "one of 20 copies to be slower than a change");
    }
}

fn a_copy_by_two_that_is_killed_leaves_nothing(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    // Whichever thread comes to its tenth write.
    let stopped =
        Copy::new(Function::SparseByTwo, &src, &dst).start_and_stop_at("pwrite64:when=10", &[]);
    assert_eq!(stopped.kill(), Outcome::Killed(libc::SIGKILL));
    assert_eq!(names(dir.path()), ["src"]);
}

/// Pieces are cut at multiples of 8 MiB, and batches end after 128 extents.
fn extents_at_the_edges_of_pieces_are_copied(fs: &FileSystem) {
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
            for workers in [1, 2] {
                let _ = fs::remove_file(&dst);
                let options = CopyOptions::new().no_sync(true).workers(workers);
                let report = options.sparse_copy(&src, &dst).unwrap();
                let wanted: u64 = data.iter().map(|range| range.end - range.start).sum();
                assert_eq!(report.copied, wanted - end.saturating_sub(size));
                assert_same(&src, &dst);
                assert_allocated_at_most(&dst, wanted);
            }
        }
    }
}

/// The map is asked only about zeros; its answers must be put together right at every edge.
fn zeros_that_were_written_stay_and_others_do_not(fs: &FileSystem) {
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
    // Now all of it looks like data.
    fs::read(&src).unwrap();
    for workers in [1, 2] {
        let _ = fs::remove_file(&dst);
        let options = CopyOptions::new().workers(workers);
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

fn the_disk_is_told_early_of_long_pieces_only(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    let told = |calls: &[String]| {
        let early = |call: &&String| call.contains("sync_file_range(");
        calls.iter().filter(early).count()
    };
    for workers in ["workers=1", "workers=2"] {
        let copy = Copy::new(Function::Sparse, &src, &dst);
        let (_, calls) = copy.options(&["replace", workers]).trace();
        assert_eq!(told(&calls), 6, "{workers}");
        let copy = Copy::new(Function::Sparse, &src, &dst);
        let (_, calls) = copy.options(&["replace", "no-sync", workers]).trace();
        assert_eq!(told(&calls), 0, "{workers}");
    }
    let fragments = dir.path().join("fragments");
    four_extents(&fragments);
    let copy = Copy::new(Function::Sparse, &fragments, &dst);
    let (_, calls) = copy.options(&["replace"]).trace();
    assert_eq!(told(&calls), 0);
}

/// Whether all is on the disk is for `fsync` to say. But an error that tells of lost data is none
/// that may be dropped.
fn what_the_disk_is_told_early_can_only_make_the_copy_fail(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (large(dir.path()), dir.path().join("dst"));
    for errno in ["ENOSYS", "EINVAL", "ESPIPE", "EPERM", "ENOMEM"] {
        let copy = Copy::new(Function::SparseByTwo, &src, &dst).options(&["replace"]);
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
        let outcome = Copy::new(Function::SparseByTwo, &src, &dst).run_injected(&[injection]);
        outcome.assert_errno(number);
        assert_eq!(names(dir.path()), ["src"]);
    }
}
