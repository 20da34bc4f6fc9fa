//! Defines a copy that a caller asks for, and its errors.

use std::borrow::Cow;

use crate::cause::{self, Role};
use crate::error::Failure;
use crate::location::{Located, Location};
use crate::{CopyOptions, Descriptor, Error, ErrorCode, Operand, system};

/// The function that makes a copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function {
    FastCopy,
    SparseCopy,
}

/// A copy that a caller asks for.
#[derive(Debug)]
pub(crate) struct Request<'a, D = Descriptor> {
    pub(crate) function: Function,
    pub(crate) options: CopyOptions,
    pub(crate) src: Located<'a, D>,
    pub(crate) dst: Located<'a, D>,
}

impl<'a, D> Request<'a, D> {
    pub(crate) fn new(
        function: Function,
        options: &CopyOptions,
        src: impl Location<'a, D>,
        dst: impl Location<'a, D>,
    ) -> Self {
        Self {
            function,
            options: options.clone(),
            src: src.located(),
            dst: dst.located(),
        }
    }

    /// Returns the same request without the descriptors of directories, for errors that occur later.
    pub(crate) fn forget_directories(&self) -> Request<'static, D> {
        Request {
            function: self.function,
            options: self.options.clone(),
            src: self.src.forget_directory(),
            dst: self.dst.forget_directory(),
        }
    }

    /// Returns one of the files, and how the copy uses it.
    pub(crate) fn file(&self, operand: Operand) -> (&Located<'a, D>, Role) {
        let follow = self.options.symlink_follow;
        match operand {
            Operand::Source => (&self.src, Role::Source { follow }),
            Operand::Destination => (&self.dst, Role::Destination),
        }
    }

    /// Adds the paths to a failure, and the cause if the options show it.
    pub(crate) fn explained_error(&self, failure: Failure, operand: Option<Operand>) -> Error {
        match operand {
            Some(which) => failure.about(&self.file(which).0.path, operand),
            None => failure
                .or_text(|code| self.cause_in_options(code))
                .about_both(&self.src.path, &self.dst.path),
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

impl Request<'_> {
    /// Adds the path and the cause to a failure.
    pub(crate) fn error(&self, failure: Failure, operand: Option<Operand>) -> Error {
        let failure = match operand.map(|operand| self.file(operand)) {
            Some((file, role)) => explain(failure, file, role),
            None => failure,
        };
        self.explained_error(failure, operand)
    }
}

/// Adds the cause to a failure that is about one path, if it is more exact than the code.
pub(crate) fn explain(failure: Failure, file: &Located<'_>, role: Role) -> Failure {
    failure.or_text(|code| {
        let cause = system::cause_in_path(code, file, role);
        Some(
            cause
                .or_else(|| cause::of_role(code, &file.path, role))?
                .into(),
        )
    })
}
