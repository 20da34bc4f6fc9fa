//! Resolution by `openat2`, which wasmtime's own sandbox uses on Linux too.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use fast_copy_engine::{Directory, FileId, SourceHandle, file_id};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use wasmtime_wasi::filesystem::Dir;

use super::open_at;
use crate::trace;

/// Opens a source with `O_PATH`, of whatever kind.
pub(super) fn source(dir: &Dir, path: &str, symlink_follow: bool) -> io::Result<SourceHandle> {
    let mut flags = OFlags::PATH;
    flags.set(OFlags::NOFOLLOW, !symlink_follow);
    match open_beneath(dir, Path::new(path), flags)? {
        Some(fd) => Ok(fd),
        None => open_at::source(dir, path, OFlags::PATH),
    }
}

/// Opens a directory with `O_PATH`.
pub(super) fn directory(dir: &Dir, path: &Path) -> io::Result<Directory> {
    match open_beneath(dir, path, OFlags::PATH | OFlags::DIRECTORY)? {
        Some(fd) => Ok(fd),
        None => open_at::directory(dir, path),
    }
}

/// Returns the file that a destination which is a symbolic link leads to, if it lies beneath `dir`. None
/// without `openat2`: the link is replaced and never followed, so the source is safe even if the link
/// leads there.
///
/// # Errors
///
/// The process has no free descriptor.
pub(super) fn link_target(dir: &Dir, path: &str) -> io::Result<Option<FileId>> {
    match open_beneath(dir, Path::new(path), OFlags::PATH) {
        Ok(Some(target)) => file_id(&target).map(Some),
        Err(error) if lacks_descriptors(&error) => Err(error),
        // The link leads nowhere, or out of the directory.
        Ok(None) | Err(_) => Ok(None),
    }
}

fn lacks_descriptors(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

/// How often `openat2` is called at most if it fails with EAGAIN: as often as in wasmtime.
const ATTEMPTS: usize = 4;

/// Opens what lies beneath `dir`. None if `openat2` can't be used.
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
                    trace::openat2_failed(Errno::AGAIN.raw_os_error());
                    return Ok(None);
                }
            }
            // Before Linux 5.6, or denied by a seccomp filter such as those of systemd and Docker.
            Err(errno @ (Errno::NOSYS | Errno::PERM)) => {
                trace::openat2_failed(errno.raw_os_error());
                return Ok(None);
            }
            // The path leads out of the directory; EPERM, as in wasmtime-wasi.
            Err(Errno::XDEV) => return Err(Errno::PERM.into()),
            Err(errno) => return Err(errno.into()),
        }
    }
}
