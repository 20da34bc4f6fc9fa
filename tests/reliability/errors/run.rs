//! One copy in a child, with an error injected into one of its system calls.

use std::fmt;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use libc::pid_t;
use seccompiler::BpfProgram;

use super::calls::Call;
use super::cases::{Case, Files};
use super::errno;
use super::filter;
use super::outcome::Outcome;
use super::ptrace::{self, Stop};

/// How long a copy may take, in seconds.
const TIME_LIMIT: u32 = 60;

/// Which calls of a kind an effect applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The one with this index.
    Index(usize),
    /// All.
    Every,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does nothing, and fails.
    Fails(i32),
    /// It does its work, and fails.
    LosesItsReply(i32),
    /// It does its work or not, and fails; then the next look-ups of a name fail.
    InDoubt {
        error: i32,
        works: bool,
        lookups: usize,
    },
    /// It does nothing, and returns 0.
    ReturnsZero,
    /// It is asked for one byte, or for half of them.
    MovesOneByte,
    MovesHalf,
}

/// An effect on a call of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injection {
    pub call: Call,
    pub at: At,
    pub effect: Effect,
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            At::Index(index) => write!(f, "call {} of {} ", index + 1, self.call)?,
            At::Every => write!(f, "every call of {} ", self.call)?,
        }
        match self.effect {
            Effect::Fails(error) => write!(f, "fails with {}", errno::name(error)),
            Effect::LosesItsReply(error) => {
                write!(f, "works and fails with {}", errno::name(error))
            }
            Effect::InDoubt {
                error,
                works,
                lookups,
            } => {
                let does = if works { "works and " } else { "" };
                let name = errno::name(error);
                match lookups {
                    usize::MAX => {
                        write!(f, "{does}fails with {name}, then no name can be looked up")
                    }
                    _ => write!(f, "{does}fails with {name}, then {lookups} look-up fails"),
                }
            }
            Effect::ReturnsZero => f.write_str("returns 0"),
            Effect::MovesOneByte => f.write_str("moves one byte"),
            Effect::MovesHalf => f.write_str("moves half of the bytes"),
        }
    }
}

/// How a child ended.
#[derive(Debug)]
pub enum Ended {
    Returned(Outcome),
    /// It panicked, or a signal killed it.
    Died(String),
}

/// Makes a copy without an injection. Also returns its system calls.
pub fn trace(case: Case, files: &Files) -> (Ended, Vec<Call>) {
    let mut calls = Vec::new();
    let mut ended = false;
    let (result, _) = run(case, files, &filter::reporting_all(), |tracee| {
        let call = Call::of(&ptrace::registers(tracee));
        // The child writes its outcome once the copy has ended.
        ended |= call.is("write");
        if !ended {
            calls.push(call);
        }
        Next::Call
    });
    (result, calls)
}

/// What has become of an injection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    NotReached,
    Reached,
    /// The call has done its work before it failed.
    Worked,
}

/// Makes a copy with an injection.
pub fn inject(case: Case, files: &Files, injection: &Injection) -> (Ended, Fate) {
    let mut numbers = vec![injection.call.number];
    let mut lookups = 0;
    if let Effect::InDoubt { lookups: count, .. } = injection.effect {
        numbers.push(libc::SYS_statx);
        lookups = count;
    }
    let mut met = 0;
    let mut reached = false;
    let (result, worked) = run(case, files, &filter::reporting(&numbers), |tracee| {
        let mut registers = ptrace::registers(tracee);
        let call = Call::of(&registers);
        let applies = call == injection.call
            && match injection.at {
                At::Every => true,
                At::Index(index) => met == index,
            };
        met += usize::from(call == injection.call);
        let mut set_result = |result: i64| {
            // A system call with the number -1 is skipped (seccomp(2), SECCOMP_RET_TRACE).
            registers.orig_rax = u64::MAX;
            registers.rax = result as u64;
            ptrace::set_registers(tracee, &registers);
            Next::Call
        };
        if !applies {
            let blind = reached && lookups > 0 && call.is("statx of a name");
            lookups -= usize::from(blind);
            return match blind {
                true => set_result(-i64::from(libc::EIO)),
                false => Next::Call,
            };
        }
        reached = true;
        match injection.effect {
            Effect::Fails(error)
            | Effect::InDoubt {
                error,
                works: false,
                ..
            } => set_result(-i64::from(error)),
            Effect::ReturnsZero => set_result(0),
            Effect::LosesItsReply(error)
            | Effect::InDoubt {
                error, works: true, ..
            } => Next::Result(error),
            Effect::MovesOneByte | Effect::MovesHalf => {
                let length = match call.number {
                    libc::SYS_copy_file_range => &mut registers.r8,
                    _ => &mut registers.rdx,
                };
                *length = match injection.effect {
                    Effect::MovesOneByte => 1,
                    _ => (*length / 2).max(1),
                };
                ptrace::set_registers(tracee, &registers);
                Next::Call
            }
        }
    });
    let fate = match (reached, worked) {
        (false, _) => Fate::NotReached,
        (true, false) => Fate::Reached,
        (true, true) => Fate::Worked,
    };
    (result, fate)
}

