//! From a guest's descriptor and path to an open file. No other module resolves a guest's path.
//!
//! The invariant: the file that is opened lies beneath the descriptor's directory. With `openat2` the kernel
//! checks that in the same step that opens the file; otherwise wasmtime's `open-at` opens the parent
//! directory. After that, only descriptors are used.

#[cfg(unix)]
mod open_at;
#[cfg(target_os = "linux")]
#[path = "openat2.rs"]
mod resolve;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod resolve;
#[cfg(windows)]
#[path = "unsupported.rs"]
mod resolve;

use std::io;
use std::path::Path;

use fast_copy_engine::{Destination, Directory, Operand, Source, SourceHandle};
use wasmtime_wasi::filesystem::{Descriptor, Dir};

use crate::error::CallError;

/// A path relative to a guest's descriptor: one side of a call.
pub(crate) struct PathAt {
    descriptor: Descriptor,
    path: String,
    side: Operand,
}

impl PathAt {
    /// Describes the file to read. Fails if the path is longer than `max_path` bytes, before it is kept
    /// or resolved.
    pub(crate) fn source(
        descriptor: &Descriptor,
        path: String,
        max_path: usize,
    ) -> Result<Self, CallError> {
        Self::new(descriptor, path, max_path, Operand::Source)
    }

    /// Describes the file to create. Fails as [`source`](Self::source) does.
    pub(crate) fn destination(
        descriptor: &Descriptor,
        path: String,
        max_path: usize,
    ) -> Result<Self, CallError> {
        Self::new(descriptor, path, max_path, Operand::Destination)
    }

    fn new(
        descriptor: &Descriptor,
        path: String,
        max_path: usize,
        side: Operand,
    ) -> Result<Self, CallError> {
        if path.len() > max_path {
            return Err(CallError::Path(side, io::ErrorKind::InvalidFilename.into()));
        }
        Ok(Self {
            descriptor: descriptor.clone(),
            path,
            side,
        })
    }

    /// Returns the path as the guest passed it.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Opens a handle on the file that the path leads to, of whatever kind.
    pub(crate) fn open_handle(&self, symlink_follow: bool) -> Result<SourceHandle, CallError> {
        let dir = self.directory()?;
        self.refuse_nul()?;
        resolve::source(dir, &self.path, symlink_follow).map_err(|error| self.failed(error))
    }

    /// Returns the directory that the path is relative to.
    fn directory(&self) -> Result<&Dir, CallError> {
        match &self.descriptor {
            Descriptor::Dir(dir) => Ok(dir),
            Descriptor::File(_) => Err(self.failed(io::ErrorKind::NotADirectory.into())),
        }
    }

    /// Refuses a path with a NUL in any component, before the first component is resolved.
    fn refuse_nul(&self) -> Result<(), CallError> {
        match self.path.contains('\0') {
            true => Err(self.failed(io::ErrorKind::InvalidInput.into())),
            false => Ok(()),
        }
    }

    fn failed(&self, error: io::Error) -> CallError {
        CallError::Path(self.side, error)
    }
}

/// Opens the directories of two descriptors: one to read from, one to write to.
pub(crate) fn open_directories(
    source: &PathAt,
    destination: &PathAt,
) -> Result<[Directory; 2], CallError> {
    let (src_dir, dst_dir) = (source.directory()?, destination.directory()?);
    if dst_dir.perms.write_not_permitted() {
        return Err(CallError::ReadOnlyDescriptor);
    }
    let open = |at: &PathAt, dir| {
        resolve::directory(dir, Path::new(&at.path)).map_err(|error| at.failed(error))
    };
    Ok([open(source, src_dir)?, open(destination, dst_dir)?])
}

/// The open files of a copy, and the directories that their paths are relative to.
pub(crate) struct Opened<'a> {
    pub(crate) src_dir: &'a Dir,
    pub(crate) source: Source,
    pub(crate) dst_dir: &'a Dir,
    pub(crate) destination: Destination,
}

/// Checks both descriptors, then opens the source and the destination's directory. It creates nothing.
pub(crate) fn open<'a>(
    source: &'a PathAt,
    destination: &'a PathAt,
    symlink_follow: bool,
) -> Result<Opened<'a>, CallError> {
    let src_dir = source.directory()?;
    let dst_dir = destination.directory()?;
    if dst_dir.perms.write_not_permitted() {
        return Err(CallError::ReadOnlyDescriptor);
    }
    source.refuse_nul()?;
    destination.refuse_nul()?;
    let source = Source::from_handle(source.open_handle(symlink_follow)?)?;

    let path = destination.path.as_str();
    let (parent, name) = Destination::split(Path::new(path))?;
    let parent = resolve::directory(dst_dir, parent).map_err(|error| destination.failed(error))?;
    let destination =
        Destination::with_link_resolver(parent, name, |_, _| resolve::link_target(dst_dir, path))?;
    Ok(Opened {
        src_dir,
        source,
        dst_dir,
        destination,
    })
}
