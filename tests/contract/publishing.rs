//! Contract lines 4 and 5: a copy is published complete or not at all, and replaces only regular files
//! and symbolic links, if asked to.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fast_copy_test_support::features::Feature;
use fast_copy_test_support::files::{
    MIB, assert_same, assert_text, dense_file, exists, inode, names, text_file,
};
use fast_copy_test_support::filesystems::{FileSystem, Small, smallest};
use fast_copy_test_support::function::BOTH;
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::program::run;
use fast_copy_test_support::traced::Copy;
use wasmtime_fast_copy::{CopyErrorKind, CopyOptions};

fast_copy_test_support::tests![
    an_existing_destination_is_refused_and_unchanged,
    a_replacement_is_a_new_inode where HardLinks,
    a_symbolic_link_at_the_destination_is_replaced_and_never_followed where SymbolicLinks,
    a_directory_is_never_replaced,
    a_fifo_a_socket_or_a_device_is_never_replaced where SpecialFiles,
    a_reader_never_sees_a_partial_copy where OpenFilesMove,
    one_of_two_copies_to_one_name_is_refused,
    a_failed_publication_leaves_no_staged_file where UnnamedFiles,
    a_copy_is_published_without_privileges where Permissions and Unprivileged,
    a_copy_is_published_through_procfs_where_linking_a_descriptor_is_denied where UnnamedFiles,
    a_copy_that_fills_the_disk_leaves_no_file_and_frees_its_blocks where Small,
    a_copy_whose_close_fails_is_not_published,
    a_directory_or_fifo_created_during_the_copy_is_not_replaced where SpecialFiles,
];

fn an_existing_destination_is_refused_and_unchanged(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let dst = text_file(dir.path(), "dst", "old");
    let before = inode(&dst);
    for function in BOTH {
        let error = function.call(&CopyOptions::new(), &src, &dst).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::AlreadyExists));
        assert_text(&dst, "old");
        assert_eq!(inode(&dst), before);
    }
    assert_eq!(names(dir.path()), ["dst", "src"]);
}

fn a_replacement_is_a_new_inode(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    for function in BOTH {
        let dst = text_file(dir.path(), "dst", "old");
        let other_name = dir.path().join("other-name");
        fs::hard_link(&dst, &other_name).unwrap();
        let options = CopyOptions::new().replace(true);
        function.call(&options, &src, &dst).unwrap();
        assert_text(&dst, "new");
        assert_text(&other_name, "old");
        assert_eq!(names(dir.path()), ["dst", "other-name", "src"]);
        fs::remove_file(&other_name).unwrap();
        fs::remove_file(&dst).unwrap();
    }
}

fn a_symbolic_link_at_the_destination_is_replaced_and_never_followed(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let target = text_file(dir.path(), "target", "old");
    for function in BOTH {
        for to in ["target", "dangling"] {
            let dst = dir.path().join("dst");
            symlink(to, &dst).unwrap();
            let error = function.call(&CopyOptions::new(), &src, &dst).unwrap_err();
            assert!(matches!(error.kind(), CopyErrorKind::AlreadyExists));
            assert_eq!(fs::read_link(&dst).unwrap(), Path::new(to));

            let options = CopyOptions::new().replace(true);
            function.call(&options, &src, &dst).unwrap();
            assert!(fs::symlink_metadata(&dst).unwrap().is_file());
            assert_text(&dst, "new");
            assert_text(&target, "old");
            assert!(!exists(&dir.path().join("dangling")));
            fs::remove_file(&dst).unwrap();
        }
    }
}

fn a_directory_is_never_replaced(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let dst = dir.path().join("dst");
    fs::create_dir(&dst).unwrap();
    for function in BOTH {
        for replace in [false, true] {
            let options = CopyOptions::new().replace(replace);
            let error = function.call(&options, &src, &dst).unwrap_err();
            let expected = match replace {
                false => matches!(error.kind(), CopyErrorKind::AlreadyExists),
                true => matches!(error.kind(), CopyErrorKind::IsDirectory),
            };
            assert!(expected, "{error}");
            assert!(dst.is_dir());
        }
    }
    assert_eq!(names(dir.path()), ["dst", "src"]);
}

