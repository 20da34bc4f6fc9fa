//! A process namespace, a mount namespace and a directory for temporary files, which all end with the
//! test program.
//!
//! The program runs itself again as process 1 of a new process namespace, in a new mount namespace.
//! When process 1 ends, whatever the cause, the kernel kills all other processes of the namespace,
//! also stopped ones (pid_namespaces(7)). When the last process of a mount namespace ends, the kernel
//! unmounts everything in it, and detaches loop devices with the autoclear flag, which `mount -o loop`
//! sets.

use std::ffi::{CStr, c_int};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// The environment variable that is set for the program in the namespaces and its children.
pub const INSIDE: &str = "FAST_COPY_TEST_NAMESPACE";

/// The signals that end a program by default, and that terminals and `timeout` send.
const TERMINATING: [c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Runs this program again in new namespaces, and exits with its status, unless it runs in them already.
/// Returns the reason if that fails.
///
/// Must be called before the process has a second thread.
pub fn enter() -> Result<(), String> {
    match std::env::var_os(INSIDE) {
        Some(_) => prepare().map_err(|error| format!("a mount namespace: {error}")),
        None => run_inside().map_err(|error| format!("a process namespace: {error}")),
    }
}

/// Prepares the namespaces, as process 1.
fn prepare() -> rustix::io::Result<()> {
    // The kernel drops signals to process 1 that have no handler.
    handle_termination(exit_at_once);
    unshare(UnshareFlags::NEWNS)?;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?;
    // The present one shows the process IDs of the outer namespace.
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
    let mut inside = spawn_killed_with_parent(&mut command)?;
    PROCESS_1.store(inside.id() as i32, Ordering::Relaxed);
    handle_termination(kill_process_1);
    let status = inside.wait();
    drop(files);
    exit_as(status?);
}

#[expect(unsafe_code, reason = "unshare can invalidate descriptors")]
fn unshare(what: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: without `CLONE_FILES` all descriptors stay valid.
    unsafe { unshare_unsafe(what) }
}

/// Starts a program that the kernel kills when this thread ends.
#[expect(unsafe_code, reason = "a call between fork and exec")]
fn spawn_killed_with_parent(command: &mut Command) -> std::io::Result<Child> {
    let die_with_parent =
        || set_parent_process_death_signal(Some(Signal::KILL)).map_err(Into::into);
    // SAFETY: the function makes one system call.
    unsafe { command.pre_exec(die_with_parent) }.spawn()
}

/// The process ID of process 1 in the outer namespace.
static PROCESS_1: AtomicI32 = AtomicI32::new(0);

/// The signal that this program got, and ends by once process 1 has ended.
static ENDED_BY: AtomicI32 = AtomicI32::new(0);

type Handler = extern "C" fn(c_int);

#[expect(unsafe_code, reason = "std::process::exit is not signal-safe")]
extern "C" fn exit_at_once(signal: c_int) {
    // SAFETY: signal handlers may call it (signal-safety(7)).
    unsafe { libc::_exit(128 + signal) }
}

#[expect(
    unsafe_code,
    reason = "no function of rustix promises to be signal-safe"
)]
extern "C" fn kill_process_1(signal: c_int) {
    ENDED_BY.store(signal, Ordering::Relaxed);
    // SAFETY: signal handlers may call it (signal-safety(7)).
    unsafe {
        libc::kill(PROCESS_1.load(Ordering::Relaxed), libc::SIGKILL);
    }
}

#[expect(unsafe_code, reason = "the standard library has no signal handlers")]
fn handle_termination(handler: Handler) {
    for signal in TERMINATING {
        // SAFETY: both handlers make only system calls that are signal-safe.
        let before = unsafe { libc::signal(signal, handler as libc::sighandler_t) };
        assert_ne!(before, libc::SIG_ERR);
    }
}

/// Ends this program by the signal that it got, or else with the status of process 1.
#[expect(unsafe_code, reason = "the standard library has no signal handlers")]
fn exit_as(status: ExitStatus) -> ! {
    match (ENDED_BY.load(Ordering::Relaxed), status.code()) {
        (0, Some(code)) => std::process::exit(code),
        (0, None) => {
            eprintln!("The tests were ended by a signal: {status}");
            std::process::exit(128 + status.signal().unwrap_or(0))
        }
        (signal, _) => {
            // SAFETY: these are system calls; the signal's default action ends this program.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
            std::process::exit(128 + signal)
        }
    }
}
