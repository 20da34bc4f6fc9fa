//! Contract line 9: when a tier fails, the next one continues at the exact next byte.

use std::fs::File;
use std::os::unix::fs::FileExt;

use fast_copy_test_support::files::{
    KIB, MIB, assert_allocated_at_most, assert_same, dense_file, four_extents, names, write_data,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{ALL, Function};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::Copy;
use wasmtime_fast_copy::CopyOptions;

fast_copy_test_support::tests![
    the_report_has_the_error_number_of_a_refused_clone,
    a_refused_clone_falls_back_to_copying where Holes,
    an_empty_staged_file_is_not_truncated_after_a_refused_clone where Holes,
    what_a_failed_clone_has_left_is_not_in_the_copy where UnnamedFiles,
    a_clone_error_that_concerns_the_data_ends_the_copy,
    a_required_clone_that_lacks_room_fails_with_the_error_number,
    an_offload_refused_at_its_first_byte_falls_back_to_reading_and_writing,
    an_offload_refused_after_other_bytes_were_written_falls_back,
    an_offload_that_fails_midway_falls_back_at_the_next_byte,
    an_offload_error_midway_that_concerns_the_data_ends_the_copy where BlockMap and CopyFileRange,
    a_swap_file_is_not_copied where ClonesAreLimited and CopyFileRange,
    an_offload_that_returns_zero_is_not_the_end_of_the_file,
];

/// Makes a clone fail on file systems that support it.
const NO_CLONE: &str = "ioctl:error=EOPNOTSUPP:when=1";

/// The number of the second `copy_file_range` that moves bytes. The first of all moves none: it finds out
/// whether the source is a swap file.
const SECOND: u32 = 3;

/// One thread offloads; two always read and write.
const ONE_THREAD: &str = "workers=1";

/// Makes a source of 40 MiB on the disk, which five calls of 8 MiB offload.
fn offloadable(dir: &std::path::Path) -> std::path::PathBuf {
    let src = dir.join("src");
    dense_file(&src, 40 * MIB);
    std::fs::File::open(&src).unwrap().sync_all().unwrap();
    src
}

fn the_report_has_the_error_number_of_a_refused_clone(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let options = CopyOptions::new().replace(true);
    let report = options.fast_copy(&src, &dst).unwrap();
    let expected = (!fs.reflinks()).then_some(libc::EOPNOTSUPP);
    assert_eq!(report.clone_error, expected);
    // sparse_copy tries no clone.
    assert_eq!(options.sparse_copy(&src, &dst).unwrap().clone_error, None);
}

fn a_refused_clone_falls_back_to_copying(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for errno in [
        "EOPNOTSUPP",
        "EXDEV",
        "EINVAL",
        "EPERM",
        "EACCES",
        "ENOTTY",
        "ENOSYS",
        "EBADF",
        "ENOENT",
        "EAGAIN",
        // A full allocation group of XFS is enough for ENOSPC, although a copy of the bytes has room.
        "ENOSPC",
        "EDQUOT",
        "EFBIG",
        "ENOMEM",
        "EROFS",
    ] {
        let copy = Copy::new(Function::Fast, &src, &dst).options(&["replace"]);
        let outcome = copy.run_injected(&[&format!("ioctl:error={errno}:when=1")]);
        assert!(
            matches!(&outcome, Outcome::Ok(method, 262_144) if method != "Reflink"),
            "{errno}: {outcome:?}"
        );
        assert_same(&src, &dst);
        assert_allocated_at_most(&dst, 256 * KIB);
    }
}

/// ext4 writes a file that was truncated to 0 to the disk when it is closed (`auto_da_alloc`), which
/// would delay copies that are not durable.
fn an_empty_staged_file_is_not_truncated_after_a_refused_clone(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let (outcome, calls) = Copy::new(Function::Fast, &src, &dst).trace_injected(&[NO_CLONE]);
    assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
    let sizes: Vec<_> = calls
        .iter()
        .filter(|call| call.contains("ftruncate("))
        .collect();
    let (last, earlier) = sizes.split_last().unwrap();
    assert!(last.contains(", 16777216)"), "{sizes:#?}");
    // Where it is not known whether there are holes, the file is extended in two steps.
    assert!(
        earlier.iter().all(|call| call.contains(", 1048576)")),
        "{sizes:#?}"
    );
}

/// The test leaves it, at the call that fails: bytes where the source has a hole, and beyond its end.
fn what_a_failed_clone_has_left_is_not_in_the_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let copy = Copy::new(Function::Fast, &src, &dst);
    let stopped = copy.start_and_stop_at(NO_CLONE, &[]);
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", stopped.pid())).unwrap();
    let staged = descriptors
        .map(|descriptor| descriptor.unwrap().path())
        .find(|path| {
            let file = std::fs::read_link(path).unwrap();
            file.starts_with(dir.path()) && file.to_string_lossy().ends_with(" (deleted)")
        })
        .expect("the staged file");
    let staged = File::options().write(true).open(staged).unwrap();
    for offset in [MIB, 20 * MIB] {
        staged.write_all_at(&[1; 4096], offset).unwrap();
    }
    drop(staged);
    let outcome = stopped.go_on();
    assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
    assert_same(&src, &dst);
}

