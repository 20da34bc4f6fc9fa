//! The staged file: the copy while it is made, and how it is published or discarded.
//!
//! On file systems with `O_TMPFILE` the staged file has no name, so nothing is left whatever happens to
//! the process. It has a random name in the destination's directory where there is no `O_TMPFILE` (FUSE, some
//! NFS and overlayfs, other systems), and where a file without a name could not be linked. That name is
//! removed on any error; a kill, or a failed removal, leaves it. A replacement uses
//! such a name too, between a link and a rename, because no system call links a file over an existing
//! name. So does a durable copy on btrfs before Linux 6.18, whose `fsync` skips files without a name.
//!
//! Another process that may write to the directory can give the staged file a second name, by a link or a
//! rename. So a copy that is not published is truncated first, and then its name is removed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::sync::Mutex;

use crate::destination::{Destination, refuse_append_only, refuse_replacing};
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::lock::lock;
use crate::platform::status::{FileId, Status, Times};
use crate::platform::{self, Directory, DirectorySync};

/// The prefix of a staged file's name. 32 hexadecimal digits follow. Use it to hide such files, or to remove
/// those that a kill or a failed removal has left.
pub const STAGING_PREFIX: &str = ".fast-copy-";

/// Whether the staged file may be without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// It has no name where the file system allows that.
    Optional,
    /// It has a name, because a file without a name can't be linked there.
    Required,
}

/// A copy that is being made. It is published or discarded.
#[derive(Debug)]
pub(crate) struct Staged<'a> {
    pub(crate) file: File,
    destination: &'a Destination,
    /// A duplicate of the descriptor, to be closed at the end. It exists from the beginning, so that a lack
    /// of descriptors fails the copy before its bytes are moved.
    duplicate: Option<File>,
    directory_sync: Option<DirectorySync>,
    name: Option<OsString>,
    /// Whether the file was synchronised without a name where that has no effect.
    unsynchronised: bool,
    /// The identity of the file, once its name was looked up to publish it.
    id: Option<FileId>,
    /// Whether a call that publishes has failed in such a way that it may have taken effect.
    in_doubt: bool,
    /// Whether an empty file that reserved the destination's name could not be removed.
    left_placeholder: bool,
}

/// What is left of a staged file that was discarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// The bytes allocated for the file, if it is still there.
    pub(crate) bytes: Option<u64>,
    /// Whether it may have the destination's name.
    pub(crate) in_doubt: bool,
}

/// Why a staged file was not published.
#[derive(Debug)]
pub(crate) enum Unpublished {
    /// A call has failed. Discarding the file tells whether the copy may be in place.
    Refused(CopyError),
    /// A file without a name can't be linked there. Stage the copy under a name.
    NeedsName,
}

impl From<CopyError> for Unpublished {
    fn from(error: CopyError) -> Self {
        Self::Refused(error)
    }
}

impl<'a> Staged<'a> {
    /// Creates an empty file of mode 0600 on the destination's file system. With `durable`, also opens what
    /// synchronises the directory later, so that a failure of that is an error before anything is published.
    pub(crate) fn create(
        destination: &'a Destination,
        durable: bool,
        naming: Naming,
    ) -> Result<Self, CopyError> {
        Self::try_create(destination, durable, naming)
            .map_err(|kind| CopyError::destination(CopyStep::Stage, kind))
    }

    fn try_create(
        destination: &'a Destination,
        durable: bool,
        naming: Naming,
    ) -> Result<Self, CopyErrorKind> {
        let directory = &destination.directory;
        let directory_sync = match durable {
            true => Some(platform::open_directory_sync(directory)?),
            false => None,
        };
        let unnamed = match naming == Naming::Required || needs_name(directory) {
            true => None,
            false => platform::create_unnamed(directory)?,
        };
        let (file, name) = match unnamed {
            Some(file) => (file, None),
            None => {
                refuse_append_only(directory)?;
                let name = random_name()?;
                (platform::create_named(directory, &name)?, Some(name))
            }
        };
        let duplicate = duplicate_of(&file);
        let mut staged = Self {
            file,
            destination,
            duplicate: None,
            directory_sync,
            name,
            unsynchronised: false,
            id: None,
            in_doubt: false,
            left_placeholder: false,
        };
        match duplicate {
            Ok(duplicate) => staged.duplicate = Some(duplicate),
            Err(error) => {
                staged.discard();
                return Err(error.into());
            }
        }
        Ok(staged)
    }

