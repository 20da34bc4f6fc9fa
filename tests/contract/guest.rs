//! The contract for guests: calls of a component, in both linker forms.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use fast_copy_test_support::command::Form;
use fast_copy_test_support::features::Feature;
use fast_copy_test_support::files::{
    MIB, assert_same, assert_text, dense_file, exists, four_extents, names, sparse_file, text_file,
};
use fast_copy_test_support::filesystems::{FileSystem, Small, smallest};
use fast_copy_test_support::guest_host::{FORMS, Guest, Preopen, run, run_with};
use fast_copy_test_support::program;
use fast_copy_test_support::waiting::must_not_block;
use wasmtime_fast_copy::FastCopyCtx;

use crate::same_file;

fast_copy_test_support::tests![
    a_guest_copies_within_a_directory_and_between_two,
    each_option_has_its_effect where SymbolicLinks and OpenAt2,
    contradictory_options_are_invalid,
    a_path_that_leaves_the_directory_is_not_permitted,
    a_symbolic_link_that_leaves_the_directory_is_not_permitted where SymbolicLinks and OpenAt2,
    a_symbolic_link_inside_the_directory_is_followed_with_symlink_follow where SymbolicLinks and OpenAt2,
    each_malformed_path_has_its_error_code where OpenAt2,
    a_read_only_directory_is_a_source_and_no_destination,
    a_file_in_place_of_a_directory_is_not_directory,
    an_existing_destination_is_kept_without_replace where SymbolicLinks and SpecialFiles,
    a_file_is_never_copied_onto_itself where HardLinks and SymbolicLinks and OpenAt2,
    a_source_that_is_no_regular_file_is_refused_without_blocking where SymbolicLinks and SpecialFiles and OpenAt2,
    a_procfs_file_is_not_a_regular_file,
    a_source_above_the_size_limit_is_file_too_large,
    a_full_disk_is_insufficient_space where Small,
    no_error_contains_a_host_path where Permissions,
];

const FUNCTIONS: [&str; 2] = ["fast-copy", "sparse-copy"];

/// Returns what the guest `probe` prints for an error.
fn error(code: &str, operand: &str) -> String {
    let code: String = code
        .split('-')
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect();
    let operand = match operand {
        "" => "None".to_owned(),
        operand => format!("Some(Operand::{operand})"),
    };
    format!("err ErrorCode::{code} {operand}\n")
}

/// Makes one call in a directory, which the guest sees as `.`. Returns what it prints.
#[track_caller]
fn probe(form: Form, dir: &Path, function: &str, src: &str, dst: &str, flags: &str) -> String {
    let dirs = [Preopen::writable(dir, ".")];
    let output = run(
        Guest::Probe,
        form,
        &dirs,
        &[function, ".", src, ".", dst, flags],
    );
    assert_eq!(output.status, 0, "{output:?}");
    output.stdout
}

/// Asserts that both functions fail with the same error in every form, and create no file.
#[track_caller]
fn assert_fails(dir: &Path, src: &str, dst: &str, flags: &str, expected: &str) {
    let before = names(dir);
    for form in FORMS {
        for function in FUNCTIONS {
            let found = probe(form, dir, function, src, dst, flags);
            assert_eq!(found, expected, "{function} {src:?} -> {dst:?} in {form:?}");
        }
    }
    assert_eq!(names(dir), before);
}

fn a_guest_copies_within_a_directory_and_between_two(fs: &FileSystem) {
    let (one, two) = (fs.dir(), fs.dir());
    fs::create_dir(one.path().join("sub")).unwrap();
    four_extents(&one.path().join("sub/src"));
    for form in FORMS {
        for function in FUNCTIONS {
            let dirs = [
                Preopen::writable(one.path(), "one"),
                Preopen::writable(two.path(), "two"),
            ];
            for (dst_dir, dst, host) in [
                ("one", "sub/../dst", one.path().join("dst")),
                ("two", "dst", two.path().join("dst")),
            ] {
                let args = [function, "one", "./sub/src", dst_dir, dst, ""];
                let output = run(Guest::Probe, form, &dirs, &args);
                assert!(output.stdout.starts_with("ok "), "{output:?}");
                assert!(output.stdout.contains(" 16777216 "), "{output:?}");
                assert_same(&one.path().join("sub/src"), &host);
                fs::remove_file(host).unwrap();
            }
        }
    }
}

