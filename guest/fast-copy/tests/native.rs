//! The functions on native targets: they do what the same calls of a guest do.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use fast_copy::{
    At, CopyMethod, CopyOptions, Error, ErrorCode, Operand, ReflinkSupport, can_reflink,
    data_ranges, disk_usage, fast_copy, open_directory, sparse_copy,
};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Makes a sparse file with `count` pieces of 64 KiB, one in each MiB.
fn pieces(path: &Path, count: u64) {
    let file = File::create_new(path).unwrap();
    for i in 0..count {
        file.write_all_at(&[i as u8 + 1; 64 << 10], i * MIB)
            .unwrap();
    }
    file.set_len(count * MIB).unwrap();
    file.sync_all().unwrap();
}

#[test]
fn both_functions_replace_a_file_and_report_the_copy() {
    let dir = dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    pieces(&src, 4);
    let copies: [fn(&Path, &Path) -> Result<_, Error>; 2] = [
        |src, dst| fast_copy(src, dst),
        |src, dst| sparse_copy(src, dst),
    ];
    for copy in copies {
        fs::write(&dst, "old").unwrap();
        let report = copy(&src, &dst).unwrap();
        assert_eq!(report.size, 4 * MIB);
        assert!(report.durable);
        assert!(report.method == CopyMethod::Reflink || report.copied == 4 * (64 << 10));
        assert_eq!(fs::read(&src).unwrap(), fs::read(&dst).unwrap());
    }
}

#[test]
fn options_have_their_effects() {
    let dir = dir();
    let (src, link, dst) = (
        dir.path().join("src"),
        dir.path().join("link"),
        dir.path().join("dst"),
    );
    fs::write(&src, "text").unwrap();
    symlink("src", &link).unwrap();
    let modified = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options()
        .write(true)
        .open(&src)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    let options = CopyOptions::new()
        .size(MIB)
        .preserve_times(true)
        .durable(false);
    let report = options.fast_copy(&link, &dst).unwrap();
    assert_eq!((report.size, report.durable), (MIB, false));
    let found = fs::metadata(&dst).unwrap();
    assert_eq!((found.len(), found.modified().unwrap()), (MIB, modified));
}

#[test]
fn paths_can_be_relative_to_a_directory() {
    let dir = dir();
    fs::create_dir(dir.path().join("images")).unwrap();
    fs::write(dir.path().join("images/base.img"), "an image").unwrap();
    let images = open_directory(dir.path().join("images")).unwrap();
    let base = At::new(&images, "base.img");
    fast_copy(base, dir.path().join("outside.img")).unwrap();
    let job = CopyOptions::new().start_fast_copy(base, At::new(&images, "vm1.img"));
    job.unwrap().wait().unwrap();
    assert_eq!(disk_usage(At::new(&images, "vm1.img")).unwrap().size, 8);
    assert_eq!(data_ranges(base).unwrap().count(), 1);
    for name in ["outside.img", "images/vm1.img"] {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"an image");
    }
}

/// Each cause has its code, its operand, its `io::ErrorKind` and its text.
#[test]
fn errors_have_the_code_the_kind_and_the_text_that_a_guest_gets() {
    use io::ErrorKind;
    let dir = dir();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("a"), "text").unwrap();
    fs::write(path("b"), "text").unwrap();
    fs::hard_link(path("a"), path("a-again")).unwrap();
    fs::create_dir(path("d")).unwrap();
    symlink("a", path("link")).unwrap();
    let _socket = UnixListener::bind(path("socket")).unwrap();
    let new = CopyOptions::new;
    let (source, destination) = (Some(Operand::Source), Some(Operand::Destination));
    let long = "x".repeat(256);
    for (src, dst, options, code, kind, operand, text) in [
        (
            "none",
            "c",
            new(),
            ErrorCode::NoEntry,
            ErrorKind::NotFound,
            source,
            "no such file or directory",
        ),
        (
            "a",
            "none/c",
            new(),
            ErrorCode::NoEntry,
            ErrorKind::NotFound,
            destination,
            "its directory does not exist",
        ),
        (
            "a",
            "b",
            new(),
            ErrorCode::Exist,
            ErrorKind::AlreadyExists,
            destination,
            "already exists (use replace to overwrite it)",
        ),
        (
            "a",
            "a-again",
            new().replace(true),
            ErrorCode::SameFile,
            ErrorKind::InvalidInput,
            None,
            "source and destination are the same file",
        ),
        (
            "d",
            "c",
            new(),
            ErrorCode::IsDirectory,
            ErrorKind::IsADirectory,
            source,
            "is a directory",
        ),
        (
            "a",
            "d",
            new().replace(true),
            ErrorCode::IsDirectory,
            ErrorKind::IsADirectory,
            destination,
            "is a directory",
        ),
        (
            "socket",
            "c",
            new(),
            ErrorCode::NotRegularFile,
            ErrorKind::InvalidInput,
            source,
            "is not a regular file",
        ),
        (
            "link",
            "c",
            new().symlink_follow(false),
            ErrorCode::Loop,
            ErrorKind::InvalidInput,
            source,
            "is a symbolic link (use symlink-follow to follow it)",
        ),
        (
            "a/x",
            "c",
            new(),
            ErrorCode::NotDirectory,
            ErrorKind::NotADirectory,
            source,
            "a component of the path is not a directory",
        ),
        (
            "a",
            "c/",
            new(),
            ErrorCode::Invalid,
            ErrorKind::InvalidInput,
            destination,
            "does not name a file",
        ),
        (
            "a",
            &long,
            new(),
            ErrorCode::NameTooLong,
            ErrorKind::InvalidFilename,
            destination,
            "the path or a name in it is too long",
        ),
        (
            "a",
            "c",
            new().size(3),
            ErrorCode::Invalid,
            ErrorKind::InvalidInput,
            None,
            "the requested size of 3 bytes is below the source's",
        ),
        (
            "a",
            "c",
            new().size(u64::MAX),
            ErrorCode::FileTooLarge,
            ErrorKind::FileTooLarge,
            None,
            "the requested size of 18446744073709551615 bytes is too large for the host or the file system",
        ),
        (
            "a",
            "c",
            new().require_reflink(true).dig_holes(true),
            ErrorCode::Invalid,
            ErrorKind::InvalidInput,
            None,
            "require-reflink contradicts dig-holes",
        ),
    ] {
        let error = options.fast_copy(path(src), path(dst)).unwrap_err();
        let shown = match operand {
            Some(Operand::Source) => path(src).display().to_string(),
            Some(_) => path(dst).display().to_string(),
            None => format!("{} -> {}", path(src).display(), path(dst).display()),
        };
        assert_eq!(error.to_string(), format!("{shown}: {text}"));
        assert_eq!((error.code(), error.operand()), (code, operand), "{error}");
        // A job has the same error.
        let job = options.start_fast_copy(path(src), path(dst));
        let of_job = job.and_then(|job| job.wait()).unwrap_err();
        assert_eq!(of_job.to_string(), error.to_string());
        let error = io::Error::from(error);
        assert_eq!(error.kind(), kind, "{error}");
    }
    let error = new()
        .require_reflink(true)
        .sparse_copy(path("a"), path("c"))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("require-reflink contradicts sparse-copy")
    );
    for error in [
        disk_usage(path("link")).map(drop).unwrap_err(),
        data_ranges(path("link")).map(drop).unwrap_err(),
    ] {
        let text = format!("{}: is a symbolic link", path("link").display());
        assert_eq!(error.to_string(), text);
        assert_eq!((error.code(), error.operand()), (ErrorCode::Loop, None));
    }
    assert!(!path("c").exists());
}

