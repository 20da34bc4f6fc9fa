//! The staged file: the copy while it is made, and how it is published.
//!
//! On file systems with `O_TMPFILE` the staged file has no name, so nothing is left whatever happens to
//! the process. Elsewhere (FUSE, some NFS and overlayfs, other systems) it has a random name in the
//! destination's directory, which is removed on any error; only a kill leaves it. A replacement uses
//! such a name too, between a link and a rename, because no system call links a file over an existing
//! name.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

use crate::destination::{Destination, refuse_replacing};
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::platform::status::Status;
use crate::platform::{self, DirectorySync};

/// The prefix of a staged file's name. 32 hexadecimal digits follow. Use it to hide such files, or to
/// remove those that a kill has left.
pub const STAGING_PREFIX: &str = ".fast-copy-";

/// A copy that is being made. Dropping it discards the copy.
#[derive(Debug)]
pub(crate) struct Staged<'a> {
    pub(crate) file: File,
    destination: &'a Destination,
    directory_sync: Option<DirectorySync>,
    name: Option<StagedName<'a>>,
}

impl<'a> Staged<'a> {
    /// Creates an empty file of mode 0600 on the destination's file system. With `durable`, also opens
    /// the directory for its later synchronisation, so that a directory which can't be opened is an
    /// error before anything is published.
    pub(crate) fn create(destination: &'a Destination, durable: bool) -> Result<Self, CopyError> {
        let os = |error| CopyError::destination(CopyStep::Stage, CopyErrorKind::Os(error));
        let directory = &destination.directory;
        let directory_sync = match durable {
            true => Some(platform::open_directory_sync(directory).map_err(os)?),
            false => None,
        };
        let (file, name) = match platform::create_unnamed(directory).map_err(os)? {
            Some(file) => (file, None),
            None => {
                let name = random_name().map_err(os)?;
                let file = platform::create_named(directory, &name).map_err(os)?;
                (file, Some(name))
            }
        };
        let name = name.map(|name| StagedName { destination, name });
        Ok(Self {
            file,
            destination,
            directory_sync,
            name,
        })
    }

    /// Clones `source` into the file. On failure the file may hold anything.
    pub(crate) fn fill_by_clone(&mut self, source: &File) -> io::Result<()> {
        let name = self.name.as_ref().map(|staged| staged.name.as_os_str());
        platform::clone(source, &mut self.file, &self.destination.directory, name)
    }

    /// Truncates the file if a failed clone has left something in it.
    ///
    /// An empty file is not truncated: on ext4, truncating a file to size 0 makes the next `close` write
    /// its data to the disk (ext4(5), `auto_da_alloc`), and a copy with `no_sync` would wait for that.
    pub(crate) fn reset(&self) -> Result<(), CopyError> {
        let emptied = platform::status_now(&self.file).and_then(|left| match left {
            Status {
                size: 0,
                allocated: 0,
                ..
            } => Ok(()),
            _ => self.file.set_len(0),
        });
        emptied.map_err(|error| CopyError::destination(CopyStep::Stage, error))
    }

    /// Completes the file: sets the permission bits, then synchronises it, so that the bits are as
    /// durable as the bytes.
    pub(crate) fn finish(&self, permissions: u32) -> Result<(), CopyError> {
        self.set_permissions(permissions)
            .and_then(|()| match self.directory_sync {
                Some(_) => self.file.sync_all(),
                None => Ok(()),
            })
            // Durable or not: some FUSE file systems report write errors only here.
            .and_then(|()| platform::flush(&self.file))
            .map_err(|error| CopyError::destination(CopyStep::Finish, error))
    }

    /// Sets the permission bits. If the file system refuses to set any, the mode that it reports is
    /// accepted, provided that it has no bit that the source lacks.
    fn set_permissions(&self, permissions: u32) -> io::Result<()> {
        let Err(error) = platform::set_permissions(&self.file, permissions) else {
            return Ok(());
        };
        let not_here = matches!(
            error.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
        );
        let shown = platform::status(&self.file)?.mode & 0o777;
        if not_here && shown & !permissions == 0 {
            Ok(())
        } else {
            Err(error)
        }
    }

