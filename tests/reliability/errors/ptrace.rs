//! The system calls of a tracer (ptrace(2)). No crate that the tests use has them.

use std::io;
use std::ptr;

use libc::{c_int, c_long, c_void, pid_t, user_regs_struct};

/// Why a tracee has stopped or ended.
pub enum Stop {
    /// It is about to make a system call that the seccomp filter reports.
    Entry(pid_t),
    /// It has made a system call.
    Exit(pid_t),
    /// It gets a signal.
    Signal(pid_t, c_int),
    /// It has started a thread, or is one that begins.
    Thread(pid_t),
    /// It has exited with this status, or was killed by this signal.
    Ended(pid_t, Result<c_int, c_int>),
}

/// Creates a child. Returns its process ID to the parent, and none to the child.
///
/// This process must have one thread only: the child has no other, and would wait for locks that others hold.
#[expect(unsafe_code, reason = "the standard library can't fork")]
pub fn fork() -> io::Result<Option<pid_t>> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    assert_eq!(threads, 1, "a process with {threads} threads forks");
    // SAFETY: this process has one thread, so the child may do all that the parent may.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        child => Ok(Some(child)),
    }
}

/// Lets the parent trace this process, and stops until it goes on.
#[expect(unsafe_code, reason = "no crate wraps this call")]
pub fn stop_for_tracer() {
    // SAFETY: neither call takes a pointer that the kernel uses.
    unsafe {
        assert_eq!(request(libc::PTRACE_TRACEME as _, 0, 0), 0);
        libc::raise(libc::SIGSTOP);
    }
}

/// Ends this process after so many seconds by `SIGALRM`.
#[expect(unsafe_code, reason = "no crate wraps this call")]
pub fn end_after(seconds: u32) {
    // SAFETY: the call takes a number.
    unsafe { libc::alarm(seconds) };
}

/// Ends this process without any clean-up.
#[expect(
    unsafe_code,
    reason = "the standard library runs exit handlers, which belong to the parent"
)]
pub fn exit() -> ! {
    // SAFETY: the call takes a number, and does not return.
    unsafe { libc::_exit(0) }
}

/// Lets a stopped child report seccomp filters and new threads, and die with this process.
pub fn configure(child: pid_t) {
    let options = libc::PTRACE_O_EXITKILL
        | libc::PTRACE_O_TRACESECCOMP
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACESYSGOOD;
    assert_eq!(
        request(libc::PTRACE_SETOPTIONS as _, child, options as usize),
        0
    );
}

/// Lets a stopped tracee go on, and sends it a signal if there is one. A tracee that was killed has gone already.
pub fn resume(tracee: pid_t, signal: Option<c_int>) {
    request(libc::PTRACE_CONT as _, tracee, signal.unwrap_or(0) as usize);
}

/// Lets a tracee that stopped before a system call go on until it has made it.
pub fn resume_until_exit(tracee: pid_t) {
    request(libc::PTRACE_SYSCALL as _, tracee, 0);
}

#[expect(unsafe_code, reason = "no crate wraps this call")]
pub fn registers(tracee: pid_t) -> user_regs_struct {
    // SAFETY: all fields are numbers.
    let mut registers: user_regs_struct = unsafe { std::mem::zeroed() };
    assert_eq!(
        request(
            libc::PTRACE_GETREGS as _,
            tracee,
            (&raw mut registers) as usize
        ),
        0
    );
    registers
}

pub fn set_registers(tracee: pid_t, registers: &user_regs_struct) {
    assert_eq!(
        request(
            libc::PTRACE_SETREGS as _,
            tracee,
            ptr::from_ref(registers) as usize
        ),
        0
    );
}

/// Makes a request whose address argument is not used.
#[expect(unsafe_code, reason = "no crate wraps this call")]
fn request(request: c_int, tracee: pid_t, data: usize) -> c_long {
    let none = ptr::null_mut::<c_void>();
    // SAFETY: `data` is a number, or the address of registers that the caller has borrowed for the call.
    unsafe { libc::ptrace(request as _, tracee, none, data as *mut c_void) }
}

/// Waits until any tracee stops or ends.
#[expect(unsafe_code, reason = "rustix has no option to wait for threads")]
pub fn wait() -> io::Result<Stop> {
    let mut status = 0;
    // SAFETY: the pointer is valid for the call.
    let tracee = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
    if tracee == -1 {
        return Err(io::Error::last_os_error());
    }
    if libc::WIFEXITED(status) {
        return Ok(Stop::Ended(tracee, Ok(libc::WEXITSTATUS(status))));
    }
    if libc::WIFSIGNALED(status) {
        return Ok(Stop::Ended(tracee, Err(libc::WTERMSIG(status))));
    }
    Ok(match (libc::WSTOPSIG(status), status >> 16) {
        (_, libc::PTRACE_EVENT_SECCOMP) => Stop::Entry(tracee),
        (_, libc::PTRACE_EVENT_CLONE) => Stop::Thread(tracee),
        (signal, _) if signal == libc::SIGTRAP | 0x80 => Stop::Exit(tracee),
        (libc::SIGSTOP, _) => Stop::Thread(tracee),
        (signal, _) => Stop::Signal(tracee, signal),
    })
}