fn each_option_has_its_effect(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "src", "new");
    symlink("src", dir.path().join("link")).unwrap();
    for form in FORMS {
        for function in FUNCTIONS {
            text_file(dir.path(), "dst", "old");
            let answer = probe(
                form,
                dir.path(),
                function,
                "link",
                "dst",
                "replace,symlink-follow",
            );
            assert!(answer.ends_with(" true\n"), "{answer}");
            assert_text(&dir.path().join("dst"), "new");
            let answer = probe(form, dir.path(), function, "src", "dst", "replace,no-sync");
            assert!(answer.ends_with(" false\n"), "{answer}");
        }
        // sparse-copy makes no clone, so dig-holes turns the written zeros into a hole.
        fs::write(dir.path().join("zeros"), vec![0; MIB as usize]).unwrap();
        let answer = probe(
            form,
            dir.path(),
            "sparse-copy",
            "zeros",
            "dst",
            "replace,dig-holes",
        );
        assert_eq!(answer.split(' ').nth(3), Some("0"), "{answer}");
        let answer = probe(
            form,
            dir.path(),
            "fast-copy",
            "src",
            "dst",
            "replace,require-reflink",
        );
        if fs.reflinks() {
            assert!(answer.starts_with("ok CopyMethod::Reflink "), "{answer}");
        } else {
            assert_eq!(answer, error("not-shareable", ""));
        }
        fs::remove_file(dir.path().join("dst")).unwrap();
    }
}

fn contradictory_options_are_invalid(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "src", "text");
    assert_fails(
        dir.path(),
        "src",
        "dst",
        "require-reflink,dig-holes",
        &error("invalid", ""),
    );
    for form in FORMS {
        let answer = probe(
            form,
            dir.path(),
            "sparse-copy",
            "src",
            "dst",
            "require-reflink",
        );
        assert_eq!(answer, error("invalid", ""));
    }
}

fn a_path_that_leaves_the_directory_is_not_permitted(fs: &FileSystem) {
    let outer = fs.dir();
    let dir = outer.path().join("inner");
    fs::create_dir(&dir).unwrap();
    text_file(outer.path(), "outside", "secret");
    text_file(&dir, "src", "text");
    let absolute = outer.path().join("outside");
    let absolute = absolute.to_str().unwrap();
    for path in [
        "../outside",
        "./../outside",
        "../inner/../outside",
        absolute,
        "/etc/passwd",
    ] {
        let (source, destination) = (
            error("not-permitted", "Source"),
            error("not-permitted", "Destination"),
        );
        assert_fails(&dir, path, "dst", "", &source);
        assert_fails(&dir, path, "dst", "symlink-follow", &source);
        assert_fails(&dir, "src", path, "replace", &destination);
    }
    assert_fails(
        &dir,
        "src",
        "../new",
        "",
        &error("not-permitted", "Destination"),
    );
    assert_text(&outer.path().join("outside"), "secret");
    assert_eq!(names(outer.path()), ["inner", "outside"]);
}

fn a_symbolic_link_that_leaves_the_directory_is_not_permitted(fs: &FileSystem) {
    let outer = fs.dir();
    let dir = outer.path().join("inner");
    fs::create_dir(&dir).unwrap();
    text_file(outer.path(), "outside", "secret");
    text_file(&dir, "src", "text");
    symlink("../outside", dir.join("file-link")).unwrap();
    symlink("..", dir.join("dir-link")).unwrap();
    symlink("dir-link/outside", dir.join("chain")).unwrap();
    symlink("/proc/self/root", dir.join("magic")).unwrap();
    let source = error("not-permitted", "Source");
    for path in ["file-link", "dir-link/outside", "chain", "magic/etc/passwd"] {
        assert_fails(&dir, path, "dst", "symlink-follow", &source);
    }
    let looped = error("loop", "Source");
    for path in ["file-link", "chain", "magic"] {
        assert_fails(&dir, path, "dst", "", &looped);
    }
    let destination = error("not-permitted", "Destination");
    for path in ["dir-link/new", "dir-link/outside", "magic/tmp/new"] {
        assert_fails(&dir, "src", path, "replace", &destination);
    }
    // A symbolic link as the last component of the destination is replaced itself.
    for form in FORMS {
        for function in FUNCTIONS {
            let link = dir.join("dst-link");
            symlink("../outside", &link).unwrap();
            let answer = probe(form, &dir, function, "src", "dst-link", "replace");
            assert!(answer.starts_with("ok "), "{answer}");
            assert!(fs::symlink_metadata(&link).unwrap().is_file());
            fs::remove_file(link).unwrap();
        }
    }
    assert_text(&outer.path().join("outside"), "secret");
    assert_eq!(names(outer.path()), ["inner", "outside"]);
}

fn a_symbolic_link_inside_the_directory_is_followed_with_symlink_follow(fs: &FileSystem) {
    let dir = fs.dir();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    text_file(&dir.path().join("a/b"), "src", "text");
    symlink("../b/src", dir.path().join("a/b/up-and-down")).unwrap();
    symlink("a/b", dir.path().join("short")).unwrap();
    assert_fails(
        dir.path(),
        "short/up-and-down",
        "dst",
        "",
        &error("loop", "Source"),
    );
    for form in FORMS {
        for function in FUNCTIONS {
            let answer = probe(
                form,
                dir.path(),
                function,
                "short/up-and-down",
                "short/dst",
                "symlink-follow",
            );
            assert!(answer.starts_with("ok "), "{answer}");
            assert_text(&dir.path().join("a/b/dst"), "text");
            fs::remove_file(dir.path().join("a/b/dst")).unwrap();
        }
    }
}

