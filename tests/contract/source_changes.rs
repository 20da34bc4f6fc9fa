//! Contract line 7: the copy equals its source, or the call fails.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use fast_copy_test_support::files::{
    MIB, assert_same, assert_text, dense_file, exists, four_extents, names, text_file,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{BOTH, Function};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::{Copy, Stopped};
use wasmtime_fast_copy::{
    CopyErrorKind, CopyOptions, CopyQuota, Destination, Limits, Sharing, Source,
};

fast_copy_test_support::tests![
    a_source_overwritten_during_the_copy_is_source_changed where Times,
    a_source_overwritten_after_the_last_read_is_source_changed where Times,
    a_source_unlinked_during_the_copy_is_source_changed where HardLinks and Times,
    a_write_to_the_source_after_the_clone_is_no_error where Reflinks,
    a_clone_of_another_size_is_discarded_and_the_bytes_are_copied,
    a_clone_gets_no_permission_that_its_source_has_lost where Reflinks,
    a_clone_that_exceeds_max_size_is_not_published where Reflinks,
    the_sources_times_are_read_with_at_statx_force_sync where Statx,
    a_write_in_progress_is_in_the_copy_completely_or_not_at_all where Holes,
    a_copy_with_a_lease_fails_if_its_source_is_or_gets_open_for_writing where Leases,
];

/// Stops a copy of 8 MiB at one of its reads of 256 KiB, changes the source, and continues the copy.
fn change_at_read(fs: &FileSystem, number: usize, change: fn(&Path)) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    for function in BOTH {
        dense_file(&src, 8 * MIB);
        // Without this, a change in the same clock tick as the write could not be detected.
        fs::File::open(&src).unwrap().sync_all().unwrap();
        let copy = Copy::new(function, &src, &dst);
        // The dynamic linker makes such calls too.
        let number = copy.calls_before("pread64") + number;
        fs::remove_file(&dst).unwrap();
        let stop = format!("pread64:when={number}");
        let stopped = copy.start_and_stop_at(&stop, &reading_and_writing(function));
        change(&src);
        let outcome = stopped.go_on();
        outcome.assert_error("SourceChanged");
        assert_eq!(names(dir.path()), ["src"]);
    }
}

/// Returns the injections that make `fast_copy` read and write.
fn reading_and_writing(function: Function) -> Vec<&'static str> {
    match function {
        Function::Fast => vec![
            "ioctl:error=EOPNOTSUPP:when=1",
            "copy_file_range:error=EXDEV",
        ],
        _ => vec![],
    }
}

fn a_source_overwritten_during_the_copy_is_source_changed(fs: &FileSystem) {
    change_at_read(fs, 3, |src| {
        let file = OpenOptions::new().write(true).open(src).unwrap();
        file.write_all_at(b"other", 6 * MIB).unwrap();
    });
}

fn a_source_overwritten_after_the_last_read_is_source_changed(fs: &FileSystem) {
    // The 32nd and last read of 256 KiB.
    change_at_read(fs, 32, |src| {
        let file = OpenOptions::new().write(true).open(src).unwrap();
        file.write_all_at(b"other", 0).unwrap();
    });
}

fn a_source_unlinked_during_the_copy_is_source_changed(fs: &FileSystem) {
    let dir = fs.dir();
    let at = |name: &str| dir.path().join(name);
    dense_file(&at("src"), 8 * MIB);
    dense_file(&at("reference"), 8 * MIB);
    fs::hard_link(at("src"), at("other-name")).unwrap();
    let (src, dst) = (at("src"), at("dst"));
    let copy = Copy::new(Function::Sparse, &src, &dst);
    let stopped = copy.start_and_stop_at("pread64:when=3", &[]);
    // unlink changes the ctime of the inode, as a write does.
    fs::remove_file(&src).unwrap();
    stopped.go_on().assert_error("SourceChanged");
    assert!(!exists(&dst));
    assert_same(&at("reference"), &at("other-name"));
}

/// A clone is an atomic snapshot, which later writes to the source don't change.
fn a_write_to_the_source_after_the_clone_is_no_error(fs: &FileSystem) {
    let dir = fs.dir();
    let at = |name: &str| dir.path().join(name);
    dense_file(&at("src"), 8 * MIB);
    dense_file(&at("reference"), 8 * MIB);
    let (src, dst) = (at("src"), at("dst"));
    let copy = Copy::new(Function::Fast, &src, &dst);
    let stopped = copy.start_and_stop_at("fchmod:when=1", &[]);
    let file = OpenOptions::new().write(true).open(&src).unwrap();
    file.write_all_at(b"other", 0).unwrap();
    stopped.go_on().assert_method("Reflink");
    assert_same(&at("reference"), &dst);
}

/// ZFS had a bug where FICLONE returned success without a clone.
fn a_clone_of_another_size_is_discarded_and_the_bytes_are_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let outcome = Copy::new(Function::Fast, &src, &dst).run_injected(&["ioctl:retval=0:when=1"]);
    assert!(
        matches!(&outcome, Outcome::Ok(method, _) if method != "Reflink"),
        "{outcome:?}"
    );
    assert_same(&src, &dst);
}

/// Starts a copy, and stops it after the source is opened and before the clone.
fn stopped_before_the_clone(copy: &Copy<'_>) -> Stopped {
    let number = copy.number_of("openat", "O_TMPFILE");
    copy.start_and_stop_at(&format!("openat:when={number}"), &[])
}

