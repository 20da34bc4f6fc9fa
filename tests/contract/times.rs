//! A copy gets its source's times only on request.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use fast_copy_test_support::files::{four_extents, names};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{ALL, BOTH};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::Copy;
use wasmtime_fast_copy::CopyOptions;

fast_copy_test_support::tests![
    a_copy_gets_the_times_of_its_source where Permissions,
    without_the_option_a_copy_has_the_time_at_which_it_was_made,
    times_are_set_before_the_file_is_synchronised,
    a_copy_whose_times_cannot_be_set_is_published_with_a_note,
    an_error_of_the_disk_while_times_are_set_ends_the_copy,
];

/// Makes a source with times of its own. The time of access is before that of modification, so a read changes it
/// on a file system mounted with `relatime`.
fn source(path: &Path) -> [SystemTime; 2] {
    four_extents(path);
    let accessed = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_700);
    let modified = SystemTime::UNIX_EPOCH + Duration::new(1_100_000_000, 765_432_100);
    let times = FileTimes::new()
        .set_accessed(accessed)
        .set_modified(modified);
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(times).unwrap();
    [accessed, modified]
}

fn times_of(path: &Path) -> [SystemTime; 2] {
    let found = fs::metadata(path).unwrap();
    [found.accessed().unwrap(), found.modified().unwrap()]
}

fn a_copy_gets_the_times_of_its_source(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    for function in ALL {
        let times = source(&src);
        let options = CopyOptions::new().preserve_times(true).replace(true);
        let report = function.call(&options, &src, &dst).unwrap();
        assert!(!report.notes.times_not_preserved, "{report:?}");
        assert_eq!(times_of(&dst), times);
    }
}

fn without_the_option_a_copy_has_the_time_at_which_it_was_made(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    for function in ALL {
        let [_, modified] = source(&src);
        let options = CopyOptions::new().replace(true);
        let report = function.call(&options, &src, &dst).unwrap();
        assert!(!report.notes.times_not_preserved);
        let age = times_of(&dst)[1].duration_since(modified).unwrap();
        assert!(age > Duration::from_secs(600_000_000), "{age:?}");
    }
}

fn times_are_set_before_the_file_is_synchronised(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    source(&src);
    for function in BOTH {
        let copy = Copy::new(function, &src, &dst).options(&["replace", "preserve-times"]);
        let (outcome, calls) = copy.trace();
        assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
        let position = |name: &str| calls.iter().position(|call| call.contains(name)).unwrap();
        assert!(position("utimensat(") < position("fsync("), "{calls:#?}");
        assert!(position("fchmod(") < position("fsync("), "{calls:#?}");
    }
}

fn a_copy_whose_times_cannot_be_set_is_published_with_a_note(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    source(&src);
    for function in BOTH {
        for refusal in ["EPERM", "EOPNOTSUPP", "EINVAL", "ENOSYS"] {
            let options = ["replace", "preserve-times", "print-notes"];
            let copy = Copy::new(function, &src, &dst).options(&options);
            let outcome = copy.run_injected(&[&format!("utimensat:error={refusal}")]);
            let Outcome::Ok(method, _) = outcome else {
                panic!("{refusal}: {outcome:?}");
            };
            assert!(
                method.contains("+times_not_preserved"),
                "{refusal}: {method}"
            );
        }
    }
}

fn an_error_of_the_disk_while_times_are_set_ends_the_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    source(&src);
    for function in BOTH {
        let copy = Copy::new(function, &src, &dst).options(&["preserve-times"]);
        let outcome = copy.run_injected(&["utimensat:error=EIO"]);
        outcome.assert_errno(libc::EIO);
        assert_eq!(names(dir.path()), ["src"]);
    }
}
