//! Resolves a path to a preopened directory and a path relative to it.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::Descriptor;
use crate::ErrorCode;
use crate::error::Failure;
use crate::location::{Base, Located};
use crate::prefix::longest_prefix;

struct Preopen {
    descriptor: Descriptor,
    /// The name that the host has given it.
    name: String,
}

/// Returns the preopened directories.
///
/// `get_directories` creates new handles on every call, and the preopens never change: call it once.
fn preopens() -> &'static [Preopen] {
    static PREOPENS: OnceLock<Vec<Preopen>> = OnceLock::new();
    PREOPENS.get_or_init(|| {
        wasip2::filesystem::preopens::get_directories()
            .into_iter()
            .map(|(descriptor, name)| Preopen { descriptor, name })
            .collect()
    })
}

/// Returns the directory of a file, and the path relative to it.
///
/// Fails with `NoEntry` if the path is empty or outside all preopened directories, and with
/// `IllegalByteSequence` if it is not UTF-8.
pub(super) fn resolve<'a>(file: &Located<'a>) -> Result<(&'a Descriptor, String), Failure> {
    let path = file.path.to_str().ok_or_else(|| {
        Failure::with_text(ErrorCode::IllegalByteSequence, "the path is not UTF-8")
    })?;
    if path.is_empty() {
        return Err(Failure::with_text(ErrorCode::NoEntry, "the path is empty"));
    }
    match file.base {
        Base::Directory(dir) => Ok((dir, path.to_owned())),
        Base::Process => {
            let path = in_working_directory(path);
            let names = preopens().iter().map(|dir| dir.name.as_str());
            let (index, rest) = longest_prefix(names, &path).ok_or_else(outside)?;
            Ok((&preopens()[index].descriptor, rest.to_owned()))
        }
        Base::Forgotten => Err(ErrorCode::BadDescriptor.into()),
    }
}

/// Adds the working directory to a relative path. It is `/`, unless the guest has set another.
fn in_working_directory(path: &str) -> Cow<'_, str> {
    let directory = std::env::current_dir();
    match directory.as_ref().ok().and_then(|dir| dir.to_str()) {
        Some(dir) if dir != "/" && !path.starts_with('/') => format!("{dir}/{path}").into(),
        _ => path.into(),
    }
}

/// Creates the failure of a path outside all preopened directories, and lists these.
fn outside() -> Failure {
    let names: Vec<_> = preopens().iter().map(|dir| dir.name.as_str()).collect();
    let list = match names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let text = format!("outside all preopened directories ({list})");
    Failure::with_text(ErrorCode::NoEntry, text)
}
