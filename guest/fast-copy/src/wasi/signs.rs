//! Lists the causes that an error in a path can have, and the signs of each.

use crate::ErrorCode;
use crate::cause::Role;
use crate::location::{Base, Located};

/// What tells that an error has a cause.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign<'a> {
    /// The path alone tells it.
    Certain,
    /// The last component of the path is a symbolic link.
    SymbolicLink,
    /// `wasi:filesystem` refuses to look at a path.
    NotPermitted { path: &'a str, follow: bool },
    /// The directory is read-only.
    ReadOnly,
}

/// Returns the causes that an error about one file can have, and the sign of each. The first whose sign is
/// present is the cause.
///
/// `path` is the file's path relative to its directory.
pub(crate) fn possible_causes<'a, D>(
    code: ErrorCode,
    file: &Located<'_, D>,
    role: Role,
    path: &'a str,
) -> Vec<(Sign<'a>, &'static str)> {
    match (code, role) {
        (ErrorCode::Invalid, Role::Destination) if path == "." => {
            vec![(Sign::Certain, "does not name a file")]
        }
        (ErrorCode::Loop, Role::Source { follow: false }) => vec![(
            Sign::SymbolicLink,
            "is a symbolic link (use symlink-follow to follow it)",
        )],
        (ErrorCode::Loop, Role::Inspected) => vec![(Sign::SymbolicLink, "is a symbolic link")],
        (ErrorCode::NotPermitted, _) => {
            let mut causes = vec![(sign_of_leading_out(path, role), leads_out(file))];
            if let Role::Destination = role {
                let read_only = match file.base {
                    Base::Process => "its preopened directory is read-only",
                    _ => "its directory is read-only",
                };
                causes.push((Sign::ReadOnly, read_only));
            }
            causes
        }
        _ => vec![],
    }
}

/// Returns the cause that a path leads out of its directory, by `..` or by a symbolic link.
pub(crate) fn leads_out<D>(file: &Located<'_, D>) -> &'static str {
    match file.base {
        Base::Process => "leads out of its preopened directory",
        _ => "leads out of its directory",
    }
}

fn sign_of_leading_out(path: &str, role: Role) -> Sign<'_> {
    if path.starts_with('/') {
        return Sign::Certain;
    }
    match role {
        Role::Source { follow } => Sign::NotPermitted { path, follow },
        Role::Inspected => Sign::NotPermitted {
            path,
            follow: false,
        },
        // The file need not exist. Its directory must.
        Role::Destination => Sign::NotPermitted {
            path: path.rsplit_once('/').map_or(".", |(parent, _)| parent),
            follow: true,
        },
    }
}
