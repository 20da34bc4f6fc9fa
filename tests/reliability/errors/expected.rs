//! Errors after which a copy must succeed: CONTRACT.md, items 8 to 11.

use libc::{
    EACCES, EAGAIN, EEXIST, EINTR, EINVAL, EIO, EISDIR, ENOENT, ENOMEM, ENOSYS, EOPNOTSUPP, EPERM,
    ESPIPE, ETXTBSY, EXDEV,
};

use super::cases::Case;
use super::run::{At, Effect, Fate, Injection};

/// The errors of a kind of call.
enum Errors {
    All,
    AllBut(&'static [i32]),
    These(&'static [i32]),
}

use Errors::{All, AllBut, These};

/// An attribute that the file system does not let the copy set.
const REFUSED: Errors = These(&[EPERM, EACCES, EOPNOTSUPP, ENOSYS, EINVAL, EINTR]);

/// The errors of single calls. A call with `EINTR` in its list is repeated.
const TABLE: &[(&str, Errors)] = &[
    // A clone falls back, but for errors of the data.
    ("ioctl FICLONE", AllBut(&[EIO, ETXTBSY])),
    ("ioctl FICLONERANGE", All),
    // Without a block map, blocks of zeros are left out.
    ("ioctl FIEMAP", All),
    ("lseek SEEK_DATA", All),
    ("lseek SEEK_HOLE", All),
    // Hints.
    ("fadvise64", All),
    (
        "sync_file_range",
        These(&[
            ENOSYS, EINVAL, ESPIPE, EPERM, EACCES, EOPNOTSUPP, ENOMEM, EAGAIN, EINTR,
        ]),
    ),
    // Questions whose answer may be missing.
    ("copy_file_range of 0 bytes", AllBut(&[ETXTBSY])),
    ("pread64 of 1 byte", All),
    ("fgetxattr", All),
    ("prlimit64", All),
    ("statx of a descriptor", These(&[ENOSYS, EPERM, EINTR])),
    ("statx of a name", These(&[ENOSYS, EPERM, EINTR])),
    ("openat O_DIRECTORY", These(&[EACCES, EINTR])),
    (
        "openat O_TMPFILE",
        These(&[EOPNOTSUPP, EISDIR, EINVAL, ENOSYS, EPERM, EINTR]),
    ),
    ("fchmod", REFUSED),
    ("utimensat", REFUSED),
    // A file without a name that can't be linked is made again under a name.
    (
        "linkat of a descriptor",
        These(&[ENOENT, EPERM, EACCES, ENOSYS, EXDEV, EOPNOTSUPP, EINTR]),
    ),
    (
        "renameat2",
        These(&[EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EINTR]),
    ),
    // The version of the kernel.
    ("uname", All),
    // The second thread.
    ("clone3", All),
    // Calls that are only repeated.
    ("openat O_PATH", These(&[EINTR])),
    ("openat O_PATH|O_DIRECTORY", These(&[EINTR])),
    ("openat O_RDONLY", These(&[EINTR])),
    ("fcntl F_DUPFD_CLOEXEC", These(&[EINTR])),
    ("fstat", These(&[EINTR])),
    ("fstatfs", These(&[EINTR])),
    ("ftruncate", These(&[EINTR])),
    ("pread64", These(&[EINTR])),
    ("pwrite64", These(&[EINTR])),
    ("fsync", These(&[EINTR])),
    ("renameat", These(&[EINTR])),
    ("getrandom", These(&[EINTR])),
    ("close", These(&[EINTR])),
];

/// Whether a copy must succeed after this effect. `is_last` says whether the call is the last of its kind.
pub fn must_succeed(
    case: Case,
    Injection { call, at, effect }: Injection,
    fate: Fate,
    is_last: bool,
) -> bool {
    if case.fails() || fate == Fate::NotReached {
        return false;
    }
    match effect {
        Effect::MovesOneByte | Effect::MovesHalf => true,
        Effect::ReturnsZero => call.is("copy_file_range"),
        // The copy is found in place. In a replacement, a link makes a temporary name only.
        Effect::LosesItsReply(_) => {
            let publishes = match call.name {
                "linkat" => !case.replace,
                _ => call.publishes(),
            };
            fate == Fate::Worked && (publishes || call.is("unlinkat"))
        }
        Effect::InDoubt { .. } => false,
        Effect::Fails(error) => {
            // A kernel without the call returns this each time. Other errors come once.
            let comes_always = at == At::Every;
            if call.is("copy_file_range") {
                // The rule is about the first byte of the offload.
                return at == At::Index(0) || comes_always || ![EIO, ETXTBSY].contains(&error);
            }
            if call.is("fsync") && is_last && case.syncs_its_directory() && error == EINVAL {
                return true;
            }
            if call.is("linkat of a descriptor") && case.replace && error == EEXIST {
                return at == At::Index(0);
            }
            if comes_always && call.is("linkat of a descriptor") && error == ENOENT {
                return true;
            }
            TABLE.iter().any(|(name, errors)| {
                call.is(name)
                    && match errors {
                        All => true,
                        AllBut(others) => !others.contains(&error),
                        These(these) => these.contains(&error),
                    }
            })
        }
    }
}
