//! Defines how a caller names a file.

use std::path::{Path, PathBuf};

use crate::Descriptor;

/// How a function takes a file: as a path, or as a path relative to an open directory ([`At`]).
///
/// Every type that implements `AsRef<Path>` is a path. On WASI a path is resolved against the preopened
/// directories, as [`std::fs`] does it: the directory whose name is the longest prefix of the path, by whole
/// components, is used. A leading `/` or `./` of either is ignored. If two directories have the same name,
/// the later one is used. On all targets a relative path is relative to the working directory, which is `/` for
/// a guest that has not set another.
///
/// This trait is sealed: other crates can't implement it.
pub trait Location<'a>: sealed::Sealed<'a> {}

/// A path relative to an open directory.
///
/// ```
/// use fast_copy::{At, fast_copy, open_directory};
///
/// # let dir = tempfile::tempdir()?;
/// # let images = dir.path();
/// # std::fs::write(images.join("base.img"), "an image")?;
/// let images = open_directory(images)?;
/// fast_copy(At::new(&images, "base.img"), At::new(&images, "vm1.img"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    directory: &'a Descriptor,
    path: &'a Path,
}

impl<'a> At<'a> {
    /// Names the file at `path`, relative to `directory`.
    pub fn new(directory: &'a Descriptor, path: &'a (impl AsRef<Path> + ?Sized)) -> Self {
        let path = path.as_ref();
        Self { directory, path }
    }
}

impl<'a, P: AsRef<Path>> Location<'a> for P {}
impl<'a> Location<'a> for At<'a> {}

/// A file as a caller has named it.
#[derive(Clone, Debug)]
pub struct Located<'a> {
    pub base: Base<'a>,
    pub path: PathBuf,
}

/// What a path is relative to.
#[derive(Clone, Copy, Debug)]
pub enum Base<'a> {
    /// The preopened directories of a guest, or the working directory of another program.
    Process,
    Directory(&'a Descriptor),
    /// A directory whose descriptor may be closed by now.
    Forgotten,
}

impl Located<'_> {
    /// Returns the same name without its descriptor, for errors that occur later.
    pub(crate) fn forget_directory(&self) -> Located<'static> {
        let base = match self.base {
            Base::Process => Base::Process,
            Base::Directory(_) | Base::Forgotten => Base::Forgotten,
        };
        Located {
            base,
            path: self.path.clone(),
        }
    }
}

mod sealed {
    use std::path::Path;

    use super::{At, Base, Located};

    pub trait Sealed<'a> {
        fn located(self) -> Located<'a>;
    }

    impl<'a, P: AsRef<Path>> Sealed<'a> for P {
        fn located(self) -> Located<'a> {
            Located {
                base: Base::Process,
                path: self.as_ref().into(),
            }
        }
    }

    impl<'a> Sealed<'a> for At<'a> {
        fn located(self) -> Located<'a> {
            Located {
                base: Base::Directory(self.directory),
                path: self.path.into(),
            }
        }
    }
}
