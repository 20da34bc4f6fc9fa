//! Where the copy goes: an open directory, and one name in it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, is_separator};

use super::error::{CopyError, CopyErrorKind, CopyStep};
use super::platform::{self, Directory, Entry, FileId, Kind};
use super::source::Source;

/// An open directory and a name in it, which may or may not exist.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(super) directory: Directory,
    pub(super) name: OsString,
    /// What the name stood for when the directory was opened.
    found: Option<Entry>,
    /// Where the name was a symbolic link: the file that it led to, if any. Only ever compared.
    link_target: Option<FileId>,
}

impl Destination {
    /// Opens the parent directory of `path`, relative to the working directory.
    pub(crate) fn open(path: &Path) -> Result<Self, CopyError> {
        let (parent, name) = Self::split(path)?;
        let os = |error| CopyError::destination(CopyStep::Open, CopyErrorKind::Os(error));
        let directory = platform::open_directory(parent).map_err(os)?;
        Self::new(directory, name.to_owned(), platform::link_target)
    }

    /// Splits the path of a destination into its parent and the name that the copy gets.
    pub(crate) fn split(path: &Path) -> Result<(&Path, &OsStr), CopyError> {
        split(path).ok_or_else(|| {
            let kind = match path.as_os_str().is_empty() {
                true => CopyErrorKind::Os(io::Error::from(io::ErrorKind::NotFound)),
                false => CopyErrorKind::Invalid(
                    "a destination must end in a file's name, not in a separator, '.' or '..'",
                ),
            };
            CopyError::destination(CopyStep::Open, kind)
        })
    }

    /// A name in a directory that is open already. Where the name is a symbolic link,
    /// `link_target` is called to find out where it leads.
    pub(crate) fn new(
        directory: Directory,
        name: OsString,
        link_target: impl FnOnce(&Directory, &OsStr) -> Option<FileId>,
    ) -> Result<Self, CopyError> {
        let found = platform::entry(&directory, &name)
            .map_err(|error| CopyError::destination(CopyStep::Open, error))?;
        let is_link = found.is_some_and(|entry| entry.kind == Kind::Symlink);
        Ok(Self {
            link_target: is_link.then(|| link_target(&directory, &name)).flatten(),
            found,
            directory,
            name,
        })
    }

    /// Refuses a copy of `source` to this name, by what stood there when it was looked up.
    ///
    /// The answer may be out of date at once: what keeps the source and other people's files safe
    /// is that the copy is a new inode, and how it is published.
    pub(super) fn admit(&self, source: &Source, replace: bool) -> Result<(), CopyError> {
        let Some(entry) = self.found else {
            return Ok(());
        };
        if entry.id == source.id() || self.link_target == Some(source.id()) {
            return Err(CopyError::new(CopyStep::Open, CopyErrorKind::SameFile));
        }
        match replace {
            false => Err(CopyErrorKind::AlreadyExists),
            true => refuse_replacing(entry.kind),
        }
        .map_err(|refused| CopyError::destination(CopyStep::Open, refused))
    }
}

/// Refuses what no copy replaces.
pub(super) fn refuse_replacing(kind: Kind) -> Result<(), CopyErrorKind> {
    match kind {
        Kind::Regular | Kind::Symlink => Ok(()),
        Kind::Directory => Err(CopyErrorKind::IsDirectory),
        Kind::Other => Err(CopyErrorKind::NotRegularFile),
    }
}

/// Splits a path at its last component; none where that is no plain name: a path that is empty or
/// ends in a separator, `.` or `..`.
pub(crate) fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    // `Path` drops a trailing separator and a trailing `.`, so these are looked for in the bytes.
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
    fn a_destination_splits_at_its_last_component() {
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
    fn a_destination_that_ends_in_no_name_is_refused() {
        for path in ["/", ".", "..", "a/", "a//", "a/.", "a/..", "a/./", "//"] {
            assert_eq!(split(Path::new(path)), None);
            let error = Destination::split(Path::new(path)).unwrap_err();
            assert!(matches!(error.kind(), CopyErrorKind::Invalid(_)), "{path}");
        }
        let error = Destination::split(Path::new("")).unwrap_err();
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
    }
}