    /// Gives the file the destination's name in one atomic step, then synchronises the directory. An
    /// error before that step leaves the destination as it was.
    pub(crate) fn publish(mut self, replace: bool) -> Result<(), CopyError> {
        match self.name.take() {
            None => self.publish_unnamed(replace),
            Some(name) => self.publish_named(name, replace),
        }
        .map_err(|error| {
            let kind = match error {
                CopyErrorKind::Os(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && !replace =>
                {
                    CopyErrorKind::AlreadyExists
                }
                other => other,
            };
            CopyError::destination(CopyStep::Publish, kind)
        })?;
        if let Some(directory) = self.directory_sync.take() {
            directory
                .sync()
                .map_err(|error| CopyError::destination(CopyStep::SyncDirectory, error))?;
        }
        Ok(())
    }

    fn publish_unnamed(&self, replace: bool) -> Result<(), CopyErrorKind> {
        let Destination {
            directory, name, ..
        } = self.destination;
        match platform::link_unnamed(&self.file, directory, name) {
            Err(error) if replace && error.kind() == io::ErrorKind::AlreadyExists => {
                let temporary = random_name()?;
                platform::link_unnamed(&self.file, directory, &temporary)?;
                let temporary = StagedName {
                    destination: self.destination,
                    name: temporary,
                };
                self.publish_named(temporary, true)
            }
            result => Ok(result?),
        }
    }

    fn publish_named(&self, staged: StagedName<'_>, replace: bool) -> Result<(), CopyErrorKind> {
        let renamed = staged
            .refuse_foreign(&self.file)
            .map_err(CopyErrorKind::Os)
            .and_then(|()| self.rename(&staged.name, replace));
        // After a success too: if another process has linked the file to the destination's name, the
        // rename between the two names does nothing (rename(2)), and both are left.
        staged.remove(&self.file);
        renamed
    }

    fn rename(&self, from: &OsStr, replace: bool) -> Result<(), CopyErrorKind> {
        let Destination {
            directory, name, ..
        } = self.destination;
        if !replace {
            return Ok(platform::rename_new(directory, from, name)?);
        }
        // Another process may have created it since the copy began.
        if let Some(entry) = platform::entry(directory, name)? {
            refuse_replacing(entry.kind)?;
        }
        Ok(platform::rename_replace(directory, from, name)?)
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            name.remove(&self.file);
        }
    }
}

/// The temporary name of a staged file.
#[derive(Debug)]
struct StagedName<'a> {
    destination: &'a Destination,
    name: OsString,
}

impl StagedName<'_> {
    /// Fails if the name does not refer to the staged file. Other processes can write to the directory
    /// too.
    fn refuse_foreign(&self, file: &File) -> io::Result<()> {
        let ours = platform::status(file)?.id;
        match platform::entry(&self.destination.directory, &self.name)? {
            Some(entry) if entry.id == ours => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "another process has removed or replaced the staged file",
            )),
        }
    }

    /// Removes the name if it refers to the staged file. An error is ignored.
    fn remove(&self, file: &File) {
        if self.refuse_foreign(file).is_ok() {
            let _ = platform::remove(&self.destination.directory, &self.name);
        }
    }
}

/// Returns a name that can't be guessed: 128 random bits from the system.
fn random_name() -> io::Result<OsString> {
    let high = getrandom::u64().map_err(io::Error::from)?;
    let low = getrandom::u64().map_err(io::Error::from)?;
    Ok(format!("{STAGING_PREFIX}{high:016x}{low:016x}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reset_truncates_what_a_failed_clone_left() {
        let dir = tempfile::tempdir().unwrap();
        let destination = Destination::open(dir.path().join("dst")).unwrap();
        let staged = Staged::create(&destination, false).unwrap();
        staged.reset().unwrap();
        platform::write_at(&staged.file, b"half a clone", 0).unwrap();
        staged.reset().unwrap();
        let left = platform::status(&staged.file).unwrap();
        assert_eq!((left.size, left.allocated), (0, 0));
    }
}
