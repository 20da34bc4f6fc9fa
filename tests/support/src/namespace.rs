//! A process namespace, a mount namespace and a directory for temporary files, which all end with the
//! test program.
//!
//! The program runs itself again as process 1 of a new process namespace, in a new mount namespace.
//! When process 1 ends, whatever the cause, the kernel kills all other processes of the namespace,
//! also stopped ones (pid_namespaces(7)). When the last process of a mount namespace ends, the kernel
//! unmounts everything in it, and detaches loop devices with the autoclear flag, which `mount -o loop`
//! sets.
//!
//! An ordinary user gets both in a [user namespace](crate::user_namespace), where it can mount tmpfs and
//! directories. Some machines and most containers have no user namespaces for ordinary users (the sysctls
//! `user.max_user_namespaces`, `kernel.unprivileged_userns_clone` and
//! `kernel.apparmor_restrict_unprivileged_userns`, seccomp filters). There the program runs itself again without
//! namespaces, and kills the processes that are left at the end, unless it is killed by `SIGKILL` itself.

use std::convert::Infallible;
use std::ffi::{CStr, c_int};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Signal, getpid, set_child_subreaper, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::filesystems::mount_tmpfs;
use crate::process_group::kill_descendants;
use crate::user_namespace;

/// The environment variable that is set for the program in the namespaces and its children.
pub const INSIDE: &str = "FAST_COPY_TEST_NAMESPACE";

/// The argument with which the program finds out whether it can enter namespaces.
pub const FLAG: &str = "--try-namespaces";

/// The signals that end a program by default, and that terminals and `timeout` send.
const TERMINATING: [c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// The namespaces that a test program runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// Those of root, who can mount all file systems.
    OfRoot,
    /// Those of an ordinary user, who can mount tmpfs and directories.
    OfUser,
    /// None, with the reason.
    None(String),
}

const ROOT: &str = "root";
const USER: &str = "user";

impl Namespaces {
    /// Returns those that this process, or the program whose child it is, has entered.
    pub fn current() -> Self {
        match std::env::var(INSIDE) {
            Ok(value) => Self::parse(value),
            Err(_) => Namespaces::None("not entered".to_owned()),
        }
    }

    fn parse(value: String) -> Self {
        match value.as_str() {
            ROOT => Namespaces::OfRoot,
            USER => Namespaces::OfUser,
            _ => Namespaces::None(value),
        }
    }

    fn name(&self) -> &str {
        match self {
            Namespaces::OfRoot => ROOT,
            Namespaces::OfUser => USER,
            Namespaces::None(reason) => reason,
        }
    }

    /// Whether there are any.
    pub fn exist(&self) -> bool {
        !matches!(self, Namespaces::None(_))
    }
}

/// Runs this program again in new namespaces of root, and exits with its status, unless it runs in them already.
/// Returns the reason if that fails.
///
/// Must be called before the process has a second thread.
pub fn enter() -> Result<(), String> {
    match std::env::var_os(INSIDE) {
        Some(_) => prepare(&Namespaces::OfRoot),
        None => match run_inside(&Namespaces::OfRoot)? {},
    }
}

/// Runs this program again in new namespaces, of root or else of an ordinary user, and exits with its status. If
/// neither is possible, it runs the program again without. Returns in the program that runs inside.
///
/// Must be called before the process has a second thread.
pub fn enter_if_possible() -> Namespaces {
    let inside = match std::env::var(INSIDE) {
        Ok(value) => Namespaces::parse(value),
        Err(_) => run_where_possible(),
    };
    prepare(&inside).unwrap_or_else(|reason| panic!("{reason}"));
    inside
}

