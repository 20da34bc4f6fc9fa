//! The second thread of a large copy stops when other copies start. The remaining thread continues as in
//! a copy by one thread: on ext4 it offloads the rest (`copy_file_range`). The contract holds for both
//! parts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fast_copy_test_support::files::{
    GIB, MIB, assert_allocated_at_most, assert_same, dense_file, exists, names, sparse_file,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::Function;
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::Copy;
use tempfile::TempDir;

fast_copy_test_support::tests![
    the_second_thread_stops_when_other_copies_start,
    the_remaining_thread_offloads_the_rest where Offload,
    a_failing_call_never_makes_a_wrong_copy where Offload,
    an_error_in_the_remaining_thread_ends_the_copy where Offload,
    a_cancel_ends_the_remaining_thread where Offload,
    the_remaining_thread_detects_a_changed_source where Offload,
    a_copy_killed_in_the_remaining_thread_leaves_no_file where Offload and UnnamedFiles,
    holes_are_kept_by_both_threads where Offload,
];

const SIZE: u64 = 48 * MIB;

/// Delays both threads in each batch after two writes: in the first batch until the competing copies have
/// started, and in later ones so that neither thread gets far ahead of the other.
const HOLD: &str = "pwrite64:delay_enter=150000:when=3+32";

/// A source, and another one of zeros for the competing copies, just large enough to count as large.
struct Contention {
    dir: TempDir,
    src: PathBuf,
    dst: PathBuf,
    _other_dir: TempDir,
    competitor: String,
}

