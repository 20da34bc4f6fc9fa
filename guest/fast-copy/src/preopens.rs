//! From a path to a preopened directory and a path relative to it.

use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use crate::{Descriptor, Error, ErrorCode, Operand};

/// The preopens never change, and handing them out makes new handles each time.
fn preopens() -> &'static [(Descriptor, PathBuf)] {
    static PREOPENS: OnceLock<Vec<(Descriptor, PathBuf)>> = OnceLock::new();
    PREOPENS.get_or_init(|| {
        wasip2::filesystem::preopens::get_directories()
            .into_iter()
            .map(|(descriptor, name)| (descriptor, anchored(Path::new(&name))))
            .collect()
    })
}

/// Finds the preopen whose name is the longest beginning of `path`, as wasi-libc does for
/// `std::fs`: a leading `/` or `.` counts for nothing.
pub(crate) fn resolve(
    path: &Path,
    operand: Operand,
) -> Result<(&'static Descriptor, String), Error> {
    let fail = |code| Error {
        code,
        operand: Some(operand),
    };
    if path.as_os_str().is_empty() {
        return Err(fail(ErrorCode::NoEntry));
    }
    let wanted = anchored(path);
    let (descriptor, rest) = preopens()
        .iter()
        .filter_map(|(descriptor, name)| Some((descriptor, wanted.strip_prefix(name).ok()?)))
        .min_by_key(|(_, rest)| rest.as_os_str().len())
        .ok_or_else(|| fail(ErrorCode::NoEntry))?;
    let rest = rest
        .to_str()
        .ok_or_else(|| fail(ErrorCode::IllegalByteSequence))?;
    let rest = if rest.is_empty() { "." } else { rest };
    // `Path` drops a separator or a `.` in the end, which say that a directory is meant.
    let spelling = path.as_os_str().as_encoded_bytes();
    let trailing = if spelling.ends_with(b"/") || spelling.ends_with(b"/.") {
        "/"
    } else {
        ""
    };
    Ok((descriptor, format!("{rest}{trailing}")))
}

/// The path without a leading `/` or `.`.
fn anchored(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| !matches!(component, Component::RootDir | Component::CurDir))
        .collect()
}
