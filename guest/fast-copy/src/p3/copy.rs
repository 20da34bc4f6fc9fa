//! Makes copies.

use super::bindings::copy as copies;
use super::bindings::types::CopyError;
use super::diagnosis::error;
use super::{Descriptor, Request, preopens};
use crate::request::Function;
use crate::{CopyOptions, CopyReport, Error, Location, Operand};

/// Copies `src` to `dst`: clones it if the file system can share blocks between the two, otherwise copies
/// the data and preserves the holes. Replaces an existing file.
///
/// Dropping the future cancels the copy. The copy is durable, unless the host decides otherwise. The call is
/// the same as [`fast_copy_with`] with the options `CopyOptions::new().replace(true)`.
///
/// # Errors
///
/// Fails as [`CopyOptions::fast_copy`] does.
pub async fn fast_copy<'a>(
    src: impl Location<'a, Descriptor>,
    dst: impl Location<'a, Descriptor>,
) -> Result<CopyReport, Error> {
    fast_copy_with(src, dst, &CopyOptions::new().replace(true)).await
}

/// Copies `src` to `dst` without sharing blocks: copies the data and preserves the holes. Replaces an
/// existing file.
///
/// Dropping the future cancels the copy. The copy is durable, unless the host decides otherwise. The call is
/// the same as [`sparse_copy_with`] with the options `CopyOptions::new().replace(true)`.
///
/// # Errors
///
/// Fails as [`CopyOptions::sparse_copy`] does.
pub async fn sparse_copy<'a>(
    src: impl Location<'a, Descriptor>,
    dst: impl Location<'a, Descriptor>,
) -> Result<CopyReport, Error> {
    sparse_copy_with(src, dst, &CopyOptions::new().replace(true)).await
}

/// Copies `src` to `dst` as [`CopyOptions::fast_copy`] does, with these options.
///
/// Dropping the future cancels the copy. The host may notice it only when the guest waits for something. Then
/// the copy stops after at most 16 MiB more, or at the end of the current system call. A complete copy can
/// already be in place.
///
/// # Errors
///
/// Fails as [`CopyOptions::fast_copy`] does.
///
/// ```no_run
#[doc = include_str!("examples/options.rs")]
/// ```
pub async fn fast_copy_with<'a>(
    src: impl Location<'a, Descriptor>,
    dst: impl Location<'a, Descriptor>,
    options: &CopyOptions,
) -> Result<CopyReport, Error> {
    copy(&Request::new(Function::FastCopy, options, src, dst)).await
}

/// Copies `src` to `dst` as [`CopyOptions::sparse_copy`] does, with these options.
///
/// Dropping the future cancels the copy, as for [`fast_copy_with`].
///
/// # Errors
///
/// Fails as [`CopyOptions::sparse_copy`] does.
pub async fn sparse_copy_with<'a>(
    src: impl Location<'a, Descriptor>,
    dst: impl Location<'a, Descriptor>,
    options: &CopyOptions,
) -> Result<CopyReport, Error> {
    copy(&Request::new(Function::SparseCopy, options, src, dst)).await
}

async fn copy(request: &Request<'_>) -> Result<CopyReport, Error> {
    let [(src_dir, src_path), (dst_dir, dst_path)] = preopens().resolve_both(request)?;
    let options = request.options.resource();
    let options = options.get();
    let copied = match request.function {
        Function::FastCopy => {
            copies::fast_copy(src_dir, src_path, dst_dir, dst_path, options).await
        }
        Function::SparseCopy => {
            copies::sparse_copy(src_dir, src_path, dst_dir, dst_path, options).await
        }
    };
    match copied {
        Ok(report) => Ok(report.into()),
        Err(CopyError { code, operand }) => {
            Err(error(request, code.into(), operand.map(Operand::from)).await)
        }
    }
}
