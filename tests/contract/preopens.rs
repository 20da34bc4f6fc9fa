//! Directories that a guest gets: with mount points, the same one twice, procfs, a removed one; and the
//! permissions with which they were opened.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;

use fast_copy_test_support::features::Feature;
use fast_copy_test_support::files::{MIB, assert_same, assert_text, dense_file, names, text_file};
use fast_copy_test_support::filesystems::{FileSystem, Mounted};
use fast_copy_test_support::guest_host::{FORMS, Guest, Preopen, run};
use fast_copy_test_support::program;

fast_copy_test_support::tests![
    write_permission_is_that_of_the_preopen,
    a_path_may_cross_a_mount_point_inside_the_directory where Mounts,
    the_same_file_through_two_preopens_is_refused,
    the_sdk_resolves_paths_as_std_does,
    magic_links_of_procfs_are_not_followed where OpenAt2,
    a_copy_into_a_removed_directory_fails where UnnamedFiles,
    a_socket_a_device_or_a_fifo_is_not_replaced where SpecialFiles,
];

const FUNCTIONS: [&str; 2] = ["fast-copy", "sparse-copy"];

/// Makes a call by both functions in every form. Returns what the guest prints, which must be the same.
#[track_caller]
fn probe(dirs: &[Preopen<'_>], args: [&str; 5]) -> String {
    let [src_dir, src, dst_dir, dst, flags] = args;
    let mut answers = Vec::new();
    for form in FORMS {
        for function in FUNCTIONS {
            let args = [function, src_dir, src, dst_dir, dst, flags];
            let output = run(Guest::Probe, form, dirs, &args);
            assert_eq!(output.status, 0, "{output:?}");
            answers.push(match output.stdout.starts_with("ok ") {
                true => "ok".to_owned(),
                false => output.stdout,
            });
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

/// As for the calls of `wasi:filesystem`, the flags of the descriptor don't matter.
fn write_permission_is_that_of_the_preopen(fs: &FileSystem) {
    let dir = fs.dir();
    fs::create_dir(dir.path().join("sub")).unwrap();
    text_file(&dir.path().join("sub"), "src", "text");
    let args = ["dir:sub", "src", "dir:sub", "dst", "replace"];
    let writable = [Preopen::writable(dir.path(), ".")];
    assert_eq!(probe(&writable, args), "ok");
    assert_text(&dir.path().join("sub/dst"), "text");
    fs::remove_file(dir.path().join("sub/dst")).unwrap();
    let read_only = [Preopen::read_only(dir.path(), ".")];
    assert_eq!(
        probe(&read_only, args),
        "err ErrorCode::NotPermitted Some(Operand::Destination)\n"
    );
    assert_eq!(names(&dir.path().join("sub")), ["src"]);
}

/// The bytes are copied, since no clone crosses file systems.
fn a_path_may_cross_a_mount_point_inside_the_directory(fs: &FileSystem) {
    let dir = fs.dir();
    let inside = dir.path().join("mounted");
    fs::create_dir(&inside).unwrap();
    let _mounted = Mounted::tmpfs(&inside, 16 * MIB);
    dense_file(&dir.path().join("src"), MIB);
    let dirs = [Preopen::writable(dir.path(), ".")];
    let there = probe(&dirs, [".", "src", ".", "mounted/dst", "replace"]);
    let back = probe(&dirs, [".", "mounted/dst", ".", "back", "replace"]);
    assert_eq!((there.as_str(), back.as_str()), ("ok", "ok"));
    assert_same(&dir.path().join("src"), &inside.join("dst"));
    assert_same(&dir.path().join("src"), &dir.path().join("back"));
    // `..` leaves the mount, and not the directory.
    let out = probe(
        &dirs,
        [".", "mounted/../src", ".", "mounted/../dst", "replace"],
    );
    assert_eq!(out, "ok");
}

fn the_same_file_through_two_preopens_is_refused(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "src", "text");
    let dirs = [
        Preopen::read_only(dir.path(), "one"),
        Preopen::writable(dir.path(), "two"),
    ];
    for flags in ["", "replace"] {
        let answer = probe(&dirs, ["one", "src", "two", "src", flags]);
        assert_eq!(answer, "err ErrorCode::SameFile None\n");
    }
    assert_text(&dir.path().join("src"), "text");
}

/// They lead to objects of the kernel and not along a path (`RESOLVE_NO_MAGICLINKS`, openat2(2)).
fn magic_links_of_procfs_are_not_followed(fs: &FileSystem) {
    let dir = fs.dir();
    let dirs = [
        Preopen::writable(dir.path(), "."),
        Preopen::read_only("/proc".as_ref(), "proc"),
    ];
    for (path, code) in [
        ("self/root/etc/passwd", "Loop"),
        ("self/cwd/Cargo.toml", "Loop"),
        ("self/exe", "Loop"),
        ("self/fd/0", "Loop"),
        ("self/environ", "NotRegularFile"),
    ] {
        let answer = probe(&dirs, ["proc", path, ".", "dst", "symlink-follow"]);
        let expected = format!("err ErrorCode::{code} Some(Operand::Source)\n");
        assert_eq!(answer, expected, "{path}");
    }
    assert!(names(dir.path()).is_empty());
}

fn a_copy_into_a_removed_directory_fails(fs: &FileSystem) {
    let (from, to) = (fs.dir(), fs.dir());
    text_file(from.path(), "src", "text");
    fs::create_dir(to.path().join("gone")).unwrap();
    // The descriptor stays open after the removal.
    let gone = to.path().join("gone");
    let held = fs::File::open(&gone).unwrap();
    fs::remove_dir(&gone).unwrap();
    let held = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held));
    let dirs = [
        Preopen::read_only(from.path(), "from"),
        Preopen::writable(held.as_ref(), "gone"),
    ];
    let answer = probe(&dirs, ["from", "src", "gone", "dst", ""]);
    assert_eq!(
        answer,
        "err ErrorCode::NoEntry Some(Operand::Destination)\n"
    );
}

fn a_socket_a_device_or_a_fifo_is_not_replaced(fs: &FileSystem) {
    let dir = fs.dir();
    let at = |name: &str| dir.path().join(name);
    text_file(dir.path(), "src", "text");
    let _listener = UnixListener::bind(at("socket")).unwrap();
    program::run(Command::new("mkfifo").arg(at("fifo")));
    let mut made = vec!["socket", "fifo"];
    if fs.has(Feature::Devices) {
        program::run(Command::new("mknod").arg(at("null")).args(["c", "1", "3"]));
        program::run(Command::new("mknod").arg(at("disk")).args(["b", "7", "0"]));
        made.extend(["null", "disk"]);
    }
    let dirs = [Preopen::writable(dir.path(), ".")];
    let before = names(dir.path());
    for name in made {
        let answer = probe(&dirs, [".", "src", ".", name, "replace"]);
        let expected = "err ErrorCode::NotRegularFile Some(Operand::Destination)\n";
        assert_eq!(answer, expected, "{name}");
        let kind = fs::symlink_metadata(at(name)).unwrap().file_type();
        assert!(!kind.is_file(), "{name}");
    }
    assert_eq!(names(dir.path()), before);
}

/// `clone` opens its source by the SDK, `verify` by `std::fs`. They must mean the same file.
fn the_sdk_resolves_paths_as_std_does(fs: &FileSystem) {
    let (outer, inner, root) = (fs.dir(), fs.dir(), fs.dir());
    fs::create_dir(outer.path().join("base")).unwrap();
    text_file(&outer.path().join("base"), "x", "outer");
    text_file(inner.path(), "x", "inner");
    text_file(root.path(), "x", "root");
    let dirs = [
        Preopen::writable(root.path(), "/"),
        Preopen::writable(outer.path(), "/images"),
        Preopen::writable(inner.path(), "/images/base"),
    ];
    for form in FORMS {
        for (path, text) in [
            ("/images/base/x", "inner"),
            ("images/base/x", "inner"),
            ("//images/base//x", "inner"),
            ("/images//base/x", "outer"),
            ("/images/./base/x", "outer"),
            ("/x", "root"),
            ("x", "root"),
        ] {
            let output = run(Guest::CloneDisk, form, &dirs, &["clone", path, "/copy"]);
            assert_eq!(output.status, 0, "{path}: {output:?}");
            assert_text(&root.path().join("copy"), text);
            let output = run(Guest::CloneDisk, form, &dirs, &["verify", path, "/copy"]);
            assert_eq!(output.status, 0, "{path}: {output:?}");
            fs::remove_file(root.path().join("copy")).unwrap();
        }
        // The working directory counts, as for `std::fs`.
        for (src, text) in [("x", "inner"), ("./x", "inner"), ("/x", "root")] {
            let args = ["sdk", "fast-copy", src, "/copy", "cd=/images/base"];
            let output = run(Guest::Probe, form, &dirs, &args);
            assert!(output.stdout.starts_with("ok "), "{src}: {output:?}");
            assert_text(&root.path().join("copy"), text);
            fs::remove_file(root.path().join("copy")).unwrap();
        }
    }
}