/// Runs this program again, and exits with its status. Returns the reason if it can't even be run without
/// namespaces.
fn run_where_possible() -> Namespaces {
    let mut reasons = Vec::new();
    for namespaces in [Namespaces::OfRoot, Namespaces::OfUser] {
        match try_in_child(&namespaces).and_then(|()| run_inside(&namespaces)) {
            Ok(never) => match never {},
            Err(reason) => reasons.push(reason),
        }
    }
    let without = Namespaces::None(reasons.join("; "));
    match run_inside(&without) {
        Ok(never) => match never {},
        Err(reason) => Namespaces::None(reason),
    }
}

/// Finds out whether these namespaces can be entered. A child tries it, since they can't be left again.
fn try_in_child(namespaces: &Namespaces) -> Result<(), String> {
    if *namespaces == Namespaces::OfRoot && !user_namespace::is_root_of_the_machine() {
        return Err("not root".to_owned());
    }
    let trying = std::env::current_exe().and_then(|program| {
        let mut command = Command::new(program);
        command.args([FLAG, namespaces.name()]).output()
    });
    let output = trying.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Enters namespaces and mounts a file system there, as the program of [`FLAG`].
pub fn main(args: &[String]) -> ExitCode {
    let namespaces = Namespaces::parse(args.concat());
    let entered = match std::env::var_os(INSIDE) {
        Some(_) => prepare(&namespaces).and_then(|()| mount_tmpfs(&std::env::temp_dir(), 1 << 20)),
        None => run_inside(&namespaces).map(|never| match never {}),
    };
    match entered {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Prepares the namespaces, as process 1 or as the program that runs without.
fn prepare(namespaces: &Namespaces) -> Result<(), String> {
    // The kernel drops signals to process 1 that have no handler.
    handle_termination(exit_at_once);
    let prepared = match namespaces {
        Namespaces::OfRoot => mount_namespace(),
        Namespaces::OfUser => {
            mount_namespace().and_then(|()| user_namespace::mount_on_request_only())
        }
        // Orphans become children of this process, as they do in a process namespace.
        Namespaces::None(_) => set_child_subreaper(Some(getpid())),
    };
    prepared.map_err(|error| format!("a mount namespace: {error}"))
}

fn mount_namespace() -> rustix::io::Result<()> {
    unshare(UnshareFlags::NEWNS)?;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?;
    // The present one shows the process IDs of the outer namespace.
    mount("proc", "/proc", "proc", MountFlags::empty(), None::<&CStr>)
}

/// Runs this program in a new process namespace, or without if there are to be none, and exits with its status.
fn run_inside(namespaces: &Namespaces) -> Result<Infallible, String> {
    match namespaces {
        Namespaces::OfRoot => unshare(UnshareFlags::NEWPID)
            .map_err(|error| format!("a process namespace: {error}"))?,
        Namespaces::OfUser => user_namespace::enter(UnshareFlags::NEWPID)
            .map_err(|reason| format!("a user namespace: {reason}"))?,
        Namespaces::None(_) => {
            set_child_subreaper(Some(getpid())).map_err(|error| format!("a subreaper: {error}"))?
        }
    }
    match run_to_end(namespaces) {
        Ok(status) => exit_as(status),
        Err(error) => Err(format!("this program in namespaces: {error}")),
    }
}

fn run_to_end(namespaces: &Namespaces) -> std::io::Result<ExitStatus> {
    let files = tempfile::tempdir()?;
    // Tests run programs as another user.
    fs::set_permissions(files.path(), PermissionsExt::from_mode(0o755))?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(std::env::args_os().skip(1))
        .env(INSIDE, namespaces.name())
        .env("TMPDIR", files.path());
    let mut inside = spawn_killed_with_parent(&mut command)?;
    PROCESS_1.store(inside.id() as i32, Ordering::Relaxed);
    handle_termination(kill_process_1);
    let status = inside.wait();
    if !namespaces.exist() {
        kill_descendants();
    }
    drop(files);
    status
}

#[expect(unsafe_code, reason = "unshare can invalidate descriptors")]
pub(crate) fn unshare(what: UnshareFlags) -> rustix::io::Result<()> {
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

/// The process ID of process 1 in the outer namespace, or of the program that runs without namespaces.
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
