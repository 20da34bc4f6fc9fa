//! Runs a program without some system calls, as on an older kernel or under a seccomp filter.
//! `tests/reliability/missing_calls.sh` runs the contract's tests in this way.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use fast_copy_test_support::filesystems::PROBE;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// The argument before the calls, separated by commas, the error (`ENOSYS` or `EPERM`), and the program with its
/// arguments.
pub const FLAG: &str = "--without";

/// A call: its number and, if only some of its uses are meant, the index of an argument, a mask, and the bits that
/// the argument has under the mask.
struct Missing {
    name: &'static str,
    number: i64,
    argument: Option<(u8, u64, u64)>,
}

const fn whole(name: &'static str, number: i64) -> Missing {
    Missing {
        name,
        number,
        argument: None,
    }
}

const CALLS: &[Missing] = &[
    whole("openat2", libc::SYS_openat2),
    whole("statx", libc::SYS_statx),
    whole("renameat2", libc::SYS_renameat2),
    whole("copy_file_range", libc::SYS_copy_file_range),
    whole("name_to_handle_at", libc::SYS_name_to_handle_at),
    Missing {
        name: "O_TMPFILE",
        number: libc::SYS_openat,
        argument: Some((2, libc::O_TMPFILE as u64, libc::O_TMPFILE as u64)),
    },
    Missing {
        name: "FIEMAP",
        number: libc::SYS_ioctl,
        argument: Some((1, u32::MAX as u64, 0xc020_660b)),
    },
];

pub fn main(args: &[String]) -> ExitCode {
    let [names, error, program, args @ ..] = args else {
        eprintln!("{FLAG} CALL,... ENOSYS|EPERM PROGRAM [ARGUMENT...]");
        return ExitCode::FAILURE;
    };
    let error = match error.as_str() {
        "ENOSYS" => libc::ENOSYS,
        "EPERM" => libc::EPERM,
        other => panic!("no error {other}"),
    };
    for name in names.split(',') {
        let call = CALLS.iter().find(|call| call.name == name);
        let call = call.unwrap_or_else(|| panic!("no call {name}"));
        seccompiler::apply_filter(&filter(call, error)).unwrap();
    }
    // The file systems can do less than is known of them.
    let error = Command::new(program).args(args).env(PROBE, "1").exec();
    eprintln!("{program}: {error}");
    ExitCode::FAILURE
}

fn filter(call: &Missing, error: i32) -> BpfProgram {
    let rule = call.argument.map(|(index, mask, bits)| {
        let masked = SeccompCmpOp::MaskedEq(mask);
        let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, masked, bits);
        SeccompRule::new(vec![condition.unwrap()]).unwrap()
    });
    let rules = [(call.number, rule.into_iter().collect())].into();
    let refused = SeccompAction::Errno(error as u32);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).unwrap();
    filter.try_into().unwrap()
}
