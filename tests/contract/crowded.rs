//! The second thread of a large copy leaves it when other copies come, and the first one goes on as
//! if it had been alone: on ext4 it lets the kernel move the rest. The contract holds for both
//! halves.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fast_copy_test_support::files::{
    GIB, MIB, assert_allocated_at_most, assert_same, dense_file, exists, names, sparse_file,
};
use fast_copy_test_support::filesystems::{FileSystem, is_ext4};
use fast_copy_test_support::function::Function;
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::Copy;
use tempfile::TempDir;

fast_copy_test_support::tests![
    the_second_thread_leaves,
    the_first_thread_then_offloads where is_ext4,
    no_fault_makes_a_wrong_copy where is_ext4,
    a_fault_is_met_by_who_is_left where is_ext4,
    a_cancel_is_heard_by_who_is_left where is_ext4,
    a_changed_source_is_seen_by_who_is_left where is_ext4,
    a_copy_killed_after_the_second_thread_left_leaves_nothing where is_ext4,
    holes_stay_holes where is_ext4,
];

const SIZE: u64 = 48 * MIB;

/// Holds both threads in each batch, behind two writes: in the first one until the neighbours are
/// there, and later so that neither of them gets far ahead of the other.
const HOLD: &str = "pwrite64:delay_enter=150000:when=3+32";

/// A source, and a neighbour's, of zeros, just large enough to be in somebody's way.
struct Crowd {
    dir: TempDir,
    src: PathBuf,
    dst: PathBuf,
    _elsewhere: TempDir,
    crowded_by: String,
}