fn each_malformed_path_has_its_error_code(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "src", "text");
    let long = "x".repeat(256);
    // FAT looks for it.
    let missing = fs::symlink_metadata(dir.path().join(&long)).unwrap_err();
    let long_source = match missing.kind() {
        ErrorKind::NotFound => "no-entry",
        _ => "name-too-long",
    };
    let very_long = "x".repeat(5000);
    let deep = "x/".repeat(2500);
    for (path, source, destination) in [
        ("", "no-entry", "no-entry"),
        ("none", "no-entry", ""),
        ("none/file", "no-entry", "no-entry"),
        ("src/", "not-directory", "invalid"),
        ("src/.", "not-directory", "invalid"),
        ("src/x", "not-directory", "not-directory"),
        (".", "is-directory", "invalid"),
        ("./", "is-directory", "invalid"),
        ("..", "not-permitted", "invalid"),
        ("new/", "no-entry", "invalid"),
        ("a\\0b", "invalid", "invalid"),
        ("\\0", "invalid", "invalid"),
        (&long, long_source, "name-too-long"),
        (&very_long, "name-too-long", "name-too-long"),
        (&format!("{deep}x"), "name-too-long", "name-too-long"),
    ] {
        assert_fails(dir.path(), path, "dst", "", &error(source, "Source"));
        if !destination.is_empty() {
            assert_fails(
                dir.path(),
                "src",
                path,
                "",
                &error(destination, "Destination"),
            );
        }
    }
}

fn a_read_only_directory_is_a_source_and_no_destination(fs: &FileSystem) {
    let (ro, rw) = (fs.dir(), fs.dir());
    text_file(ro.path(), "src", "text");
    text_file(rw.path(), "src", "text");
    for form in FORMS {
        for function in FUNCTIONS {
            let dirs = [
                Preopen::read_only(ro.path(), "ro"),
                Preopen::writable(rw.path(), "rw"),
            ];
            let call = |src, dst, flags| {
                let args = [function, src, "src", dst, "dst", flags];
                run(Guest::Probe, form, &dirs, &args).stdout
            };
            assert!(call("ro", "rw", "").starts_with("ok "));
            assert_text(&rw.path().join("dst"), "text");
            fs::remove_file(rw.path().join("dst")).unwrap();
            for flags in ["", "replace", "no-sync"] {
                let refused = error("not-permitted", "Destination");
                assert_eq!(call("rw", "ro", flags), refused);
                assert_eq!(call("ro", "ro", flags), refused);
            }
            assert_eq!(names(ro.path()), ["src"]);
        }
    }
}

fn a_file_in_place_of_a_directory_is_not_directory(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "src", "text");
    for form in FORMS {
        for function in FUNCTIONS {
            let dirs = [Preopen::writable(dir.path(), ".")];
            let call = |src_dir, dst_dir| {
                let args = [function, src_dir, "src", dst_dir, "dst", ""];
                run(Guest::Probe, form, &dirs, &args).stdout
            };
            assert_eq!(call("file:src", "."), error("not-directory", "Source"));
            assert_eq!(call(".", "file:src"), error("not-directory", "Destination"));
        }
    }
    assert_eq!(names(dir.path()), ["src"]);
}

fn an_existing_destination_is_kept_without_replace(fs: &FileSystem) {
    let dir = fs.dir();
    let at = |name: &str| dir.path().join(name);
    text_file(dir.path(), "src", "new");
    text_file(dir.path(), "old", "old");
    fs::create_dir(at("directory")).unwrap();
    symlink("old", at("link")).unwrap();
    symlink("none", at("dangling")).unwrap();
    let fifo = at("fifo");
    program::run(Command::new("mkfifo").arg(&fifo));
    for name in ["old", "directory", "link", "dangling", "fifo"] {
        assert_fails(dir.path(), "src", name, "", &error("exist", "Destination"));
    }
    assert_fails(
        dir.path(),
        "src",
        "directory",
        "replace",
        &error("is-directory", "Destination"),
    );
    assert_fails(
        dir.path(),
        "src",
        "fifo",
        "replace",
        &error("not-regular-file", "Destination"),
    );
    assert_text(&at("old"), "old");
    assert!(fs::read_link(at("dangling")).is_ok());
}

