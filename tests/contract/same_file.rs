//! Contract line 3: a file is never copied onto itself, whatever its two names.

use std::fs;
use std::path::{Path, PathBuf};

use fast_copy_test_support::features::Feature;
use fast_copy_test_support::files::{KIB, assert_same, dense_file, inode};
use fast_copy_test_support::filesystems::{FileSystem, Mounted};
use fast_copy_test_support::function::BOTH;
use wasmtime_fast_copy::{CopyErrorKind, CopyOptions};

fast_copy_test_support::tests![a_file_is_never_copied_onto_itself where HardLinks and SymbolicLinks];

/// Returns eight pairs of names for one file, each with a description.
pub fn two_names(dir: &Path) -> Vec<(&'static str, PathBuf, PathBuf)> {
    let at = |name: &str| dir.join(name);
    dense_file(&at("file"), 64 * KIB);
    fs::create_dir(at("sub")).unwrap();
    fs::hard_link(at("file"), at("sub/hard")).unwrap();
    std::os::unix::fs::symlink("file", at("link")).unwrap();
    std::os::unix::fs::symlink("sub", at("dirlink")).unwrap();
    vec![
        ("the same path", at("file"), at("file")),
        ("a dot", at("./file"), at("file")),
        ("two dots", at("file"), at("sub/../file")),
        ("a hard link", at("file"), at("sub/hard")),
        ("a symbolic link as source", at("link"), at("file")),
        ("a symbolic link as destination", at("file"), at("link")),
        ("a link to a directory", at("sub/hard"), at("dirlink/hard")),
        ("a hard link behind a link", at("link"), at("dirlink/hard")),
    ]
}

fn a_file_is_never_copied_onto_itself(fs: &FileSystem) {
    let dir = fs.dir();
    let mut pairs = two_names(dir.path());
    let bound = dir.path().join("bound");
    fs::create_dir(&bound).unwrap();
    let can_mount = fs.has(Feature::Mounts);
    let _mounted = can_mount.then(|| Mounted::bind(&dir.path().join("sub"), &bound));
    if can_mount {
        pairs.push(("a bind mount", dir.path().join("file"), bound.join("hard")));
    }
    let inode_before = inode(&dir.path().join("file"));
    let reference = dir.path().join("reference");
    dense_file(&reference, 64 * KIB);

    for (pair, src, dst) in &pairs {
        for function in BOTH {
            for replace in [false, true] {
                let options = CopyOptions::new().replace(replace);
                let error = function.call(&options, src, dst).unwrap_err();
                assert!(
                    matches!(error.kind(), CopyErrorKind::SameFile),
                    "{pair}: {error}"
                );
                assert_eq!(inode(&dir.path().join("file")), inode_before);
                assert_same(&dir.path().join("file"), &reference);
            }
        }
    }
}