    /// Returns the directory of the destination.
    pub(crate) fn directory(&self) -> &Directory {
        &self.destination.directory
    }

    /// Clones `source` into the file. On failure the file may hold anything.
    pub(crate) fn fill_by_clone(&mut self, source: &File) -> io::Result<()> {
        if platform::CLONE_MAKES_A_FILE {
            // It belongs to the file that is replaced.
            self.duplicate = None;
        }
        platform::clone(
            source,
            &mut self.file,
            &self.destination.directory,
            self.name.as_deref(),
        )
    }

    /// Truncates the file if a failed clone has left something in it.
    ///
    /// An empty file is not truncated: on ext4, truncating a file to size 0 makes the next `close` write
    /// its data to the disk (ext4(5), `auto_da_alloc`), and a copy that is not durable would wait for that.
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

    /// Returns the error for a call that has failed to write to the file or to extend it.
    pub(crate) fn write_error(&self, error: io::Error) -> CopyError {
        let kind = match error.kind() {
            io::ErrorKind::InvalidInput => platform::refusal_of_every_write(&self.file)
                .map_or(CopyErrorKind::Os(error), CopyErrorKind::Unsupported),
            _ => CopyErrorKind::Os(error),
        };
        CopyError::destination(CopyStep::Transfer, kind)
    }

    /// Sets the size of the file.
    pub(crate) fn set_len(&self, size: u64) -> Result<(), CopyError> {
        let result = self.file.set_len(size);
        result.map_err(|error| self.write_error(error))
    }

    /// Returns the size of the file.
    pub(crate) fn size(&self, step: CopyStep) -> Result<u64, CopyError> {
        let status = platform::status(&self.file);
        Ok(status
            .map_err(|error| CopyError::destination(step, error))?
            .size)
    }

    /// Completes the file: sets the permission bits, and the times if there are any, then synchronises it, so
    /// that they are as durable as the bytes. If the file system refuses to set them, the file keeps those that
    /// the file system gives it.
    pub(crate) fn finish(
        &mut self,
        permissions: u32,
        times: Option<Times>,
    ) -> Result<(), CopyError> {
        self.try_finish(permissions, times)
            .map_err(|error| CopyError::destination(CopyStep::Finish, error))
    }

    fn try_finish(&mut self, permissions: u32, times: Option<Times>) -> io::Result<()> {
        allow_refusal(platform::set_permissions(&self.file, permissions))?;
        if let Some(times) = times {
            allow_refusal(platform::set_times(&self.file, times))?;
        }
        if self.directory_sync.is_some() {
            if self.name.is_none() && !platform::fsync_persists_unnamed(&self.file) {
                self.name_before_sync()?;
            }
            self.file.sync_all()?;
        }
        // Durable or not: some FUSE file systems report write errors only here.
        self.flush()
    }

    /// Gives the file a staging name, so that `fsync` does not skip it. Where such a name could not be removed
    /// again, or can't be made, the file is synchronised once more after it has been published.
    fn name_before_sync(&mut self) -> io::Result<()> {
        if refuse_append_only(self.directory()).is_ok() {
            match self.link_staging_name() {
                Err(error) if platform::is_refusal_to_link(&error) => self.name = None,
                result => return result,
            }
        }
        self.unsynchronised = true;
        Ok(())
    }

    /// Links the file under a staging name. The name is kept after an error too, because the link can have worked.
    fn link_staging_name(&mut self) -> io::Result<()> {
        let name = random_name()?;
        let linked = platform::link_unnamed(&self.file, self.directory(), &name);
        self.name = Some(name);
        linked
    }

