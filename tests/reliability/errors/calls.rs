//! The system calls of a copy, told apart by what they do.

use std::fmt;

use libc::{c_long, user_regs_struct};

/// A kind of system call: one number, and often one command or flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    pub number: c_long,
    pub name: &'static str,
    /// Which of several things that the system call does.
    pub what: &'static str,
}

macro_rules! names {
    ($($call:ident = $name:ident)+) => {
        /// Returns the name of a call that is known here.
        fn name(number: c_long) -> &'static str {
            match number {
                $(libc::$call => stringify!($name),)+
                _ => "unknown",
            }
        }
    };
}

names![
    SYS_openat = openat SYS_close = close SYS_fcntl = fcntl SYS_fstat = fstat SYS_newfstatat = newfstatat
    SYS_statx = statx SYS_fstatfs = fstatfs SYS_uname = uname SYS_ioctl = ioctl SYS_lseek = lseek SYS_pread64 = pread64
    SYS_pwrite64 = pwrite64 SYS_copy_file_range = copy_file_range SYS_fadvise64 = fadvise64
    SYS_sync_file_range = sync_file_range SYS_ftruncate = ftruncate SYS_fchmod = fchmod
    SYS_fgetxattr = fgetxattr SYS_utimensat = utimensat SYS_fsync = fsync SYS_syncfs = syncfs
    SYS_linkat = linkat SYS_renameat = renameat SYS_renameat2 = renameat2 SYS_unlinkat = unlinkat
    SYS_getrandom = getrandom SYS_prlimit64 = prlimit64 SYS_name_to_handle_at = name_to_handle_at
    SYS_clone3 = clone3 SYS_mmap = mmap SYS_munmap = munmap SYS_brk = brk SYS_mprotect = mprotect
    SYS_madvise = madvise SYS_mremap = mremap SYS_write = write SYS_futex = futex SYS_poll = poll
    SYS_rseq = rseq SYS_set_robust_list = set_robust_list SYS_sigaltstack = sigaltstack
    SYS_rt_sigprocmask = rt_sigprocmask SYS_rt_sigaction = rt_sigaction SYS_gettid = gettid
    SYS_prctl = prctl SYS_sched_getaffinity = sched_getaffinity SYS_sched_yield = sched_yield
    SYS_exit = exit SYS_exit_group = exit_group SYS_clock_nanosleep = clock_nanosleep
];

/// Calls that get no errors, each with the reason.
const EXCLUDED: &[(&str, &str)] = &[
    ("munmap", "glibc ignores its result"),
    (
        "brk",
        "a small allocation that fails aborts the process: that is Rust's rule",
    ),
    ("madvise", "a hint to the allocator"),
    ("mremap", "a small allocation that fails aborts the process"),
    (
        "mprotect",
        "the stack of a thread and the allocator's arenas",
    ),
    (
        "futex",
        "locks of the standard library, which take no error but EAGAIN and EINTR",
    ),
    ("rseq", "the start of a thread in glibc"),
    ("set_robust_list", "the start of a thread in glibc"),
    (
        "sigaltstack",
        "the start of a thread, which the standard library aborts if it fails",
    ),
    ("rt_sigprocmask", "the start of a thread in glibc"),
    ("rt_sigaction", "the start of a thread in glibc"),
    ("gettid", "can't fail"),
    ("prctl", "the name of a thread"),
    (
        "sched_getaffinity",
        "the number of processors, which the standard library replaces by 1",
    ),
    ("sched_yield", "can't fail"),
    ("exit", "does not return"),
    (
        "fcntl F_GETFD",
        "the standard library's debug check, which aborts the process by itself",
    ),
];

impl Call {
    /// Returns the call that a tracee is about to make.
    pub fn of(registers: &user_regs_struct) -> Self {
        let number = registers.orig_rax as c_long;
        Self {
            number,
            name: name(number),
            what: what(number, registers),
        }
    }

    pub fn is(self, text: &str) -> bool {
        self.to_string() == text
    }

