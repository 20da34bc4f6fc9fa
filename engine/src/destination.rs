//! Where the copy goes: an open directory, and a name in it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, is_separator};

use crate::error::{CopyError, CopyErrorKind, CopyStep, SPECIAL_FILE};
use crate::platform::status::{Entry, FileId, Kind, Pinned};
use crate::platform::{self, Directory};
use crate::source::Source;

/// An open directory, and the name that the copy gets in it.
#[derive(Debug)]
pub struct Destination {
    pub(crate) directory: Directory,
    pub(crate) name: OsString,
    /// What the name referred to when the destination was opened.
    found: Option<Entry>,
    /// If the name was a symbolic link: the file that it led to, if any. It is only compared.
    link_target: Option<FileId>,
}

impl Destination {
    /// Opens the parent directory of `path`, relative to the working directory.
    ///
    /// # Errors
    ///
    /// See [`split`](Self::split), and the system's errors for opening a directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CopyError> {
        let (parent, name) = Self::split(path.as_ref())?;
        let directory = platform::open_directory(parent)
            .map_err(|error| CopyError::destination(CopyStep::Open, error))?;
        Self::in_directory(directory, name)
    }

    /// Takes a directory that is open already, and a name in it. On Linux, any descriptor of a directory
    /// will do, including one of `O_PATH`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](CopyErrorKind::Invalid) if `name` is not a single file name;
    /// [`io::ErrorKind::NotFound`] if it is empty; the system's errors of `fstatat` on the name.
    pub fn in_directory(directory: Directory, name: impl AsRef<OsStr>) -> Result<Self, CopyError> {
        Self::with_link_resolver(directory, name, platform::link_target)
    }

    /// As [`in_directory`](Self::in_directory), but calls `link_target` if `name` is a symbolic link. It
    /// returns the file that the link leads to, so that a copy onto the source is refused. A caller that
    /// confines paths to a directory resolves the link within it; `in_directory` follows it without
    /// confinement. The copy itself never follows the link.
    ///
    /// # Errors
    ///
    /// As [`in_directory`](Self::in_directory).
    pub fn with_link_resolver(
        directory: Directory,
        name: impl AsRef<OsStr>,
        link_target: impl FnOnce(&Directory, &OsStr) -> io::Result<Option<FileId>>,
    ) -> Result<Self, CopyError> {
        let name = name.as_ref();
        if split(Path::new(name)) != Some((Path::new("."), name)) {
            return Err(not_a_name(name));
        }
        let found = platform::entry(&directory, name)
            .map_err(|error| CopyError::destination(CopyStep::Open, error))?;
        let link_target = match found {
            Some(entry) if entry.kind == Kind::Symlink => link_target(&directory, name)
                .map_err(|error| CopyError::destination(CopyStep::Open, error))?,
            _ => None,
        };
        Ok(Self {
            link_target,
            found,
            directory,
            name: name.to_owned(),
        })
    }

    /// Splits the path of a destination into its parent directory and its name.
    ///
    /// # Errors
    ///
    /// [`Invalid`](CopyErrorKind::Invalid) if the path ends in a separator, `.` or `..`;
    /// [`io::ErrorKind::NotFound`] if it is empty.
    pub fn split(path: &Path) -> Result<(&Path, &OsStr), CopyError> {
        split(path).ok_or_else(|| not_a_name(path.as_os_str()))
    }

    /// Returns the directory. On Unix, [`file_id`](crate::file_id) returns its identity.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Returns the name that the copy gets in the directory.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// Returns the identity of what had the name when the destination was opened: of a symbolic link, not of
    /// the file that it leads to. None if the name did not exist. It can change until the copy is published.
    pub fn existing(&self) -> Option<FileId> {
        self.found.map(|entry| entry.id)
    }

    /// Refuses a copy of `source` to this name, by what the name referred to when it was opened.
    ///
    /// The name can change after this check. The source and other files are still safe: the copy is a
    /// new inode, and publishing checks the name again.
    pub(crate) fn admit(&self, source: &Source, replace: bool) -> Result<(), CopyError> {
        let Some(entry) = self.found else {
            return Ok(());
        };
        let is_source = entry.id == source.id()
            && platform::is_same_file(&source.file, &self.directory, &self.name);
        if is_source || self.link_target == Some(source.id()) {
            return Err(CopyError::new(CopyStep::Open, CopyErrorKind::SameFile));
        }
        match replace {
            false => Err(CopyErrorKind::AlreadyExists),
            true => refuse_replacing(entry).and_then(|()| refuse_append_only(&self.directory)),
        }
        .map_err(|refused| CopyError::destination(CopyStep::Open, refused))
    }
}

