//! A guest that was built against `sandbox:fast-copy@0.3.0` and uses every item of it.
//!
//! `guest.wasm` is never built again: `tests/frozen.rs` runs it, so that every guest that was built against 0.3.0
//! goes on to link and run. `wit` is the copy of the package that it was built against. It was built by
//! `guest/build.sh --manifest-path tests/frozen/p3/Cargo.toml`.
//!
//! It works in the first preopened directory, which must be empty. It prints `ok` and exits with 0 if every call
//! does what the package promises.

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "sandbox:fast-copy/imports",
        with: {
            "wasi:clocks/system-clock@0.3.0": wasip3::clocks::system_clock,
            "wasi:clocks/types@0.3.0": wasip3::clocks::types,
            "wasi:filesystem/types@0.3.0": wasip3::filesystem::types,
        },
        generate_all,
        additional_derives: [PartialEq],
    });
}

use std::fs::{self, File};
use std::io::Write;

use bindings::sandbox::fast_copy::copy::{
    fast_copy, fast_copy_with_progress, sparse_copy, sparse_copy_with_progress,
};
use bindings::sandbox::fast_copy::inspect::{
    can_reflink, data_ranges, disk_usage, summarize_extents,
};
use bindings::sandbox::fast_copy::types::{
    CopyError, CopyMethod, CopyNotes, CopyOptions, CopyProgress, CopyReport, DataRange, ErrorCode,
    ExtentSummary, FileUsage, Operand, ReflinkSupport,
};
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::Descriptor;

const SIZE: u64 = 2 << 20;
const LARGER: u64 = 4 << 20;

struct Frozen;

wasip3::cli::command::export!(Frozen);

impl wasip3::exports::cli::run::Guest for Frozen {
    async fn run() -> Result<(), ()> {
        let dir = get_directories().remove(0).0;
        make_base();
        copies(&dir).await;
        copies_with_progress(&dir).await;
        inspects(&dir).await;
        failures(&dir).await;
        println!("ok");
        Ok(())
    }
}

/// Makes the file `base`: 1 MiB of data, then a hole.
fn make_base() {
    let mut file = File::create("base").unwrap();
    file.write_all(&vec![7; 1 << 20]).unwrap();
    file.set_len(SIZE).unwrap();
}

/// Returns options that differ from the defaults in everything that does not exclude another one.
fn all_options() -> CopyOptions {
    let options = CopyOptions::new();
    options.set_replace(true);
    options.set_symlink_follow(true);
    options.set_require_reflink(false);
    options.set_dig_holes(true);
    options.set_durable(false);
    options.set_size(Some(LARGER));
    options.set_preserve_times(true);
    options
}

/// Returns the arguments of a copy of `base`.
fn to(name: &str) -> (String, String) {
    ("base".to_owned(), name.to_owned())
}

async fn copies(dir: &Descriptor) {
    let options = all_options();
    for (name, options, size) in [("plain", None, SIZE), ("larger", Some(&options), LARGER)] {
        for sharing in [true, false] {
            let (src, dst) = to(name);
            let copied = match sharing {
                true => fast_copy(dir, src, dir, dst, options).await,
                false => sparse_copy(dir, src, dir, dst, options).await,
            };
            check(&copied.unwrap(), size, options.is_none());
            let content = fs::read(name).unwrap();
            assert_eq!(content.len() as u64, size);
            assert!(content[..1 << 20].iter().all(|&byte| byte == 7));
            assert!(content[1 << 20..].iter().all(|&byte| byte == 0));
            fs::remove_file(name).unwrap();
        }
    }
}

fn check(report: &CopyReport, expected: u64, is_durable: bool) {
    let CopyReport {
        method,
        size,
        copied,
        allocated,
        durable,
        notes,
    } = report;
    match method {
        CopyMethod::Reflink => assert_eq!(*copied, 0),
        CopyMethod::Offload | CopyMethod::Copy => assert!(*copied >= 1 << 20),
    }
    assert_eq!((*size, *durable), (expected, is_durable));
    assert!(*allocated <= SIZE);
    let known = CopyNotes::PERMISSIONS_WIDER
        | CopyNotes::PERMISSIONS_NARROWER
        | CopyNotes::TIMES_NOT_PRESERVED
        | CopyNotes::HOLES_NOT_KEPT
        | CopyNotes::ATTRIBUTES_NOT_PRESERVED;
    assert!(known.contains(*notes));
}

