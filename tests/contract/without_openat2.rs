//! Contract line 2 where `openat2` is missing, denied, or always fails with EAGAIN: wasmtime's `open-at`
//! resolves the guest's paths. The host is a child process under strace.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fast_copy_test_support::command::Form;
use fast_copy_test_support::files::{assert_text, names, text_file};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::guest_host::probe_in_child;
use fast_copy_test_support::process_group::ProcessGroup;
use fast_copy_test_support::program::run;

fast_copy_test_support::tests![
    paths_stay_inside_the_directory_without_openat2 where SymbolicLinks and SpecialFiles,
];

fn probe(dir: &Path, answer: &str, form: Form, call: [&str; 4]) -> String {
    let [function, src, dst, flags] = call;
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "--seccomp-bpf"])
        .args(["-e", "trace=openat2", "-e"])
        .arg(format!("inject=openat2:error={answer}"))
        .args(probe_in_child(
            form,
            dir,
            &[function, ".", src, ".", dst, flags],
        ))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let strace = ProcessGroup::spawn(&mut command).unwrap();
    let output = strace.output_within(Duration::from_secs(60));
    let output = output.expect("still blocked after a minute");
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn paths_stay_inside_the_directory_without_openat2(fs: &FileSystem) {
    let outer = fs.dir();
    let dir = outer.path().join("inner");
    fs::create_dir_all(dir.join("sub")).unwrap();
    text_file(outer.path(), "outside", "secret");
    text_file(&dir.join("sub"), "src", "text");
    symlink("src", dir.join("sub/link")).unwrap();
    symlink("sub", dir.join("short")).unwrap();
    symlink("..", dir.join("out")).unwrap();
    run(Command::new("mkfifo").arg(dir.join("fifo")));

    let source = |code: &str| format!("err ErrorCode::{code} Some(Operand::Source)\n");
    let destination = |code: &str| format!("err ErrorCode::{code} Some(Operand::Destination)\n");
    let calls = [
        ("short/src", "sub/../dst", "ok".to_owned()),
        ("sub/link", "dst", source("Loop")),
        ("../outside", "dst", source("NotPermitted")),
        ("out/outside", "dst", source("NotPermitted")),
        ("/etc/passwd", "dst", source("NotPermitted")),
        ("sub/none", "dst", source("NoEntry")),
        ("", "dst", source("NoEntry")),
        ("sub", "dst", source("IsDirectory")),
        ("sub/", "dst", source("IsDirectory")),
        ("fifo", "dst", source("NotRegularFile")),
        ("fifo/src", "dst", source("NotDirectory")),
        ("a\\0b", "dst", source("Invalid")),
        ("sub/src", "../new", destination("NotPermitted")),
        ("sub/src", "out/new", destination("NotPermitted")),
        ("sub/src", "fifo/new", destination("NotDirectory")),
        ("sub/src", "none/new", destination("NoEntry")),
        (
            "sub/src",
            "sub/src",
            "err ErrorCode::SameFile None\n".to_owned(),
        ),
    ];
    let cases = [
        ("ENOSYS", Form::Async),
        ("EPERM", Form::Sync),
        ("EAGAIN", Form::Async),
    ];
    for (answer, form) in cases {
        for (src, dst, expected) in calls.clone() {
            let function = if answer == "ENOSYS" {
                "fast-copy"
            } else {
                "sparse-copy"
            };
            let found = probe(&dir, answer, form, [function, src, dst, "symlink-follow"]);
            let case = format!("{src} -> {dst} with {answer}: {found}");
            if expected == "ok" {
                assert!(found.starts_with("ok "), "{case}");
                assert_text(&dir.join("dst"), "text");
                fs::remove_file(dir.join("dst")).unwrap();
            } else {
                assert_eq!(found, expected, "{case}");
            }
        }
    }
    assert_eq!(names(outer.path()), ["inner", "outside"]);
    assert_eq!(names(&dir), ["fifo", "out", "short", "sub"]);
}
