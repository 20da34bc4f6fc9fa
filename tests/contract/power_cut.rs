//! Contract line 6: a copy that has returned survives a power cut.
//!
//! A power cut is simulated by mounting a copy of what is on the disk at that moment.

use std::fs::{self, File};
use std::path::Path;

use fast_copy_test_support::files::{assert_same, assert_text, four_extents, names, text_file};
use fast_copy_test_support::filesystems::{FileSystem, Small, smallest};
use fast_copy_test_support::function::{BOTH, Function};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::prepared::Prepared;
use fast_copy_test_support::strategies::strategies_on;
use fast_copy_test_support::traced::Copy;
use wasmtime_fast_copy::CopyOptions;

fast_copy_test_support::tests![
    a_copy_that_has_returned_survives_a_power_cut where Small and Disk,
    the_report_says_whether_the_copy_is_durable,
    a_copy_that_is_not_durable_makes_no_sync_call,
    the_file_is_synchronised_before_it_is_named_and_the_directory_after where UnnamedFiles,
    on_an_old_btrfs_the_file_has_a_name_before_it_is_synchronised where BtrfsFlags and UnnamedFiles and NoReplace,
    a_copy_whose_file_fails_to_sync_is_not_published,
    a_directory_that_fails_to_sync_is_an_error_with_the_copy_in_place,
    a_directory_sync_that_fails_with_einval_is_ignored,
];

fn sync(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

/// By each strategy: the copy is complete after a power cut right after its call, and no other name is
/// there.
fn a_copy_that_has_returned_survives_a_power_cut(fs: &FileSystem) {
    for strategy in strategies_on(fs) {
        let disk = Small::new(fs.name, smallest(fs.name));
        let dir = tempfile::tempdir_in(&disk.root).unwrap();
        let prepared = Prepared::new(strategy, fs, dir);
        // The source must survive too.
        sync(prepared.dir());
        sync(&disk.root);
        let outcome = prepared.run(&[], &[]);
        assert!(
            matches!(outcome, Outcome::Ok(..)),
            "{}: {outcome:?}",
            strategy.name
        );
        disk.cut_power();
        prepared.assert_complete("after a power cut");
        prepared.assert_mode();
    }
}

fn the_report_says_whether_the_copy_is_durable(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    for function in BOTH {
        for durable in [false, true] {
            let options = CopyOptions::new().replace(true).durable(durable);
            let report = function
                .call(&options, &src, &dir.path().join("dst"))
                .unwrap();
            assert_eq!(report.durable, durable);
        }
    }
}

fn a_copy_that_is_not_durable_makes_no_sync_call(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for function in BOTH {
        let copy = Copy::new(function, &src, &dst).options(&["replace", "no-sync"]);
        let (outcome, calls) = copy.trace();
        assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
        assert!(
            calls
                .iter()
                .any(|call| call.contains("renameat(") || call.contains("linkat("))
        );
        assert!(!calls.iter().any(|call| call.contains("sync(")));
    }
}

/// Lines 6 and 10: permissions, then the file's fsync, then the name, then the directory's fsync.
fn the_file_is_synchronised_before_it_is_named_and_the_directory_after(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let steps = ["fchmod(", "fsync(", "linkat(", "renameat(", "renameat2("];
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
                .copied()
                .collect();
            let expected: &[&str] = match (fs.names_before_sync(), replaces) {
                (true, true) => &["fchmod(", "linkat(", "fsync(", "renameat(", "fsync("],
                (true, false) => &["fchmod(", "linkat(", "fsync(", "renameat2(", "fsync("],
                // The name exists, so the copy gets a temporary link, which is renamed.
                (false, true) => &[
                    "fchmod(",
                    "fsync(",
                    "linkat(",
                    "linkat(",
                    "renameat(",
                    "fsync(",
                ],
                (false, false) => &["fchmod(", "fsync(", "linkat(", "fsync("],
            };
            assert_eq!(made, expected);
        }
    }
}

/// btrfs before Linux 6.18 does not make a file without a name durable, so a durable copy gets a staging name
/// before it is synchronised. The kernel reports an old version to the child.
fn on_an_old_btrfs_the_file_has_a_name_before_it_is_synchronised(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for function in BOTH {
        for replaces in [false, true] {
            let _ = fs::remove_file(&dst);
            let mut options = vec!["old-kernel"];
            if replaces {
                fs::write(&dst, "old").unwrap();
                options.push("replace");
            }
            let (outcome, calls) = Copy::new(function, &src, &dst).options(&options).trace();
            assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
            let steps = ["fsync(", "linkat(", "renameat(", "renameat2("];
            let made: Vec<_> = calls
                .iter()
                .filter_map(|call| steps.iter().find(|step| call.contains(**step)))
                .copied()
                .collect();
            let renames = if replaces { "renameat(" } else { "renameat2(" };
            assert_eq!(made, ["linkat(", "fsync(", renames, "fsync("]);
            assert_same(&src, &dst);
            assert_eq!(names(dir.path()), ["dst", "src"]);
        }
    }
}

fn a_copy_whose_file_fails_to_sync_is_not_published(fs: &FileSystem) {
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

fn a_directory_that_fails_to_sync_is_an_error_with_the_copy_in_place(fs: &FileSystem) {
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

fn a_directory_sync_that_fails_with_einval_is_ignored(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let dst = dir.path().join("dst");
    let copy = Copy::new(Function::Fast, &src, &dst);
    let outcome = copy.run_injected(&["fsync:error=EINVAL:when=2"]);
    assert!(matches!(outcome, Outcome::Ok(..)));
    assert_text(&dst, "new");
}
