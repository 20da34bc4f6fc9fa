//! Defines a copy that a caller asks for, and its errors.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::bindings::sandbox::fast_copy::types::CopyError;
use crate::cause;
use crate::diagnosis::{self, Role};
use crate::{CopyOptions, Error, ErrorCode, Operand};

/// The function that makes a copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function {
    FastCopy,
    SparseCopy,
}

/// A copy that a caller asks for.
#[derive(Debug)]
pub(crate) struct Request {
    function: Function,
    options: CopyOptions,
    src: PathBuf,
    dst: PathBuf,
}

impl Request {
    pub(crate) fn new(function: Function, options: &CopyOptions, src: &Path, dst: &Path) -> Self {
        Self {
            function,
            options: options.clone(),
            src: src.into(),
            dst: dst.into(),
        }
    }

    /// Adds the path and the cause to an error of the host.
    pub(crate) fn error(&self, error: CopyError) -> Error {
        let CopyError { code, operand } = error;
        let follow = self.options.symlink_follow;
        let about = match operand {
            Some(Operand::Source) => Some((&self.src, Role::Source { follow })),
            Some(Operand::Destination) => Some((&self.dst, Role::Destination)),
            None => None,
        };
        let cause = about
            .and_then(|(path, role)| diagnosis::in_path(&code, path, role))
            .map(Cow::Borrowed)
            .or_else(|| self.cause_in_options(&code))
            .unwrap_or_else(|| cause::of_code(&code));
        match about {
            Some((path, _)) => Error::about(path, operand, code, cause),
            None => Error::about_both(&self.src, &self.dst, code, cause),
        }
    }

    fn cause_in_options(&self, code: &ErrorCode) -> Option<Cow<'static, str>> {
        let options = &self.options;
        match (code, options.size) {
            (ErrorCode::Invalid, _)
                if options.require_reflink && self.function == Function::SparseCopy =>
            {
                Some("require-reflink contradicts sparse-copy".into())
            }
            (ErrorCode::Invalid, _) if options.require_reflink && options.dig_holes => {
                Some("require-reflink contradicts dig-holes".into())
            }
            (ErrorCode::Invalid, Some(size)) => {
                Some(format!("the requested size of {size} bytes is below the source's").into())
            }
            (ErrorCode::FileTooLarge, Some(size)) => {
                let cause = format!(
                    "the requested size of {size} bytes is too large for the host or the file system"
                );
                Some(cause.into())
            }
            _ => None,
        }
    }
}
