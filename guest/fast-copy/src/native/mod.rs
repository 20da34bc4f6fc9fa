//! Makes the calls on systems other than WASI: copies by `fast-copy-engine`.

mod convert;
mod job;

use std::path::PathBuf;

use fast_copy_engine::{CopyError, CopyOptions as EngineOptions, Source};

use crate::cause::Role;
use crate::error::Failure;
use crate::inspect::PAGE;
use crate::location::{Base, Located};
use crate::request::{Function, Request};
use crate::{
    CopyReport, DataRange, Error, ErrorCode, ExtentSummary, FileUsage, Operand, ReflinkSupport,
};

pub(crate) use job::{RunningCopy, start};

/// An open directory.
///
/// On WASI this is the descriptor of `wasi:filesystem`, from the crate `wasip2`. Elsewhere it stands for the
/// path with which [`open_directory`](crate::open_directory) was called.
#[derive(Debug)]
pub struct Descriptor {
    path: PathBuf,
}

pub(crate) fn copy(request: &Request<'_>) -> Result<CopyReport, Error> {
    let paths = full_paths(request)?;
    let copied = copy_with(request.function, &paths, &engine_options(request));
    copied.map_err(|error| request.error(Failure::from(&error), convert::operand(&error)))
}

fn copy_with(
    function: Function,
    [src, dst]: &[PathBuf; 2],
    options: &EngineOptions,
) -> Result<CopyReport, CopyError> {
    let report = match function {
        Function::FastCopy => options.fast_copy(src, dst),
        Function::SparseCopy => options.sparse_copy(src, dst),
    };
    Ok(report?.into())
}

fn engine_options(request: &Request<'_>) -> EngineOptions {
    let wanted = &request.options;
    let options = EngineOptions::new()
        .replace(wanted.replace)
        .symlink_follow(wanted.symlink_follow)
        .require_reflink(wanted.require_reflink)
        .dig_holes(wanted.dig_holes)
        .durable(wanted.durable)
        .preserve_times(wanted.preserve_times);
    match wanted.size {
        Some(size) => options.size(size),
        None => options,
    }
}

/// Returns the path of a file. Fails if the caller's is empty.
fn full_path(file: &Located<'_>) -> Result<PathBuf, Failure> {
    if file.path.as_os_str().is_empty() {
        return Err(ErrorCode::NoEntry.into());
    }
    Ok(match file.base {
        Base::Directory(dir) => dir.path.join(&file.path),
        Base::Process | Base::Forgotten => file.path.clone(),
    })
}

/// Returns the paths of both files.
fn full_paths(request: &Request<'_>) -> Result<[PathBuf; 2], Error> {
    let path =
        |file, operand| full_path(file).map_err(|failure| request.error(failure, Some(operand)));
    Ok([
        path(&request.src, Operand::Source)?,
        path(&request.dst, Operand::Destination)?,
    ])
}

pub(crate) fn disk_usage(file: &Located<'_>) -> Result<FileUsage, Failure> {
    let source = open(file)?;
    Ok(FileUsage {
        size: source.size(),
        allocated: source.allocated(),
    })
}

pub(crate) fn summarize_extents(file: &Located<'_>) -> Result<ExtentSummary, Failure> {
    let summary = fast_copy_engine::summarize_extents(&open(file)?, &EngineOptions::new());
    Ok(summary.map_err(|error| Failure::from(&error))?.into())
}

pub(crate) fn data_ranges(file: &Located<'_>, start: u64) -> Result<Vec<DataRange>, Failure> {
    let source = open(file)?;
    let ranges = fast_copy_engine::data_ranges(&source, start, PAGE, &EngineOptions::new());
    let ranges = ranges.map_err(|error| Failure::from(&error))?;
    Ok(ranges.into_iter().map(DataRange::from).collect())
}

/// Opens a file to inspect it.
fn open(file: &Located<'_>) -> Result<Source, Failure> {
    Source::open(full_path(file)?, false).map_err(|error| Failure::from(&error))
}

#[cfg(unix)]
pub(crate) fn can_reflink(src: &Descriptor, dst: &Descriptor) -> Result<ReflinkSupport, Failure> {
    use std::fs::File;

    let (src, dst) = (File::open(&src.path)?, File::open(&dst.path)?);
    Ok(fast_copy_engine::can_reflink(&src.into(), &dst.into())?.into())
}

/// Returns `Unknown`, as the engine does on these systems.
#[cfg(not(unix))]
pub(crate) fn can_reflink(_: &Descriptor, _: &Descriptor) -> Result<ReflinkSupport, Failure> {
    Ok(ReflinkSupport::Unknown)
}

pub(crate) fn open_directory(dir: &Located<'_>) -> Result<Descriptor, Failure> {
    let path = full_path(dir)?;
    if !std::fs::metadata(&path)?.is_dir() {
        return Err(ErrorCode::NotDirectory.into());
    }
    Ok(Descriptor { path })
}

/// Returns the cause of an error that is about one file, if it is more exact than the code.
pub(crate) fn cause_in_path(
    code: ErrorCode,
    file: &Located<'_>,
    role: Role,
) -> Option<&'static str> {
    let is_link = || {
        let path = full_path(file).ok();
        path.is_some_and(|path| path.is_symlink())
    };
    match (code, role) {
        (ErrorCode::Loop, Role::Source { follow: false }) if is_link() => {
            Some("is a symbolic link (use symlink-follow to follow it)")
        }
        (ErrorCode::Loop, Role::Inspected) if is_link() => Some("is a symbolic link"),
        _ => None,
    }
}
