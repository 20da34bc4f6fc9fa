//! Resolves a path to a preopened directory and a path relative to it.

use std::borrow::Cow;

use crate::error::Failure;
use crate::location::{Base, Located};
use crate::prefix::longest_prefix;
use crate::request::Request;
use crate::{Error, ErrorCode, Operand};

/// The preopened directories of a guest, with the names that the host has given them.
///
/// The host creates new handles on each call that lists them, and they never change: list them once.
pub(crate) struct Preopens<D>(Vec<(D, String)>);

impl<D> Preopens<D> {
    pub(crate) fn new(directories: Vec<(D, String)>) -> Self {
        Self(directories)
    }

    /// Returns the directory of a file, and the path relative to it.
    ///
    /// Fails with `NoEntry` if the path is empty or outside all preopened directories, and with
    /// `IllegalByteSequence` if it is not UTF-8.
    pub(crate) fn resolve<'a>(&'a self, file: &Located<'a, D>) -> Result<(&'a D, String), Failure> {
        let path = file.path.to_str().ok_or_else(|| {
            Failure::with_text(ErrorCode::IllegalByteSequence, "the path is not UTF-8")
        })?;
        if path.is_empty() {
            return Err(Failure::with_text(ErrorCode::NoEntry, "the path is empty"));
        }
        match file.base {
            Base::Directory(dir) => Ok((dir, path.to_owned())),
            Base::Process => {
                let path = in_working_directory(path);
                let (index, rest) =
                    longest_prefix(self.names(), &path).ok_or_else(|| self.outside())?;
                Ok((&self.0[index].0, rest.to_owned()))
            }
            Base::Forgotten => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    /// Returns the same as [`resolve`](Self::resolve) for the source and the destination of a copy.
    pub(crate) fn resolve_both<'a>(
        &'a self,
        request: &Request<'a, D>,
    ) -> Result<[(&'a D, String); 2], Error> {
        let resolve = |operand| {
            let (file, _) = request.file(operand);
            self.resolve(file)
                .map_err(|failure| failure.about(&file.path, Some(operand)))
        };
        Ok([resolve(Operand::Source)?, resolve(Operand::Destination)?])
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, name)| name.as_str())
    }

    /// Creates the failure of a path outside all preopened directories, and lists these.
    fn outside(&self) -> Failure {
        let names: Vec<_> = self.names().collect();
        let list = match names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        let text = format!("outside all preopened directories ({list})");
        Failure::with_text(ErrorCode::NoEntry, text)
    }
}

/// Adds the working directory to a relative path. It is `/`, unless the guest has set another.
fn in_working_directory(path: &str) -> Cow<'_, str> {
    let directory = std::env::current_dir();
    match directory.as_ref().ok().and_then(|dir| dir.to_str()) {
        Some(dir) if dir != "/" && !path.starts_with('/') => format!("{dir}/{path}").into(),
        _ => path.into(),
    }
}
