//! The runner, `examples/run`, as a user starts it. `cargo test` builds it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What the runner printed, and its exit status.
#[derive(Debug)]
struct Ended {
    status: i32,
    stdout: String,
    stderr: String,
}

/// Runs the runner with arguments, in the directory `prebuilt`.
fn run<A: AsRef<OsStr>>(args: &[A]) -> Ended {
    run_with(args, |runner| runner)
}

fn run_with<A: AsRef<OsStr>>(
    args: &[A],
    change: impl FnOnce(&mut Command) -> &mut Command,
) -> Ended {
    // The test is in target/PROFILE/deps.
    let test = std::env::current_exe().unwrap();
    let runner = test.ancestors().nth(2).unwrap().join("examples/run");
    assert!(
        runner.exists(),
        "{} is missing: run `cargo build --example run`",
        runner.display()
    );
    let mut command = Command::new(runner);
    command.args(args).stdin(Stdio::null());
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("prebuilt"));
    let output = change(&mut command).output().unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ended {
        status: output.status.code().expect("no signal"),
        stdout,
        stderr,
    }
}

/// Fails unless the arguments are a usage error, whose first line names the runner and contains the text.
#[track_caller]
fn assert_refused<A: AsRef<OsStr>>(args: &[A], text: &str) {
    let ended = run(args);
    let line = ended.stderr.lines().next().unwrap_or_default();
    assert!(
        ended.status == 2 && line.starts_with("run: ") && line.contains(text),
        "expected {text:?}: {ended:#?}"
    );
    assert_eq!(ended.stdout, "");
}

/// A directory with `base`, a file of 4 MiB without holes.
struct Images {
    dir: TempDir,
}

impl Images {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("base"), vec![1; 4 << 20]).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns `--dir` for this directory as the guest's current directory, with a suffix.
    fn option(&self, suffix: &str) -> String {
        format!("--dir={}::.{suffix}", self.dir.path().display())
    }

    /// Runs `clone-disk clone` with options of the runner and arguments of the guest.
    fn clone(&self, options: &[&str], args: &[&str]) -> Ended {
        let dir = self.option("");
        run(&[&[&*dir], options, &["--", "clone"], args].concat())
    }
}

#[test]
fn help_lists_each_option_on_one_line() {
    for option in ["--help", "-h"] {
        let ended = run(&[option]);
        assert_eq!((ended.status, &*ended.stderr), (0, ""));
        for option in [
            "--dir <HOST[::GUEST][:ro]>  Let",
            "--env <NAME[=VALUE]>",
            "--quota <SIZE>",
            "--rate <SIZE>",
            "--timeout <SECONDS>",
            "--max-copies <N>",
            "--json  ",
            "--sync-linker  ",
            "--help  ",
            "--version  ",
            "run [OPTIONS] COMPONENT.wasm [ARG...]  ",
            "run [OPTIONS] -- ARG...  ",
        ] {
            let mut lines = ended.stdout.lines();
            assert!(
                lines.any(|line| line.contains(option)),
                "{option}: {ended:#?}"
            );
        }
        assert!(ended.stdout.lines().all(|line| line.len() <= 120));
    }
}

