//! What systems without Linux's calls do instead: every byte is read, compared with zero, and written.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;

use super::Directory;
use super::status::ReflinkSupport;

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

/// Returns unknown: this is known only after an attempt.
pub(crate) fn can_reflink(_: &Directory, _: &Directory) -> io::Result<ReflinkSupport> {
    Ok(ReflinkSupport::Unknown)
}

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

/// Returns 0: there is no `FIEMAP`.
pub(crate) fn known_written<E>(_: &File, _: impl Fn() -> Result<(), E>) -> Result<u64, E> {
    Ok(0)
}

/// Returns true: the identities of the files, which are equal, are all that is known.
pub(crate) fn is_same_file(_: &File, _: &Directory, _: &OsStr) -> bool {
    true
}

/// Returns false: this is not known.
pub(crate) fn is_append_only(_: &Directory) -> bool {
    false
}

/// Succeeds: this is not known.
pub(crate) fn refuse_swap_file(_: &File, _: &File) -> io::Result<()> {
    Ok(())
}

/// Returns false: there is no such flag.
pub(crate) fn adopt_copy_on_write(_: &File, _: &File) -> bool {
    false
}

/// Does nothing: there is no such flag.
pub(crate) fn toggle_copy_on_write(_: &File) -> bool {
    false
}

/// Returns none: no such file system is known here.
pub(crate) fn refusal_of_every_write(_: &File) -> Option<&'static str> {
    None
}

/// Returns none: no such file system is known here.
pub(crate) fn largest_size(_: &File) -> Option<u64> {
    None
}

/// Returns false: this is not known.
pub(crate) fn supports_holes(_: &File) -> bool {
    false
}

/// A lease, which no file has here.
#[derive(Debug)]
pub(crate) struct Lease<'a>(PhantomData<&'a File>);

impl<'a> Lease<'a> {
    pub(crate) fn take(_file: &'a File) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn is_broken(&self) -> bool {
        true
    }
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

    pub(crate) fn was_never_written(&mut self, _offset: u64) -> (bool, u64) {
        (false, u64::MAX)
    }
}
