//! Makes the calls on WASI: asks the host, by `sandbox:fast-copy`.

#[rustfmt::skip]
pub(crate) mod bindings;
mod convert;
mod diagnosis;
mod job;
mod preopens;
mod resource;

use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

use crate::error::Failure;
use crate::location::Located;
use crate::request::{Function, Request};
use crate::{
    CopyReport, DataRange, Error, ErrorCode, ExtentSummary, FileUsage, Operand, ReflinkSupport,
};

use bindings::sandbox::fast_copy::types::{CopyError, CopyOptions as Resource};
use bindings::sandbox::fast_copy::{copy as copies, inspect};
use convert::of_wasi;
use preopens::resolve;

pub use wasip2::filesystem::types::Descriptor;

pub(crate) use diagnosis::cause_in_path;
pub(crate) use job::{RunningCopy, start};

pub(crate) fn copy(request: &Request<'_>) -> Result<CopyReport, Error> {
    let function = match request.function {
        Function::FastCopy => copies::fast_copy,
        Function::SparseCopy => copies::sparse_copy,
    };
    Ok(call(request, function)?.into())
}

/// A function of `sandbox:fast-copy` that takes two files.
type CopyFunction<T> =
    fn(&Descriptor, &str, &Descriptor, &str, Option<&Resource>) -> Result<T, CopyError>;

fn call<T>(request: &Request<'_>, function: CopyFunction<T>) -> Result<T, Error> {
    let Request {
        options, src, dst, ..
    } = request;
    let (src_dir, src_path) =
        resolve(src).map_err(|failure| failure.about(&src.path, Some(Operand::Source)))?;
    let (dst_dir, dst_path) =
        resolve(dst).map_err(|failure| failure.about(&dst.path, Some(Operand::Destination)))?;
    options
        .with_resource(|options| function(src_dir, &src_path, dst_dir, &dst_path, options))
        .map_err(|CopyError { code, operand }| {
            request.error(code.into(), operand.map(Operand::from))
        })
}

pub(crate) fn disk_usage(file: &Located<'_>) -> Result<FileUsage, Failure> {
    let (dir, path) = resolve(file)?;
    Ok(inspect::disk_usage(dir, &path)?.into())
}

pub(crate) fn summarize_extents(file: &Located<'_>) -> Result<ExtentSummary, Failure> {
    let (dir, path) = resolve(file)?;
    Ok(inspect::summarize_extents(dir, &path)?.into())
}

pub(crate) fn data_ranges(file: &Located<'_>, start: u64) -> Result<Vec<DataRange>, Failure> {
    let (dir, path) = resolve(file)?;
    let ranges = inspect::data_ranges(dir, &path, start)?;
    Ok(ranges.into_iter().map(DataRange::from).collect())
}

pub(crate) fn can_reflink(src: &Descriptor, dst: &Descriptor) -> Result<ReflinkSupport, Failure> {
    Ok(inspect::can_reflink(src, dst)?.into())
}

pub(crate) fn open_directory(dir: &Located<'_>) -> Result<Descriptor, Failure> {
    let (parent, path) = resolve(dir)?;
    let opened = parent.open_at(
        PathFlags::SYMLINK_FOLLOW,
        &path,
        OpenFlags::DIRECTORY,
        open_flags(parent),
    );
    opened.map_err(|code| match of_wasi(code) {
        // A directory that may be used at all may be opened for reading.
        Failure {
            code: ErrorCode::NotPermitted,
            ..
        } => Failure::with_text(ErrorCode::NotPermitted, diagnosis::leads_out_text(dir)),
        failure => failure,
    })
}

/// Returns the flags for a directory below `parent`: copies may be made in it if they may be made there.
fn open_flags(parent: &Descriptor) -> DescriptorFlags {
    let flags = parent.get_flags().unwrap_or(DescriptorFlags::empty());
    DescriptorFlags::READ | (flags & DescriptorFlags::MUTATE_DIRECTORY)
}
