//! Contract lines 1 and 2: what a copy opens, how often, and what it refuses.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use fast_copy_test_support::files::{
    MIB, assert_same, assert_text, dense_file, four_extents, names, text_file,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{BOTH, Function};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::program::run;
use fast_copy_test_support::traced::Copy;
use fast_copy_test_support::waiting::must_not_block;
use wasmtime_fast_copy::{CopyError, CopyErrorKind, CopyOptions, fast_copy, sparse_copy};

fast_copy_test_support::tests![
    a_small_file_is_copied,
    the_apparent_size_is_returned,
    an_empty_file_is_copied,
    a_missing_source_is_not_found,
    a_missing_destination_directory_is_not_found,
    an_error_names_both_paths,
    a_directory_as_source_is_refused,
    a_fifo_as_source_is_refused_without_blocking where SpecialFiles,
    a_source_that_is_no_regular_file_is_not_opened_for_reading where SpecialFiles,
    a_device_as_source_is_refused where Devices,
    a_socket_as_source_is_refused where SpecialFiles,
    a_symbolic_link_as_source_is_followed_unless_symlink_follow_is_off where SymbolicLinks,
    an_unreadable_source_is_permission_denied where Permissions and Unprivileged,
    an_unwritable_directory_is_permission_denied where Permissions and Unprivileged,
    a_procfs_or_sysfs_file_is_not_a_regular_file,
    no_path_is_resolved_twice where SymbolicLinks,
    a_copy_stays_in_the_opened_directory_when_that_is_renamed where OpenFilesMove,
    malformed_destination_paths_are_refused,
    a_copy_succeeds_after_the_main_thread_has_exited,
];

fn a_small_file_is_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "a small file");
    let (fast, sparse) = (dir.path().join("fast"), dir.path().join("sparse"));
    assert_eq!(fast_copy(&src, &fast).unwrap(), 12);
    assert_eq!(sparse_copy(&src, &sparse).unwrap(), 12);
    assert_text(&fast, "a small file");
    assert_text(&sparse, "a small file");
}

fn the_apparent_size_is_returned(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    assert_eq!(fast_copy(&src, &dst).unwrap(), 16 * MIB);
    assert_eq!(sparse_copy(&src, &dst).unwrap(), 16 * MIB);
    assert_same(&src, &dst);
}

fn an_empty_file_is_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "");
    for function in BOTH {
        let dst = dir.path().join(format!("{function:?}"));
        let report = function.call(&CopyOptions::new(), &src, &dst).unwrap();
        assert_eq!((report.size, report.copied), (0, 0));
        assert_text(&dst, "");
    }
}

fn a_missing_source_is_not_found(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("none"), dir.path().join("dst"));
    for copy in [fast_copy, sparse_copy] {
        let error = copy(&src, &dst).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = error.downcast::<CopyError>().unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }
    assert!(names(dir.path()).is_empty());
}

fn a_missing_destination_directory_is_not_found(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    let error = fast_copy(&src, dir.path().join("none/dst")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn an_error_names_both_paths(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    let none = dir.path().join("none");
    for (src, dst) in [(&none, &src), (&src, &none.join("dst")), (&src, &src)] {
        for function in BOTH {
            let error = function.call(&CopyOptions::new(), src, dst).unwrap_err();
            let error = io::Error::from(error).to_string();
            let expected = format!("copying {src:?} to {dst:?}: opening");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}

/// Asserts that a source is refused with `InvalidInput`, and no file is created.
fn assert_refused(dir: &Path, name: &str) {
    let (src, dst) = (dir.join(name), dir.join("dst"));
    for function in BOTH {
        let (src, dst) = (src.clone(), dst.clone());
        let error =
            must_not_block(move || function.call(&CopyOptions::new(), &src, &dst)).unwrap_err();
        assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(names(dir), [name]);
}

fn a_directory_as_source_is_refused(fs: &FileSystem) {
    let dir = fs.dir();
    fs::create_dir(dir.path().join("source")).unwrap();
    assert_refused(dir.path(), "source");
}

fn a_fifo_as_source_is_refused_without_blocking(fs: &FileSystem) {
    let dir = fs.dir();
    run(Command::new("mkfifo").arg(dir.path().join("fifo")));
    assert_refused(dir.path(), "fifo");
}

fn a_device_as_source_is_refused(fs: &FileSystem) {
    let dir = fs.dir();
    let zero = dir.path().join("zero");
    run(Command::new("mknod").arg(&zero).args(["c", "1", "5"]));
    assert_refused(dir.path(), "zero");
}

/// Opening a device for reading can have an effect on it.
fn a_source_that_is_no_regular_file_is_not_opened_for_reading(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("fifo"), dir.path().join("dst"));
    run(Command::new("mkfifo").arg(&src));
    for function in BOTH {
        let (outcome, calls) = Copy::new(function, &src, &dst).trace();
        outcome.assert_error("NotRegularFile");
        let opens_for_reading = |call: &String| call.contains("/fd/") && call.contains("O_RDONLY");
        let opened: Vec<_> = calls
            .iter()
            .filter(|call| opens_for_reading(call))
            .collect();
        assert!(opened.is_empty(), "{opened:#?}");
    }
}

fn a_socket_as_source_is_refused(fs: &FileSystem) {
    let dir = fs.dir();
    let _listener = UnixListener::bind(dir.path().join("socket")).unwrap();
    assert_refused(dir.path(), "socket");
}

fn a_symbolic_link_as_source_is_followed_unless_symlink_follow_is_off(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "target", "target");
    let (link, dst) = (dir.path().join("link"), dir.path().join("dst"));
    std::os::unix::fs::symlink("target", &link).unwrap();
    for function in BOTH {
        let options = CopyOptions::new().replace(true);
        function.call(&options, &link, &dst).unwrap();
        assert_text(&dst, "target");
        let options = options.symlink_follow(false);
        let error = function.call(&options, &link, &dst).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::SymbolicLink));
    }
}

fn an_unreadable_source_is_permission_denied(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "secret");
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    fs::set_permissions(&src, PermissionsExt::from_mode(0o200)).unwrap();
    for function in BOTH {
        let dst = dir.path().join("dst");
        let outcome = Copy::new(function, &src, &dst).run_unprivileged(65534);
        outcome.assert_error("PermissionDenied");
    }
    assert_eq!(names(dir.path()), ["src"]);
}

