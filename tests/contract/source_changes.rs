//! Contract line 7: the copy equals its source, or the call fails.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use fast_copy_test_support::files::{
    MIB, assert_same, assert_text, dense_file, exists, four_extents, names, text_file,
};
use fast_copy_test_support::filesystems::{FileSystem, reflinks};
use fast_copy_test_support::function::{BOTH, Function};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::{Copy, Stopped};

fast_copy_test_support::tests![
    a_source_overwritten_under_way_is_an_error,
    a_source_written_behind_the_last_byte_read_is_an_error,
    a_source_unlinked_under_way_is_copied,
    a_write_after_a_clone_is_no_change where reflinks,
    a_clone_of_another_size_is_not_believed,
    what_a_clone_holds_is_as_private_as_it_became where reflinks,
    a_clone_that_outgrew_the_limit_is_not_published where reflinks,
    the_file_system_itself_is_asked_for_the_times,
];

/// Stops a copy of an 8 MiB source at one of its reads of 256 KiB, changes the source, and lets the copy go on.
fn change_at_read(fs: &FileSystem, number: usize, change: fn(&Path)) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    for function in BOTH {
        dense_file(&src, 8 * MIB);
        // Written before the copy began: or else a change within it could not be told from that.
        fs::File::open(&src).unwrap().sync_all().unwrap();
        let copy = Copy::new(function, &src, &dst);
        // Not counting those that load the program.
        let number = copy.calls_before("pread64") + number;
        fs::remove_file(&dst).unwrap();
        let stop = format!("pread64:when={number}");
        let stopped = copy.start_and_stop_at(&stop, &reading_and_writing(function));
        change(&src);
        let outcome = stopped.go_on();
        outcome.assert_error("SourceChanged");
        assert_eq!(names(dir.path()), ["src"]);
    }
}

/// The injections that make `fast_copy` read and write.
fn reading_and_writing(function: Function) -> Vec<&'static str> {
    match function {
        Function::Fast => vec![
            "ioctl:error=EOPNOTSUPP:when=1",
            "copy_file_range:error=EXDEV",
        ],
        _ => vec![],
    }
}

fn a_source_overwritten_under_way_is_an_error(fs: &FileSystem) {
    change_at_read(fs, 3, |src| {
        let file = OpenOptions::new().write(true).open(src).unwrap();
        file.write_all_at(b"other", 6 * MIB).unwrap();
    });
}

fn a_source_written_behind_the_last_byte_read_is_an_error(fs: &FileSystem) {
    // The 32nd and last read of 256 KiB.
    change_at_read(fs, 32, |src| {
        let file = OpenOptions::new().write(true).open(src).unwrap();
        file.write_all_at(b"other", 0).unwrap();
    });
}

fn a_source_unlinked_under_way_is_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let at = |name: &str| dir.path().join(name);
    dense_file(&at("src"), 8 * MIB);
    dense_file(&at("reference"), 8 * MIB);
    fs::hard_link(at("src"), at("other-name")).unwrap();
    let (src, dst) = (at("src"), at("dst"));
    let copy = Copy::new(Function::Sparse, &src, &dst);
    let stopped = copy.start_and_stop_at("pread64:when=3", &[]);
    // To lose a name is a change of the inode: it can't be told from others.
    fs::remove_file(&src).unwrap();
    stopped.go_on().assert_error("SourceChanged");
    assert!(!exists(&dst));
    assert_same(&at("reference"), &at("other-name"));
}

/// A clone is one picture: what is written to the source later is not in it, and is no error.
fn a_write_after_a_clone_is_no_change(fs: &FileSystem) {
    let dir = fs.dir();
    let at = |name: &str| dir.path().join(name);
    dense_file(&at("src"), 8 * MIB);
    dense_file(&at("reference"), 8 * MIB);
    let (src, dst) = (at("src"), at("dst"));
    let copy = Copy::new(Function::Fast, &src, &dst);
    let stopped = copy.start_and_stop_at("fchmod:when=1", &[]);
    let file = OpenOptions::new().write(true).open(&src).unwrap();
    file.write_all_at(b"other", 0).unwrap();
    stopped.go_on().assert_method("Reflink");
    assert_same(&at("reference"), &dst);
}

/// ZFS has said that it cloned, and had not.
fn a_clone_of_another_size_is_not_believed(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let outcome = Copy::new(Function::Fast, &src, &dst).run_injected(&["ioctl:retval=0:when=1"]);
    assert!(
        matches!(&outcome, Outcome::Ok(method, _) if method != "Reflink"),
        "{outcome:?}"
    );
    assert_same(&src, &dst);
}

/// A copy that stands still when the source is open and nothing is cloned yet.
fn stopped_before_the_clone(copy: &Copy<'_>) -> Stopped {
    let number = copy.number_of("openat", "O_TMPFILE");
    copy.start_and_stop_at(&format!("openat:when={number}"), &[])
}

/// Contract line 10: a clone holds what was written after the source was opened, too.
fn what_a_clone_holds_is_as_private_as_it_became(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "public");
    let dst = dir.path().join("dst");
    let stopped = stopped_before_the_clone(&Copy::new(Function::Fast, &src, &dst));
    fs::set_permissions(&src, PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(&src, "secret").unwrap();
    stopped.go_on().assert_method("Reflink");
    assert_text(&dst, "secret");
    assert_eq!(
        fs::metadata(&dst).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

fn a_clone_that_outgrew_the_limit_is_not_published(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "small");
    let dst = dir.path().join("dst");
    let copy = Copy::new(Function::Fast, &src, &dst).options(&["max-size=8192"]);
    let stopped = stopped_before_the_clone(&copy);
    dense_file(&src, MIB);
    stopped.go_on().assert_error("FileTooLarge");
    assert_eq!(names(dir.path()), ["src"]);
}

/// A network file system answers `fstat` from a cache that knows nothing of other machines.
fn the_file_system_itself_is_asked_for_the_times(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let (_, calls) = Copy::new(Function::Sparse, &src, &dst).trace();
    let asks: Vec<_> = (0..calls.len())
        .filter(|&i| calls[i].contains("AT_STATX_FORCE_SYNC"))
        .collect();
    let moves = |call: &String| call.contains("pread64(") || call.contains("pwrite64(");
    let first = calls.iter().position(moves).unwrap();
    let last = calls.iter().rposition(moves).unwrap();
    assert!(asks.iter().any(|&ask| ask < first), "{calls:#?}");
    assert!(asks.iter().any(|&ask| ask > last), "{calls:#?}");
}
