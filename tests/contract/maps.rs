//! Contract lines 7 and 8, where the file system's map of the source is wrong or missing.

use fast_copy_test_support::files::{KIB, assert_allocated_at_most, assert_same, four_extents};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{ALL, Function};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::Copy;

fast_copy_test_support::tests![
    without_a_map_zeros_are_left_out,
    a_map_that_lies_of_holes_makes_no_wrong_copy,
    a_map_that_goes_backwards_makes_no_wrong_copy,
];

fn without_a_map_zeros_are_left_out(fs: &FileSystem) {
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

/// Where data begins and where it ends are asked in turn. An end that lies at or before its beginning
/// is none; one that comes too early or too late is believed, and costs nothing but more questions or
/// zeros that are read.
fn a_map_that_lies_of_holes_makes_no_wrong_copy(fs: &FileSystem) {
    let lies = [
        "0",
        "1",
        "4096",
        "4194304",
        "4194305",
        "1099511627776",
        "9223372036854775807",
    ];
    for lie in lies {
        for when in ["2", "4", "2+2"] {
            assert_not_misled(fs, &format!("lseek:retval={lie}:when={when}"));
        }
    }
}

/// Data that begins before the place that was asked for.
fn a_map_that_goes_backwards_makes_no_wrong_copy(fs: &FileSystem) {
    for when in ["3", "5", "3+2"] {
        for lie in ["0", "1", "65535"] {
            assert_not_misled(fs, &format!("lseek:retval={lie}:when={when}"));
        }
    }
}

#[track_caller]
fn assert_not_misled(fs: &FileSystem, lie: &str) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    std::fs::File::open(&src).unwrap().sync_all().unwrap();
    for function in [Function::FastWithoutClone, Function::Sparse] {
        let copy = Copy::new(function, &src, &dst).options(&["replace"]);
        let outcome = copy.run_injected(&[lie]);
        assert!(matches!(outcome, Outcome::Ok(..)), "{lie}: {outcome:?}");
        assert_same(&src, &dst);
        assert_allocated_at_most(&dst, 256 * KIB);
    }
}
