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
/// `D` is the type of a directory's descriptor. The functions for WASI 0.3 have their own.
///
/// This trait is sealed: other crates can't implement it.
pub trait Location<'a, D = Descriptor>: sealed::Sealed<'a, D> {}

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
#[derive(Debug)]
pub struct At<'a, D = Descriptor> {
    directory: &'a D,
    path: &'a Path,
}

impl<'a, D> At<'a, D> {
    /// Names the file at `path`, relative to `directory`.
    pub fn new(directory: &'a D, path: &'a (impl AsRef<Path> + ?Sized)) -> Self {
        let path = path.as_ref();
        Self { directory, path }
    }
}

impl<D> Clone for At<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for At<'_, D> {}

impl<'a, D, P: AsRef<Path>> Location<'a, D> for P {}
impl<'a, D> Location<'a, D> for At<'a, D> {}

/// A file as a caller has named it.
#[derive(Debug)]
pub struct Located<'a, D = Descriptor> {
    pub base: Base<'a, D>,
    pub path: PathBuf,
}

/// What a path is relative to.
#[derive(Debug)]
pub enum Base<'a, D = Descriptor> {
    /// The preopened directories of a guest, or the working directory of another program.
    Process,
    Directory(&'a D),
    /// A directory whose descriptor may be closed by now.
    Forgotten,
}

impl<D> Located<'_, D> {
    /// Returns the same name without its descriptor, for errors that occur later.
    pub(crate) fn forget_directory(&self) -> Located<'static, D> {
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

    pub trait Sealed<'a, D> {
        fn located(self) -> Located<'a, D>;
    }

    impl<'a, D, P: AsRef<Path>> Sealed<'a, D> for P {
        fn located(self) -> Located<'a, D> {
            Located {
                base: Base::Process,
                path: self.as_ref().into(),
            }
        }
    }

    impl<'a, D> Sealed<'a, D> for At<'a, D> {
        fn located(self) -> Located<'a, D> {
            Located {
                base: Base::Directory(self.directory),
                path: self.path.into(),
            }
        }
    }
}