impl Crowd {
    fn new(fs: &FileSystem) -> Self {
        let (dir, elsewhere) = (fs.dir(), fs.dir());
        let neighbour = elsewhere.path().join("neighbour");
        fs::write(&neighbour, vec![0; 16 << 20]).unwrap();
        let src = dir.path().join("src");
        dense_file(&src, SIZE);
        File::open(&src).unwrap().sync_all().unwrap();
        Self {
            src,
            dst: dir.path().join("dst"),
            dir,
            crowded_by: format!("crowded-by={}", neighbour.display()),
            _elsewhere: elsewhere,
        }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn run<T>(&self, function: Function, run: impl FnOnce(Copy<'_>) -> T) -> T {
        self.run_with(function, &[], run)
    }

    fn run_with<T>(&self, function: Function, more: &[&str], run: impl FnOnce(Copy<'_>) -> T) -> T {
        let options: Vec<&str> = [self.crowded_by.as_str()]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        run(Copy::new(function, &self.src, &self.dst).options(&options))
    }
}

/// What comes of a copy whose second thread leaves, and which therefore is offloaded in the end.
fn offloaded() -> Outcome {
    Outcome::Ok("Offload".into(), SIZE)
}

fn the_second_thread_leaves(fs: &FileSystem) {
    let crowd = Crowd::new(fs);
    let (outcome, calls) = crowd.run(Function::Sparse, |copy| copy.trace_injected(&[HOLD]));
    assert_eq!(outcome, Outcome::Ok("Copy".into(), SIZE));
    assert_same(&crowd.src, &crowd.dst);
    let mut writes = BTreeMap::new();
    for call in calls.iter().filter(|call| call.contains("pwrite64(")) {
        *writes.entry(call.split(' ').next()).or_insert(0) += 1;
    }
    // 32 calls move one batch, and there are six.
    let mut writes: Vec<u64> = writes.into_values().collect();
    writes.sort_unstable();
    assert_eq!(writes, [32, 160]);
}

fn the_first_thread_then_offloads(fs: &FileSystem) {
    let crowd = Crowd::new(fs);
    let (outcome, calls) = crowd.run(Function::Fast, |copy| copy.trace_injected(&[HOLD]));
    assert_eq!(outcome, offloaded());
    assert_same(&crowd.src, &crowd.dst);
    let count = |name| calls.iter().filter(|call| call.contains(name)).count();
    // The first batches, and one more if the first thread has taken it before the other one left.
    assert!([64, 96].contains(&count(" pwrite64(")));
    assert!(count(" copy_file_range(") >= 3);
}

fn no_fault_makes_a_wrong_copy(fs: &FileSystem) {
    let crowd = Crowd::new(fs);
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
        let before = crowd.run(Function::Fast, |copy| copy.calls_before(call));
        for error in ["EINTR", "EINVAL", "EXDEV", "EIO", "ENOSPC"] {
            // The first of a thread, one of its first batch, and one of a thread that is alone.
            for number in [before + 1, before + 2, before + 4] {
                let _ = fs::remove_file(&crowd.dst);
                let injection = format!("{call}:error={error}:when={number}");
                let held = [HOLD, injection.as_str()];
                let outcome = crowd.run(Function::Fast, |copy| copy.run_injected(&held));
                match outcome {
                    Outcome::Ok(method, _) => {
                        assert_same(&crowd.src, &crowd.dst);
                        offloads += usize::from(method == "Offload");
                    }
                    // The last call of a copy: the directory's synchronisation.
                    Outcome::Err(..) if call == "fsync" && exists(&crowd.dst) => {
                        assert_same(&crowd.src, &crowd.dst);
                        fs::remove_file(&crowd.dst).unwrap();
                    }
                    Outcome::Err(..) => assert!(!exists(&crowd.dst), "{injection}"),
                    Outcome::Killed(_) => panic!("{injection}: killed"),
                }
                let _ = fs::remove_file(&crowd.dst);
                assert_eq!(names(crowd.dir()), ["src"], "{injection}");
            }
        }
    }
    assert!(offloads > 30, "only {offloads} second threads left");
}

/// A call that only the thread comes to that is left, by either function: the kernel moves the rest,
/// or it is read and written.
const LEFT_ALONE: [(Function, &str); 2] = [
    (Function::Fast, "copy_file_range:when=2"),
    (Function::Sparse, "pread64:when=100"),
];

fn a_fault_is_met_by_who_is_left(fs: &FileSystem) {
    let crowd = Crowd::new(fs);
    for (function, call) in LEFT_ALONE {
        for (error, number) in [("EIO", libc::EIO), ("ENOSPC", libc::ENOSPC)] {
            let (name, when) = call.split_once(':').unwrap();
            let injection = format!("{name}:error={error}:{when}");
            let held = [HOLD, injection.as_str()];
            let outcome = crowd.run(function, |copy| copy.run_injected(&held));
            outcome.assert_errno(number);
            assert_eq!(names(crowd.dir()), ["src"]);
        }
    }
    // What can be done again is.
    let held = [HOLD, "pread64:error=EINTR:when=100+3"];
    let outcome = crowd.run(Function::Sparse, |copy| copy.run_injected(&held));
    assert_eq!(outcome, Outcome::Ok("Copy".into(), SIZE));
    assert_same(&crowd.src, &crowd.dst);
}

fn a_cancel_is_heard_by_who_is_left(fs: &FileSystem) {
    let crowd = Crowd::new(fs);
    for (function, call) in LEFT_ALONE {
        let signal = format!("{call}:signal=SIGUSR1");
        let outcome = crowd.run_with(function, &["cancel-on-signal"], |copy| {
            copy.run_injected(&[HOLD, &signal])
        });
        outcome.assert_error("Cancelled");
        assert_eq!(names(crowd.dir()), ["src"]);
    }
}

fn a_changed_source_is_seen_by_who_is_left(fs: &FileSystem) {
    let changes: [fn(&File); 3] = [
        |file| file.set_len(SIZE / 2).unwrap(),
        |file| file.set_len(2 * SIZE).unwrap(),
        |file| file.write_all_at(b"new", 0).unwrap(),
    ];
    let crowd = Crowd::new(fs);
    for (function, call) in LEFT_ALONE {
        for change in changes {
            dense_file(&crowd.src, SIZE);
            File::open(&crowd.src).unwrap().sync_all().unwrap();
            let stopped = crowd.run(function, |copy| copy.start_and_stop_at(call, &[HOLD]));
            change(&File::options().write(true).open(&crowd.src).unwrap());
            stopped.go_on().assert_error("SourceChanged");
            assert_eq!(names(crowd.dir()), ["src"]);
        }
    }
}

fn a_copy_killed_after_the_second_thread_left_leaves_nothing(fs: &FileSystem) {
    let crowd = Crowd::new(fs);
    for (function, call) in LEFT_ALONE {
        let stopped = crowd.run(function, |copy| copy.start_and_stop_at(call, &[HOLD]));
        assert_eq!(stopped.kill(), Outcome::Killed(libc::SIGKILL));
        assert_eq!(names(crowd.dir()), ["src"]);
    }
}

/// Holes, preallocated parts that look like data, and a hole at the end.
fn holes_stay_holes(fs: &FileSystem) {
    let crowd = Crowd::new(fs);
    let data: Vec<_> = (0..64).map(|i| 2 * i * MIB..(2 * i + 1) * MIB).collect();
    sparse_file(&crowd.src, GIB, &data);
    let file = File::options().write(true).open(&crowd.src).unwrap();
    let flags = rustix::fs::FallocateFlags::empty();
    rustix::fs::fallocate(&file, flags, 81 * MIB, MIB).unwrap();
    file.sync_all().unwrap();
    let part = File::open(&crowd.src).unwrap();
    part.read_exact_at(&mut vec![0; 128 << 20], 0).unwrap();
    for (function, method) in [(Function::Fast, "Offload"), (Function::Sparse, "Copy")] {
        let _ = fs::remove_file(&crowd.dst);
        let outcome = crowd.run(function, |copy| copy.run_injected(&[HOLD]));
        assert_eq!(outcome, Outcome::Ok(method.into(), 64 * MIB));
        assert_same(&crowd.src, &crowd.dst);
        assert_allocated_at_most(&crowd.dst, 64 * MIB);
    }
}
