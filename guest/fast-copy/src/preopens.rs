//! Resolves a path to a preopened directory and a path relative to it.

use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use crate::{Descriptor, Error, ErrorCode, Operand};

/// Returns the preopened directories and their names without a leading `/` or `.`.
///
/// `get_directories` creates new handles on every call, and the preopens never change: call it once.
fn preopens() -> &'static [(Descriptor, PathBuf)] {
    static PREOPENS: OnceLock<Vec<(Descriptor, PathBuf)>> = OnceLock::new();
    PREOPENS.get_or_init(|| {
        wasip2::filesystem::preopens::get_directories()
            .into_iter()
            .map(|(descriptor, name)| (descriptor, anchored(Path::new(&name))))
            .collect()
    })
}

/// Finds the preopen whose name is the longest prefix of `path`. Returns its descriptor and the rest of
/// the path.
///
/// A leading `/` or `.` of either is ignored, as in wasi-libc, which resolves paths for `std::fs`.
///
/// Fails with `NoEntry` if the path is empty or no preopen's name is a prefix of it, and with
/// `IllegalByteSequence` if it is not UTF-8.
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
    // `Path` drops a trailing `/` or `/.`, but a path that ends so names a directory: keep a `/`.
    let spelling = path.as_os_str().as_encoded_bytes();
    let trailing = if spelling.ends_with(b"/") || spelling.ends_with(b"/.") {
        "/"
    } else {
        ""
    };
    Ok((descriptor, format!("{rest}{trailing}")))
}

/// Returns the path without a leading `/` or `.`.
fn anchored(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| !matches!(component, Component::RootDir | Component::CurDir))
        .collect()
}
