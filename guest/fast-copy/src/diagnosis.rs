//! Finds the cause of an error in a path, where the code has several.

use std::path::Path;

use wasip2::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode as WasiErrorCode, PathFlags,
};

use crate::ErrorCode;
use crate::preopens::resolve;

/// How a call uses a path.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    /// It copies from the file.
    Source { follow: bool },
    /// It copies to the file.
    Destination,
    /// It inspects the file. A symbolic link in the last component is not followed.
    Inspected,
}

/// Returns the cause of an error that is about one path, if it is more exact than the code.
///
/// Asks `wasi:filesystem` about the path for some codes.
pub(crate) fn in_path(code: &ErrorCode, path: &Path, role: Role) -> Option<&'static str> {
    match (code, role) {
        (ErrorCode::Busy, Role::Source { .. } | Role::Destination) => {
            Some("in use; try again later")
        }
        (ErrorCode::Invalid, _) if path.as_os_str().as_encoded_bytes().contains(&0) => {
            Some("the path contains a NUL")
        }
        (ErrorCode::Invalid, Role::Destination) if !names_a_file(path) => {
            Some("does not name a file")
        }
        (ErrorCode::Loop, Role::Source { follow: false }) if is_symbolic_link(path) => {
            Some("is a symbolic link (use symlink-follow to follow it)")
        }
        (ErrorCode::Loop, Role::Inspected) if is_symbolic_link(path) => Some("is a symbolic link"),
        (ErrorCode::NoEntry, Role::Destination) => Some("its directory does not exist"),
        (ErrorCode::NotPermitted, _) if leads_out(path, role) => {
            Some("leads out of its preopened directory")
        }
        (ErrorCode::NotPermitted, Role::Destination) if is_read_only(path) => {
            Some("its preopened directory is read-only")
        }
        _ => None,
    }
}

/// Returns whether the path ends in the name of a file below its preopened directory.
fn names_a_file(path: &Path) -> bool {
    resolve(path).is_ok_and(|(_, rest)| {
        let name = rest.rsplit('/').next();
        !matches!(name, Some("" | "." | ".."))
    })
}

fn is_symbolic_link(path: &Path) -> bool {
    resolve(path).is_ok_and(|(dir, rest)| {
        let stat = dir.stat_at(PathFlags::empty(), &rest);
        stat.is_ok_and(|stat| stat.type_ == DescriptorType::SymbolicLink)
    })
}

/// Returns whether the path leads out of its preopened directory, by `..` or by a symbolic link.
fn leads_out(path: &Path, role: Role) -> bool {
    resolve(path).is_ok_and(|(dir, rest)| {
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

fn is_read_only(path: &Path) -> bool {
    resolve(path).is_ok_and(|(dir, _)| {
        let flags = dir.get_flags();
        flags.is_ok_and(|flags| !flags.contains(DescriptorFlags::MUTATE_DIRECTORY))
    })
}
