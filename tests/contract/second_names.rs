//! Contract lines 4 and 15, where another process gives the staged file a name, or a file system reports an
//! error for a call that has succeeded.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fast_copy_test_support::files::{assert_same, assert_text, exists, names, text_file};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{BOTH, Function};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::{Copy, Stopped};
use rustix::fs::{AtFlags, CWD, linkat};
use wasmtime_fast_copy::STAGING_PREFIX;

use crate::staged_names::{temporary_link, without_tmpfile};

fast_copy_test_support::tests![
    a_second_name_of_an_unpublished_copy_is_an_empty_file where HardLinks and NoReplace and Allocation,
    a_second_name_of_a_failed_replacement_is_an_empty_file where HardLinks and UnnamedFiles and Allocation,
    a_staged_file_that_another_process_renames_to_the_destination_is_published where UnnamedFiles,
    a_link_that_reports_an_error_but_succeeded_publishes_the_copy where UnnamedFiles,
    a_rename_that_reports_an_error_but_succeeded_publishes_the_copy where NoReplace,
    a_copy_that_may_be_published_is_not_truncated where UnnamedFiles,
];

/// Returns the path of the staged file, which has a name.
fn staged_in(dir: &Path) -> PathBuf {
    let names = names(dir);
    let staged = names.iter().find(|name| name.starts_with(STAGING_PREFIX));
    dir.join(staged.expect("a staged file"))
}

/// What gives a staged file another name.
const SECOND_NAMES: [fn(&Path, &Path); 2] = [
    |staged, second| fs::hard_link(staged, second).unwrap(),
    |staged, second| fs::rename(staged, second).unwrap(),
];

/// Gives the staged file of a stopped copy a second name, and continues the copy, which fails.
#[track_caller]
fn assert_second_name_is_empty(dir: &Path, stopped: Stopped, name: fn(&Path, &Path)) {
    let second = dir.join("second");
    name(&staged_in(dir), &second);
    assert!(fs::metadata(&second).unwrap().blocks() > 0);
    let outcome = stopped.go_on();
    outcome.assert_errno(libc::ENOSPC);
    let left = fs::metadata(&second).unwrap();
    assert_eq!((left.len(), left.blocks()), (0, 0));
    fs::remove_file(&second).unwrap();
}

/// The source, large enough to have blocks on every file system.
fn source(dir: &Path) -> PathBuf {
    text_file(dir, "src", &"new ".repeat(20_000))
}

fn a_second_name_of_an_unpublished_copy_is_an_empty_file(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (source(dir.path()), dir.path().join("dst"));
    for function in BOTH {
        let copy = Copy::new(function, &src, &dst);
        let injection = without_tmpfile(&copy);
        // Before and in the call that would publish the copy.
        for call in ["fsync:error=ENOSPC:when=1", "renameat2:error=ENOSPC:when=1"] {
            for name in SECOND_NAMES {
                let stopped = copy.start_and_stop_at(call, &[&injection]);
                assert_second_name_is_empty(dir.path(), stopped, name);
                assert_eq!(names(dir.path()), ["src"]);
            }
        }
    }
}

fn a_second_name_of_a_failed_replacement_is_an_empty_file(fs: &FileSystem) {
    let dir = fs.dir();
    let src = source(dir.path());
    let dst = text_file(dir.path(), "dst", "old");
    for function in BOTH {
        let copy = Copy::new(function, &src, &dst).options(&["replace"]);
        for name in SECOND_NAMES {
            let stopped = copy.start_and_stop_at("renameat:error=ENOSPC:when=1", &[]);
            assert_second_name_is_empty(dir.path(), stopped, name);
            assert_text(&dst, "old");
            assert_eq!(names(dir.path()), ["dst", "src"]);
        }
    }
}

