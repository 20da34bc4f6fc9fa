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
    /// Refuses what is longer than a path may be, before anything of it is looked at or kept.
    pub(crate) fn new(descriptor: &Descriptor, path: String, max_path: usize) -> io::Result<Self> {
        if path.len() > max_path {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        Ok(Self {
            descriptor: descriptor.clone(),
            path,
        })
    }

    /// The directory that the path is relative to.
    fn directory(&self) -> io::Result<&Dir> {
        match &self.descriptor {
            Descriptor::Dir(dir) => Ok(dir),
            Descriptor::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Refuses what no path can hold: all of it, before any component is resolved.
    fn refuse_nul(&self) -> io::Result<()> {
        match self.path.contains('\0') {
            true => Err(io::ErrorKind::InvalidInput.into()),
            false => Ok(()),
        }
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
        let open = || {
            let dir = self.directory()?;
            self.refuse_nul()?;
            resolve::source(dir, &self.path, false)
        };
        open().map_err(at_source)
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
        let source_dir = self.source.directory().map_err(at_source)?;
        let destination_dir = self.destination.directory().map_err(at_destination)?;
        if destination_dir.perms.write_not_permitted() {
            return Err(at_destination(not_permitted()));
        }
        self.source.refuse_nul().map_err(at_source)?;
        self.destination.refuse_nul().map_err(at_destination)?;

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