    /// Returns why this call gets no errors, if it gets none.
    pub fn excluded(self) -> Option<&'static str> {
        let found = EXCLUDED.iter().find(|(name, _)| self.is(name));
        found.map(|(_, reason)| *reason)
    }

    /// Whether its result is a number of bytes, which can be less than was asked for.
    pub fn can_be_short(self) -> bool {
        ["pread64", "pwrite64", "copy_file_range"].contains(&self.to_string().as_str())
    }

    /// Whether it is sent to the server of a network file system, so that its reply can be lost.
    pub fn can_lose_its_reply(self) -> bool {
        [
            "linkat",
            "renameat",
            "renameat2",
            "unlinkat",
            "ftruncate",
            "fchmod",
            "fsync",
            "close",
            "pwrite64",
        ]
        .contains(&self.name)
    }

    /// Whether it gives the copy the destination's name, or can.
    pub fn publishes(self) -> bool {
        ["linkat", "renameat", "renameat2"].contains(&self.name)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name, self.what) {
            ("unknown", _) => write!(f, "system call {}", self.number),
            (name, "") => f.write_str(name),
            (name, what) => write!(f, "{name} {what}"),
        }
    }
}

/// Returns what the call does, by the arguments in the registers (syscall(2)).
fn what(number: c_long, registers: &user_regs_struct) -> &'static str {
    const FICLONE: u64 = 0x4004_9409;
    const FICLONERANGE: u64 = 0x4020_940d;
    const FIEMAP: u64 = 0xc020_660b;
    const GETFLAGS: u64 = 0x8008_6601;
    const SETFLAGS: u64 = 0x4008_6602;
    let [_, second, third, _, fifth] = [
        registers.rdi,
        registers.rsi,
        registers.rdx,
        registers.r10,
        registers.r8,
    ];
    let has = |flags: u64, wanted: i32| flags & wanted as u64 == wanted as u64;
    match number {
        libc::SYS_openat if has(third, libc::O_TMPFILE) => "O_TMPFILE",
        libc::SYS_openat if has(third, libc::O_CREAT) => "O_CREAT",
        libc::SYS_openat if has(third, libc::O_PATH | libc::O_DIRECTORY) => "O_PATH|O_DIRECTORY",
        libc::SYS_openat if has(third, libc::O_PATH) => "O_PATH",
        libc::SYS_openat if has(third, libc::O_DIRECTORY) => "O_DIRECTORY",
        libc::SYS_openat => "O_RDONLY",
        libc::SYS_ioctl => match second {
            FICLONE => "FICLONE",
            FICLONERANGE => "FICLONERANGE",
            FIEMAP => "FIEMAP",
            GETFLAGS => "FS_IOC_GETFLAGS",
            SETFLAGS => "FS_IOC_SETFLAGS",
            _ => "unknown",
        },
        libc::SYS_fcntl => match second as i32 {
            libc::F_DUPFD_CLOEXEC => "F_DUPFD_CLOEXEC",
            libc::F_GETFD => "F_GETFD",
            libc::F_SETLEASE => "F_SETLEASE",
            libc::F_GETLEASE => "F_GETLEASE",
            10 => "F_SETSIG",
            _ => "unknown",
        },
        libc::SYS_lseek if third == libc::SEEK_DATA as u64 => "SEEK_DATA",
        libc::SYS_lseek if third == libc::SEEK_HOLE as u64 => "SEEK_HOLE",
        // It waits for writers, or finds out whether a file is empty.
        libc::SYS_pread64 if third == 1 => "of 1 byte",
        // It finds out whether the source is a swap file.
        libc::SYS_copy_file_range if fifth == 0 => "of 0 bytes",
        libc::SYS_statx if has(third, libc::AT_EMPTY_PATH) => "of a descriptor",
        libc::SYS_statx => "of a name",
        libc::SYS_linkat if has(fifth, libc::AT_EMPTY_PATH) => "of a descriptor",
        libc::SYS_linkat if has(fifth, libc::AT_SYMLINK_FOLLOW) => "through /proc",
        libc::SYS_linkat => "of a name",
        _ => "",
    }
}
