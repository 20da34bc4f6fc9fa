//! A copy is built where nobody sees it, and gets its name when it is complete.
//!
//! Where the file system can, the staged file has no name at all (`O_TMPFILE`): whatever happens
//! to the process, nothing is left. Elsewhere (FUSE, some NFS and overlayfs, other systems) it has
//! a random name in the destination's directory, which is removed on any error; only a kill leaves
//! it. A replacement passes through such a name too, for the instant between a link and a rename,
//! since no call links a file over an existing name.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

use super::destination::{Destination, refuse_replacing};
use super::error::{CopyError, CopyErrorKind, CopyStep};
use super::platform::{self, DirectorySync, Status};

/// How the names of staged files begin. 32 hexadecimal digits follow. For hosts that hide or sweep what
/// a kill has left.
pub const STAGING_PREFIX: &str = ".fast-copy-";

/// A file that is being built for a destination.
#[derive(Debug)]
pub(super) struct Staged<'a> {
    pub(super) file: File,
    destination: &'a Destination,
    directory_sync: Option<DirectorySync>,
    name: Option<StagedName<'a>>,
}

impl<'a> Staged<'a> {
    /// Makes an empty file of mode 0600 on the destination's file system. With `durable`, also
    /// takes hold of the directory now, so that one which can't be synchronised is found out before
    /// anything is published.
    pub(super) fn create(destination: &'a Destination, durable: bool) -> Result<Self, CopyError> {
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

    /// Makes the file a clone of `source`, or fails and may leave anything in it.
    pub(super) fn fill_by_clone(&mut self, source: &File) -> io::Result<()> {
        let name = self.name.as_ref().map(|staged| staged.name.as_os_str());
        platform::clone(source, &mut self.file, &self.destination.directory, name)
    }

    /// Empties the file again, if a tier has left something in it.
    ///
    /// Not otherwise: on ext4 to truncate a file to nothing makes the next `close` write all of it
    /// out (ext4(5), `auto_da_alloc`), which a copy that waits for nothing would wait for.
    pub(super) fn reset(&self) -> Result<(), CopyError> {
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

    /// Ends the building: sets the permission bits, on the descriptor and before the
    /// synchronisation, so that they are as durable as the bytes.
    pub(super) fn finish(&self, permissions: u32) -> Result<(), CopyError> {
        self.set_permissions(permissions)
            .and_then(|()| match self.directory_sync {
                Some(_) => self.file.sync_all(),
                None => Ok(()),
            })
            // Durable or not: a FUSE file system may have nothing to say but to this.
            .and_then(|()| platform::flush(&self.file))
            .map_err(|error| CopyError::destination(CopyStep::Finish, error))
    }

    /// Some file systems have no permission bits of their own, and refuse to set any. What they
    /// show will do, as long as it allows nothing that the source doesn't.
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

    /// Gives the file the destination's name, in one atomic step, and then synchronises the
    /// directory. Any error before that step leaves the destination as it was.
    pub(super) fn publish(mut self, replace: bool) -> Result<(), CopyError> {
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
                let passing = random_name()?;
                platform::link_unnamed(&self.file, directory, &passing)?;
                let passing = StagedName {
                    destination: self.destination,
                    name: passing,
                };
                self.publish_named(passing, true)
            }
            result => Ok(result?),
        }
    }

    fn publish_named(&self, staged: StagedName<'_>, replace: bool) -> Result<(), CopyErrorKind> {
        let renamed = staged
            .refuse_foreign(&self.file)
            .map_err(CopyErrorKind::Os)
            .and_then(|()| self.rename(&staged.name, replace));
        // After a success too: if somebody has linked our file to the destination's name, a rename
        // between the two names does nothing (rename(2)), and both are left.
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
        // Somebody may have made it since the copy began.
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

/// A name that a staged file has for a while.
#[derive(Debug)]
struct StagedName<'a> {
    destination: &'a Destination,
    name: OsString,
}

impl StagedName<'_> {
    /// Others can write to the directory too: a name counts as ours only while it leads to our
    /// file.
    fn refuse_foreign(&self, file: &File) -> io::Result<()> {
        let ours = platform::status(file)?.id;
        match platform::entry(&self.destination.directory, &self.name)? {
            Some(entry) if entry.id == ours => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "somebody else has removed or exchanged the staged file",
            )),
        }
    }

    /// Removes the name, if it still is ours. Nothing can be done where that fails.
    fn remove(&self, file: &File) {
        if self.refuse_foreign(file).is_ok() {
            let _ = platform::remove(&self.destination.directory, &self.name);
        }
    }
}

/// A name that nobody can guess: 128 bits from the system.
fn random_name() -> io::Result<OsString> {
    let high = getrandom::u64().map_err(io::Error::from)?;
    let low = getrandom::u64().map_err(io::Error::from)?;
    Ok(format!("{STAGING_PREFIX}{high:016x}{low:016x}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tier_has_left_is_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let destination = Destination::open(&dir.path().join("dst")).unwrap();
        let staged = Staged::create(&destination, false).unwrap();
        staged.reset().unwrap();
        platform::write_at(&staged.file, b"half a clone", 0).unwrap();
        staged.reset().unwrap();
        let left = platform::status(&staged.file).unwrap();
        assert_eq!((left.size, left.allocated), (0, 0));
    }
}
