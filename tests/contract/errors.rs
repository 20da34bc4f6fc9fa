//! What a guest's program sees of a failed copy, for causes that need no fault of the system: the code of the WIT,
//! the operand, the `io::ErrorKind` and the text of the SDK. The unit tests of the SDK have all codes.

use std::fs;
use std::num::NonZero;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use fast_copy_test_support::files::{MIB, dense_file, names, text_file};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::guest_host::{FORMS, Guest, Preopen, run_with};
use wasmtime_fast_copy::{CopyQuota, CopyRate, FastCopyCtx, FastCopyCtxBuilder, FreeSpaceFloor};

fast_copy_test_support::tests![
    a_cause_in_the_arguments_has_one_code_kind_and_text where HardLinks and SymbolicLinks and SpecialFiles,
    a_cause_in_the_host_has_one_code_kind_and_text,
];

const FUNCTIONS: [&str; 3] = ["fast-copy", "sparse-copy", "start-fast-copy"];

/// Makes a call of the SDK in every form, which must print the same: `CODE OPERAND KIND TEXT`.
#[track_caller]
fn assert_error(
    dirs: &[Preopen<'_>],
    [function, src, dst, options]: [&str; 4],
    host: impl Fn(FastCopyCtxBuilder) -> FastCopyCtxBuilder,
    expected: &str,
) {
    for form in FORMS {
        let args = ["sdk", function, src, dst, options];
        let ctx = host(FastCopyCtx::builder()).build();
        let output = run_with(Guest::Probe, form, dirs, &args, ctx);
        let expected = format!("err {expected}\n");
        assert_eq!(output.stdout, expected, "{args:?} in {form:?}: {output:?}");
    }
}

fn a_cause_in_the_arguments_has_one_code_kind_and_text(fs: &FileSystem) {
    let (dir, read_only) = (fs.dir(), fs.dir());
    text_file(dir.path(), "a", "text");
    text_file(dir.path(), "b", "text");
    fs::hard_link(dir.path().join("a"), dir.path().join("a2")).unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    symlink("a", dir.path().join("link")).unwrap();
    symlink("..", dir.path().join("out")).unwrap();
    symlink("around", dir.path().join("around")).unwrap();
    let _socket = UnixListener::bind(dir.path().join("socket")).unwrap();
    let before = names(dir.path());
    let dirs = [
        Preopen::writable(dir.path(), "/w"),
        Preopen::read_only(read_only.path(), "/r"),
    ];
    let long = format!("/w/{}", "x".repeat(256));
    let long_source = format!(
        "name-too-long Some(Source) InvalidFilename {long}: the path or a name in it is too long"
    );
    for (src, dst, options, expected) in [
        (
            "/w/none",
            "/w/c",
            "",
            "no-entry Some(Source) NotFound /w/none: no such file or directory",
        ),
        (
            "",
            "/w/c",
            "",
            "no-entry Some(Source) NotFound \"\": the path is empty",
        ),
        (
            "/x/a",
            "/w/c",
            "",
            "no-entry Some(Source) NotFound /x/a: outside all preopened directories (/w, /r)",
        ),
        (
            "/w/a",
            "/w/none/c",
            "",
            "no-entry Some(Destination) NotFound /w/none/c: its directory does not exist",
        ),
        (
            "/w/a",
            "/w/b",
            "",
            "exist Some(Destination) AlreadyExists /w/b: already exists (use replace to overwrite it)",
        ),
        (
            "/w/a",
            "/w/a2",
            "replace",
            "same-file None InvalidInput /w/a -> /w/a2: source and destination are the same file",
        ),
        (
            "/w/d",
            "/w/c",
            "",
            "is-directory Some(Source) IsADirectory /w/d: is a directory",
        ),
        (
            "/w/a",
            "/w/d",
            "replace",
            "is-directory Some(Destination) IsADirectory /w/d: is a directory",
        ),
        (
            "/w/socket",
            "/w/c",
            "",
            "not-regular-file Some(Source) InvalidInput /w/socket: is not a regular file",
        ),
        (
            "/w/a",
            "/w/socket",
            "replace",
            "not-regular-file Some(Destination) InvalidInput /w/socket: is not a regular file",
        ),
        (
            "/w/link",
            "/w/c",
            "",
            "loop Some(Source) InvalidInput /w/link: is a symbolic link (use symlink-follow to follow it)",
        ),
        (
            "/w/around",
            "/w/c",
            "symlink-follow",
            "loop Some(Source) InvalidInput /w/around: a symbolic link in the path can't be followed",
        ),
        (
            "/w/a/x",
            "/w/c",
            "",
            "not-directory Some(Source) NotADirectory /w/a/x: a component of the path is not a directory",
        ),
        (
            "/w/a",
            "/w/b/x",
            "",
            "not-directory Some(Destination) NotADirectory /w/b/x: a component of the path is not a directory",
        ),
        (
            "/w/../a",
            "/w/c",
            "",
            "not-permitted Some(Source) PermissionDenied /w/../a: leads out of its preopened directory",
        ),
        (
            "/w/a",
            "/w/out/c",
            "",
            "not-permitted Some(Destination) PermissionDenied /w/out/c: leads out of its preopened directory",
        ),
        (
            "/w/a",
            "/r/c",
            "",
            "not-permitted Some(Destination) PermissionDenied /r/c: its preopened directory is read-only",
        ),
        (
            "/w/a",
            "/w/c/",
            "",
            "invalid Some(Destination) InvalidInput /w/c/: does not name a file",
        ),
        (
            "/w/a",
            "/w",
            "",
            "invalid Some(Destination) InvalidInput /w: does not name a file",
        ),
        (
            "/w/a\\0",
            "/w/c",
            "",
            "invalid Some(Source) InvalidInput /w/a\0: the path contains a NUL",
        ),
        (&long, "/w/c", "", &long_source),
        (
            "/w/a",
            "/w/c",
            "size=3",
            "invalid None InvalidInput /w/a -> /w/c: the requested size of 3 bytes is below the source's",
        ),
        (
            "/w/a",
            "/w/c",
            "size=18446744073709551615",
            "file-too-large None FileTooLarge /w/a -> /w/c: the requested size of 18446744073709551615 bytes is too large for the host or the file system",
        ),
    ] {
        for function in FUNCTIONS {
            assert_error(&dirs, [function, src, dst, options], |host| host, expected);
        }
    }
    let expected = "invalid None InvalidInput /w/a -> /w/c: require-reflink contradicts dig-holes";
    let args = ["fast-copy", "/w/a", "/w/c", "require-reflink,dig-holes"];
    assert_error(&dirs, args, |host| host, expected);
    let expected =
        "invalid None InvalidInput /w/a -> /w/c: require-reflink contradicts sparse-copy";
    let args = ["sparse-copy", "/w/a", "/w/c", "require-reflink"];
    assert_error(&dirs, args, |host| host, expected);
    assert_eq!(names(dir.path()), before);
}

fn a_cause_in_the_host_has_one_code_kind_and_text(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("a"), 4 * MIB);
    let dirs = [Preopen::writable(dir.path(), "/w")];
    let call = |options| ["sparse-copy", "/w/a", "/w/c", options];
    assert_error(
        &dirs,
        call(""),
        |host| host.max_size(MIB),
        "file-too-large Some(Source) FileTooLarge /w/a: too large for the host or the destination's file system",
    );
    assert_error(
        &dirs,
        call(""),
        |host| host.quota(CopyQuota::new(MIB)),
        "quota Some(Destination) QuotaExceeded /w/c: quota exceeded",
    );
    assert_error(
        &dirs,
        call(""),
        |host| host.free_space_floor(FreeSpaceFloor::of_bytes(u64::MAX)),
        "insufficient-space Some(Destination) StorageFull /w/c: not enough free space",
    );
    assert_error(
        &dirs,
        call("replace"),
        |host| host.allow_replace(false),
        "denied None PermissionDenied /w/a -> /w/c: the host's policy forbids it",
    );
    assert_error(
        &dirs,
        ["fast-copy", "/w/a", "/w/c", "require-reflink"],
        |host| host.allow_sharing(false),
        "not-shareable None Unsupported /w/a -> /w/c: blocks can't be shared, and require-reflink is set",
    );
    let slow = CopyRate::new(NonZero::new(MIB).unwrap());
    assert_error(
        &dirs,
        call(""),
        |host| {
            host.rate(slow.clone())
                .timeout(Some(Duration::from_millis(50)))
        },
        "timeout None TimedOut /w/a -> /w/c: exceeded the host's time limit",
    );
    assert_error(
        &dirs,
        ["start-fast-copy", "/w/a", "/w/c", ""],
        |host| host.max_jobs(0),
        "busy None ResourceBusy /w/a -> /w/c: the host accepts no more calls or jobs now; try again later",
    );
    assert_eq!(names(dir.path()), ["a"]);
}
