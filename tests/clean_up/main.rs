//! Clean-up after failed and killed test programs: no process, also no stopped one, no mount, no loop
//! device and no file is left. Only root has loop devices.

mod left;
mod programs;

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::namespace::{INSIDE, Namespaces};
use fast_copy_test_support::process_group::{ProcessGroup, child_of};
use fast_copy_test_support::suite::{Suite, Test};
use rustix::process::{Pid, Signal, kill_process};

use crate::left::{assert_nothing_left, is_mounted, loop_devices, processes, wait_until};
use crate::programs::{FAILING, HOLDING, PROGRAM, Place, stopped_copy};

fast_copy_test_support::tests![
    a_panic_kills_a_stopped_copy_and_unmounts_its_disk,
    a_program_with_a_failing_test_leaves_nothing,
    a_program_ended_by_a_signal_leaves_nothing,
    a_killed_program_leaves_no_process_and_no_loop_device where ProcessNamespace,
    a_program_that_does_not_end_is_killed_with_its_children,
];

fn main() -> ExitCode {
    let program = std::env::var(PROGRAM).unwrap_or_default();
    let modules: &[(&str, &'static [Test])] = match program.as_str() {
        HOLDING if std::env::args().len() == 1 => return programs::hold_a_stopped_copy(),
        FAILING => &[("programs", programs::TESTS)],
        _ => &[("clean_up", TESTS)],
    };
    let suite = Suite {
        file_systems: &["ext4"],
        size: 1 << 30,
        modules,
        needs: Some(("strace", "-V")),
        one_at_a_time: true,
    };
    suite.main()
}

/// Starts this program as one of [`programs`], with its temporary files in a directory. It makes
/// namespaces of its own.
fn start(program: &str, dir: &Path) -> ProcessGroup {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .env_remove(INSIDE)
        .env(PROGRAM, program)
        .env("TMPDIR", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    ProcessGroup::spawn(&mut command).unwrap()
}

/// Starts a program that stops a copy, and waits until it has.
fn start_holding(dir: &Path) -> ProcessGroup {
    let mut program = start(HOLDING, dir);
    let mut line = String::new();
    let stdout = program.stdout().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert_eq!(line, "holding\n");
    assert!(processes(dir).iter().any(|process| process.is_stopped));
    let is_root = Namespaces::current() == Namespaces::OfRoot;
    assert_eq!(!loop_devices(dir).is_empty(), is_root);
    program
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

const LIMIT: Duration = Duration::from_secs(600);

fn a_panic_kills_a_stopped_copy_and_unmounts_its_disk(_fs: &FileSystem) {
    let mut held = None;
    let test = AssertUnwindSafe(|| {
        let (place, copy) = stopped_copy();
        let image = match &place {
            Place::Mounted(disk) => disk.image.clone(),
            Place::Directory(dir) => dir.path().to_owned(),
        };
        held = Some((copy.pid(), place.root().to_owned(), image));
        // A panic without its message.
        resume_unwind(Box::new("a failing test"));
    });
    assert!(catch_unwind(test).is_err());
    let (pid, root, image) = held.expect("a stopped copy");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!is_mounted(&root));
    assert!(!image.exists());
    wait_until("a loop device is still attached", || {
        loop_devices(&image).is_empty()
    });
}

fn a_program_with_a_failing_test_leaves_nothing(_fs: &FileSystem) {
    let dir = tempfile::tempdir().unwrap();
    let output = start(FAILING, dir.path()).output_within(LIMIT);
    let output = output.expect("the program's end");
    // The exit status of libtest-mimic after failed tests.
    assert_eq!(output.status.code(), Some(101), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("0 passed; 1 failed"), "{text}");
    assert_nothing_left(dir.path());
}

/// The signal goes to the program, as from `timeout` or a terminal, or to its process 1.
fn a_program_ended_by_a_signal_leaves_nothing(_fs: &FileSystem) {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let dir = tempfile::tempdir().unwrap();
        let program = start_holding(dir.path());
        send(program.id(), signal);
        let output = program.output_within(LIMIT).expect("the program's end");
        assert_eq!(output.status.signal(), Some(signal.as_raw()), "{output:?}");
        assert_nothing_left(dir.path());
    }
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let dir = tempfile::tempdir().unwrap();
        let program = start_holding(dir.path());
        send(child_of(program.id()).expect("process 1"), signal);
        let output = program.output_within(LIMIT).expect("the program's end");
        let code = 128 + signal.as_raw();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_nothing_left(dir.path());
    }
}

/// SIGKILL doesn't let it remove its files.
fn a_killed_program_leaves_no_process_and_no_loop_device(_fs: &FileSystem) {
    let dir = tempfile::tempdir().unwrap();
    let program = start_holding(dir.path());
    send(program.id(), Signal::KILL);
    let output = program.output_within(LIMIT).expect("the program's end");
    assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{output:?}");
    wait_until("a process is still there", || {
        processes(dir.path()).is_empty()
    });
    wait_until("a loop device is still attached", || {
        loop_devices(dir.path()).is_empty()
    });
}

fn a_program_that_does_not_end_is_killed_with_its_children(_fs: &FileSystem) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "sleep 1000 & sleep 1000"])
        .env("TMPDIR", dir.path());
    let program = ProcessGroup::spawn(&mut command).unwrap();
    wait_until("the program has not started its children", || {
        processes(dir.path()).len() == 3
    });
    assert!(program.output_within(Duration::from_millis(1)).is_none());
    assert_eq!(processes(dir.path()).len(), 0);
}
