//! Contract line 6: a copy that has returned survives a power cut.
//!
//! The plug is pulled by taking what the disk holds at that moment, and mounting that.

use std::fs::{self, File};
use std::path::Path;

use fast_copy_test_support::files::{assert_text, four_extents, names, text_file};
use fast_copy_test_support::filesystems::{FileSystem, Small, has_disk, smallest};
use fast_copy_test_support::function::{BOTH, Function};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::prepared::Prepared;
use fast_copy_test_support::traced::Copy;
use fast_copy_test_support::ways::ways_on;
use wasmtime_fast_copy::CopyOptions;

fast_copy_test_support::tests![
    a_copy_by_any_way_survives where has_disk,
    a_copy_says_whether_it_is_durable,
    without_synchronisation_nothing_is_synchronised,
    file_then_name_then_directory,
    a_file_that_cannot_be_synchronised_is_not_published,
    a_directory_that_cannot_be_synchronised_is_said,
    a_directory_without_anything_to_synchronise_is_no_error,
];

fn sync(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

/// New ones and replacements, by one thread and by two that tell the disk early, with a name from the
/// beginning and without one: each is there, whole and alone, after a power cut right after its call.
fn a_copy_by_any_way_survives(fs: &FileSystem) {
    for way in ways_on(fs) {
        let disk = Small::new(fs.name, smallest(fs.name));
        let dir = tempfile::tempdir_in(&disk.root).unwrap();
        let prepared = Prepared::new(way, fs, dir);
        // What the copy is made of has survived already.
        sync(prepared.dir());
        sync(&disk.root);
        let outcome = prepared.run(&[], &[]);
        assert!(
            matches!(outcome, Outcome::Ok(..)),
            "{}: {outcome:?}",
            way.name
        );
        disk.cut_power();
        prepared.assert_complete("after a power cut");
        prepared.assert_mode();
    }
}

fn a_copy_says_whether_it_is_durable(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    for function in BOTH {
        for no_sync in [false, true] {
            let options = CopyOptions::new().replace(true).no_sync(no_sync);
            let report = function
                .call(&options, &src, &dir.path().join("dst"))
                .unwrap();
            assert_eq!(report.durable, !no_sync);
        }
    }
}

fn without_synchronisation_nothing_is_synchronised(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for function in BOTH {
        let copy = Copy::new(function, &src, &dst).options(&["replace", "no-sync"]);
        let (outcome, calls) = copy.trace();
        assert!(matches!(outcome, Outcome::Ok(..)));
        assert!(
            calls
                .iter()
                .any(|call| call.contains("renameat(") || call.contains("linkat("))
        );
        assert!(!calls.iter().any(|call| call.contains("sync(")));
    }
}

/// Lines 6 and 10: the order that makes each step as durable as the next one needs it.
fn file_then_name_then_directory(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let steps = [
        "fchmod(",
        "fsync(",
        "linkat(",
        "linkat(",
        "renameat(",
        "fsync(",
    ];
    for function in BOTH {
        for replaces in [false, true] {
            let _ = fs::remove_file(&dst);
            let options: &[&str] = if replaces {
                fs::write(&dst, "old").unwrap();
                &["replace"]
            } else {
                &[]
            };
            let (_, calls) = Copy::new(function, &src, &dst).options(options).trace();
            let made: Vec<_> = calls
                .iter()
                .filter_map(|call| steps.iter().find(|step| call.contains(**step)))
                .collect();
            let expected: Vec<_> = match replaces {
                // The name is taken, so the copy gets another, and is renamed.
                true => steps.iter().collect(),
                false => [0, 1, 2, 5].iter().map(|&i| &steps[i]).collect(),
            };
            assert_eq!(made, expected);
        }
    }
}

fn a_file_that_cannot_be_synchronised_is_not_published(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let dst = text_file(dir.path(), "dst", "old");
    for function in BOTH {
        let copy = Copy::new(function, &src, &dst).options(&["replace"]);
        let outcome = copy.run_injected(&["fsync:error=EIO:when=1"]);
        outcome.assert_errno(libc::EIO);
        assert_text(&dst, "old");
        assert_eq!(names(dir.path()), ["dst", "src"]);
    }
}

fn a_directory_that_cannot_be_synchronised_is_said(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    for function in BOTH {
        let dst = text_file(dir.path(), "dst", "old");
        let copy = Copy::new(function, &src, &dst).options(&["replace"]);
        let outcome = copy.run_injected(&["fsync:error=EIO:when=2"]);
        outcome.assert_errno(libc::EIO);
        assert_text(&dst, "new");
    }
}

fn a_directory_without_anything_to_synchronise_is_no_error(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let dst = dir.path().join("dst");
    let copy = Copy::new(Function::Fast, &src, &dst);
    let outcome = copy.run_injected(&["fsync:error=EINVAL:when=2"]);
    assert!(matches!(outcome, Outcome::Ok(..)));
    assert_text(&dst, "new");
}