fn an_unwritable_directory_is_permission_denied(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    fs::set_permissions(&src, PermissionsExt::from_mode(0o644)).unwrap();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o555)).unwrap();
    let outcomes = BOTH.map(|function| {
        let dst = dir.path().join("dst");
        Copy::new(function, &src, &dst).run_unprivileged(65534)
    });
    // Else an ordinary user could not remove it.
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for outcome in outcomes {
        outcome.assert_error("PermissionDenied");
    }
    assert_eq!(names(dir.path()), ["src"]);
}

fn a_procfs_or_sysfs_file_is_not_a_regular_file(fs: &FileSystem) {
    let dir = fs.dir();
    // Files of procfs have size 0; the one of sysfs has size 4096 and less content.
    for src in [
        "/proc/version",
        "/proc/self/status",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    ] {
        for function in BOTH {
            let dst = dir.path().join("dst");
            let error =
                must_not_block(move || function.call(&CopyOptions::new(), src.as_ref(), &dst))
                    .unwrap_err();
            assert!(
                matches!(error.kind(), CopyErrorKind::NotRegularFile(_)),
                "{src}: {error}"
            );
        }
    }
    assert_eq!(names(dir.path()), [""; 0]);
}

/// Line 1: each path is in one of the system calls of a copy.
fn no_path_is_resolved_twice(fs: &FileSystem) {
    let dir = fs.dir();
    fs::create_dir(dir.path().join("parent-of-dst")).unwrap();
    let src = dir.path().join("name-of-src");
    let dst = dir.path().join("parent-of-dst/dst");
    four_extents(&src);
    for function in BOTH {
        // A symbolic link as destination is followed to find out whether it leads to the source.
        let _ = fs::remove_file(&dst);
        std::os::unix::fs::symlink("elsewhere", &dst).unwrap();
        let copy = Copy::new(function, &src, &dst).options(&["replace"]);
        let (outcome, calls) = copy.trace();
        assert!(matches!(outcome, Outcome::Ok(..)));
        for path in ["name-of-src\"", "parent-of-dst\"", "parent-of-dst/"] {
            let naming: Vec<_> = calls.iter().filter(|call| call.contains(path)).collect();
            let expected = if path.ends_with('/') { 0 } else { 1 };
            assert_eq!(naming.len(), expected, "{path}: {naming:#?}");
        }
    }
}

/// Line 1: a copy uses the descriptor of the directory, not its path.
fn a_copy_stays_in_the_opened_directory_when_that_is_renamed(fs: &FileSystem) {
    let dir = fs.dir();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("here")).unwrap();
    fs::create_dir(at("other")).unwrap();
    dense_file(&at("src"), MIB);
    let (src, dst) = (at("src"), at("here/dst"));
    let copy = Copy::new(Function::Sparse, &src, &dst);
    let stopped = copy.start_and_stop_at("pwrite64:when=1", &[]);
    fs::rename(at("here"), at("moved")).unwrap();
    fs::rename(at("other"), at("here")).unwrap();
    stopped.go_on().assert_method("Copy");
    assert_same(&src, &at("moved/dst"));
    assert!(names(&at("here")).is_empty());
}

fn malformed_destination_paths_are_refused(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    let long = "x".repeat(256);
    let very_long = "x/".repeat(2500) + "x";
    for (name, kind) in [
        ("dst/", ErrorKind::InvalidInput),
        ("dst/.", ErrorKind::InvalidInput),
        ("..", ErrorKind::InvalidInput),
        ("ds\0t", ErrorKind::InvalidInput),
        (&long, ErrorKind::InvalidFilename),
        (&very_long, ErrorKind::InvalidFilename),
    ] {
        let error = fast_copy(&src, dir.path().join(name)).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}");
    }
    let error = fast_copy(&src, Path::new("")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(names(dir.path()), ["src"]);
}

/// A source is opened through procfs, where the main thread's descriptors are gone once it has exited.
fn a_copy_succeeds_after_the_main_thread_has_exited(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (text_file(dir.path(), "src", "text"), dir.path().join("dst"));
    for function in BOTH {
        let copy = Copy::new(function, &src, &dst).options(&["without-main-thread", "may-leak"]);
        let outcome = copy.run();
        assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
        assert_text(&dst, "text");
        fs::remove_file(&dst).unwrap();
    }
}