fn a_clone_error_that_concerns_the_data_ends_the_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for (errno, number) in [("EIO", libc::EIO), ("ETXTBSY", libc::ETXTBSY)] {
        let copy = Copy::new(Function::Fast, &src, &dst);
        let outcome = copy.run_injected(&[&format!("ioctl:error={errno}:when=1")]);
        outcome.assert_errno(number);
        assert_eq!(names(dir.path()), ["src"]);
    }
}

fn a_required_clone_that_lacks_room_fails_with_the_error_number(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let copy = Copy::new(Function::Fast, &src, &dst).options(&["require-reflink"]);
    for (errno, number) in [("ENOSPC", libc::ENOSPC), ("EDQUOT", libc::EDQUOT)] {
        let outcome = copy.run_injected(&[&format!("ioctl:error={errno}:when=1")]);
        outcome.assert_errno(number);
        assert_eq!(names(dir.path()), ["src"]);
    }
    let outcome = copy.run_injected(&["ioctl:error=EXDEV:when=1"]);
    outcome.assert_error("NotShareable");
}

fn an_offload_refused_at_its_first_byte_falls_back_to_reading_and_writing(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (offloadable(dir.path()), dir.path().join("dst"));
    for errno in [
        "EXDEV",
        "EOPNOTSUPP",
        "EIO",
        "EPERM",
        "ENOSYS",
        "EBADF",
        "EROFS",
        // Whether there is room is found out by writing.
        "ENOSPC",
        "EDQUOT",
        "ENOMEM",
        "EFBIG",
    ] {
        let copy = Copy::new(Function::Fast, &src, &dst).options(&["replace", ONE_THREAD]);
        let injection = format!("copy_file_range:error={errno}");
        let outcome = copy.run_injected(&[NO_CLONE, &injection]);
        assert_eq!(outcome, Outcome::Ok("Copy".into(), 40 * MIB), "{errno}");
        assert_same(&src, &dst);
    }
}

/// The rule is about the first byte of the offload, not of the copy. CIFS fails with EIO where it can't
/// offload.
fn an_offload_refused_after_other_bytes_were_written_falls_back(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (offloadable(dir.path()), dir.path().join("dst"));
    // The first MiB is a dirty range, which is read and written.
    let file = std::fs::File::options().write(true).open(&src).unwrap();
    file.set_len(0).unwrap();
    write_data(&file, 8 * MIB..16 * MIB);
    file.sync_all().unwrap();
    write_data(&file, 0..MIB);
    let copy = Copy::new(Function::Fast, &src, &dst).options(&[ONE_THREAD]);
    let outcome = copy.run_injected(&[NO_CLONE, "copy_file_range:error=EIO"]);
    assert_eq!(outcome, Outcome::Ok("Copy".into(), 9 * MIB));
    assert_same(&src, &dst);
}

/// Returns the method of a copy that began with an offload, where the engine makes one.
fn method(fs: &FileSystem) -> &'static str {
    if fs.can_offload() { "Offload" } else { "Copy" }
}

fn an_offload_that_fails_midway_falls_back_at_the_next_byte(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (offloadable(dir.path()), dir.path().join("dst"));
    for errno in ["EXDEV", "EINVAL", "EPERM", "EAGAIN", "ENOSPC", "EROFS"] {
        let copy = Copy::new(Function::Fast, &src, &dst).options(&["replace", ONE_THREAD]);
        let injection = format!("copy_file_range:error={errno}:when={SECOND}");
        let outcome = copy.run_injected(&[NO_CLONE, &injection]);
        assert_eq!(outcome, Outcome::Ok(method(fs).into(), 40 * MIB), "{errno}");
        assert_same(&src, &dst);
    }
}

fn an_offload_error_midway_that_concerns_the_data_ends_the_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (offloadable(dir.path()), dir.path().join("dst"));
    let copy = Copy::new(Function::Fast, &src, &dst).options(&[ONE_THREAD]);
    let injection = format!("copy_file_range:error=EIO:when={SECOND}");
    let outcome = copy.run_injected(&[NO_CLONE, &injection]);
    outcome.assert_errno(libc::EIO);
    assert_eq!(names(dir.path()), ["src"]);
}

/// The first `copy_file_range`, of no bytes, finds out whether the kernel swaps to the source.
fn a_swap_file_is_not_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (offloadable(dir.path()), dir.path().join("dst"));
    for function in ALL {
        let copy = Copy::new(function, &src, &dst);
        let is_swap_file = "copy_file_range:error=ETXTBSY:when=1";
        let outcome = match function {
            Function::Fast => copy.run_injected(&[NO_CLONE, is_swap_file]),
            _ => copy.run_injected(&[is_swap_file]),
        };
        outcome.assert_errno(libc::ETXTBSY);
        assert_eq!(names(dir.path()), ["src"]);
    }
}

fn an_offload_that_returns_zero_is_not_the_end_of_the_file(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (offloadable(dir.path()), dir.path().join("dst"));
    for (when, expected) in [("", "Copy"), (":when=3", method(fs))] {
        let copy = Copy::new(Function::Fast, &src, &dst).options(&["replace", ONE_THREAD]);
        let injection = format!("copy_file_range:retval=0{when}");
        let outcome = copy.run_injected(&[NO_CLONE, &injection]);
        assert_eq!(outcome, Outcome::Ok(expected.into(), 40 * MIB));
        assert_same(&src, &dst);
    }
}
