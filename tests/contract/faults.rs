//! The fault matrix: whatever a system call answers, a copy is the same as its source, or there is
//! none and the call says so.

use std::fs;

use crate::child::{BOTH, Copy, Outcome};
use crate::files::*;
use crate::filesystems::FileSystem;

crate::tests![no_fault_makes_a_wrong_copy];

const ERRORS: [&str; 12] = [
    "EINTR", "EAGAIN", "EPERM", "EACCES", "ENOSYS", "ENOTTY", "EBADF", "EXDEV", "EINVAL", "EIO",
    "ENOSPC", "EDQUOT",
];

fn no_fault_makes_a_wrong_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    fs::File::open(&src).unwrap().sync_all().unwrap();
    let calls = [
        "openat",
        "fstat",
        "newfstatat",
        "statx",
        "ioctl",
        "ftruncate",
        "lseek",
        "copy_file_range",
        "pread64",
        "pwrite64",
        "fchmod",
        "fsync",
        "linkat",
    ];
    for function in BOTH {
        let plain = Copy::new(function, &src, &dst);
        for call in calls {
            // Only calls of the copy, not those that start the program.
            let before = plain.calls_before(call);
            let _ = fs::remove_file(&dst);
            for error in ERRORS {
                for number in before + 1..=before + 2 {
                    let injection = format!("{call}:error={error}:when={number}");
                    let outcome = plain.run_injected(&[&injection]);
                    match outcome {
                        Outcome::Ok(..) => assert_same(&src, &dst),
                        // The last call of a copy: the directory's synchronisation.
                        Outcome::Err(..) if call == "fsync" && exists(&dst) => {
                            assert_same(&src, &dst);
                        }
                        Outcome::Err(..) => assert!(!exists(&dst), "{injection}: {outcome:?}"),
                        Outcome::Killed(_) => panic!("{injection}: {outcome:?}"),
                    }
                    let _ = fs::remove_file(&dst);
                    assert_eq!(names(dir.path()), ["src"], "{injection}");
                }
            }
        }
    }
}
