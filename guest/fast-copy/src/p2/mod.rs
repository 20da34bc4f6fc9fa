//! Makes the calls on WASI 0.2: asks the host, by `sandbox:fast-copy@0.2.0`.

#[rustfmt::skip]
pub(crate) mod bindings;
mod diagnosis;
mod job;

use std::sync::OnceLock;

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    DescriptorFlags, ErrorCode as WasiErrorCode, OpenFlags, PathFlags,
};

use crate::error::Failure;
use crate::location::Located;
use crate::request::{Function, Request};
use crate::wasi::convert::{of_wasi, opening_failed};
use crate::wasi::preopens::Preopens;
use crate::wasi::resource::impl_options_resource;
use crate::{
    CopyReport, DataRange, Error, ErrorCode, ExtentSummary, FileUsage, Operand, ReflinkSupport,
};

use bindings::sandbox::fast_copy::types::{CopyError, CopyOptions as Resource};
use bindings::sandbox::fast_copy::{copy as copies, inspect};

pub use wasip2::filesystem::types::Descriptor;

pub(crate) use diagnosis::cause_in_path;
pub(crate) use job::{RunningCopy, start};

impl_options_resource!(Resource);

fn preopens() -> &'static Preopens<Descriptor> {
    static PREOPENS: OnceLock<Preopens<Descriptor>> = OnceLock::new();
    PREOPENS.get_or_init(|| Preopens::new(get_directories()))
}

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
    let [(src_dir, src_path), (dst_dir, dst_path)] = preopens().resolve_both(request)?;
    let options = request.options.resource();
    let called = function(src_dir, &src_path, dst_dir, &dst_path, options.get());
    called.map_err(|CopyError { code, operand }| {
        request.error(code.into(), operand.map(Operand::from))
    })
}

pub(crate) fn disk_usage(file: &Located<'_>) -> Result<FileUsage, Failure> {
    let (dir, path) = preopens().resolve(file)?;
    Ok(inspect::disk_usage(dir, &path)?.into())
}

pub(crate) fn summarize_extents(file: &Located<'_>) -> Result<ExtentSummary, Failure> {
    let (dir, path) = preopens().resolve(file)?;
    Ok(inspect::summarize_extents(dir, &path)?.into())
}

pub(crate) fn data_ranges(file: &Located<'_>, start: u64) -> Result<Vec<DataRange>, Failure> {
    let (dir, path) = preopens().resolve(file)?;
    let ranges = inspect::data_ranges(dir, &path, start)?;
    Ok(ranges.into_iter().map(DataRange::from).collect())
}

pub(crate) fn can_reflink(src: &Descriptor, dst: &Descriptor) -> Result<ReflinkSupport, Failure> {
    Ok(inspect::can_reflink(src, dst)?.into())
}

pub(crate) fn open_directory(dir: &Located<'_>) -> Result<Descriptor, Failure> {
    let (parent, path) = preopens().resolve(dir)?;
    let opened = parent.open_at(
        PathFlags::SYMLINK_FOLLOW,
        &path,
        OpenFlags::DIRECTORY,
        open_flags(parent),
    );
    opened.map_err(|code| of_opening(code, dir))
}

/// Returns the flags for a directory below `parent`: copies may be made in it if they may be made there.
fn open_flags(parent: &Descriptor) -> DescriptorFlags {
    let flags = parent.get_flags().unwrap_or(DescriptorFlags::empty());
    DescriptorFlags::READ | (flags & DescriptorFlags::MUTATE_DIRECTORY)
}

/// Converts the error of opening the directory `dir`.
fn of_opening(code: WasiErrorCode, dir: &Located<'_>) -> Failure {
    match of_wasi!(WasiErrorCode, code) {
        Some(code) => opening_failed(code, dir),
        None => Failure::with_text(ErrorCode::Other, code.message().to_owned()),
    }
}