fn a_file_is_never_copied_onto_itself(fs: &FileSystem) {
    let dir = fs.dir();
    for (_, src, dst) in same_file::two_names(dir.path()) {
        let relative = |path: &Path| {
            let path = path.strip_prefix(dir.path()).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (src, dst) = (relative(&src), relative(&dst));
        let expected = error("same-file", "");
        assert_fails(dir.path(), &src, &dst, "symlink-follow", &expected);
        assert_fails(dir.path(), &src, &dst, "symlink-follow,replace", &expected);
    }
}

fn a_source_that_is_no_regular_file_is_refused_without_blocking(fs: &FileSystem) {
    let dir = fs.dir();
    let at = |name: &str| dir.path().join(name);
    program::run(Command::new("mkfifo").arg(at("fifo")));
    let device = fs.has(Feature::Devices);
    if device {
        program::run(Command::new("mknod").arg(at("zero")).args(["c", "1", "5"]));
    }
    let _listener = UnixListener::bind(at("socket")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    symlink("fifo", at("link-to-fifo")).unwrap();
    let dir = dir.path().to_owned();
    must_not_block(move || {
        let mut made = vec![
            ("fifo", "not-regular-file"),
            ("link-to-fifo", "not-regular-file"),
            ("socket", "not-regular-file"),
            ("directory", "is-directory"),
        ];
        made.extend(device.then_some(("zero", "not-regular-file")));
        for (path, code) in made {
            let expected = error(code, "Source");
            assert_fails(&dir, path, "dst", "symlink-follow", &expected);
        }
        // A FIFO in place of a directory.
        let expected = error("not-directory", "Source");
        assert_fails(&dir, "fifo/src", "dst", "", &expected);
    });
}

fn a_procfs_file_is_not_a_regular_file(fs: &FileSystem) {
    let dir = fs.dir();
    for form in FORMS {
        for function in FUNCTIONS {
            let dirs = [
                Preopen::writable(dir.path(), "."),
                Preopen::read_only("/proc".as_ref(), "proc"),
            ];
            let args = [function, "proc", "version", ".", "dst", ""];
            let output = run(Guest::Probe, form, &dirs, &args);
            assert_eq!(output.stdout, error("not-regular-file", "Source"));
        }
    }
    assert!(names(dir.path()).is_empty());
}

fn a_source_above_the_size_limit_is_file_too_large(fs: &FileSystem) {
    let dir = fs.dir();
    sparse_file(&dir.path().join("src"), 5000, &[]);
    for form in FORMS {
        for function in FUNCTIONS {
            let dirs = [Preopen::writable(dir.path(), ".")];
            let copies = FastCopyCtx::builder().max_size(4999).build();
            let args = [function, ".", "src", ".", "dst", ""];
            let output = run_with(Guest::Probe, form, &dirs, &args, copies);
            assert_eq!(output.stdout, error("file-too-large", "Source"));
        }
    }
    // The default limit, on file systems with larger files.
    let bomb = fs::File::create(dir.path().join("bomb")).unwrap();
    if bomb.set_len((16 << 40) + 1).is_ok() {
        let expected = error("file-too-large", "Source");
        assert_fails(dir.path(), "bomb", "dst", "", &expected);
    }
}

fn a_full_disk_is_insufficient_space(fs: &FileSystem) {
    let size = smallest(fs.name);
    let small = Small::new(fs.name, size);
    let src = fs.dir();
    dense_file(&src.path().join("src"), size + 16 * MIB);
    for form in FORMS {
        for function in FUNCTIONS {
            let dirs = [
                Preopen::read_only(src.path(), "src"),
                Preopen::writable(&small.root, "small"),
            ];
            let args = [function, "src", "src", "small", "dst", ""];
            let output = run(Guest::Probe, form, &dirs, &args);
            assert!(
                output
                    .stdout
                    .starts_with("err ErrorCode::InsufficientSpace"),
                "{output:?}"
            );
            assert!(!exists(&small.root.join("dst")));
        }
    }
}

fn no_error_contains_a_host_path(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "src", "text");
    fs::set_permissions(dir.path().join("src"), PermissionsExt::from_mode(0o000)).unwrap();
    fs::create_dir(dir.path().join("directory")).unwrap();
    for form in FORMS {
        let dirs = [Preopen::writable(dir.path(), ".")];
        for paths in [
            ["none", "dst"],
            ["directory", "dst"],
            ["src", "none/dst"],
            ["src", "src"],
            ["../x", "dst"],
            ["src", "directory"],
        ] {
            let output = run(
                Guest::CloneDisk,
                form,
                &dirs,
                &["clone", paths[0], paths[1]],
            );
            let host = dir.path().to_str().unwrap();
            assert_eq!(output.status, 1, "{output:?}");
            assert!(!output.stderr.contains(host), "{output:?}");
            assert!(!output.stderr.contains(fs.root.to_str().unwrap()));
        }
    }
}
