//! Windows: guests' paths are not supported.
//!
//! A copy needs a name relative to an open directory, which the standard library does not have on
//! Windows. The native functions work.

use std::io;
use std::path::Path;

use fast_copy_engine::{Directory, FileId, SourceHandle};
use wasmtime_wasi::filesystem::Dir;

pub(super) fn source(_dir: &Dir, _path: &str, _symlink_follow: bool) -> io::Result<SourceHandle> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn directory(_dir: &Dir, _path: &Path) -> io::Result<Directory> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn link_target(_dir: &Dir, _path: &str) -> io::Result<Option<FileId>> {
    Ok(None)
}
