//! For systems that have no calls of Linux's kind: every byte is read, looked at, and written.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;

/// There is no `copy_file_range`.
pub(crate) fn offload(_: &File, _: &File, _: u64, _: u64) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There is no `sync_file_range`: all is left to the synchronisation in the end.
pub(crate) fn start_writing_back(_: &File, _: Range<u64>) -> io::Result<()> {
    Ok(())
}

/// The system's own read-ahead is all there is.
pub(crate) fn read_ahead(_: &File, _: Range<u64>) {}

/// Only an attempt tells.
pub(crate) fn may_clone(_: &File, _: &File) -> bool {
    true
}

/// There is no `FIEMAP`: nobody can tell.
pub(crate) fn has_more_extents_than<E>(
    _: &File,
    _: u64,
    _: u64,
    _: impl Fn() -> Result<(), E>,
) -> Result<bool, E> {
    Ok(false)
}

/// There is no `FIEMAP`: nobody can tell.
#[cfg(feature = "p2")]
pub(crate) fn summarize_extents<E>(
    _: &File,
    _: impl Fn() -> Result<(), E>,
) -> Result<Option<(u64, u64)>, E> {
    Ok(None)
}

/// There is no `FIEMAP`: nothing counts as surely written.
pub(crate) struct WrittenMap<'a>(PhantomData<&'a File>);

impl<'a> WrittenMap<'a> {
    pub(crate) fn new(_file: &'a File) -> Self {
        Self(PhantomData)
    }

    pub(crate) fn at(&mut self, _offset: u64) -> (bool, u64) {
        (false, u64::MAX)
    }
}