#[test]
fn version_is_that_of_the_crate() {
    let ended = run(&["--version"]);
    let expected = format!("run {} (wasmtime-fast-copy)\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((ended.status, ended.stdout), (0, expected));
}

#[test]
fn an_unknown_option_gets_a_suggestion() {
    let args = ["--quot", "1G", "clone-disk.wasm"];
    assert_refused(&args, "unexpected argument '--quot'");
    let ended = run(&args);
    assert!(
        ended
            .stderr
            .contains("a similar argument exists: '--quota'"),
        "{ended:#?}"
    );
    // That would run the bundled guest.
    assert!(!ended.stderr.contains("-- --quot"), "{ended:#?}");
}

#[test]
fn a_directory_that_is_spelt_wrongly_gets_an_error_that_says_what_to_write() {
    let forms = "write HOST, HOST:ro, HOST::GUEST or HOST::GUEST:ro";
    for (spelling, text) in [
        (
            "images:ro:x",
            "one colon may only stand before 'ro' at the end",
        ),
        (
            "images:guest",
            "one colon may only stand before 'ro' at the end",
        ),
        ("images:", "one colon may only stand before 'ro' at the end"),
        ("images::guest:rw", "unknown suffix ':rw'"),
        ("images::guest:", "unknown suffix ':'"),
        ("images::guest::ro", "unknown suffix '::ro'"),
        ("images::guest:ro:ro", "unknown suffix ':ro:ro'"),
        ("images::", "GUEST is empty"),
        ("::guest", "HOST is empty"),
        ("", "HOST is empty"),
    ] {
        let text = format!("'{spelling}' for '--dir <HOST[::GUEST][:ro]>': {text}; {forms}");
        assert_refused(&[&format!("--dir={spelling}"), "--", "usage"], &text);
        assert_refused(&["--dir", spelling, "--", "usage"], &text);
    }
    assert_refused(
        &["--dir=images::ro", "--", "usage"],
        "write 'images:ro' to make it read-only, or 'images::./ro' to name it 'ro'",
    );
    assert_refused(&["--dir"], "a value is required for '--dir");
}

#[test]
fn two_directories_with_one_name_are_an_error() {
    for (a, b, name) in [
        (".::images", "..::images:ro", "images"),
        (".::images", "..::./images/", "./images/"),
        (".", ".", "."),
    ] {
        let text = format!("the guest's name '{name}'; write HOST::GUEST with another GUEST");
        assert_refused(&["--dir", a, "--dir", b, "--", "usage"], &text);
    }
}

#[test]
fn a_directory_that_is_missing_is_named() {
    assert_refused(
        &["--dir=none::.", "--", "usage", "x"],
        "--dir: opening the directory none: No such file",
    );
}

#[test]
fn a_read_only_directory_gets_no_copy() {
    let images = Images::new();
    let ended = run(&[&*images.option(":ro"), "--", "clone", "base", "copy"]);
    assert_eq!(ended.status, 1, "{ended:#?}");
    assert!(!images.path("copy").exists());
}

#[test]
fn options_without_a_guest_are_an_error() {
    for option in ["--dir=.", "--env=A=B", "--quota=1G", "--json"] {
        assert_refused(
            &[option],
            "no guest: write COMPONENT.wasm after the options",
        );
    }
}

#[test]
fn everything_after_the_component_is_the_guests() {
    let ended = run(&["clone-disk.wasm", "--help"]);
    assert_eq!(ended.status, 0, "{ended:#?}");
    assert!(ended.stdout.contains("clone-disk clone [OPTIONS] BASE"));
    for args in [
        &["clone-disk.wasm", "clone", "--dir=x"][..],
        &["--", "clone", "--dir=x"],
    ] {
        let ended = run(args);
        assert_eq!(ended.status, 1, "{ended:#?}");
        assert!(
            ended.stderr.starts_with("clone-disk: ") && ended.stderr.contains("--dir"),
            "{ended:#?}"
        );
    }
    // clone-disk takes the first `--` as the end of its options.
    let images = Images::new();
    let dir = images.option("");
    let args = ["clone", "--", "base", "--copy"];
    let ended = run(&[&[&*dir, "clone-disk.wasm"], &args[..]].concat());
    assert_eq!(ended.status, 0, "{ended:#?}");
    assert!(images.path("--copy").exists());
}

#[test]
fn arguments_that_are_not_utf_8_are_an_error() {
    let bad = |text: &str| OsString::from_vec([text.as_bytes(), b"\xff"].concat());
    let [dir, env, option, arg] = ["--dir=", "--env=A=", "--", ""].map(bad);
    assert_refused(&[&dir], "invalid UTF-8");
    assert_refused(&[&env], "invalid UTF-8");
    assert_refused(&[&option], "unexpected argument");
    let text = "the argument \"\\xFF\" is not UTF-8";
    assert_refused(&[OsStr::new("--"), &arg], text);
    assert_refused(&[OsStr::new("clone-disk.wasm"), &arg], text);
    assert_refused(&[&arg], "there is no file");
}

#[test]
fn a_component_that_cannot_run_gets_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    for (bytes, text) in [
        (
            &b"\0asm\x01\0\0\0"[..],
            "is a core module, not a component: build it for the target wasm32-wasip2, or convert it with \
             `wasm-tools component new`",
        ),
        (
            b"\0asm\x0d\0\x01\0",
            "does not export wasi:cli/run of WASI 0.2 or 0.3: build a program with `main`, not a library",
        ),
        (
            b"\0asm\x0d\0\x01\0\xff",
            "is not a component that wasmtime can load",
        ),
        (b"#!/bin/sh\n", "is not WebAssembly"),
        (b"", "is not WebAssembly"),
    ] {
        let guest = dir.path().join("guest.wasm");
        fs::write(&guest, bytes).unwrap();
        let text = format!("{} {text}", guest.display());
        assert_refused(&[&guest], &text);
    }
    assert_refused(
        &["clone", "base", "copy"],
        "there is no file clone; to run the bundled clone-disk, write -- before its arguments",
    );
    assert_refused(&[dir.path()], "Is a directory");
}

