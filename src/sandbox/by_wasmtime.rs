//! Resolution by wasmtime's own `open-at`, where `openat2` can't be used.
//!
//! Only directories are opened so: `open-at` would wait at a FIFO. A last component is opened
//! relative to its directory, without following a symbolic link.

use std::io;
use std::path::Path;
use std::pin::pin;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
};
use wasmtime_wasi::runtime::poll_noop;

use crate::engine::{self, Directory, FileId, SourceHandle};

/// Opens a source, whatever it is. A symbolic link is never followed here.
pub(super) fn source(dir: &Dir, path: &str, _symlink_follow: bool) -> io::Result<SourceHandle> {
    let Some((parent, name)) = engine::split(Path::new(path)) else {
        return Err(match path {
            "" => io::ErrorKind::NotFound.into(),
            // A path that ends in no name can only be of a directory.
            _ => io::ErrorKind::IsADirectory.into(),
        });
    };
    let parent = directory(dir, parent)?;
    engine::open_entry_handle(&parent, name)
}

/// Opens a directory.
pub(super) fn directory(dir: &Dir, path: &Path) -> io::Result<Directory> {
    // `open-at` doesn't pass O_DIRECTORY on; the `/.` keeps it from opening a FIFO.
    let path = format!("{}/.", path.display());
    let opened = open_at(dir, path)?;
    Ok(opened.dir.try_clone()?.into())
}

/// Where a destination that is a symbolic link leads is not found out here. It is replaced, never
/// followed, so the source is safe even if that is where it leads.
pub(super) fn link_target(_dir: &Dir, _path: &str) -> Option<FileId> {
    None
}

/// Calls `open-at` on a table of its own, with a descriptor that may block the calling thread: so
/// its future is ready at once, needs no runtime, and waits for no thread of a pool.
fn open_at(dir: &Dir, path: String) -> io::Result<Dir> {
    let blocking = Dir::new(dir.dir.try_clone()?, dir.perms, dir.open_mode, true);
    let opened = poll_noop(pin!(open_at_in_own_table(blocking, path)));
    match opened {
        Some(Ok(Ok(Descriptor::Dir(dir)))) => Ok(dir),
        Some(Ok(Ok(Descriptor::File(_)))) => Err(io::ErrorKind::NotADirectory.into()),
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

/// What `open-at` of a directory can answer, as the system's errors.
fn to_os_error(code: ErrorCode) -> io::Error {
    io::Error::from_raw_os_error(match code {
        ErrorCode::Access => libc::EACCES,
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
