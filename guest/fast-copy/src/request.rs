//! Defines a copy that a caller asks for, and its errors.

use std::borrow::Cow;

use crate::cause::{self, Role};
use crate::error::Failure;
use crate::location::{Located, Location};
use crate::{CopyOptions, Error, ErrorCode, Operand, system};

/// The function that makes a copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function {
    FastCopy,
    SparseCopy,
}

/// A copy that a caller asks for.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) function: Function,
    pub(crate) options: CopyOptions,
    pub(crate) src: Located<'a>,
    pub(crate) dst: Located<'a>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(
        function: Function,
        options: &CopyOptions,
        src: impl Location<'a>,
        dst: impl Location<'a>,
    ) -> Self {
        Self {
            function,
            options: options.clone(),
            src: src.located(),
            dst: dst.located(),
        }
    }

    /// Returns the same request without the descriptors of directories, for errors that occur later.
    pub(crate) fn forget_directories(&self) -> Request<'static> {
        Request {
            function: self.function,
            options: self.options.clone(),
            src: self.src.forget_directory(),
            dst: self.dst.forget_directory(),
        }
    }

    /// Adds the path and the cause to a failure.
    pub(crate) fn error(&self, failure: Failure, operand: Option<Operand>) -> Error {
        let Failure { code, text } = failure;
        let follow = self.options.symlink_follow;
        let about = match operand {
            Some(Operand::Source) => Some((&self.src, Role::Source { follow })),
            Some(Operand::Destination) => Some((&self.dst, Role::Destination)),
            None => None,
        };
        let text = text
            .or_else(|| Some(cause_in_path(code, about?.0, about?.1)?.into()))
            .or_else(|| match operand {
                Some(_) => None,
                None => self.cause_in_options(code),
            });
        let failure = Failure { code, text };
        match about {
            Some((file, _)) => failure.about(&file.path, operand),
            None => failure.about_both(&self.src.path, &self.dst.path),
        }
    }

    fn cause_in_options(&self, code: ErrorCode) -> Option<Cow<'static, str>> {
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

/// Returns the cause of a failure that is about one path, if it is more exact than the code.
pub(crate) fn cause_in_path(
    code: ErrorCode,
    file: &Located<'_>,
    role: Role,
) -> Option<&'static str> {
    system::cause_in_path(code, file, role).or_else(|| cause::of_role(code, &file.path, role))
}
