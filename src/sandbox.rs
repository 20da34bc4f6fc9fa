//! From a guest's descriptor and path to an open file: the only place where a guest's path is
//! resolved.
//!
//! The invariant: what is opened lies beneath the descriptor's directory, by the kernel's own
//! resolution, in one step with the opening. After that there are only descriptors.

#[cfg(target_os = "linux")]
mod beneath;
#[cfg(unix)]
mod by_wasmtime;
#[cfg(windows)]
mod unsupported;

#[cfg(target_os = "linux")]
use beneath as resolve;
#[cfg(target_os = "macos")]
use by_wasmtime as resolve;
#[cfg(windows)]
use unsupported as resolve;

use std::io;
use std::path::Path;

use wasmtime_wasi::FsPerms;
use wasmtime_wasi::filesystem::{Descriptor, Dir};

use crate::engine::{
    CopyError, CopyErrorKind, CopyOptions, CopyStep, Destination, Source, SourceHandle,
};

/// A path relative to a guest's descriptor.
pub(crate) struct PathAt {
    descriptor: Descriptor,
    path: String,
}

impl PathAt {
    /// Refuses what can't be a path, before anything of it is looked at or kept.
    pub(crate) fn new(descriptor: &Descriptor, path: String, max_path: usize) -> io::Result<Self> {
        if path.len() > max_path {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        if path.contains('\0') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Self {
            descriptor: descriptor.clone(),
            path,
        })
    }

    /// As the guest gave it.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// What the guest may do beneath the descriptor.
    pub(crate) fn perms(&self) -> FsPerms {
        match &self.descriptor {
            Descriptor::Dir(dir) => dir.perms,
            Descriptor::File(file) => file.perms,
        }
    }

    /// Opens a handle on what the path leads to, whatever it is, without following a symbolic link as
    /// the last component.
    pub(crate) fn resolve(&self) -> Result<SourceHandle, CopyError> {
        directory(self)
            .and_then(|dir| resolve::source(dir, &self.path, false))
            .map_err(at_source)
    }
}

/// Both sides of a guest's call.
pub(crate) struct Operands {
    pub(crate) source: PathAt,
    pub(crate) destination: PathAt,
}

impl Operands {
    /// Checks the descriptors, then opens the source and the destination's directory. Nothing is
    /// created.
    pub(crate) fn resolve(
        &self,
        options: &CopyOptions,
    ) -> Result<(Source, Destination), CopyError> {
        let source_dir = directory(&self.source).map_err(at_source)?;
        let destination_dir = directory(&self.destination).map_err(at_destination)?;
        if destination_dir.perms.write_not_permitted() {
            return Err(at_destination(not_permitted()));
        }

        let handle = resolve::source(source_dir, &self.source.path, options.symlink_follow)
            .map_err(at_source)?;
        let source = Source::from_handle(handle)?;

        let path = self.destination.path.as_str();
        let (parent, name) = Destination::split(Path::new(path))?;
        let parent = resolve::directory(destination_dir, parent).map_err(at_destination)?;
        let destination = Destination::new(parent, name.to_owned(), |_, _| {
            resolve::link_target(destination_dir, path)
        })?;
        Ok((source, destination))
    }
}

fn directory(path: &PathAt) -> io::Result<&Dir> {
    match &path.descriptor {
        Descriptor::Dir(dir) => Ok(dir),
        Descriptor::File(_) => Err(io::ErrorKind::NotADirectory.into()),
    }
}

/// What a guest gets for a path that leads out, and for a descriptor that it may not write to:
/// `EPERM`, as in `wasmtime-wasi`.
fn not_permitted() -> io::Error {
    io::Error::from_raw_os_error(libc::EPERM)
}

pub(crate) fn at_source(error: io::Error) -> CopyError {
    CopyError::source(CopyStep::Open, CopyErrorKind::Os(error))
}

pub(crate) fn at_destination(error: io::Error) -> CopyError {
    CopyError::destination(CopyStep::Open, CopyErrorKind::Os(error))
}