async fn copies_with_progress(dir: &Descriptor) {
    let options = all_options();
    for start in [fast_copy_with_progress, sparse_copy_with_progress] {
        let (mut progress, result) = start(dir, "base", dir, "watched", Some(&options));
        while let Some(CopyProgress { copied, total }) = progress.next().await {
            assert!(copied <= SIZE && total.is_none_or(|total| total <= SIZE));
        }
        check(&result.await.unwrap(), LARGER, false);
        let (progress, result) = start(dir, "base", dir, "watched", None);
        drop(progress);
        assert_eq!(code(result.await), "exist");
        drop(start(dir, "base", dir, "dropped", None));
    }
    fs::remove_file("watched").unwrap();
}

async fn inspects(dir: &Descriptor) {
    let base = || "base".to_owned();
    let FileUsage { size, allocated } = disk_usage(dir, base()).await.unwrap();
    assert!(size == SIZE && allocated <= SIZE);
    match summarize_extents(dir, base()).await {
        Ok(ExtentSummary { extents, shared }) => assert!(extents > 0 && shared <= SIZE),
        Err(error) => assert_eq!(name(&error), "unsupported"),
    }
    let (ranges, end) = data_ranges(dir, "base", 0);
    let DataRange { offset, length } = ranges.collect().await[0];
    assert!(offset == 0 && length >= 1 << 20);
    assert_eq!(end.await, Ok(()));
    match can_reflink(dir, dir).await.unwrap() {
        ReflinkSupport::Yes | ReflinkSupport::No | ReflinkSupport::Unknown => {}
    }
}

async fn failures(dir: &Descriptor) {
    let require = CopyOptions::new();
    require.set_require_reflink(true);
    require.set_size(None);
    let (src, dst) = to("x");
    let refused = sparse_copy(dir, src, dir, dst, Some(&require)).await;
    assert_eq!(code(refused), "invalid");
    let (none, x) = ("none".to_owned(), "x".to_owned());
    let error = fast_copy(dir, none, dir, x, None).await.unwrap_err();
    assert_eq!(name(&error.code), "no-entry");
    assert_eq!(error.operand, Some(Operand::Source));
    let (src, dst) = to("../x");
    let error = fast_copy(dir, src, dir, dst, None).await.unwrap_err();
    assert_eq!(name(&error.code), "not-permitted");
    assert_eq!(error.operand, Some(Operand::Destination));
    let (ranges, end) = data_ranges(dir, "none", 0);
    assert!(ranges.collect().await.is_empty());
    assert_eq!(name(&end.await.unwrap_err()), "no-entry");
}

fn code(result: Result<CopyReport, CopyError>) -> &'static str {
    name(&result.unwrap_err().code)
}

/// Names all codes: another one would be a defect of the host.
fn name(code: &ErrorCode) -> &'static str {
    match code {
        ErrorCode::Access => "access",
        ErrorCode::BadDescriptor => "bad-descriptor",
        ErrorCode::Busy => "busy",
        ErrorCode::Cancelled => "cancelled",
        ErrorCode::Quota => "quota",
        ErrorCode::Exist => "exist",
        ErrorCode::FileTooLarge => "file-too-large",
        ErrorCode::IllegalByteSequence => "illegal-byte-sequence",
        ErrorCode::Invalid => "invalid",
        ErrorCode::Io => "io",
        ErrorCode::IsDirectory => "is-directory",
        ErrorCode::Loop => "loop",
        ErrorCode::TooManyLinks => "too-many-links",
        ErrorCode::NameTooLong => "name-too-long",
        ErrorCode::NoEntry => "no-entry",
        ErrorCode::InsufficientMemory => "insufficient-memory",
        ErrorCode::InsufficientSpace => "insufficient-space",
        ErrorCode::NotDirectory => "not-directory",
        ErrorCode::Unsupported => "unsupported",
        ErrorCode::Overflow => "overflow",
        ErrorCode::NotPermitted => "not-permitted",
        ErrorCode::ReadOnly => "read-only",
        ErrorCode::TextFileBusy => "text-file-busy",
        ErrorCode::SameFile => "same-file",
        ErrorCode::SourceChanged => "source-changed",
        ErrorCode::Timeout => "timeout",
        ErrorCode::NotShareable => "not-shareable",
        ErrorCode::NotRegularFile => "not-regular-file",
        ErrorCode::NotDurable => "not-durable",
        ErrorCode::InDoubt => "in-doubt",
        ErrorCode::Denied => "denied",
        ErrorCode::Other(_) => "other",
    }
}
