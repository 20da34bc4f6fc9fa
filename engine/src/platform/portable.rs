//! What systems without Linux's calls do instead: every byte is read, compared with zero, and written.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;

/// Fails: there is no `copy_file_range`.
pub(crate) fn offload(_: &File, _: &File, _: u64, _: u64) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Does nothing: there is no `sync_file_range`. The final synchronisation writes everything.
pub(crate) fn start_writing_back(_: &File, _: Range<u64>) -> io::Result<()> {
    Ok(())
}

/// Does nothing: the system reads ahead by itself.
pub(crate) fn read_ahead(_: &File, _: Range<u64>) {}

/// Returns true: this is known only after an attempt.
pub(crate) fn may_clone(_: &File, _: &File) -> bool {
    true
}

/// Returns false: there is no `FIEMAP`.
pub(crate) fn has_more_extents_than<E>(
    _: &File,
    _: u64,
    _: u64,
    _: impl Fn() -> Result<(), E>,
) -> Result<bool, E> {
    Ok(false)
}

/// Returns none: there is no `FIEMAP`.
pub(crate) fn summarize_extents<E>(
    _: &File,
    _: impl Fn() -> Result<(), E>,
) -> Result<Option<(u64, u64)>, E> {
    Ok(None)
}

/// A block map by which no data is known to be written: there is no `FIEMAP`.
pub(crate) struct WrittenMap<'a>(PhantomData<&'a File>);

impl<'a> WrittenMap<'a> {
    pub(crate) fn new(_file: &'a File) -> Self {
        Self(PhantomData)
    }

    pub(crate) fn at(&mut self, _offset: u64) -> (bool, u64) {
        (false, u64::MAX)
    }
}
