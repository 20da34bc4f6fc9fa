//! Finds the cause of an error in a path, where the code has several.

use wasip2::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode as WasiErrorCode, PathFlags,
};

use super::preopens::resolve;
use crate::ErrorCode;
use crate::cause::Role;
use crate::location::{Base, Located};

/// Returns the cause of an error that is about one file, if it is more exact than the code.
///
/// Asks `wasi:filesystem` about the path for some codes.
pub(crate) fn cause_in_path(
    code: ErrorCode,
    file: &Located<'_>,
    role: Role,
) -> Option<&'static str> {
    match (code, role) {
        (ErrorCode::Invalid, Role::Destination) if is_a_preopened_directory(file) => {
            Some("does not name a file")
        }
        (ErrorCode::Loop, Role::Source { follow: false }) if is_symbolic_link(file) => {
            Some("is a symbolic link (use symlink-follow to follow it)")
        }
        (ErrorCode::Loop, Role::Inspected) if is_symbolic_link(file) => Some("is a symbolic link"),
        (ErrorCode::NotPermitted, _) if leads_out(file, role) => Some(leads_out_text(file)),
        (ErrorCode::NotPermitted, Role::Destination) if is_read_only(file) => {
            Some(match file.base {
                Base::Process => "its preopened directory is read-only",
                _ => "its directory is read-only",
            })
        }
        _ => None,
    }
}

pub(super) fn leads_out_text(file: &Located<'_>) -> &'static str {
    match file.base {
        Base::Process => "leads out of its preopened directory",
        _ => "leads out of its directory",
    }
}

fn is_a_preopened_directory(file: &Located<'_>) -> bool {
    resolve(file).is_ok_and(|(_, rest)| rest == ".")
}

fn is_symbolic_link(file: &Located<'_>) -> bool {
    resolve(file).is_ok_and(|(dir, rest)| {
        let stat = dir.stat_at(PathFlags::empty(), &rest);
        stat.is_ok_and(|stat| stat.type_ == DescriptorType::SymbolicLink)
    })
}

/// Returns whether the path leads out of its preopened directory, by `..` or by a symbolic link.
fn leads_out(file: &Located<'_>, role: Role) -> bool {
    resolve(file).is_ok_and(|(dir, rest)| {
        if rest.starts_with('/') {
            return true;
        }
        let (flags, path) = match role {
            Role::Source { follow: true } => (PathFlags::SYMLINK_FOLLOW, rest.as_str()),
            Role::Source { follow: false } | Role::Inspected => (PathFlags::empty(), rest.as_str()),
            // The file need not exist. Its directory must.
            Role::Destination => {
                let parent = rest.rsplit_once('/').map_or(".", |(parent, _)| parent);
                (PathFlags::SYMLINK_FOLLOW, parent)
            }
        };
        matches!(dir.stat_at(flags, path), Err(WasiErrorCode::NotPermitted))
    })
}

fn is_read_only(file: &Located<'_>) -> bool {
    resolve(file).is_ok_and(|(dir, _)| {
        let flags = dir.get_flags();
        flags.is_ok_and(|flags| !flags.contains(DescriptorFlags::MUTATE_DIRECTORY))
    })
}
