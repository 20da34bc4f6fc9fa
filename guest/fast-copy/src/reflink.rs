//! Asks whether copies can share blocks with their sources.

use std::path::Path;

use wasip2::filesystem::types::{
    DescriptorFlags, ErrorCode as WasiErrorCode, OpenFlags, PathFlags,
};

use crate::preopens::resolve;
use crate::{Descriptor, Error, ErrorCode, Operand, ReflinkSupport, cause, inspect};

/// Returns whether [`CopyOptions::fast_copy`](crate::CopyOptions::fast_copy) can share blocks between files
/// in the directory `src_dir` and copies in the directory `dst_dir`.
///
/// Writes no data and leaves nothing behind. Follows symbolic links within the preopened directories.
///
/// # Errors
///
/// Fails with the errors listed in [`inspect`]. Fails if one of the directories can't be opened; the error
/// has its operand and path then. Otherwise it is about both.
pub fn can_reflink(
    src_dir: impl AsRef<Path>,
    dst_dir: impl AsRef<Path>,
) -> Result<ReflinkSupport, Error> {
    let (src_dir, dst_dir) = (src_dir.as_ref(), dst_dir.as_ref());
    let src = open(src_dir, Operand::Source)?;
    let dst = open(dst_dir, Operand::Destination)?;
    inspect::can_reflink(&src, &dst).map_err(|code| {
        let cause = cause::of_code(&code);
        Error::about_both(src_dir, dst_dir, code, cause)
    })
}

fn open(path: &Path, operand: Operand) -> Result<Descriptor, Error> {
    let (dir, name) =
        resolve(path).map_err(|unresolved| Error::unresolved(path, Some(operand), unresolved))?;
    let opened = dir.open_at(
        PathFlags::SYMLINK_FOLLOW,
        &name,
        OpenFlags::DIRECTORY,
        DescriptorFlags::READ,
    );
    opened.map_err(|code| {
        let code = of_wasi(code);
        let cause = match code {
            // A directory that may be used at all may be opened for reading.
            ErrorCode::NotPermitted => "leads out of its preopened directory".into(),
            _ => cause::of_code(&code),
        };
        Error::about(path, Some(operand), code, cause)
    })
}

/// Returns the code for the error of opening a directory.
fn of_wasi(code: WasiErrorCode) -> ErrorCode {
    match code {
        WasiErrorCode::Access => ErrorCode::Access,
        WasiErrorCode::Busy | WasiErrorCode::WouldBlock => ErrorCode::Busy,
        WasiErrorCode::IllegalByteSequence => ErrorCode::IllegalByteSequence,
        WasiErrorCode::InsufficientMemory => ErrorCode::InsufficientMemory,
        WasiErrorCode::Invalid => ErrorCode::Invalid,
        WasiErrorCode::Io => ErrorCode::Io,
        WasiErrorCode::Loop => ErrorCode::Loop,
        WasiErrorCode::NameTooLong => ErrorCode::NameTooLong,
        WasiErrorCode::NoEntry => ErrorCode::NoEntry,
        WasiErrorCode::NotDirectory => ErrorCode::NotDirectory,
        WasiErrorCode::NotPermitted => ErrorCode::NotPermitted,
        WasiErrorCode::Unsupported => ErrorCode::Unsupported,
        other => ErrorCode::Other(Some(other.message().to_owned())),
    }
}
