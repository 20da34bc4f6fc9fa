//! Contract line 6: a copy that has returned survives a power cut.
//!
//! The plug is pulled by taking what the disk holds at that moment, and mounting that.

use std::fs::{self, File};
use std::path::Path;

use wasmtime_fast_copy::CopyOptions;

use crate::child::{BOTH, Copy, Function};
use crate::files::*;
use crate::filesystems::{FileSystem, Small, has_disk, smallest};

crate::tests![
    a_new_copy_survives where has_disk,
    a_replacement_survives where has_disk,
    a_copy_says_whether_it_is_durable,
    without_synchronisation_nothing_is_synchronised,
    file_then_name_then_directory,
    a_file_that_cannot_be_synchronised_is_not_published,
    a_directory_that_cannot_be_synchronised_is_said,
    a_directory_without_anything_to_synchronise_is_no_error,
];

/// A disk with a source on it that has survived already, and something else to make the journal
/// move.
fn disk(fs: &FileSystem) -> Small {
    let disk = Small::new(fs.name, smallest(fs.name));
    dense_file(&disk.root.join("src"), 4 * MIB);
    sync(&disk.root.join("src"));
    sync(&disk.root);
    disk
}

fn sync(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

fn a_new_copy_survives(fs: &FileSystem) {
    assert_survives(fs, None);
}

fn a_replacement_survives(fs: &FileSystem) {
    assert_survives(fs, Some("old"));
}

/// That a copy is there, whole and alone, after a power cut right after its call.
#[track_caller]
fn assert_survives(fs: &FileSystem, old: Option<&str>) {
    for function in BOTH {
        let disk = disk(fs);
        let (src, dst) = (disk.root.join("src"), disk.root.join("dst"));
        if let Some(old) = old {
            fs::write(&dst, old).unwrap();
            sync(&dst);
            sync(&disk.root);
        }
        let options = CopyOptions::new().replace(old.is_some());
        let report = function.call(&options, &src, &dst).unwrap();
        assert!(report.durable);
        disk.cut_power();
        assert_same(&src, &dst);
        let mut left = names(&disk.root);
        left.retain(|name| name != "lost+found");
        assert_eq!(left, ["dst", "src"]);
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
        assert!(matches!(outcome, crate::child::Outcome::Ok(..)));
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
    assert!(matches!(outcome, crate::child::Outcome::Ok(..)));
    assert_text(&dst, "new");
}