fn a_fifo_a_socket_or_a_device_is_never_replaced(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let dst = dir.path().join("dst");
    let makers: [fn(&Path); 3] = [
        |path| run(Command::new("mkfifo").arg(path)),
        |path| drop(UnixListener::bind(path).unwrap()),
        |path| run(Command::new("mknod").arg(path).args(["c", "1", "5"])),
    ];
    let possible = if fs.has(Feature::Devices) { 3 } else { 2 };
    for make in &makers[..possible] {
        make(&dst);
        let before = fs::symlink_metadata(&dst).unwrap();
        for function in BOTH {
            let error = function.call(&CopyOptions::new(), &src, &dst).unwrap_err();
            assert!(matches!(error.kind(), CopyErrorKind::AlreadyExists));
            let options = CopyOptions::new().replace(true);
            let error = function.call(&options, &src, &dst).unwrap_err();
            assert!(matches!(error.kind(), CopyErrorKind::NotRegularFile(_)));
        }
        let after = fs::symlink_metadata(&dst).unwrap();
        assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()));
        fs::remove_file(&dst).unwrap();
    }
}

fn a_reader_never_sees_a_partial_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let at = |name: &str| dir.path().join(name);
    dense_file(&at("old"), 3 * MIB);
    dense_file(&at("new"), 5 * MIB);
    let source_mode = fs::metadata(at("old")).unwrap().mode();
    for function in BOTH {
        let options = CopyOptions::new().replace(true).durable(false);
        function.call(&options, &at("old"), &at("dst")).unwrap();
        std::thread::scope(|scope| {
            let copying = scope.spawn(|| {
                for _ in 0..20 {
                    function.call(&options, &at("new"), &at("dst")).unwrap();
                    function.call(&options, &at("old"), &at("dst")).unwrap();
                }
            });
            while !copying.is_finished() {
                let bytes = fs::read(at("dst")).unwrap();
                assert!([3 * MIB, 5 * MIB].contains(&(bytes.len() as u64)));
                assert!(bytes.iter().all(|&byte| byte != 0), "the copy has zeros");
                let mode = fs::metadata(at("dst")).unwrap().mode();
                assert_eq!(mode & 0o777, source_mode & 0o777);
            }
        });
        assert_eq!(names(dir.path()), ["dst", "new", "old"]);
        fs::remove_file(at("dst")).unwrap();
    }
}

fn one_of_two_copies_to_one_name_is_refused(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    dense_file(&src, MIB);
    for function in BOTH {
        for round in 0..10 {
            let dst = dir.path().join(format!("{function:?}{round}"));
            let options = CopyOptions::new().durable(false);
            let copy = || function.call(&options, &src, &dst);
            let results = std::thread::scope(|scope| {
                let threads = [scope.spawn(copy), scope.spawn(copy)];
                threads.map(|thread| thread.join().unwrap())
            });
            let refused = results.iter().filter(|result| {
                matches!(result, Err(error) if matches!(error.kind(), CopyErrorKind::AlreadyExists))
            });
            assert_eq!(refused.count(), 1, "{results:?}");
            assert!(results.iter().any(|result| result.is_ok()));
            assert_same(&src, &dst);
        }
    }
}

fn a_failed_publication_leaves_no_staged_file(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let dst = dir.path().join("dst");
    for function in BOTH {
        let outcome = Copy::new(function, &src, &dst).run_injected(&["linkat:error=EIO"]);
        outcome.assert_errno(libc::EIO);
        assert_eq!(names(dir.path()), ["src"]);

        fs::write(&dst, "old").unwrap();
        let copy = Copy::new(function, &src, &dst).options(&["replace"]);
        let outcome = copy.run_injected(&["renameat:error=EIO"]);
        outcome.assert_errno(libc::EIO);
        assert_text(&dst, "old");
        assert_eq!(names(dir.path()), ["dst", "src"]);
        fs::remove_file(&dst).unwrap();
    }
}

fn a_copy_is_published_without_privileges(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    for function in BOTH {
        let dst = dir.path().join(format!("{function:?}"));
        let outcome = Copy::new(function, &src, &dst).run_unprivileged(65534);
        assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
        assert_text(&dst, "text");
    }
}

