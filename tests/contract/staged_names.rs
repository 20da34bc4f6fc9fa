//! Contract lines 4 and 5, where a copy has a name before it has its own: on a file system without
//! files that have no name, and in the instant in which it takes an old file's place. Others can
//! reach that name too.

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
    a_copy_is_staged_under_a_random_name,
    a_name_that_cannot_be_made_is_an_error,
    a_kill_leaves_one_name_to_sweep,
    a_staged_file_that_somebody_exchanged_or_removed_is_not_published,
    a_passing_name_that_somebody_exchanged_or_removed_is_not_published,
    somebody_elses_file_is_not_removed_after_an_error,
    a_name_that_cannot_be_removed_is_all_that_is_left,
    a_link_made_by_a_neighbour_leaves_no_name_behind,
];

/// The injection that makes this file system one without files that have no name.
fn without_tmpfile(copy: &Copy<'_>) -> String {
    let number = copy.number_of("openat", "O_TMPFILE");
    format!("openat:error=EOPNOTSUPP:when={number}")
}

fn a_copy_is_staged_under_a_random_name(fs: &FileSystem) {
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
        // Where there is no rename that refuses to replace, a link does it.
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

fn a_kill_leaves_one_name_to_sweep(fs: &FileSystem) {
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

/// Neither without a name nor with one: by each error that asks for a name.
fn a_name_that_cannot_be_made_is_an_error(fs: &FileSystem) {
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

/// The name in a directory that a copy is staged by.
fn staged_in(dir: &Path) -> PathBuf {
    let names = names(dir);
    let staged = names.iter().find(|name| name.starts_with(STAGING_PREFIX));
    dir.join(staged.expect("a staged file"))
}

/// What somebody else can do with a staged file's name.
const DISTURBANCES: [fn(&Path); 3] = [
    |staged| fs::remove_file(staged).unwrap(),
    |staged| {
        fs::remove_file(staged).unwrap();
        fs::write(staged, "foreign").unwrap();
    },
    |staged| {
        let theirs = staged.with_extension("theirs");
        fs::write(&theirs, "foreign").unwrap();
        fs::rename(&theirs, staged).unwrap();
    },
];

/// Stops a copy at a call, disturbs it there, and lets it go on: it must fail, the destination stay as
/// it was, and the foreign file, if there is one, be left alone.
#[track_caller]
fn assert_disturbed(
    dir: &Path,
    copy: &Copy<'_>,
    call: &str,
    injections: &[&str],
    old: Option<&str>,
) {
    for disturb in DISTURBANCES {
        if let Some(old) = old {
            fs::write(copy.dst, old).unwrap();
        }
        let stopped = copy.start_and_stop_at(call, injections);
        let staged = staged_in(dir);
        disturb(&staged);
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

fn a_staged_file_that_somebody_exchanged_or_removed_is_not_published(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (text_file(dir.path(), "src", "new"), dir.path().join("dst"));
    for function in BOTH {
        for (options, old) in [(&[] as &[&str], None), (&["replace"], Some("old"))] {
            let _ = fs::remove_file(&dst);
            let copy = Copy::new(function, &src, &dst).options(options);
            let injection = without_tmpfile(&copy);
            assert_disturbed(dir.path(), &copy, "fsync:when=1", &[&injection], old);
        }
    }
}

/// The first link finds the name taken; the second gives the copy the name that it passes by.
fn a_passing_name_that_somebody_exchanged_or_removed_is_not_published(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (text_file(dir.path(), "src", "new"), dir.path().join("dst"));
    for function in BOTH {
        let copy = Copy::new(function, &src, &dst).options(&["replace"]);
        assert_disturbed(dir.path(), &copy, "linkat:when=2", &[], Some("old"));
    }
}

/// The name is removed then, if it is still the copy's.
fn somebody_elses_file_is_not_removed_after_an_error(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (text_file(dir.path(), "src", "new"), dir.path().join("dst"));
    let copy = Copy::new(Function::Sparse, &src, &dst);
    let injection = without_tmpfile(&copy);
    for call in ["fsync:error=EIO:when=1", "renameat2:error=EIO:when=1"] {
        assert_disturbed(dir.path(), &copy, call, &[&injection], None);
    }
    let copy = copy.options(&["replace"]);
    let call = "renameat:error=EIO:when=1";
    assert_disturbed(dir.path(), &copy, call, &[], Some("old"));
}

/// The error is the one that ended the copy, and the name can be swept.
fn a_name_that_cannot_be_removed_is_all_that_is_left(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (text_file(dir.path(), "src", "new"), dir.path().join("dst"));
    let copy = Copy::new(Function::Sparse, &src, &dst);
    let unnamed = without_tmpfile(&copy);
    let stuck = "unlinkat:error=EROFS";
    let sweep = || fs::remove_file(staged_in(dir.path())).unwrap();

    let outcome = copy.run_injected(&[&unnamed, stuck, "fsync:error=EIO:when=1"]);
    outcome.assert_errno(libc::EIO);
    sweep();
    assert_eq!(names(dir.path()), ["src"]);

    // Where a link and a removal stand for the renaming, the copy is in its place.
    let outcome = copy.run_injected(&[&unnamed, stuck, "renameat2:error=EINVAL"]);
    assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
    sweep();
    assert_text(&dst, "new");
    assert_eq!(names(dir.path()), ["dst", "src"]);

    fs::write(&dst, "old").unwrap();
    let copy = copy.options(&["replace"]);
    let outcome = copy.run_injected(&[stuck, "renameat:error=EIO"]);
    outcome.assert_errno(libc::EIO);
    assert_same(&src, &staged_in(dir.path()));
    sweep();
    assert_text(&dst, "old");
    assert_eq!(names(dir.path()), ["dst", "src"]);
}

/// A rename between two names of one file does nothing, and both are left.
fn a_link_made_by_a_neighbour_leaves_no_name_behind(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let dst = text_file(dir.path(), "dst", "old");
    let copy = Copy::new(Function::Fast, &src, &dst).options(&["replace"]);
    // The first link finds the name taken; the second gives the copy the name that it passes by.
    let stopped = copy.start_and_stop_at("linkat:when=2", &[]);
    let all = names(dir.path());
    let passing = all.iter().find(|name| name.starts_with(STAGING_PREFIX));
    let passing = dir.path().join(passing.expect("a passing name"));
    fs::remove_file(&dst).unwrap();
    fs::hard_link(&passing, &dst).unwrap();
    assert!(matches!(stopped.go_on(), Outcome::Ok(..)));
    assert_text(&dst, "new");
    assert_eq!(names(dir.path()), ["dst", "src"]);
}
