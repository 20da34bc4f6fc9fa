//! Resolution by wasmtime's own `open-at`, where `openat2` can't be used.
//!
//! It only opens directories, because `open-at` would wait at a FIFO. The last component of a source is
//! opened relative to its directory, without following a symbolic link.

use std::fs::File;
use std::io;
use std::path::Path;
use std::pin::pin;

use fast_copy_engine::{Destination, Directory, SourceHandle};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::retry_on_intr;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
};
use wasmtime_wasi::runtime::poll_noop;

/// Opens a source of whatever kind, with flags that make it a handle. A symbolic link is not followed.
pub(super) fn source(dir: &Dir, path: &str, handle: OFlags) -> io::Result<SourceHandle> {
    let Ok((parent, name)) = Destination::split(Path::new(path)) else {
        return Err(match path {
            "" => io::ErrorKind::NotFound.into(),
            // A path without a file name at its end can only lead to a directory.
            _ => io::ErrorKind::IsADirectory.into(),
        });
    };
    let parent = directory(dir, parent)?;
    let flags = handle | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(retry_on_intr(|| {
        openat(&parent, name, flags, Mode::empty())
    })?)
}

/// Opens a directory.
pub(super) fn directory(dir: &Dir, path: &Path) -> io::Result<Directory> {
    // `open-at` does not pass O_DIRECTORY to the system; the `/.` prevents it from opening a FIFO.
    let path = format!("{}/.", path.display());
    let opened = open_at(dir, path)?;
    Ok(opened.dir.try_clone()?.into())
}

/// Calls `open-at` on a separate table, with a descriptor that may block the calling thread. So its
/// future is ready at once, and needs neither a runtime nor a thread of a pool.
fn open_at(dir: &Dir, path: String) -> io::Result<Dir> {
    let blocking = Dir::new(dir.dir.try_clone()?, dir.perms, dir.open_mode, true);
    let components = Path::new(&path).components().count();
    let opened = poll_noop(pin!(open_at_in_own_table(blocking, path)));
    match opened {
        Some(Ok(Ok(Descriptor::Dir(dir)))) => Ok(dir),
        Some(Ok(Ok(Descriptor::File(_)))) => Err(io::ErrorKind::NotADirectory.into()),
        Some(Ok(Err(ErrorCode::Io))) => Err(io_error(components)),
        Some(Ok(Err(code))) => Err(to_os_error(code)),
        Some(Err(_)) | None => Err(io::Error::other("resolving the path failed")),
    }
}

async fn open_at_in_own_table(
    dir: Dir,
    path: String,
) -> wasmtime::Result<Result<Descriptor, ErrorCode>> {
    let mut table = ResourceTable::new();
    let handle = table.push(Descriptor::Dir(dir))?;
    let mut view = WasiFilesystemCtxView {
        ctx: &mut WasiFilesystemCtx::default(),
        table: &mut table,
    };
    let opened = view
        .open_at(
            handle,
            PathFlags::SYMLINK_FOLLOW,
            path,
            OpenFlags::DIRECTORY,
            DescriptorFlags::READ,
        )
        .await;
    match opened {
        Ok(handle) => Ok(Ok(table.delete(handle)?)),
        Err(error) => Ok(Err(error.downcast()?)),
    }
}

/// Returns the error that `open-at` reports as `io`. That is its code for every error that it does not know,
/// also for a lack of descriptors. Such a lack is temporary, so it is looked for here.
fn io_error(components: usize) -> io::Error {
    // `open-at` keeps each directory on its way open. A symbolic link usually leads through one more.
    let as_many = (components + MAX_SYMLINKS).min(MOST_PROBED);
    let as_many = (0..as_many).map(|_| File::open("/"));
    match as_many.collect::<io::Result<Vec<_>>>() {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => error,
        _ => io::Error::from_raw_os_error(libc::EIO),
    }
}

/// The most descriptors that are opened to find out. A longer path must not take all that the process has.
const MOST_PROBED: usize = 64;

/// The number of symbolic links that `open-at` follows in one path.
const MAX_SYMLINKS: usize = 40;

/// Converts the errors of `open-at` of a directory to the system's.
fn to_os_error(code: ErrorCode) -> io::Error {
    io::Error::from_raw_os_error(match code {
        ErrorCode::Access => libc::EACCES,
        ErrorCode::BadDescriptor => libc::EBADF,
        ErrorCode::Busy => libc::EBUSY,
        ErrorCode::IllegalByteSequence => libc::EILSEQ,
        ErrorCode::Overflow => libc::EOVERFLOW,
        ErrorCode::Unsupported => libc::EOPNOTSUPP,
        ErrorCode::Invalid => libc::EINVAL,
        ErrorCode::Io => libc::EIO,
        ErrorCode::Loop => libc::ELOOP,
        ErrorCode::NameTooLong => libc::ENAMETOOLONG,
        ErrorCode::NoEntry => libc::ENOENT,
        ErrorCode::InsufficientMemory => libc::ENOMEM,
        ErrorCode::NotDirectory => libc::ENOTDIR,
        ErrorCode::NotPermitted => libc::EPERM,
        other => return io::Error::other(other),
    })
}