/// How a call goes on that the tracer has seen.
enum Next {
    Call,
    /// With its call, whose result is replaced by this error.
    Result(i32),
}

/// Makes a copy in a child. Calls `on_call` before each system call that the filter reports. Also returns whether a
/// call whose result was replaced has succeeded.
fn run(
    case: Case,
    files: &Files,
    filter: &BpfProgram,
    mut on_call: impl FnMut(pid_t) -> Next,
) -> (Ended, bool) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let Some(child) = ptrace::fork().unwrap() else {
        drop(reader);
        copy_in_child(case, files, filter, writer);
    };
    drop(writer);
    let mut replaced = Vec::new();
    let mut configured = false;
    let mut worked = false;
    let status = loop {
        match ptrace::wait().unwrap() {
            Stop::Thread(tracee) => {
                if !configured {
                    ptrace::configure(child);
                    configured = true;
                }
                ptrace::resume(tracee, None);
            }
            Stop::Entry(tracee) => match on_call(tracee) {
                Next::Call => ptrace::resume(tracee, None),
                Next::Result(error) => {
                    replaced.push((tracee, error));
                    ptrace::resume_until_exit(tracee);
                }
            },
            Stop::Exit(tracee) => {
                if let Some(at) = replaced.iter().position(|(of, _)| *of == tracee) {
                    let (_, error) = replaced.remove(at);
                    let mut registers = ptrace::registers(tracee);
                    worked |= registers.rax as i64 >= 0;
                    registers.rax = -i64::from(error) as u64;
                    ptrace::set_registers(tracee, &registers);
                }
                ptrace::resume(tracee, None);
            }
            Stop::Signal(tracee, signal) => ptrace::resume(tracee, Some(signal)),
            Stop::Ended(tracee, status) if tracee == child => break status,
            Stop::Ended(..) => {}
        }
    };
    let mut line = String::new();
    reader.read_to_string(&mut line).unwrap();
    let ended = match (status, Outcome::parse(&line)) {
        (Ok(0), Some(outcome)) => Ended::Returned(outcome),
        (Err(libc::SIGALRM), _) => Ended::Died(format!("still running after {TIME_LIMIT} seconds")),
        (Err(signal), _) => Ended::Died(format!("killed by signal {signal}")),
        (Ok(status), _) => Ended::Died(format!("exit status {status}, outcome {line:?}")),
    };
    (ended, worked)
}

fn copy_in_child(
    case: Case,
    files: &Files,
    filter: &BpfProgram,
    mut writer: std::io::PipeWriter,
) -> ! {
    let copy = || {
        ptrace::stop_for_tracer();
        ptrace::end_after(TIME_LIMIT);
        for refusal in case.refused {
            seccompiler::apply_filter(&refusal.filter()).unwrap();
        }
        seccompiler::apply_filter(filter).unwrap();
        case.copy(files).line()
    };
    let line = match catch_unwind(AssertUnwindSafe(copy)) {
        Ok(line) => line,
        Err(_) => "panicked".to_owned(),
    };
    // The parent finds the outcome missing if this fails.
    let _ = writer.write_all(line.as_bytes());
    ptrace::exit()
}
