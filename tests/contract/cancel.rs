//! Contract line 12: a cancel ends the copy at the next chunk, and nothing is published.

use std::fs;
use std::num::NonZero;
use std::path::Path;

use fast_copy_test_support::files::{
    MIB, assert_same, assert_text, dense_file, four_extents, names, text_file,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{ALL, Function, ONE_WORKER, TWO_WORKERS};
use fast_copy_test_support::traced::Copy;
use fast_copy_test_support::waiting::must_not_block;
use wasmtime_fast_copy::{CopyControl, CopyErrorKind, CopyMethod, CopyOptions};

fast_copy_test_support::tests![
    a_cancelled_copy_moves_at_most_one_more_chunk_and_publishes_nothing where ClonesAreLimited,
    a_copy_cancelled_after_its_last_byte_is_not_published where Disk and ClonesAreLimited,
    a_copy_cancelled_before_its_start_moves_nothing,
    a_cancel_after_the_copy_has_ended_is_ignored,
    a_clone_that_is_always_interrupted_ends_at_a_deadline_or_a_cancel,
    a_control_is_used_once_and_options_are_reusable,
];

const CHUNK: u64 = 16 * MIB;

/// Starts a copy, and cancels it as soon as `bytes` have moved. Returns how many more moved, or `None` if
/// the copy ended before the cancel.
fn cancel_after(
    bytes: u64,
    function: Function,
    options: &CopyOptions,
    src: &Path,
    dst: &Path,
) -> Option<u64> {
    let control = CopyControl::new();
    let options = options.clone().control(control.clone());
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| function.call(&options, src, dst));
        while control.copied() < bytes && !copying.is_finished() {
            std::hint::spin_loop();
        }
        let in_time = control.cancel();
        let at_cancel = control.copied();
        let result = copying.join().unwrap();
        if !in_time {
            assert!(result.is_ok());
            return None;
        }
        let error = result.expect_err("a cancelled copy was published");
        assert!(matches!(error.kind(), CopyErrorKind::Cancelled), "{error}");
        assert!(control.is_cancelled());
        Some(control.copied() - at_cancel)
    })
}

fn a_cancelled_copy_moves_at_most_one_more_chunk_and_publishes_nothing(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 192 * MIB);
    fs::File::open(&src).unwrap().sync_all().unwrap();
    for (function, workers) in movers() {
        let options = CopyOptions::new().replace(true).max_workers(workers);
        // Checks that this function and this number of threads select the method.
        let report = function.call(&options, &src, &dst).unwrap();
        let offloads =
            function == Function::FastWithoutClone && workers == ONE_WORKER && fs.can_offload();
        let method = if offloads {
            CopyMethod::Offload
        } else {
            CopyMethod::Copy
        };
        assert_eq!(report.method, method);

        fs::write(&dst, "old").unwrap();
        let moved = (0..20).find_map(|_| {
            let moved = cancel_after(1, function, &options, &src, &dst);
            if moved.is_none() {
                fs::write(&dst, "old").unwrap();
            }
            moved
        });
        let moved = moved.expect("all of 20 copies ended before the cancel");
        assert!(
            moved <= CHUNK,
            "{function:?}, {workers}: {moved} bytes after the cancel"
        );
        assert_text(&dst, "old");
        assert_eq!(names(dir.path()), ["dst", "src"]);
    }
}

/// What moves bytes, each with a fixed number of threads: the default depends on other copies.
fn movers() -> [(Function, NonZero<usize>); 4] {
    [
        (Function::FastWithoutClone, ONE_WORKER),
        (Function::FastWithoutClone, TWO_WORKERS),
        (Function::Sparse, ONE_WORKER),
        (Function::Sparse, TWO_WORKERS),
    ]
}

/// The cancel comes while the file is synchronised, which takes a disk some time.
fn a_copy_cancelled_after_its_last_byte_is_not_published(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 64 * MIB);
    fs::File::open(&src).unwrap().sync_all().unwrap();
    for (function, workers) in movers() {
        let options = CopyOptions::new().replace(true).max_workers(workers);
        let cancelled = (0..20).find_map(|_| {
            let cancelled = cancel_after(64 * MIB, function, &options, &src, &dst);
            if cancelled.is_none() {
                fs::remove_file(&dst).unwrap();
            }
            cancelled
        });
        assert_eq!(
            cancelled,
            Some(0),
            "all of 20 copies ended before the cancel"
        );
        assert_eq!(names(dir.path()), ["src"]);
    }
}

fn a_copy_cancelled_before_its_start_moves_nothing(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, MIB);
    for function in ALL {
        let control = CopyControl::new();
        assert!(control.cancel());
        let options = CopyOptions::new().control(control.clone());
        let error = function.call(&options, &src, &dst).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::Cancelled));
        assert_eq!(control.copied(), 0);
        assert_eq!(names(dir.path()), ["src"]);
    }
}

fn a_cancel_after_the_copy_has_ended_is_ignored(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, MIB);
    for function in ALL {
        let control = CopyControl::new();
        let options = CopyOptions::new().replace(true).control(control.clone());
        function.call(&options, &src, &dst).unwrap();
        assert!(!control.cancel());
        assert_same(&src, &dst);
    }
}

/// The clone always fails with EINTR.
fn a_clone_that_is_always_interrupted_ends_at_a_deadline_or_a_cancel(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for (option, injection, expected) in [
        ("deadline=50", "ioctl:error=EINTR", "TimedOut"),
        (
            "cancel-on-signal",
            "ioctl:error=EINTR:signal=SIGUSR1",
            "Cancelled",
        ),
    ] {
        let (src, dst) = (src.clone(), dst.clone());
        let outcome = must_not_block(move || {
            let copy = Copy::new(Function::Fast, &src, &dst);
            copy.options(&[option]).run_injected(&[injection])
        });
        outcome.assert_error(expected);
        assert_eq!(names(dir.path()), ["src"]);
    }
}

fn a_control_is_used_once_and_options_are_reusable(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    let dst = dir.path().join("dst");
    for function in ALL {
        let options = CopyOptions::new().replace(true);
        function.call(&options, &src, &dst).unwrap();
        function.call(&options, &src, &dst).unwrap();
        let controlled = options.control(CopyControl::new());
        function.call(&controlled, &src, &dst).unwrap();
        let error = function.call(&controlled, &src, &dst).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::Invalid(_)), "{error}");
    }
}