#[test]
fn a_trap_and_a_failure_of_the_guest_have_different_statuses() {
    let images = Images::new();
    let dir = images.option("");
    for form in [&[][..], &["--sync-linker"]] {
        let guest = ["hostile.wasm", "handle", "12345"];
        let trap = run(&[form, &[&*dir], &guest].concat());
        assert_eq!(trap.status, 134, "{trap:#?}");
        assert!(
            trap.stderr.starts_with("run: the guest trapped: "),
            "{trap:#?}"
        );
        let failure = run(&[form, &[&*dir, "--", "clone", "none", "copy"]].concat());
        assert_eq!(failure.status, 1, "{failure:#?}");
        assert!(!failure.stderr.contains("run: "), "{failure:#?}");
        let success = run(&[form, &[&*dir, "--", "usage", "base"]].concat());
        assert_eq!(success.status, 0, "{success:#?}");
    }
}

#[test]
fn a_component_of_wasi_0_3_runs() {
    let images = Images::new();
    let dir = images.option("");
    let cloned = run(&[&*dir, "clone-disk-p3.wasm", "clone", "base", "a", "b"]);
    assert_eq!(cloned.status, 0, "{cloned:#?}");
    let same = run(&[&*dir, "clone-disk-p3.wasm", "verify", "base", "b"]);
    assert_eq!(same.status, 0, "{same:#?}");
    let failed = run(&[&*dir, "clone-disk-p3.wasm", "clone", "none", "c"]);
    assert_eq!(failed.status, 1, "{failed:#?}");
    let reports = run(&[
        "--json",
        &*dir,
        "clone-disk-p3.wasm",
        "clone",
        "base",
        "d",
        "e",
    ]);
    let lines = reports.stdout.lines();
    let copies: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(copies.len(), 2, "{reports:#?}");
    let trap = run(&[&*dir, "hostile-p3.wasm", "handle", "12345"]);
    assert_eq!(trap.status, 134, "{trap:#?}");
    assert_refused(
        &["--sync-linker", "clone-disk-p3.wasm", "--help"],
        "is a component of WASI 0.3, which runs asynchronously: leave out --sync-linker",
    );
}

/// A guest that panics reads RUST_BACKTRACE. Without it, it prints a hint to set it.
#[test]
fn env_sets_the_variables_of_the_guest() {
    const HINT: &str = "RUST_BACKTRACE=1";
    let panic = ["--dir=.", "hostile.wasm", "string", "x"];
    for (options, hint) in [
        (&[][..], true),
        (&["--env", "RUST_BACKTRACE=1"], false),
        (&["--env=RUST_BACKTRACE=1"], false),
        (&["--env=RUST_BACKTRACE"], false),
        (&["--env=RUST_BACKTRACE=1", "--env=RUST_BACKTRACE=0"], true),
        (&["--env=A=B=C", "--env=EMPTY="], true),
    ] {
        let args = [options, &panic].concat();
        let ended = run_with(&args, |runner| runner.env("RUST_BACKTRACE", "1"));
        assert_eq!(ended.status, 134, "{ended:#?}");
        assert_eq!(ended.stderr.contains(HINT), hint, "{options:?}: {ended:#?}");
    }
    assert_refused(&["--env=", "--", "usage"], "write NAME=VALUE or NAME");
    assert_refused(&["--env==x", "--", "usage"], "write NAME=VALUE or NAME");
    assert_refused(
        &["--env=NOT_SET", "--", "usage"],
        "NOT_SET is not set here; write NOT_SET=VALUE",
    );
    let args = ["--env=BAD", "--", "usage"];
    let bad = OsString::from_vec(vec![0xff]);
    let ended = run_with(&args, |runner| runner.env("BAD", bad));
    assert_eq!(ended.status, 2, "{ended:#?}");
    assert!(ended.stderr.contains("is not UTF-8; write BAD=VALUE"));
}

#[test]
fn a_limit_that_is_spelt_wrongly_gets_an_error_that_says_what_to_write() {
    let size = "write a whole number of bytes, or one with K, M, G or T: 40G";
    for (option, text) in [
        ("--quota=-1", size),
        ("--quota=G", size),
        ("--quota=1.5G", size),
        ("--quota=1GiB", size),
        ("--quota=1g", size),
        ("--quota=", size),
        ("--quota=16777216T", "write a size below 16 EiB"),
        ("--rate=fast", size),
        ("--rate=0", "write 1 or more"),
        (
            "--timeout=0",
            "write a number of seconds that is more than 0",
        ),
        (
            "--timeout=-1",
            "write a number of seconds that is more than 0",
        ),
        (
            "--timeout=1m",
            "write a number of seconds that is more than 0",
        ),
        (
            "--timeout=inf",
            "write a number of seconds that is more than 0",
        ),
        ("--max-copies=0", "write a whole number that is at least 1"),
        (
            "--max-copies=two",
            "write a whole number that is at least 1",
        ),
    ] {
        assert_refused(&[option, "--", "usage"], text);
    }
}

