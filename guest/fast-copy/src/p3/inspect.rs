//! Reports how files use space, and whether copies can share blocks.

use wasip3::filesystem::types::{
    DescriptorFlags, ErrorCode as WasiErrorCode, OpenFlags, PathFlags,
};

use super::bindings::inspect;
use super::diagnosis::{explain, inspection_error};
use super::{Descriptor, Located, preopens};
use crate::cause::Role;
use crate::error::Failure;
use crate::inspect::{NO_EXTENTS, NO_USAGE, reflink_error};
use crate::wasi::convert::{of_wasi, opening_failed};
use crate::{Error, ErrorCode, ExtentSummary, FileUsage, Location, Operand, ReflinkSupport};

/// Returns the apparent size of a file and the space allocated for it, in bytes.
///
/// The call is the same as [`disk_usage`](crate::disk_usage()).
///
/// # Errors
///
/// Fails as [`disk_usage`](crate::disk_usage()) does.
pub async fn disk_usage<'a>(file: impl Location<'a, Descriptor>) -> Result<FileUsage, Error> {
    let file = file.located();
    let usage = async {
        let (dir, path) = preopens().resolve(&file)?;
        Ok(inspect::disk_usage(dir, path).await?.into())
    };
    match usage.await {
        Ok(usage) => Ok(usage),
        Err(failure) => Err(inspection_error(failure, &file, NO_USAGE).await),
    }
}

/// Returns the number of a file's extents, and how many bytes are in blocks shared with other files.
///
/// The call is the same as [`summarize_extents`](crate::summarize_extents()).
///
/// # Errors
///
/// Fails as [`summarize_extents`](crate::summarize_extents()) does.
pub async fn summarize_extents<'a>(
    file: impl Location<'a, Descriptor>,
) -> Result<ExtentSummary, Error> {
    let file = file.located();
    let summary = async {
        let (dir, path) = preopens().resolve(&file)?;
        Ok(inspect::summarize_extents(dir, path).await?.into())
    };
    match summary.await {
        Ok(summary) => Ok(summary),
        Err(failure) => Err(inspection_error(failure, &file, NO_EXTENTS).await),
    }
}

/// Returns whether copies in the directory `dst_dir` can share blocks with files in the directory `src_dir`.
///
/// The call is the same as [`can_reflink`](crate::can_reflink()).
///
/// # Errors
///
/// Fails as [`can_reflink`](crate::can_reflink()) does.
pub async fn can_reflink<'a>(
    src_dir: impl Location<'a, Descriptor>,
    dst_dir: impl Location<'a, Descriptor>,
) -> Result<ReflinkSupport, Error> {
    let (src_dir, dst_dir) = (src_dir.located(), dst_dir.located());
    let src = open(&src_dir, Some(Operand::Source)).await?;
    let dst = open(&dst_dir, Some(Operand::Destination)).await?;
    let failure = match inspect::can_reflink(&src, &dst).await {
        Ok(support) => return Ok(support.into()),
        Err(code) => Failure::from(code),
    };
    let failure = match failure.code {
        ErrorCode::NotPermitted => explain(failure, &dst_dir, Role::Destination).await,
        _ => failure,
    };
    Err(reflink_error(failure, &src_dir, &dst_dir))
}

/// Opens a directory, for [`At`](crate::At).
///
/// [`Descriptor`] is the type of the crate `wasip3`, and [`At`](crate::At) also takes descriptors that other
/// code has opened. Follows symbolic links within the preopened directories.
///
/// # Errors
///
/// Fails if the directory can't be opened. The error has no [operand](Error::operand).
pub async fn open_directory<'a>(path: impl Location<'a, Descriptor>) -> Result<Descriptor, Error> {
    open(&path.located(), None).await
}

async fn open(dir: &Located<'_>, operand: Option<Operand>) -> Result<Descriptor, Error> {
    let opened = async {
        let (parent, path) = preopens().resolve(dir)?;
        let (links, flags) = (PathFlags::SYMLINK_FOLLOW, open_flags(parent).await);
        let opened = parent.open_at(links, path, OpenFlags::DIRECTORY, flags);
        opened.await.map_err(|code| of_opening(code, dir))
    };
    opened
        .await
        .map_err(|failure: Failure| failure.about(&dir.path, operand))
}

/// Returns the flags for a directory below `parent`: copies may be made in it if they may be made there.
async fn open_flags(parent: &Descriptor) -> DescriptorFlags {
    let flags = parent.get_flags().await;
    let flags = flags.unwrap_or(DescriptorFlags::empty());
    DescriptorFlags::READ | (flags & DescriptorFlags::MUTATE_DIRECTORY)
}

/// Converts the error of opening the directory `dir`.
fn of_opening(code: WasiErrorCode, dir: &Located<'_>) -> Failure {
    match (of_wasi!(WasiErrorCode, code), code) {
        (Some(code), _) => opening_failed(code, dir),
        (None, WasiErrorCode::Other(Some(text))) => Failure::with_text(ErrorCode::Other, text),
        (None, _) => ErrorCode::Other.into(),
    }
}