impl Contention {
    fn new(fs: &FileSystem) -> Self {
        let (dir, other_dir) = (fs.dir(), fs.dir());
        let other_source = other_dir.path().join("other-source");
        fs::write(&other_source, vec![0; 16 << 20]).unwrap();
        let src = dir.path().join("src");
        dense_file(&src, SIZE);
        File::open(&src).unwrap().sync_all().unwrap();
        Self {
            src,
            dst: dir.path().join("dst"),
            dir,
            competitor: format!("competitor={}", other_source.display()),
            _other_dir: other_dir,
        }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn run<T>(&self, function: Function, run: impl FnOnce(Copy<'_>) -> T) -> T {
        self.run_with(function, &[], run)
    }

    fn run_with<T>(&self, function: Function, more: &[&str], run: impl FnOnce(Copy<'_>) -> T) -> T {
        let options: Vec<&str> = [self.competitor.as_str()]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        run(Copy::new(function, &self.src, &self.dst).options(&options))
    }
}

/// The outcome of a copy whose second thread stops, and whose rest is offloaded.
fn offloaded() -> Outcome {
    Outcome::Ok("Offload".into(), SIZE)
}

fn the_second_thread_stops_when_other_copies_start(fs: &FileSystem) {
    let contention = Contention::new(fs);
    let (outcome, calls) = contention.run(Function::Sparse, |copy| copy.trace_injected(&[HOLD]));
    assert_eq!(outcome, Outcome::Ok("Copy".into(), SIZE));
    assert_same(&contention.src, &contention.dst);
    let mut writes = BTreeMap::new();
    for call in calls.iter().filter(|call| call.contains("pwrite64(")) {
        *writes.entry(call.split(' ').next()).or_insert(0) += 1;
    }
    // 32 calls move one batch, and there are six.
    let mut writes: Vec<u64> = writes.into_values().collect();
    writes.sort_unstable();
    assert_eq!(writes, [32, 160]);
}

fn the_remaining_thread_offloads_the_rest(fs: &FileSystem) {
    let contention = Contention::new(fs);
    let (outcome, calls) = contention.run(Function::Fast, |copy| copy.trace_injected(&[HOLD]));
    assert_eq!(outcome, offloaded());
    assert_same(&contention.src, &contention.dst);
    let count = |name| calls.iter().filter(|call| call.contains(name)).count();
    // Each thread writes its first batch, and the first thread one more if it began that before the
    // second thread stopped.
    assert!([64, 96].contains(&count(" pwrite64(")));
    assert!(count(" copy_file_range(") >= 3);
}

fn a_failing_call_never_makes_a_wrong_copy(fs: &FileSystem) {
    let contention = Contention::new(fs);
    let mut offloads = 0;
    for call in [
        "ioctl",
        "lseek",
        "copy_file_range",
        "pread64",
        "pwrite64",
        "sync_file_range",
        "fsync",
    ] {
        let before = contention.run(Function::Fast, |copy| copy.calls_before(call));
        for error in ["EINTR", "EINVAL", "EXDEV", "EIO", "ENOSPC"] {
            // The first call of a thread, one in its first batch, and one of the remaining thread.
            for number in [before + 1, before + 2, before + 4] {
                let _ = fs::remove_file(&contention.dst);
                let injection = format!("{call}:error={error}:when={number}");
                let held = [HOLD, injection.as_str()];
                let outcome = contention.run(Function::Fast, |copy| copy.run_injected(&held));
                match outcome {
                    Outcome::Ok(method, _) => {
                        assert_same(&contention.src, &contention.dst);
                        offloads += usize::from(method == "Offload");
                    }
                    // The last call of a copy synchronises the directory.
                    Outcome::Err(..) if call == "fsync" && exists(&contention.dst) => {
                        assert_same(&contention.src, &contention.dst);
                        fs::remove_file(&contention.dst).unwrap();
                    }
                    Outcome::Err(..) => assert!(!exists(&contention.dst), "{injection}"),
                    Outcome::Killed(_) => panic!("{injection}: killed"),
                }
                let _ = fs::remove_file(&contention.dst);
                assert_eq!(names(contention.dir()), ["src"], "{injection}");
            }
        }
    }
    assert!(
        offloads > 30,
        "the second thread stopped in {offloads} copies only"
    );
}

/// A call that only the remaining thread makes, for each function: one offloads the rest, the other
/// reads and writes it.
const REMAINING: [(Function, &str); 2] = [
    (Function::Fast, "copy_file_range:when=3"),
    (Function::Sparse, "pread64:when=100"),
];

fn an_error_in_the_remaining_thread_ends_the_copy(fs: &FileSystem) {
    let contention = Contention::new(fs);
    for (function, call) in REMAINING {
        for (error, number) in [("EIO", libc::EIO), ("ENOSPC", libc::ENOSPC)] {
            if function == Function::Fast && number == libc::ENOSPC {
                // Reading and writing follows, which finds out whether there is room.
                continue;
            }
            let (name, when) = call.split_once(':').unwrap();
            let injection = format!("{name}:error={error}:{when}");
            let held = [HOLD, injection.as_str()];
            let outcome = contention.run(function, |copy| copy.run_injected(&held));
            outcome.assert_errno(number);
            assert_eq!(names(contention.dir()), ["src"]);
        }
    }
    // An interrupted call is repeated.
    let held = [HOLD, "pread64:error=EINTR:when=100+3"];
    let outcome = contention.run(Function::Sparse, |copy| copy.run_injected(&held));
    assert_eq!(outcome, Outcome::Ok("Copy".into(), SIZE));
    assert_same(&contention.src, &contention.dst);
}

fn a_cancel_ends_the_remaining_thread(fs: &FileSystem) {
    let contention = Contention::new(fs);
    for (function, call) in REMAINING {
        let signal = format!("{call}:signal=SIGUSR1");
        let outcome = contention.run_with(function, &["cancel-on-signal"], |copy| {
            copy.run_injected(&[HOLD, &signal])
        });
        outcome.assert_error("Cancelled");
        assert_eq!(names(contention.dir()), ["src"]);
    }
}

fn the_remaining_thread_detects_a_changed_source(fs: &FileSystem) {
    let changes: [fn(&File); 3] = [
        |file| file.set_len(SIZE / 2).unwrap(),
        |file| file.set_len(2 * SIZE).unwrap(),
        |file| file.write_all_at(b"new", 0).unwrap(),
    ];
    let contention = Contention::new(fs);
    for (function, call) in REMAINING {
        for change in changes {
            dense_file(&contention.src, SIZE);
            File::open(&contention.src).unwrap().sync_all().unwrap();
            let stopped = contention.run(function, |copy| copy.start_and_stop_at(call, &[HOLD]));
            change(&File::options().write(true).open(&contention.src).unwrap());
            stopped.go_on().assert_error("SourceChanged");
            assert_eq!(names(contention.dir()), ["src"]);
        }
    }
}

fn a_copy_killed_in_the_remaining_thread_leaves_no_file(fs: &FileSystem) {
    let contention = Contention::new(fs);
    for (function, call) in REMAINING {
        let stopped = contention.run(function, |copy| copy.start_and_stop_at(call, &[HOLD]));
        assert_eq!(stopped.kill(), Outcome::Killed(libc::SIGKILL));
        assert_eq!(names(contention.dir()), ["src"]);
    }
}

/// The source has holes, a preallocated part that is in the page cache, and a hole at the end.
fn holes_are_kept_by_both_threads(fs: &FileSystem) {
    let contention = Contention::new(fs);
    let data: Vec<_> = (0..64).map(|i| 2 * i * MIB..(2 * i + 1) * MIB).collect();
    sparse_file(&contention.src, GIB, &data);
    let file = File::options().write(true).open(&contention.src).unwrap();
    let flags = rustix::fs::FallocateFlags::empty();
    rustix::fs::fallocate(&file, flags, 81 * MIB, MIB).unwrap();
    file.sync_all().unwrap();
    let part = File::open(&contention.src).unwrap();
    part.read_exact_at(&mut vec![0; 128 << 20], 0).unwrap();
    for (function, method) in [(Function::Fast, "Offload"), (Function::Sparse, "Copy")] {
        let _ = fs::remove_file(&contention.dst);
        let outcome = contention.run(function, |copy| copy.run_injected(&[HOLD]));
        assert_eq!(outcome, Outcome::Ok(method.into(), 64 * MIB));
        assert_same(&contention.src, &contention.dst);
        assert_allocated_at_most(&contention.dst, 64 * MIB);
    }
}
