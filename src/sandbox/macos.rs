//! Resolution on macOS: by wasmtime's own `open-at`.

use std::io;
use std::path::Path;

use fast_copy_engine::{Directory, FileId, SourceHandle};
use rustix::fs::OFlags;
use wasmtime_wasi::filesystem::Dir;

use super::open_at;

pub(super) use open_at::directory;

/// Opens a source of whatever kind. There is no `O_PATH`; `O_NONBLOCK` prevents waiting at a FIFO. A
/// symbolic link is never followed.
pub(super) fn source(dir: &Dir, path: &str, _symlink_follow: bool) -> io::Result<SourceHandle> {
    open_at::source(dir, path, OFlags::NONBLOCK | OFlags::NOCTTY)
}

/// Returns none: the link is replaced and never followed, so the source is safe even if the link leads
/// there.
pub(super) fn link_target(_dir: &Dir, _path: &str) -> io::Result<Option<FileId>> {
    Ok(None)
}