#[test]
fn data_ranges_continue_after_a_page() {
    let dir = dir();
    let path = dir.path().join("file");
    let file = File::create_new(&path).unwrap();
    for i in 0..1500 {
        file.write_all_at(&[1; 4096], i * (128 << 10)).unwrap();
    }
    file.sync_all().unwrap();
    let ranges: Vec<_> = data_ranges(&path).unwrap().map(Result::unwrap).collect();
    let data: u64 = ranges.iter().map(|range| range.length).sum();
    assert!(data >= 1500 * 4096);
    // A file system without holes has one range.
    if ranges.len() > 1 {
        assert_eq!((ranges.len(), data), (1500, 1500 * 4096));
        assert!(ranges.is_sorted_by(|a, b| a.offset + a.length < b.offset));
    }
}

#[test]
fn a_job_reports_its_progress_and_its_result_again() {
    let dir = dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    pieces(&src, 4);
    let job = CopyOptions::new().start_sparse_copy(&src, &dst).unwrap();
    for progress in job.updates(Duration::from_millis(1)) {
        assert!(progress.copied <= 4 * (64 << 10));
    }
    let report = job.result().expect("it has ended").unwrap();
    assert!(job.wait_timeout(Duration::ZERO));
    assert_eq!(job.progress().copied, report.copied);
    job.cancel();
    assert_eq!(job.wait().unwrap(), report);
}

#[test]
fn a_cancelled_or_dropped_job_publishes_nothing_or_the_whole_copy() {
    let dir = dir();
    let src = dir.path().join("src");
    pieces(&src, 64);
    for i in 0..20 {
        let dst = dir.path().join(format!("dst{i}"));
        let job = CopyOptions::new().start_sparse_copy(&src, &dst).unwrap();
        if i % 2 == 0 {
            job.cancel();
            match job.wait() {
                Ok(_) => assert_eq!(fs::read(&src).unwrap(), fs::read(&dst).unwrap()),
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::Cancelled, "{error}");
                    assert!(!dst.exists());
                }
            }
        } else {
            drop(job);
        }
        // Its thread may go on for a moment, and publishes the whole copy or nothing.
        if let Ok(copy) = fs::read(&dst) {
            assert!(copy == fs::read(&src).unwrap(), "a part of the copy");
        }
    }
}

#[test]
fn can_reflink_answers_for_directories() {
    let dir = dir();
    let support = can_reflink(dir.path(), dir.path()).unwrap();
    fs::write(dir.path().join("a"), "text").unwrap();
    let report = fast_copy(dir.path().join("a"), dir.path().join("b")).unwrap();
    match support {
        ReflinkSupport::Yes => assert_eq!(report.method, CopyMethod::Reflink),
        ReflinkSupport::No => assert_ne!(report.method, CopyMethod::Reflink),
        _ => {}
    }
    let error = can_reflink(dir.path().join("none"), dir.path()).unwrap_err();
    assert_eq!(
        (error.code(), error.operand()),
        (ErrorCode::NoEntry, Some(Operand::Source))
    );
    let error = can_reflink(dir.path(), dir.path().join("a")).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotDirectory);
}
