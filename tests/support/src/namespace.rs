//! A process namespace and a mount namespace for a test program, and a directory for its files: all
//! of it is gone when the program is.
//!
//! The program starts itself again as process 1 of a new process namespace, in a mount namespace of
//! its own. When process 1 ends, by whatever cause, the kernel kills all others in its namespace,
//! stopped ones too (pid_namespaces(7)); when a mount namespace has no process left, it unmounts
//! everything there, and loop devices that clear themselves are free (`mount -o loop` makes such).

use std::ffi::{CStr, c_int};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Set for the program that runs in the namespaces, and for the children that it starts.
pub const INSIDE: &str = "FAST_COPY_TEST_NAMESPACE";

/// The signals that ask a program to end.
const TERMINATING: [c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Starts this program again in namespaces of its own, and exits as it does, unless it runs in them
/// already. Returns why that can't be, if so.
///
/// To be called before the first thread is started.
pub fn enter() -> Result<(), String> {
    match std::env::var_os(INSIDE) {
        Some(_) => prepare().map_err(|error| format!("a mount namespace: {error}")),
        None => run_inside().map_err(|error| format!("a process namespace: {error}")),
    }
}

/// Prepares the namespaces, as their first process.
fn prepare() -> rustix::io::Result<()> {
    // A signal that has no handler isn't delivered to process 1.
    handle_termination(exit_at_once);
    unshare(UnshareFlags::NEWNS)?;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?;
    // The old one shows the numbers that processes have outside.
    mount("proc", "/proc", "proc", MountFlags::empty(), None::<&CStr>)
}

/// Runs this program in a new process namespace, and exits with its status.
fn run_inside() -> std::io::Result<()> {
    unshare(UnshareFlags::NEWPID)?;
    let files = tempfile::tempdir()?;
    // Tests run programs as another user.
    fs::set_permissions(files.path(), PermissionsExt::from_mode(0o755))?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .env("TMPDIR", files.path());
    let mut inside = spawn_to_die_with_this(&mut command)?;
    PROCESS_1.store(inside.id() as i32, Ordering::Relaxed);
    handle_termination(kill_process_1);
    let status = inside.wait();
    drop(files);
    exit_as(status?);
}

#[expect(unsafe_code, reason = "descriptors could stay in use elsewhere")]
fn unshare(what: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: this leaves the descriptors alone (`CLONE_FILES`).
    unsafe { unshare_unsafe(what) }
}

/// Starts a program that is killed when this thread ends.
#[expect(unsafe_code, reason = "a call between fork and exec")]
fn spawn_to_die_with_this(command: &mut Command) -> std::io::Result<Child> {
    let die_too = || set_parent_process_death_signal(Some(Signal::KILL)).map_err(Into::into);
    // SAFETY: it is one system call.
    unsafe { command.pre_exec(die_too) }.spawn()
}

/// Process 1 of the namespace, as it is numbered outside.
static PROCESS_1: AtomicI32 = AtomicI32::new(0);

/// The signal that ends this program once process 1 has ended.
static ENDED_BY: AtomicI32 = AtomicI32::new(0);

type Handler = extern "C" fn(c_int);

#[expect(unsafe_code, reason = "the standard library's exit runs handlers")]
extern "C" fn exit_at_once(signal: c_int) {
    // SAFETY: signal handlers may call it (signal-safety(7)).
    unsafe { libc::_exit(128 + signal) }
}

#[expect(unsafe_code, reason = "no Rust function promises to be signal-safe")]
extern "C" fn kill_process_1(signal: c_int) {
    ENDED_BY.store(signal, Ordering::Relaxed);
    // SAFETY: signal handlers may call it (signal-safety(7)). The process isn't reaped before its
    // number is taken away.
    unsafe {
        libc::kill(PROCESS_1.load(Ordering::Relaxed), libc::SIGKILL);
    }
}

#[expect(unsafe_code, reason = "the standard library knows no signals")]
fn handle_termination(handler: Handler) {
    for signal in TERMINATING {
        // SAFETY: both handlers only make system calls that signal handlers may make.
        let before = unsafe { libc::signal(signal, handler as libc::sighandler_t) };
        assert_ne!(before, libc::SIG_ERR);
    }
}

/// Ends this program as the one inside has ended, or as a signal has asked for.
#[expect(unsafe_code, reason = "the standard library knows no signals")]
fn exit_as(status: ExitStatus) -> ! {
    match (ENDED_BY.load(Ordering::Relaxed), status.code()) {
        (0, Some(code)) => std::process::exit(code),
        (0, None) => {
            eprintln!("The tests were ended by a signal: {status}");
            std::process::exit(128 + status.signal().unwrap_or(0))
        }
        (signal, _) => {
            // SAFETY: with its default action, the signal ends this program.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
            std::process::exit(128 + signal)
        }
    }
}