fn not_a_name(path: &OsStr) -> CopyError {
    let kind = match path.is_empty() {
        true => CopyErrorKind::Os(io::ErrorKind::NotFound.into()),
        false => CopyErrorKind::Invalid(
            "the destination's name must be a single file name, not '.' or '..', without separators",
        ),
    };
    CopyError::destination(CopyStep::Open, kind)
}

/// Refuses to replace anything but a regular file or a symbolic link, and a file that can't be replaced.
pub(crate) fn refuse_replacing(entry: Entry) -> Result<(), CopyErrorKind> {
    match entry.pinned {
        Some(Pinned::MountPoint) => {
            return Err(CopyErrorKind::Busy(
                "the destination is a mount point; unmount it or choose another name",
            ));
        }
        Some(Pinned::Attribute) => {
            return Err(CopyErrorKind::NotPermitted(
                "the destination is append-only or immutable (chattr)",
            ));
        }
        None => {}
    }
    match entry.kind {
        Kind::Regular | Kind::Symlink => Ok(()),
        Kind::Directory => Err(CopyErrorKind::IsDirectory),
        Kind::Other => Err(CopyErrorKind::NotRegularFile(SPECIAL_FILE)),
    }
}

/// Refuses a directory whose names can't be renamed or removed.
pub(crate) fn refuse_append_only(directory: &Directory) -> Result<(), CopyErrorKind> {
    match platform::is_append_only(directory) {
        true => Err(CopyErrorKind::NotPermitted(
            "the directory is append-only (chattr +a), so no file in it can be renamed or replaced",
        )),
        false => Ok(()),
    }
}

/// Splits a path at its last component. None if that is not a plain name: if the path is empty, or ends
/// in a separator, `.` or `..`.
fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    // `Path` ignores a trailing separator and a trailing `.`, so look for them in the bytes.
    let bytes = path.as_os_str().as_encoded_bytes();
    let last = bytes.rsplit(|&byte| is_separator(byte.into())).next()?;
    if matches!(last, b"" | b"." | b"..") {
        return None;
    }
    let parent = path.parent()?;
    let parent = match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    };
    Some((parent, path.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_splits_at_its_last_component() {
        for (path, parent, name) in [
            ("a", ".", "a"),
            ("a/b", "a", "b"),
            ("a//b", "a", "b"),
            ("/b", "/", "b"),
            ("../b", "..", "b"),
            ("a/../b", "a/..", "b"),
            ("./b", ".", "b"),
            ("a/.b", "a", ".b"),
            ("a/...", "a", "..."),
        ] {
            let (p, n) = split(Path::new(path)).unwrap();
            assert_eq!((p, n), (Path::new(parent), OsStr::new(name)), "{path}");
        }
    }

    #[test]
    fn a_path_that_ends_in_no_name_is_refused() {
        for path in ["/", ".", "..", "a/", "a//", "a/.", "a/..", "a/./", "//"] {
            assert_eq!(split(Path::new(path)), None);
            let error = Destination::split(Path::new(path)).unwrap_err();
            assert!(matches!(error.kind(), CopyErrorKind::Invalid(_)), "{path}");
        }
        let error = Destination::split(Path::new("")).unwrap_err();
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
    }
}
