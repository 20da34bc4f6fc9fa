//! Finds the causes of errors, as the module of the same name for WASI 0.2 does.

use wasip3::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode as WasiErrorCode, PathFlags,
};

use super::{Descriptor, Located, Request, preopens};
use crate::cause::{self, Role};
use crate::error::Failure;
use crate::wasi::signs::{Sign, possible_causes};
use crate::{Error, ErrorCode, Operand};

/// Adds the paths and the cause to a failure of a copy.
pub(super) async fn error(
    request: &Request<'_>,
    failure: Failure,
    operand: Option<Operand>,
) -> Error {
    let failure = match operand.map(|operand| request.file(operand)) {
        Some((file, role)) => explain(failure, file, role).await,
        None => failure,
    };
    request.explained_error(failure, operand)
}

/// Adds the path and the cause to a failure. `unsupported` is the cause for [`ErrorCode::Unsupported`].
pub(super) async fn inspection_error(
    failure: Failure,
    file: &Located<'_>,
    unsupported: &'static str,
) -> Error {
    let failure = failure.if_unsupported(unsupported);
    let failure = explain(failure, file, Role::Inspected).await;
    failure.about(&file.path, None)
}

/// Adds the cause to a failure that is about one path, if it is more exact than the code.
pub(super) async fn explain(failure: Failure, file: &Located<'_>, role: Role) -> Failure {
    if failure.text.is_some() {
        return failure;
    }
    let cause = cause_in_path(failure.code, file, role).await;
    failure.or_text(|code| {
        let cause = cause.or_else(|| cause::of_role(code, &file.path, role))?;
        Some(cause.into())
    })
}

async fn cause_in_path(code: ErrorCode, file: &Located<'_>, role: Role) -> Option<&'static str> {
    let (dir, path) = preopens().resolve(file).ok()?;
    for (sign, cause) in possible_causes(code, file, role, &path) {
        if is_present(sign, dir, &path).await {
            return Some(cause);
        }
    }
    None
}

async fn is_present(sign: Sign<'_>, dir: &Descriptor, path: &str) -> bool {
    match sign {
        Sign::Certain => true,
        Sign::SymbolicLink => {
            let stat = dir.stat_at(PathFlags::empty(), path.into()).await;
            stat.is_ok_and(|stat| matches!(stat.type_, DescriptorType::SymbolicLink))
        }
        Sign::NotPermitted { path, follow } => {
            let flags = match follow {
                true => PathFlags::SYMLINK_FOLLOW,
                false => PathFlags::empty(),
            };
            let stat = dir.stat_at(flags, path.into()).await;
            matches!(stat, Err(WasiErrorCode::NotPermitted))
        }
        Sign::ReadOnly => {
            let flags = dir.get_flags().await;
            flags.is_ok_and(|flags| !flags.contains(DescriptorFlags::MUTATE_DIRECTORY))
        }
    }
}
