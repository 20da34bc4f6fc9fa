//! Contract lines 4 and 5, where a copy has a temporary name: without `O_TMPFILE`, and between the link
//! and the rename of a replacement. Other processes can replace or remove the file with that name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fast_copy_test_support::files::{
    assert_same, assert_text, exists, four_extents, names, text_file,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{BOTH, Function};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::Copy;
use wasmtime_fast_copy::STAGING_PREFIX;

fast_copy_test_support::tests![
    a_copy_is_staged_under_a_name_without_o_tmpfile where HardLinks and OpenFilesMove,
    a_staged_file_that_cannot_be_created_is_an_error,
    a_killed_copy_leaves_one_staging_name where Permissions,
    a_file_created_during_a_copy_under_a_name_is_not_replaced,
    a_staged_file_that_another_process_replaced_or_removed_is_not_published where OpenFilesMove,
    a_temporary_link_that_another_process_replaced_or_removed_is_not_published where UnnamedFiles,
    the_file_of_another_process_is_not_removed_after_an_error where OpenFilesMove,
    only_a_staging_name_that_cannot_be_removed_is_left where HardLinks,
    no_staging_name_is_left_where_the_destination_became_a_link_to_the_copy where UnnamedFiles and HardLinks,
];

/// Returns the injection that makes `O_TMPFILE` fail.
pub fn without_tmpfile(copy: &Copy<'_>) -> String {
    copy.without_unnamed_files()
}

fn a_copy_is_staged_under_a_name_without_o_tmpfile(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for function in BOTH {
        for old in [None, Some("old")] {
            let options: &[&str] = if old.is_some() { &["replace"] } else { &[] };
            let copy = Copy::new(function, &src, &dst).options(options);
            let injection = without_tmpfile(&copy);
            if let Some(old) = old {
                fs::write(&dst, old).unwrap();
            }
            let outcome = copy.run_injected(&[&injection]);
            assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
            assert_same(&src, &dst);
            assert_eq!(names(dir.path()), ["dst", "src"]);
            fs::remove_file(&dst).unwrap();
        }
        // Without RENAME_NOREPLACE, a link and a removal publish the copy.
        let copy = Copy::new(function, &src, &dst);
        let injections = [&without_tmpfile(&copy), "renameat2:error=EINVAL"];
        let outcome = copy.run_injected(&injections);
        assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
        assert_same(&src, &dst);
        fs::write(&dst, "old").unwrap();
        copy.run_injected(&injections).assert_error("AlreadyExists");
        assert_text(&dst, "old");
        assert_eq!(names(dir.path()), ["dst", "src"]);
        fs::remove_file(&dst).unwrap();
    }
}

fn a_killed_copy_leaves_one_staging_name(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let copy = Copy::new(Function::Sparse, &src, &dst);
    let injection = without_tmpfile(&copy);
    let stopped = copy.start_and_stop_at("pwrite64:when=1", &[&injection]);
    let left = names(dir.path());
    let staged = &left[0];
    let digits = staged.strip_prefix(STAGING_PREFIX).expect("a staged file");
    assert!(digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let mode = fs::metadata(dir.path().join(staged)).unwrap().permissions();
    assert_eq!(mode.mode() & 0o7777, 0o600);
    stopped.kill();
    assert_eq!(names(dir.path()), left);
    assert_eq!(left.len(), 2);
}

fn a_file_created_during_a_copy_under_a_name_is_not_replaced(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for function in BOTH {
        let copy = Copy::new(function, &src, &dst);
        let injection = without_tmpfile(&copy);
        let stopped = copy.start_and_stop_at("fsync:when=1", &[&injection]);
        fs::write(&dst, "another file").unwrap();
        stopped.go_on().assert_error("AlreadyExists");
        assert_text(&dst, "another file");
        assert_eq!(names(dir.path()), ["dst", "src"]);
        fs::remove_file(&dst).unwrap();
    }
}

/// Both attempts fail: with `O_TMPFILE`, by each error after which a name is tried, and with a name.
fn a_staged_file_that_cannot_be_created_is_an_error(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (text_file(dir.path(), "src", "new"), dir.path().join("dst"));
    let copy = Copy::new(Function::Sparse, &src, &dst);
    let first = copy.number_of("openat", "O_TMPFILE");
    for (error, number) in [
        ("EOPNOTSUPP", libc::EOPNOTSUPP),
        ("EISDIR", libc::EISDIR),
        ("EINVAL", libc::EINVAL),
        ("ENOSYS", libc::ENOSYS),
    ] {
        let injection = format!("openat:error={error}:when={first}..{}", first + 1);
        copy.run_injected(&[&injection]).assert_errno(number);
        assert_eq!(names(dir.path()), ["src"]);
    }
}

/// Returns the path of the staged file in a directory.
fn staged_in(dir: &Path) -> PathBuf {
    let names = names(dir);
    let staged = names.iter().find(|name| name.starts_with(STAGING_PREFIX));
    dir.join(staged.expect("a staged file"))
}

/// What another process can do to a staged file.
const INTERFERENCES: [fn(&Path); 3] = [
    |staged| fs::remove_file(staged).unwrap(),
    |staged| {
        fs::remove_file(staged).unwrap();
        fs::write(staged, "foreign").unwrap();
    },
    |staged| {
        let foreign = staged.with_extension("foreign");
        fs::write(&foreign, "foreign").unwrap();
        fs::rename(&foreign, staged).unwrap();
    },
];

/// Stops a copy at a call, interferes with its staged file, and continues it. Asserts that it fails, and
/// that the destination and the foreign file, if there is one, are unchanged.
#[track_caller]
fn assert_fails_after_interference(
    dir: &Path,
    copy: &Copy<'_>,
    call: &str,
    injections: &[&str],
    old: Option<&str>,
) {
    for interfere in INTERFERENCES {
        if let Some(old) = old {
            fs::write(copy.dst, old).unwrap();
        }
        let stopped = copy.start_and_stop_at(call, injections);
        let staged = staged_in(dir);
        interfere(&staged);
        let foreign = exists(&staged);
        let outcome = stopped.go_on();
        let expected = match call.contains("error=EIO") {
            true => matches!(outcome, Outcome::Err(_, Some(libc::EIO))),
            false => matches!(&outcome, Outcome::Err(kind, _) if kind == "NotFound"),
        };
        assert!(expected, "{outcome:?}");
        if foreign {
            assert_text(&staged, "foreign");
            fs::remove_file(&staged).unwrap();
        }
        match old {
            Some(old) => assert_text(copy.dst, old),
            None => assert!(!exists(copy.dst)),
        }
        let left = names(dir);
        assert!(
            left.iter()
                .all(|name| ["dst", "src"].contains(&name.as_str())),
            "{left:?}"
        );
    }
}

fn a_staged_file_that_another_process_replaced_or_removed_is_not_published(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (text_file(dir.path(), "src", "new"), dir.path().join("dst"));
    for function in BOTH {
        for (options, old) in [(&[] as &[&str], None), (&["replace"], Some("old"))] {
            let _ = fs::remove_file(&dst);
            let copy = Copy::new(function, &src, &dst).options(options);
            let injection = without_tmpfile(&copy);
            assert_fails_after_interference(dir.path(), &copy, "fsync:when=1", &[&injection], old);
        }
    }
}

/// Returns the call that makes the temporary link of a copy that replaces a file.
pub fn temporary_link(fs: &FileSystem) -> &'static str {
    match fs.names_before_sync() {
        true => "linkat:when=1",
        // The first link fails with EEXIST.
        false => "linkat:when=2",
    }
}