/// Contract line 10: a clone has data that was written after the source was opened.
fn a_clone_gets_no_permission_that_its_source_has_lost(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "public");
    let dst = dir.path().join("dst");
    let stopped = stopped_before_the_clone(&Copy::new(Function::Fast, &src, &dst));
    fs::set_permissions(&src, PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(&src, "secret").unwrap();
    stopped.go_on().assert_method("Reflink");
    assert_text(&dst, "secret");
    assert_eq!(
        fs::metadata(&dst).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

fn a_clone_that_exceeds_max_size_is_not_published(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "small");
    let dst = dir.path().join("dst");
    let copy = Copy::new(Function::Fast, &src, &dst).options(&["max-size=8192"]);
    let stopped = stopped_before_the_clone(&copy);
    dense_file(&src, MIB);
    stopped.go_on().assert_error("FileTooLarge");
    assert_eq!(names(dir.path()), ["src"]);
}

/// A network file system answers `fstat` from a cache, which misses changes by other machines.
fn the_sources_times_are_read_with_at_statx_force_sync(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let (_, calls) = Copy::new(Function::Sparse, &src, &dst).trace();
    let asks: Vec<_> = (0..calls.len())
        .filter(|&i| calls[i].contains("AT_STATX_FORCE_SYNC"))
        .collect();
    let moves = |call: &String| call.contains("pread64(") || call.contains("pwrite64(");
    let first = calls.iter().position(moves).unwrap();
    let last = calls.iter().rposition(moves).unwrap();
    assert!(asks.iter().any(|&ask| ask < first), "{calls:#?}");
    assert!(asks.iter().any(|&ask| ask > last), "{calls:#?}");
}

/// A `write` into a hole that is in progress when the copy begins has changed the source's times already.
/// On XFS, `SEEK_DATA` reports the part of the hole that it has filled so far.
fn a_write_in_progress_is_in_the_copy_completely_or_not_at_all(fs: &FileSystem) {
    const WRITE: usize = 8 << 20;
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    let ones = vec![1; WRITE];
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&src)
        .unwrap();
    let options = CopyOptions::new().replace(true).durable(false);
    let mut during = 0;
    let mut rounds = 0..2000;
    while during < 40 {
        let round = rounds.next().expect("copies begin during writes");
        file.set_len(0).unwrap();
        file.set_len(WRITE as u64 + 4096).unwrap();
        let (ended, result) = std::thread::scope(|scope| {
            let writing = scope.spawn(|| file.write_all_at(&ones, 0).unwrap());
            // Waits for a different share of the write in each round.
            while fs::metadata(&src).unwrap().blocks() < round % 60 * 256 && !writing.is_finished()
            {
                std::hint::spin_loop();
            }
            let ended = writing.is_finished();
            (ended, Function::Sparse.call(&options, &src, &dst))
        });
        during += usize::from(!ended);
        match result {
            Ok(_) => {
                let copy = fs::read(&dst).unwrap();
                let written = copy.iter().filter(|&&byte| byte == 1).count();
                assert!(
                    written == WRITE || written == 0,
                    "round {round}: {written} bytes of the write are in the copy"
                );
            }
            Err(error) => assert!(
                matches!(error.kind(), CopyErrorKind::SourceChanged),
                "{error}"
            ),
        }
    }
}

fn a_copy_with_a_lease_fails_if_its_source_is_or_gets_open_for_writing(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, MIB);
    let options = CopyOptions::new().replace(true).lease_source(true);
    for function in BOTH {
        let writer = OpenOptions::new().write(true).open(&src).unwrap();
        let error = function.call(&options, &src, &dst).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::Busy(_)), "{error}");
        drop(writer);
        assert!(!exists(&dst));
        // A child that another test starts has this process's descriptors until its `exec`.
        let deadline = Instant::now() + Duration::from_secs(20);
        let copied = loop {
            match function.call(&options, &src, &dst) {
                Err(error)
                    if matches!(error.kind(), CopyErrorKind::Busy(_))
                        && Instant::now() < deadline =>
                {
                    std::thread::yield_now();
                }
                copied => break copied,
            }
        };
        copied.unwrap();
        assert_same(&src, &dst);
        fs::remove_file(&dst).unwrap();
    }
    let source = Source::open(&src, true).unwrap();
    let destination = Destination::open(&dst).unwrap();
    // The lease is given up at the end of a copy, also of one that fails. The source stays open.
    let too_late = options
        .clone()
        .limits(Limits::new().quota(CopyQuota::new(1)));
    for options in [&options, &too_late] {
        let copied = options.copy(&source, &destination, Sharing::Forbidden, &|_| ());
        assert_eq!(copied.is_ok(), exists(&dst));
        let mut at_once = OpenOptions::new();
        at_once.write(true).custom_flags(libc::O_NONBLOCK);
        at_once.open(&src).unwrap();
        let _ = fs::remove_file(&dst);
    }
    std::thread::scope(|scope| {
        let open_during = |_| {
            let opening = scope.spawn(|| OpenOptions::new().write(true).open(&src).unwrap());
            // It waits for the copy, so it must have begun to break the lease.
            while !is_waiting(&src) && !opening.is_finished() {
                std::thread::yield_now();
            }
            assert!(
                !opening.is_finished(),
                "the file was opened during the copy"
            );
        };
        let error = options.copy(&source, &destination, Sharing::Forbidden, &open_during);
        let error = error.unwrap_err();
        assert!(
            matches!(error.kind(), CopyErrorKind::SourceChanged),
            "{error}"
        );
    });
    assert!(!exists(&dst));
}

/// Returns whether a process waits to open a leased file, by /proc/locks: `BREAKING`.
fn is_waiting(leased: &Path) -> bool {
    let inode = format!(":{} ", fs::metadata(leased).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks
        .lines()
        .any(|lock| lock.contains("BREAKING") && lock.contains(&inode))
}