#[test]
fn limits_that_have_room_allow_a_copy() {
    let images = Images::new();
    for (i, option) in [
        "--quota=5M",
        "--rate=1G",
        "--timeout=0.5e3",
        "--max-copies=1",
        "--max-copies=100",
    ]
    .iter()
    .enumerate()
    {
        let ended = images.clone(&[option], &["--independent", "base", &format!("copy{i}")]);
        assert_eq!(ended.status, 0, "{option}: {ended:#?}");
    }
}

#[test]
fn a_copy_beyond_the_quota_fails() {
    let images = Images::new();
    let ended = images.clone(&["--quota=6M"], &["base", "first", "second"]);
    assert_eq!(ended.status, 1, "{ended:#?}");
    assert!(ended.stderr.contains("quota"), "{ended:#?}");
    assert!(images.path("first").exists() && !images.path("second").exists());
}

#[test]
fn a_copy_that_is_slower_than_its_time_limit_fails() {
    let images = Images::new();
    let options = ["--rate", "1M", "--timeout", "0.2"];
    let ended = images.clone(&options, &["--independent", "base", "copy"]);
    assert_eq!(ended.status, 1, "{ended:#?}");
    assert!(ended.stderr.contains("time"), "{ended:#?}");
    assert!(!images.path("copy").exists());
}

#[test]
fn json_has_a_line_for_each_copy_and_nothing_else() {
    let images = Images::new();
    for form in [&["--json"][..], &["--json", "--sync-linker"]] {
        let args = ["--replace", "base", "\"first\"", "second"];
        let ended = images.clone(form, &args);
        assert_eq!(ended.status, 0, "{ended:#?}");
        assert!(ended.stderr.contains("METHOD"), "{ended:#?}");
        let reports = reports(&ended);
        assert_eq!(reports.len(), 2, "{ended:#?}");
        for (report, name) in reports.iter().zip(["\"first\"", "second"]) {
            assert_eq!(report["function"], "fast-copy", "{report}");
            assert_eq!(report["source"], "base", "{report}");
            assert_eq!(report["destination"], name, "{report}");
            assert_eq!(report["size"], 4 << 20, "{report}");
            assert_eq!(report["durable"], true, "{report}");
            assert_eq!(report["notes"], Value::Array(vec![]), "{report}");
            let method = report["method"].as_str().unwrap();
            assert!(["reflink", "offload", "copy"].contains(&method), "{report}");
            assert!(report["copied"].is_u64(), "{report}");
            assert!(report["allocated"].as_u64().unwrap() >= 4 << 20, "{report}");
            assert!(report["milliseconds"].as_f64().unwrap() > 0.0, "{report}");
        }
        assert!(!ended.stdout.contains(images.dir.path().to_str().unwrap()));
    }
}

#[test]
fn json_has_the_error_of_a_copy() {
    let images = Images::new();
    let options = ["--json", "--quota=1M"];
    let ended = images.clone(&options, &["--independent", "base", "copy"]);
    assert_eq!(ended.status, 1, "{ended:#?}");
    let reports = reports(&ended);
    assert_eq!(reports.len(), 1, "{ended:#?}");
    let report = &reports[0];
    assert_eq!(report["function"], "sparse-copy", "{report}");
    assert!(
        report["error"].as_str().unwrap().contains("quota"),
        "{report}"
    );
    assert_eq!(report["size"], 4 << 20, "{report}");
    assert!(report["copied"].is_u64(), "{report}");
    assert!(report["milliseconds"].is_number(), "{report}");
    assert!(report.get("method").is_none(), "{report}");
    assert!(!ended.stdout.contains(images.dir.path().to_str().unwrap()));
}

fn reports(ended: &Ended) -> Vec<Value> {
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn the_demonstration_shows_the_errors_of_mkfs_only() {
    let dir = tempfile::tempdir().unwrap();
    let mkfs = dir.path().join("mkfs.ext4");
    let script = "#!/bin/sh\necho an answer\necho a reason >&2\nexit 3\n";
    fs::write(&mkfs, script).unwrap();
    fs::set_permissions(&mkfs, fs::Permissions::from_mode(0o755)).unwrap();
    let ended = run_with::<&str>(&[], |runner| {
        runner.env("PATH", dir.path()).env("TMPDIR", dir.path())
    });
    assert_eq!(ended.status, 1, "{ended:#?}");
    assert_eq!(
        ended.stderr,
        "run: making the disk image: mkfs.ext4: exit status: 3: a reason\n"
    );
    assert!(
        ended
            .stdout
            .starts_with("Making the disk image base.img in "),
        "{ended:#?}"
    );
    assert_eq!(ended.stdout.lines().count(), 1, "{ended:#?}");
    // The temporary directories are removed.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