fn a_temporary_link_that_another_process_replaced_or_removed_is_not_published(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (text_file(dir.path(), "src", "new"), dir.path().join("dst"));
    for function in BOTH {
        let copy = Copy::new(function, &src, &dst).options(&["replace"]);
        assert_fails_after_interference(dir.path(), &copy, temporary_link(fs), &[], Some("old"));
    }
}

/// After an error a copy removes its temporary name only if that still names its file.
fn the_file_of_another_process_is_not_removed_after_an_error(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (text_file(dir.path(), "src", "new"), dir.path().join("dst"));
    let copy = Copy::new(Function::Sparse, &src, &dst);
    let injection = without_tmpfile(&copy);
    for call in ["fsync:error=EIO:when=1", "renameat2:error=EIO:when=1"] {
        assert_fails_after_interference(dir.path(), &copy, call, &[&injection], None);
    }
    let copy = copy.options(&["replace"]);
    let call = "renameat:error=EIO:when=1";
    assert_fails_after_interference(dir.path(), &copy, call, &[], Some("old"));
}

/// The call returns the error that ended the copy. The file that is left of a copy that was not published is
/// empty.
fn only_a_staging_name_that_cannot_be_removed_is_left(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (text_file(dir.path(), "src", "new"), dir.path().join("dst"));
    let copy = Copy::new(Function::Sparse, &src, &dst);
    let unnamed = without_tmpfile(&copy);
    let stuck = "unlinkat:error=EROFS";
    let sweep = || fs::remove_file(staged_in(dir.path())).unwrap();

    let outcome = copy.run_injected(&[&unnamed, stuck, "fsync:error=EIO:when=1"]);
    outcome.assert_errno(libc::EIO);
    assert_text(&staged_in(dir.path()), "");
    sweep();
    assert_eq!(names(dir.path()), ["src"]);

    // Without RENAME_NOREPLACE, the copy is in place and the removal of its temporary name fails.
    let outcome = copy.run_injected(&[&unnamed, stuck, "renameat2:error=EINVAL"]);
    assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
    sweep();
    assert_text(&dst, "new");
    assert_eq!(names(dir.path()), ["dst", "src"]);

    fs::write(&dst, "old").unwrap();
    let copy = copy.options(&["replace"]);
    let outcome = copy.run_injected(&[stuck, "renameat:error=ENOSPC"]);
    outcome.assert_errno(libc::ENOSPC);
    assert_text(&staged_in(dir.path()), "");
    sweep();
    assert_text(&dst, "old");
    assert_eq!(names(dir.path()), ["dst", "src"]);
}

/// rename(2) between two links to the same file does nothing and leaves both.
fn no_staging_name_is_left_where_the_destination_became_a_link_to_the_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let dst = text_file(dir.path(), "dst", "old");
    let copy = Copy::new(Function::Fast, &src, &dst).options(&["replace"]);
    let stopped = copy.start_and_stop_at(temporary_link(fs), &[]);
    let all = names(dir.path());
    let temporary = all.iter().find(|name| name.starts_with(STAGING_PREFIX));
    let temporary = dir.path().join(temporary.expect("a temporary link"));
    fs::remove_file(&dst).unwrap();
    fs::hard_link(&temporary, &dst).unwrap();
    assert!(matches!(stopped.go_on(), Outcome::Ok(..)));
    assert_text(&dst, "new");
    assert_eq!(names(dir.path()), ["dst", "src"]);
}
