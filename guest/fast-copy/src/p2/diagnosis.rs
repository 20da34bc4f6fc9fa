//! Finds the cause of an error in a path, where the code has several.

use wasip2::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode as WasiErrorCode, PathFlags,
};

use super::{Descriptor, preopens};
use crate::ErrorCode;
use crate::cause::Role;
use crate::location::Located;
use crate::wasi::signs::{Sign, possible_causes};

/// Returns the cause of an error that is about one file, if it is more exact than the code.
///
/// Asks `wasi:filesystem` about the path for some codes.
pub(crate) fn cause_in_path(
    code: ErrorCode,
    file: &Located<'_>,
    role: Role,
) -> Option<&'static str> {
    let (dir, path) = preopens().resolve(file).ok()?;
    let mut causes = possible_causes(code, file, role, &path).into_iter();
    Some(causes.find(|(sign, _)| is_present(*sign, dir, &path))?.1)
}

fn is_present(sign: Sign<'_>, dir: &Descriptor, path: &str) -> bool {
    match sign {
        Sign::Certain => true,
        Sign::SymbolicLink => {
            let stat = dir.stat_at(PathFlags::empty(), path);
            stat.is_ok_and(|stat| stat.type_ == DescriptorType::SymbolicLink)
        }
        Sign::NotPermitted { path, follow } => {
            let flags = match follow {
                true => PathFlags::SYMLINK_FOLLOW,
                false => PathFlags::empty(),
            };
            matches!(dir.stat_at(flags, path), Err(WasiErrorCode::NotPermitted))
        }
        Sign::ReadOnly => {
            let flags = dir.get_flags();
            flags.is_ok_and(|flags| !flags.contains(DescriptorFlags::MUTATE_DIRECTORY))
        }
    }
}
