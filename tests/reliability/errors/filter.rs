//! Seccomp filters (seccomp(2)) for a copy.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

fn compile(
    calls: impl IntoIterator<Item = (i64, Vec<SeccompRule>)>,
    others: SeccompAction,
    these: SeccompAction,
) -> BpfProgram {
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(calls.into_iter().collect(), others, these, arch).unwrap();
    filter.try_into().unwrap()
}

/// Reports the system calls with these numbers to the tracer.
pub fn reporting(numbers: &[i64]) -> BpfProgram {
    let calls = numbers.iter().map(|&number| (number, Vec::new()));
    compile(calls, SeccompAction::Allow, SeccompAction::Trace(0))
}

/// Reports all system calls to the tracer.
pub fn reporting_all() -> BpfProgram {
    compile([], SeccompAction::Trace(0), SeccompAction::Allow)
}

/// A kind of system call that always fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub name: &'static str,
    number: i64,
    /// The index of an argument, a mask, and the bits that it has under the mask.
    argument: Option<(u8, u64, u64)>,
    error: i32,
}

const OPENED_DIRECTORY: u64 = (libc::O_PATH | libc::O_TMPFILE) as u64;

/// Files without a name, as on FUSE.
pub const UNNAMED: Refusal = Refusal {
    name: "O_TMPFILE",
    number: libc::SYS_openat,
    argument: Some((2, libc::O_TMPFILE as u64, libc::O_TMPFILE as u64)),
    error: libc::EOPNOTSUPP,
};

pub const NO_REPLACE: Refusal = Refusal {
    name: "RENAME_NOREPLACE",
    number: libc::SYS_renameat2,
    argument: None,
    error: libc::EINVAL,
};

pub const ALL_LINKS: Refusal = Refusal {
    name: "links",
    number: libc::SYS_linkat,
    argument: None,
    error: libc::EPERM,
};

/// Before Linux 6.10 they need a capability.
pub const LINKS_OF_DESCRIPTORS: Refusal = Refusal {
    name: "links of descriptors",
    number: libc::SYS_linkat,
    argument: Some((4, libc::AT_EMPTY_PATH as u64, libc::AT_EMPTY_PATH as u64)),
    error: libc::ENOENT,
};

pub const DIRECTORIES: Refusal = Refusal {
    name: "reading directories",
    number: libc::SYS_openat,
    argument: Some((2, OPENED_DIRECTORY, libc::O_DIRECTORY as u64)),
    error: libc::EACCES,
};

pub const WRITES: Refusal = Refusal {
    name: "writes",
    number: libc::SYS_pwrite64,
    argument: None,
    error: libc::ENOSPC,
};

/// Clones, with the error for files of which one has no copy-on-write.
pub const CLONES: Refusal = Refusal {
    name: "clones",
    number: libc::SYS_ioctl,
    argument: Some((1, u32::MAX as u64, 0x4004_9409)),
    error: libc::EINVAL,
};

impl Refusal {
    pub fn filter(self) -> BpfProgram {
        let rules = self.argument.map(|(index, mask, bits)| {
            let masked = SeccompCmpOp::MaskedEq(mask);
            let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, masked, bits);
            SeccompRule::new(vec![condition.unwrap()]).unwrap()
        });
        let error = SeccompAction::Errno(self.error as u32);
        let calls = [(self.number, rules.into_iter().collect())];
        compile(calls, SeccompAction::Allow, error)
    }
}