    /// Closes a duplicate of the descriptor, which tells the file system that no more will be written, and
    /// returns the result. FUSE, NFS and CIFS may report failed writes only then.
    fn flush(&mut self) -> io::Result<()> {
        let mut duplicate = self.duplicate.take();
        loop {
            let descriptor = match duplicate.take() {
                Some(descriptor) => descriptor,
                None => duplicate_of(&self.file)?,
            };
            match platform::close(descriptor) {
                // Interrupted or not, the descriptor is closed (close(2)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Gives the file the destination's name in one atomic step.
    ///
    /// A network file system can lose the reply of a call that has succeeded. So after an error the name is
    /// looked up: if it refers to the staged file, the copy is published.
    pub(crate) fn publish(&mut self, replace: bool) -> Result<(), Unpublished> {
        let destination = self.destination;
        let published = match &self.name {
            None => self.publish_unnamed(replace),
            Some(_) => self.publish_named(replace),
        };
        match published {
            Ok(()) => {}
            Err(NotNamed::NeedsName) => return Err(Unpublished::NeedsName),
            Err(NotNamed::Refused(kind)) => {
                let found = self.has_name(&destination.name);
                if !matches!(found, Ok(true)) {
                    let kind = match kind {
                        CopyErrorKind::Os(error)
                            if error.kind() == io::ErrorKind::AlreadyExists && !replace =>
                        {
                            // A server that gets the request twice finds the name that it has made.
                            self.in_doubt |= found.is_err();
                            CopyErrorKind::AlreadyExists
                        }
                        other => other,
                    };
                    let error = CopyError::destination(CopyStep::Publish, kind);
                    return Err(Unpublished::Refused(error));
                }
            }
        }
        // If another process has linked the file to the destination's name, the rename between the two
        // names does nothing (rename(2)), and both are left.
        if let (Some(name), Some(id)) = (self.name.take(), self.id) {
            remove(&destination.directory, &name, id);
        }
        Ok(())
    }

    /// Notes the result of a call that publishes the copy if it succeeds.
    fn publishing(&mut self, result: io::Result<()>) -> io::Result<()> {
        if let Err(error) = &result {
            self.in_doubt |= !platform::had_no_effect(error);
        }
        result
    }

    /// Synchronises the directory of a published copy.
    pub(crate) fn sync_directory(&mut self) -> Result<(), CopyError> {
        let Some(directory) = self.directory_sync.take() else {
            return Ok(());
        };
        let file = match self.unsynchronised {
            true => self.file.sync_all(),
            false => Ok(()),
        };
        file.and_then(|()| directory.sync(&self.file))
            .map_err(|error| CopyError::destination(CopyStep::SyncDirectory, error))
    }

    fn publish_unnamed(&mut self, replace: bool) -> Result<(), NotNamed> {
        let Destination {
            directory, name, ..
        } = self.destination;
        match platform::link_unnamed(&self.file, directory, name) {
            Err(error) if replace && error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if platform::is_refusal_to_link(&error) => return Err(NotNamed::NeedsName),
            result => return Ok(self.publishing(result)?),
        }
        // A temporary name in such a directory could not be removed again.
        refuse_append_only(directory)?;
        match self.link_staging_name() {
            // Whether the name exists is checked before whether the file may be linked (do_linkat in
            // fs/namei.c), so the first link did not tell.
            Err(error) if platform::is_refusal_to_link(&error) => Err(NotNamed::NeedsName),
            Err(error) => Err(error.into()),
            Ok(()) => self.publish_named(true),
        }
    }

    fn publish_named(&mut self, replace: bool) -> Result<(), NotNamed> {
        let Some(staged) = self.name.clone() else {
            return Ok(());
        };
        let Destination {
            directory, name, ..
        } = self.destination;
        // Other processes can write to the directory too.
        let id = platform::status(&self.file)?.id;
        self.id = Some(id);
        if !platform::entry(directory, &staged)?.is_some_and(|entry| entry.id == id) {
            return Err(NotNamed::Refused(CopyErrorKind::Os(io::Error::new(
                io::ErrorKind::NotFound,
                "another process has removed or replaced the staged file",
            ))));
        }
        if !replace {
            return match platform::rename_new(directory, &staged, name) {
                // A link can have worked: file systems without links return EIO, and so does a lost reply.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    match self.has_name(name) {
                        Ok(true) => Ok(()),
                        Ok(false) => self.rename_over_placeholder(&staged),
                        Err(error) => {
                            self.in_doubt = true;
                            Err(error.into())
                        }
                    }
                }
                result => Ok(self.publishing(result)?),
            };
        }
        // Another process may have created it since the copy began.
        if let Some(entry) = platform::entry(directory, name)? {
            refuse_replacing(entry)?;
        }
        let renamed = platform::rename_replace(directory, &staged, name);
        Ok(self.publishing(renamed)?)
    }

    /// Creates an empty file under the destination's name, which must not exist, and renames the staged file
    /// over it, for file systems with neither hard links nor `RENAME_NOREPLACE`.
    ///
    /// Between the last look and the rename, another process can write to the empty file or replace it; what
    /// it wrote is lost. A kill there leaves the empty file.
    fn rename_over_placeholder(&mut self, staged: &OsStr) -> Result<(), NotNamed> {
        let Destination {
            directory, name, ..
        } = self.destination;
        let placeholder = platform::create_named(directory, name)?;
        let id = match platform::status(&placeholder) {
            Ok(status) => status.id,
            Err(error) => {
                // Without its identity it can't be told from another process's file.
                self.left_placeholder = true;
                return Err(error.into());
            }
        };
        // rclone gives the file its name when it is closed.
        let closed = match platform::close(placeholder) {
            // Interrupted or not, the descriptor is closed (close(2)).
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        };
        let is_untouched = || -> io::Result<bool> {
            let found = platform::entry(directory, name)?;
            Ok(found.is_some_and(|entry| entry.id == id && entry.size == 0))
        };
        let renamed = match closed.and_then(|()| is_untouched()) {
            Ok(true) => platform::rename_replace(directory, staged, name),
            Ok(false) => return Err(NotNamed::Refused(CopyErrorKind::AlreadyExists)),
            Err(error) => {
                self.remove_placeholder(is_untouched());
                return Err(error.into());
            }
        };
        if renamed.is_err() {
            self.remove_placeholder(is_untouched());
        }
        Ok(self.publishing(renamed)?)
    }

    /// Removes the empty file that reserved the destination's name, if it is still there.
    fn remove_placeholder(&mut self, is_untouched: io::Result<bool>) {
        let Destination {
            directory, name, ..
        } = self.destination;
        self.left_placeholder = match is_untouched {
            Ok(true) => platform::remove(directory, name).is_err(),
            Ok(false) => false,
            Err(_) => true,
        };
    }

    /// Returns whether a name in the directory refers to the staged file.
    fn has_name(&self, name: &OsStr) -> io::Result<bool> {
        let ours = platform::status(&self.file)?.id;
        let found = platform::entry(&self.destination.directory, name)?;
        Ok(found.is_some_and(|entry| entry.id == ours))
    }

    /// Discards the copy: truncates the file, closes it, then removes its name. Returns what is left of it.
    ///
    /// The name is removed after the file is closed, because file systems that store a file when it is
    /// closed (rclone) would create the name again.
    ///
    /// If the copy may be published, its name is removed first. Only if that succeeds, the file does not have
    /// the destination's name, and is truncated. NFS can lose the reply of a rename and then return the old
    /// file for the destination's name from its cache. A link leaves the staging name, so a file with a second name
    /// is not truncated either.
    pub(crate) fn discard(self) -> Left {
        let Self {
            file,
            duplicate,
            destination,
            name,
            in_doubt,
            left_placeholder,
            ..
        } = self;
        let directory = &destination.directory;
        let before = platform::status(&file);
        let remove_name = || match (&name, &before) {
            (None, _) => Removal::Absent,
            (Some(name), Ok(status)) => remove(directory, name, status.id),
            (Some(_), Err(_)) => Removal::Failed,
        };
        let has_one_name = || platform::status_now(&file).is_ok_and(|status| status.links <= 1);
        let may_be_linked = in_doubt && !has_one_name();
        let may_be_published = in_doubt && (remove_name() != Removal::Removed || may_be_linked);
        let emptied = !may_be_published && file.set_len(0).is_ok();
        let handle = match emptied {
            true => None,
            false => platform::handle_of(&file).ok(),
        };
        drop((file, duplicate));
        let removal = remove_name();
        if emptied {
            return Left {
                bytes: (removal == Removal::Failed || left_placeholder).then_some(0),
                in_doubt: false,
            };
        }
        let after = match handle {
            Some(handle) => platform::status(&handle),
            None => before.map(|status| Status {
                links: status
                    .links
                    .saturating_sub((removal == Removal::Removed).into()),
                ..status
            }),
        };
        let bytes = match after {
            Ok(status) => (status.links > 0).then_some(status.allocated),
            Err(_) => (may_be_published || removal == Removal::Failed).then_some(0),
        };
        Left {
            bytes: bytes.or(left_placeholder.then_some(0)),
            in_doubt: may_be_published && bytes.is_some(),
        }
    }
}

/// Ignores that the file system refuses to set an attribute.
fn allow_refusal(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if platform::is_refusal_to_set_attributes(&error) => Ok(()),
        result => result,
    }
}

