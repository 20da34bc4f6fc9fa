//! Resolves a path to a preopened directory and a path relative to it.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use crate::{Descriptor, ErrorCode};

struct Preopen {
    descriptor: Descriptor,
    /// The name that the host has given it.
    name: String,
    /// The name without a leading `/` or `.`.
    prefix: PathBuf,
}

/// Returns the preopened directories.
///
/// `get_directories` creates new handles on every call, and the preopens never change: call it once.
fn preopens() -> &'static [Preopen] {
    static PREOPENS: OnceLock<Vec<Preopen>> = OnceLock::new();
    PREOPENS.get_or_init(|| {
        wasip2::filesystem::preopens::get_directories()
            .into_iter()
            .map(|(descriptor, name)| Preopen {
                descriptor,
                prefix: anchored(Path::new(&name)),
                name,
            })
            .collect()
    })
}

/// Why a path can't be resolved.
pub(crate) struct Unresolved {
    pub(crate) code: ErrorCode,
    pub(crate) cause: Cow<'static, str>,
}

impl Unresolved {
    fn new(code: ErrorCode, cause: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            cause: cause.into(),
        }
    }

    /// Creates the error of a path outside all preopened directories, and lists these.
    fn outside() -> Self {
        let names: Vec<_> = preopens().iter().map(|dir| dir.name.as_str()).collect();
        let list = match names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        let cause = format!("outside all preopened directories ({list})");
        Self::new(ErrorCode::NoEntry, cause)
    }
}

/// Finds the preopened directory whose name is the longest prefix of `path`. Returns its descriptor and
/// the rest of the path.
///
/// A leading `/` or `.` of either is ignored, as in wasi-libc, which resolves paths for `std::fs`.
///
/// Fails with `NoEntry` if the path is empty or outside all preopened directories, and with
/// `IllegalByteSequence` if it is not UTF-8.
pub(crate) fn resolve(path: &Path) -> Result<(&'static Descriptor, String), Unresolved> {
    if path.as_os_str().is_empty() {
        return Err(Unresolved::new(ErrorCode::NoEntry, "the path is empty"));
    }
    let wanted = anchored(path);
    let (descriptor, rest) = preopens()
        .iter()
        .filter_map(|dir| Some((&dir.descriptor, wanted.strip_prefix(&dir.prefix).ok()?)))
        .min_by_key(|(_, rest)| rest.as_os_str().len())
        .ok_or_else(Unresolved::outside)?;
    let rest = rest
        .to_str()
        .ok_or_else(|| Unresolved::new(ErrorCode::IllegalByteSequence, "the path is not UTF-8"))?;
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
