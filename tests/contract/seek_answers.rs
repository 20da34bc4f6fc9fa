//! Contract lines 7 and 8, where `SEEK_DATA` and `SEEK_HOLE` fail or return wrong offsets.

use fast_copy_test_support::files::{KIB, assert_allocated_at_most, assert_same, four_extents};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{ALL, Function};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::Copy;

fast_copy_test_support::tests![
    zeros_are_left_out_where_lseek_fails where Holes,
    wrong_answers_to_seek_hole_make_no_wrong_copy where Holes,
    answers_to_seek_data_before_the_offset_make_no_wrong_copy where Holes,
];

fn zeros_are_left_out_where_lseek_fails(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for function in ALL {
        for error in ["lseek:error=EINVAL", "lseek:error=EIO", "lseek:retval=0"] {
            let copy = Copy::new(function, &src, &dst).options(&["replace"]);
            let outcome = copy.run_injected(&[error, "ioctl:error=EOPNOTSUPP"]);
            assert_eq!(outcome, Outcome::Ok("Copy".into(), 256 * KIB), "{error}");
            assert_same(&src, &dst);
            assert_allocated_at_most(&dst, 256 * KIB);
        }
    }
}

/// The calls alternate: `SEEK_DATA`, `SEEK_HOLE`. An end at or before the start of its data is an error; one
/// that is too early or too late only costs more calls, or zeros that are read.
fn wrong_answers_to_seek_hole_make_no_wrong_copy(fs: &FileSystem) {
    let offsets = [
        "0",
        "1",
        "4096",
        "4194304",
        "4194305",
        "1099511627776",
        "9223372036854775807",
    ];
    for offset in offsets {
        for when in ["2", "4", "2+2"] {
            assert_same_copy(fs, &format!("lseek:retval={offset}:when={when}"));
        }
    }
}

/// `SEEK_DATA` returns an offset before the one that it was given.
fn answers_to_seek_data_before_the_offset_make_no_wrong_copy(fs: &FileSystem) {
    for when in ["3", "5", "3+2"] {
        for offset in ["0", "1", "65535"] {
            assert_same_copy(fs, &format!("lseek:retval={offset}:when={when}"));
        }
    }
}

#[track_caller]
fn assert_same_copy(fs: &FileSystem, injection: &str) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    std::fs::File::open(&src).unwrap().sync_all().unwrap();
    for function in [Function::FastWithoutClone, Function::Sparse] {
        let copy = Copy::new(function, &src, &dst).options(&["replace"]);
        let outcome = copy.run_injected(&[injection]);
        assert!(
            matches!(outcome, Outcome::Ok(..)),
            "{injection}: {outcome:?}"
        );
        assert_same(&src, &dst);
        assert_allocated_at_most(&dst, 256 * KIB);
    }
}