/// Before Linux 6.10 `linkat` with `AT_EMPTY_PATH` took a capability; `/proc/self/fd` needs none.
fn a_copy_is_published_through_procfs_where_linking_a_descriptor_is_denied(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    for function in BOTH {
        let dst = dir.path().join(format!("{function:?}"));
        let copy = Copy::new(function, &src, &dst);
        let outcome = copy.run_injected(&["linkat:error=ENOENT:when=1"]);
        assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
        assert_text(&dst, "text");
    }
}

fn a_copy_that_fills_the_disk_leaves_no_file_and_frees_its_blocks(fs: &FileSystem) {
    let small = Small::new(fs.name, smallest(fs.name));
    let src_dir = fs.dir();
    let src = src_dir.path().join("src");
    dense_file(&src, 80 * MIB);
    let free = || {
        let stat = rustix::fs::statvfs(&small.root).unwrap();
        stat.f_bavail * stat.f_frsize
    };
    fill_up(&small.root, &free, 40 * MIB);
    for function in BOTH {
        for replace in [false, true] {
            let before = free();
            let dst = text_file(&small.root, "dst", "old");
            let options = CopyOptions::new().replace(replace);
            let target = if replace {
                dst.clone()
            } else {
                small.root.join("new")
            };
            let error = function.call(&options, &src, &target).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOSPC), "{error}");
            assert_text(&dst, "old");
            assert_eq!(names_but_filler(&small.root), ["dst"]);
            fs::remove_file(&dst).unwrap();
            assert_free_again(&small.root, &free, before);
        }
    }
}

/// Asserts that the blocks become free again. btrfs frees them in the background.
fn assert_free_again(root: &Path, free: &dyn Fn() -> u64, before: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        run(Command::new("sync").arg("-f").arg(root));
        let lost = before.saturating_sub(free());
        if lost <= 4 * MIB {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{lost} bytes are still allocated"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Fills the file system until at most `rest` bytes are free.
fn fill_up(root: &Path, free: &dyn Fn() -> u64, rest: u64) {
    let mut number = 0;
    loop {
        let excess = free().saturating_sub(rest);
        if excess < MIB {
            return;
        }
        number += 1;
        let filler = root.join(format!("filler{number}"));
        dense_file(&filler, (excess / 2).max(MIB / 2));
        run(Command::new("sync").arg("-f").arg(root));
    }
}

fn names_but_filler(dir: &Path) -> Vec<String> {
    let mut names = names(dir);
    names.retain(|name| !name.starts_with("filler") && name != "lost+found");
    names
}

/// FUSE and network file systems may report a lack of space at `close` only.
fn a_copy_whose_close_fails_is_not_published(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let dst = dir.path().join("dst");
    for function in BOTH {
        // A close with an injected error doesn't close the descriptor.
        for options in [&["may-leak"] as &[&str], &["may-leak", "no-sync"]] {
            let copy = Copy::new(function, &src, &dst).options(options);
            let first = copy.calls_before("close") + 1;
            fs::remove_file(&dst).unwrap();
            let outcome = copy.run_injected(&[&format!("close:error=EDQUOT:when={first}+")]);
            outcome.assert_errno(libc::EDQUOT);
            assert_eq!(names(dir.path()), ["src"]);
        }
    }
}

/// The check at the start of the copy can't see it.
fn a_directory_or_fifo_created_during_the_copy_is_not_replaced(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    let dst = dir.path().join("dst");
    for make in ["mkfifo", "mkdir"] {
        for function in BOTH {
            let copy = Copy::new(function, &src, &dst).options(&["replace"]);
            let stopped = copy.start_and_stop_at("fchmod:when=1", &[]);
            run(Command::new(make).arg(&dst));
            match stopped.go_on() {
                Outcome::Err(kind, _) => {
                    assert!(["NotRegularFile", "IsDirectory"].contains(&kind.as_str()));
                }
                other => panic!("{make}: {other:?}"),
            }
            assert!(!fs::symlink_metadata(&dst).unwrap().is_file());
            assert_eq!(names(dir.path()), ["dst", "src"]);
            run(Command::new("rm").arg("-d").arg(&dst));
        }
    }
}
