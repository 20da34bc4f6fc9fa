//! Contract line 9: where a tier fails, the next one goes on at the exact next byte.

use fast_copy_test_support::files::{
    KIB, MIB, assert_allocated_at_most, assert_same, dense_file, four_extents, names, write_data,
};
use fast_copy_test_support::filesystems::{FileSystem, has_fiemap};
use fast_copy_test_support::function::Function;
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::Copy;
use wasmtime_fast_copy::CopyOptions;

fast_copy_test_support::tests![
    a_report_tells_why_a_clone_was_refused,
    a_refused_clone_becomes_a_copy,
    a_refused_clone_that_left_nothing_is_not_emptied,
    a_clone_that_fails_for_good_is_an_error,
    an_offload_refused_at_its_first_byte_becomes_reading_and_writing,
    an_offload_refused_after_other_bytes_were_written_is_refused_too,
    an_offload_without_room_is_an_error where has_fiemap,
    an_offload_that_fails_half_way_goes_on_at_the_next_byte,
    an_offload_that_fails_for_good_half_way_is_an_error where has_fiemap,
    an_offload_of_nothing_is_not_the_end_of_the_file,
];

/// Makes a clone fail, where one would succeed.
const NO_CLONE: &str = "ioctl:error=EOPNOTSUPP:when=1";

/// One worker offloads; two always read and write.
const ALONE: &str = "workers=1";

/// A source of 40 MiB of written data: five calls of 8 MiB to offload.
fn offloadable(dir: &std::path::Path) -> std::path::PathBuf {
    let src = dir.join("src");
    dense_file(&src, 40 * MIB);
    std::fs::File::open(&src).unwrap().sync_all().unwrap();
    src
}

fn a_report_tells_why_a_clone_was_refused(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let options = CopyOptions::new().replace(true);
    let report = options.fast_copy(&src, &dst).unwrap();
    let expected = (!fs.reflinks()).then_some(libc::EOPNOTSUPP);
    assert_eq!(report.clone_error, expected);
    // Nobody has tried one.
    assert_eq!(options.sparse_copy(&src, &dst).unwrap().clone_error, None);
}

fn a_refused_clone_becomes_a_copy(fs: &FileSystem) {
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
        "ETXTBSY",
        "ENOENT",
        "EAGAIN",
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

/// To empty a file that is empty would make ext4 write the whole copy out at its end, also where
/// nobody waits for the disk.
fn a_refused_clone_that_left_nothing_is_not_emptied(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let (outcome, calls) = Copy::new(Function::Fast, &src, &dst).trace_injected(&[NO_CLONE]);
    assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
    let truncations: Vec<_> = calls
        .iter()
        .filter(|call| call.contains("ftruncate("))
        .collect();
    assert_eq!(truncations.len(), 1, "{truncations:#?}");
    assert!(truncations[0].contains(", 16777216)"), "{truncations:#?}");
}

fn a_clone_that_fails_for_good_is_an_error(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for (errno, number) in [
        ("EIO", libc::EIO),
        ("ENOMEM", libc::ENOMEM),
        ("ENOSPC", libc::ENOSPC),
        ("EDQUOT", libc::EDQUOT),
        ("EROFS", libc::EROFS),
        ("EFBIG", libc::EFBIG),
    ] {
        let copy = Copy::new(Function::Fast, &src, &dst);
        let outcome = copy.run_injected(&[&format!("ioctl:error={errno}:when=1")]);
        outcome.assert_errno(number);
        assert_eq!(names(dir.path()), ["src"]);
    }
}

fn an_offload_refused_at_its_first_byte_becomes_reading_and_writing(fs: &FileSystem) {
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
    ] {
        let copy = Copy::new(Function::Fast, &src, &dst).options(&["replace", ALONE]);
        let injection = format!("copy_file_range:error={errno}");
        let outcome = copy.run_injected(&[NO_CLONE, &injection]);
        assert_eq!(outcome, Outcome::Ok("Copy".into(), 40 * MIB), "{errno}");
        assert_same(&src, &dst);
    }
}

/// Before *its* first byte: CIFS answers EIO where it can't.
fn an_offload_refused_after_other_bytes_were_written_is_refused_too(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (offloadable(dir.path()), dir.path().join("dst"));
    // Not on the disk yet, so it is read and written.
    let file = std::fs::File::options().write(true).open(&src).unwrap();
    file.set_len(0).unwrap();
    write_data(&file, 8 * MIB..16 * MIB);
    file.sync_all().unwrap();
    write_data(&file, 0..MIB);
    let copy = Copy::new(Function::Fast, &src, &dst).options(&[ALONE]);
    let outcome = copy.run_injected(&[NO_CLONE, "copy_file_range:error=EIO"]);
    assert_eq!(outcome, Outcome::Ok("Copy".into(), 9 * MIB));
    assert_same(&src, &dst);
}

fn an_offload_without_room_is_an_error(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (offloadable(dir.path()), dir.path().join("dst"));
    for (errno, number) in [
        ("ENOMEM", libc::ENOMEM),
        ("ENOSPC", libc::ENOSPC),
        ("EDQUOT", libc::EDQUOT),
        ("EFBIG", libc::EFBIG),
    ] {
        let injection = format!("copy_file_range:error={errno}");
        let copy = Copy::new(Function::Fast, &src, &dst).options(&[ALONE]);
        let outcome = copy.run_injected(&[NO_CLONE, &injection]);
        outcome.assert_errno(number);
        assert_eq!(names(dir.path()), ["src"]);
    }
}

/// What a copy that began with an offload is called at its end; where the file system has no
/// FIEMAP none is tried.
fn method(fs: &FileSystem) -> &'static str {
    if fs.has_fiemap() { "Offload" } else { "Copy" }
}

fn an_offload_that_fails_half_way_goes_on_at_the_next_byte(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (offloadable(dir.path()), dir.path().join("dst"));
    for errno in ["EXDEV", "EINVAL", "EPERM", "EAGAIN"] {
        let copy = Copy::new(Function::Fast, &src, &dst).options(&["replace", ALONE]);
        let injection = format!("copy_file_range:error={errno}:when=2");
        let outcome = copy.run_injected(&[NO_CLONE, &injection]);
        assert_eq!(outcome, Outcome::Ok(method(fs).into(), 40 * MIB), "{errno}");
        assert_same(&src, &dst);
    }
}

fn an_offload_that_fails_for_good_half_way_is_an_error(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (offloadable(dir.path()), dir.path().join("dst"));
    for (errno, number) in [
        ("EIO", libc::EIO),
        ("ENOSPC", libc::ENOSPC),
        ("EROFS", libc::EROFS),
    ] {
        let injection = format!("copy_file_range:error={errno}:when=2");
        let copy = Copy::new(Function::Fast, &src, &dst).options(&[ALONE]);
        let outcome = copy.run_injected(&[NO_CLONE, &injection]);
        outcome.assert_errno(number);
        assert_eq!(names(dir.path()), ["src"]);
    }
}

fn an_offload_of_nothing_is_not_the_end_of_the_file(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (offloadable(dir.path()), dir.path().join("dst"));
    for (when, expected) in [("", "Copy"), (":when=2", method(fs))] {
        let copy = Copy::new(Function::Fast, &src, &dst).options(&["replace", ALONE]);
        let injection = format!("copy_file_range:retval=0{when}");
        let outcome = copy.run_injected(&[NO_CLONE, &injection]);
        assert_eq!(outcome, Outcome::Ok(expected.into(), 40 * MIB));
        assert_same(&src, &dst);
    }
}
