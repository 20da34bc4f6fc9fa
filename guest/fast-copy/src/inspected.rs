//! Defines a file to inspect, and the errors of inspecting it.

use std::path::{Path, PathBuf};

use crate::cause;
use crate::diagnosis::{self, Role};
use crate::preopens::resolve;
use crate::{Descriptor, Error, ErrorCode};

/// A file to inspect.
#[derive(Debug)]
pub(crate) struct InspectedFile {
    /// The path that the caller has passed.
    path: PathBuf,
    pub(crate) dir: &'static Descriptor,
    /// The path relative to `dir`.
    pub(crate) name: String,
}

impl InspectedFile {
    pub(crate) fn new(path: &Path) -> Result<Self, Error> {
        let (dir, name) =
            resolve(path).map_err(|unresolved| Error::unresolved(path, None, unresolved))?;
        Ok(Self {
            path: path.into(),
            dir,
            name,
        })
    }

    /// Adds the path and the cause to an error of the host.
    ///
    /// `unsupported` is the cause for [`ErrorCode::Unsupported`].
    pub(crate) fn error(&self, code: ErrorCode, unsupported: &'static str) -> Error {
        let cause = match code {
            ErrorCode::Unsupported => unsupported.into(),
            _ => match diagnosis::in_path(&code, &self.path, Role::Inspected) {
                Some(cause) => cause.into(),
                None => cause::of_code(&code),
            },
        };
        Error::about(&self.path, None, code, cause)
    }
}
