//! Resolution by `openat2`, the call that wasmtime's own sandbox makes on Linux.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use wasmtime_wasi::filesystem::Dir;

use super::{by_wasmtime, not_permitted};
use crate::engine::{Directory, FileId, SourceHandle, handle_id};

/// Opens a source with `O_PATH`, whatever it is.
pub(super) fn source(dir: &Dir, path: &str, symlink_follow: bool) -> io::Result<SourceHandle> {
    let mut flags = OFlags::PATH;
    flags.set(OFlags::NOFOLLOW, !symlink_follow);
    match open_beneath(dir, Path::new(path), flags)? {
        Some(fd) => Ok(fd),
        None => by_wasmtime::source(dir, path, symlink_follow),
    }
}

/// Opens a directory with `O_PATH`.
pub(super) fn directory(dir: &Dir, path: &Path) -> io::Result<Directory> {
    match open_beneath(dir, path, OFlags::PATH | OFlags::DIRECTORY)? {
        Some(fd) => Ok(fd),
        None => by_wasmtime::directory(dir, path),
    }
}

/// The file that a destination which is a symbolic link leads to, if it lies beneath.
pub(super) fn link_target(dir: &Dir, path: &str) -> Option<FileId> {
    match open_beneath(dir, Path::new(path), OFlags::PATH).ok()? {
        Some(target) => handle_id(&target).ok(),
        None => by_wasmtime::link_target(dir, path),
    }
}

/// How often `openat2` is asked again after EAGAIN: as often as wasmtime does.
const ATTEMPTS: usize = 4;

/// Opens what lies beneath `dir`, or says by `None` that `openat2` is of no use here and now.
fn open_beneath(dir: &Dir, path: &Path, flags: OFlags) -> io::Result<Option<OwnedFd>> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut attempts = 0;
    loop {
        let flags = flags | OFlags::CLOEXEC;
        match openat2(&*dir.dir, path, flags, Mode::empty(), resolve) {
            Ok(fd) => return Ok(Some(fd)),
            Err(Errno::INTR) => {}
            // A rename anywhere on the host while `..` was resolved (openat2(2)).
            Err(Errno::AGAIN) => {
                attempts += 1;
                if attempts == ATTEMPTS {
                    return Ok(of_no_use(Errno::AGAIN));
                }
            }
            // Before Linux 5.6, or denied by a seccomp filter, as systemd and Docker have it.
            Err(errno @ (Errno::NOSYS | Errno::PERM)) => return Ok(of_no_use(errno)),
            // The path leads out.
            Err(Errno::XDEV) => return Err(not_permitted()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Tells a subscriber of `tracing`, within the call's span, why the other way is taken.
fn of_no_use(errno: Errno) -> Option<OwnedFd> {
    tracing::debug!(
        target: "wasmtime_fast_copy",
        openat2_error = errno.raw_os_error(),
        "resolving by wasmtime's open-at"
    );
    None
}