/// Truncating it would destroy the destination.
fn a_staged_file_that_another_process_renames_to_the_destination_is_published(fs: &FileSystem) {
    let dir = fs.dir();
    let src = source(dir.path());
    let dst = text_file(dir.path(), "dst", "old");
    let copy = Copy::new(Function::Sparse, &src, &dst).options(&["replace"]);
    let stopped = copy.start_and_stop_at(temporary_link(fs), &[]);
    fs::rename(staged_in(dir.path()), &dst).unwrap();
    let outcome = stopped.go_on();
    assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
    assert_same(&src, &dst);
    assert_eq!(names(dir.path()), ["dst", "src"]);
}

/// Links the unnamed file of a stopped copy.
fn link_unnamed(stopped: &Stopped, dir: &Path, dst: &Path) {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", stopped.pid())).unwrap();
    let staged = descriptors
        .map(|descriptor| descriptor.unwrap().path())
        .find(|path| {
            let file = fs::read_link(path).unwrap();
            let file = file.to_string_lossy();
            file.starts_with(&*dir.to_string_lossy()) && file.ends_with("(deleted)")
        });
    let staged = staged.expect("the staged file");
    linkat(CWD, staged, CWD, dst, AtFlags::SYMLINK_FOLLOW).unwrap();
}

/// As with a lost reply of a network file system.
fn a_link_that_reports_an_error_but_succeeded_publishes_the_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (source(dir.path()), dir.path().join("dst"));
    // A renaming publishes a durable copy that has a name before it is synchronised.
    let options: &[_] = if fs.names_before_sync() {
        &["no-sync"]
    } else {
        &[]
    };
    for function in BOTH {
        for error in ["EIO", "EEXIST"] {
            let copy = Copy::new(function, &src, &dst).options(options);
            let stopped = copy.start_and_stop_at(&format!("linkat:error={error}:when=1"), &[]);
            link_unnamed(&stopped, dir.path(), &dst);
            let outcome = stopped.go_on();
            assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
            assert_same(&src, &dst);
            assert_eq!(names(dir.path()), ["dst", "src"]);
            fs::remove_file(&dst).unwrap();
        }
    }
}

fn a_rename_that_reports_an_error_but_succeeded_publishes_the_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (source(dir.path()), dir.path().join("dst"));
    for function in BOTH {
        for replace in [false, true] {
            let (options, call): (&[&str], _) = match replace {
                false => (&[], "renameat2:error=EIO:when=1"),
                true => (&["replace"], "renameat:error=EIO:when=1"),
            };
            let copy = Copy::new(function, &src, &dst).options(options);
            let injection = without_tmpfile(&copy);
            if replace {
                fs::write(&dst, "old").unwrap();
            }
            let stopped = copy.start_and_stop_at(call, &[&injection]);
            fs::rename(staged_in(dir.path()), &dst).unwrap();
            let outcome = stopped.go_on();
            assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
            assert_same(&src, &dst);
            assert_eq!(names(dir.path()), ["dst", "src"]);
            fs::remove_file(&dst).unwrap();
        }
    }
    assert!(!exists(&dst));
}

/// NFS can lose the reply of a rename and then return the old file for the destination's name from its cache.
/// Here the copy has another name instead.
fn a_copy_that_may_be_published_is_not_truncated(fs: &FileSystem) {
    let dir = fs.dir();
    let src = source(dir.path());
    let dst = text_file(dir.path(), "dst", "old");
    let elsewhere = dir.path().join("elsewhere");
    for function in BOTH {
        for (error, number) in [("EIO", libc::EIO), ("ETIMEDOUT", libc::ETIMEDOUT)] {
            let copy = Copy::new(function, &src, &dst).options(&["replace"]);
            let stopped = copy.start_and_stop_at(&format!("renameat:error={error}:when=1"), &[]);
            fs::rename(staged_in(dir.path()), &elsewhere).unwrap();
            stopped.go_on().assert_errno(number);
            assert_same(&src, &elsewhere);
            fs::remove_file(&elsewhere).unwrap();

            // The staging name is still there, so the rename has had no effect.
            let outcome = copy.run_injected(&[&format!("renameat:error={error}:when=1")]);
            outcome.assert_errno(number);
            assert_text(&dst, "old");
            assert_eq!(names(dir.path()), ["dst", "src"]);
        }
    }
}