/// Why a staged file did not get the destination's name.
enum NotNamed {
    Refused(CopyErrorKind),
    NeedsName,
}

impl<E: Into<CopyErrorKind>> From<E> for NotNamed {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

fn duplicate_of(file: &File) -> io::Result<File> {
    loop {
        match file.try_clone() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// How the removal of a name ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Removal {
    Removed,
    /// It does not refer to the staged file.
    Absent,
    Failed,
}

/// Removes a name if it refers to the staged file.
fn remove(directory: &Directory, name: &OsStr, staged: FileId) -> Removal {
    match platform::entry(directory, name) {
        Ok(Some(entry)) if entry.id == staged => match platform::remove(directory, name) {
            Ok(()) => Removal::Removed,
            // The name was looked up in a cache.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Removal::Absent,
            Err(_) => Removal::Failed,
        },
        Ok(_) => Removal::Absent,
        Err(_) => Removal::Failed,
    }
}

/// The devices of file systems on which a file without a name could not be linked.
static NEED_NAMES: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// The largest number of file systems that are remembered. On another one, each copy is made twice.
const MAX_REMEMBERED: usize = 64;

/// Records that on the destination's file system a copy was published under a name, after a file without one
/// could not be linked.
pub(crate) fn remember_to_name(destination: &Destination) {
    let mut known = lock(&NEED_NAMES);
    if let Some(device) = platform::device(&destination.directory)
        && known.len() < MAX_REMEMBERED
        && !known.contains(&device)
    {
        known.push(device);
    }
}

fn needs_name(directory: &Directory) -> bool {
    let known = lock(&NEED_NAMES);
    !known.is_empty() && platform::device(directory).is_some_and(|device| known.contains(&device))
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
        let staged = Staged::create(&destination, false, Naming::Optional).unwrap();
        staged.reset().unwrap();
        platform::write_at(&staged.file, b"half a clone", 0).unwrap();
        staged.reset().unwrap();
        let left = platform::status(&staged.file).unwrap();
        assert_eq!((left.size, left.allocated), (0, 0));
    }

    #[test]
    fn a_discarded_file_is_empty_under_its_second_name() {
        let dir = tempfile::tempdir().unwrap();
        let destination = Destination::open(dir.path().join("dst")).unwrap();
        let staged = Staged::create(&destination, false, Naming::Required).unwrap();
        platform::write_at(&staged.file, b"a copy", 0).unwrap();
        let name = dir.path().join(staged.name.as_ref().unwrap());
        std::fs::hard_link(name, dir.path().join("second")).unwrap();
        assert_eq!(staged.discard(), Left::default());
        let names: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["second"]);
        assert_eq!(std::fs::read(dir.path().join("second")).unwrap(), b"");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_that_needs_names_is_remembered() {
        // Another file system than that of the other tests.
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let destination = Destination::open(dir.path().join("dst")).unwrap();
        for needs_name in [false, true] {
            let staged = Staged::create(&destination, false, Naming::Optional).unwrap();
            assert_eq!(staged.name.is_some(), needs_name);
            assert_eq!(staged.discard(), Left::default());
            remember_to_name(&destination);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
