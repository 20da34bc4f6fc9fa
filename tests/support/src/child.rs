//! A copy in a process of its own, which is this same program: the child's side, and what it says at
//! its end.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wasmtime_fast_copy::{CopyControl, CopyErrorKind, CopyOptions, CopyRate, Limits};

use crate::function::Function;

pub const FLAG: &str = "--copy-in-child";

/// After how many bytes a copy is crowded by others, where a test asks for it: what two threads have
/// moved when each has made two full writes.
const CROWD_AFTER: u64 = 4 * (256 << 10);

/// The child's side: copies as told, and prints the outcome.
pub fn main(args: &[String]) -> ExitCode {
    let [function, src, dst, options @ ..] = args else {
        panic!("{FLAG} FUNCTION SRC DST [OPTION...]");
    };
    let control = CopyControl::new();
    let mut copy = CopyOptions::new().control(control.clone());
    let mut crowded_by = None;
    let mut free_descriptors: Option<usize> = None;
    let mut free_memory: Option<u64> = None;
    let mut may_leak = false;
    for option in options {
        copy = match option.as_str() {
            "replace" => copy.replace(true),
            "no-sync" => copy.no_sync(true),
            "dig-holes" => copy.dig_holes(true),
            "require-reflink" => copy.require_reflink(true),
            "cancel-on-signal" => {
                cancel_on_signal(&control);
                copy
            }
            "may-leak" => {
                may_leak = true;
                copy
            }
            other => match other.split_once('=') {
                Some(("deadline", milliseconds)) => {
                    let time = Duration::from_millis(milliseconds.parse().unwrap());
                    copy.deadline(Instant::now() + time)
                }
                Some(("file-size", bytes)) => {
                    limit(Resource::Fsize, bytes.parse().unwrap());
                    copy
                }
                Some(("memory", bytes)) => {
                    free_memory = Some(bytes.parse().unwrap());
                    copy
                }
                Some(("descriptors", count)) => {
                    free_descriptors = Some(count.parse().unwrap());
                    copy
                }
                Some(("workers", count)) => copy.workers(count.parse().unwrap()),
                Some(("max-size", bytes)) => {
                    copy.limits(Limits::new().max_size(bytes.parse().unwrap()))
                }
                Some(("crowded-by", neighbour)) => {
                    crowded_by = Some(PathBuf::from(neighbour));
                    copy
                }
                Some(("as", uid)) => {
                    become_user(uid.parse().unwrap());
                    copy
                }
                _ => panic!("no option {other}"),
            },
        };
    }
    let function = Function::by_name(function).expect("a function's name");
    let crowded = crowded_by.is_some();
    if let Some(neighbour) = crowded_by {
        for i in 0..thread::available_parallelism().unwrap().get() {
            let (control, neighbour) = (control.clone(), neighbour.clone());
            thread::spawn(move || {
                wait_for(CROWD_AFTER, &control);
                copy_for_ever(&neighbour, i)
            });
        }
    }
    let open = open_descriptors();
    let usual = free_descriptors.map(|free| {
        let unused = |number: &u64| !open.contains(number);
        limit(Resource::Nofile, (0..).filter(unused).nth(free).unwrap())
    });
    if let Some(free) = free_memory {
        limit(Resource::As, mapped_memory() + free);
    }
    let result = function.call(&copy, src.as_ref(), dst.as_ref());
    if let Some(usual) = usual {
        limit(Resource::Nofile, usual);
    }
    // The neighbours have theirs.
    if !crowded && !may_leak {
        assert_eq!(
            open_descriptors(),
            open,
            "the copy has left descriptors open"
        );
    }
    match result {
        Ok(report) => println!("ok {:?} {}", report.method, report.copied),
        Err(error) => {
            let kind = match error.kind() {
                CopyErrorKind::Os(os) => format!("{:?}", os.kind()),
                kind => format!("{kind:?}"),
            };
            // The name of the kind, without what it holds.
            let name = kind.split(['(', '{', ' ']).next().unwrap_or_default();
            let number = error.raw_os_error().unwrap_or(0);
            println!("err {name} {number}");
        }
    }
    ExitCode::SUCCESS
}

fn wait_for(copied: u64, control: &CopyControl) {
    while control.copied() < copied {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Is in another copy's way until the process ends: after its first chunk it waits for the next one's
/// turn, and costs nobody anything.
fn copy_for_ever(src: &Path, i: usize) {
    let rate = CopyRate::new(NonZero::new(1).unwrap());
    let options = CopyOptions::new()
        .dig_holes(true)
        .limits(Limits::new().rate(rate));
    let result = options.sparse_copy(src, src.with_extension(i.to_string()));
    panic!("a byte a second, and it has ended: {result:?}");
}

/// The control that a signal cancels.
static CANCELLED_BY_SIGNAL: OnceLock<CopyControl> = OnceLock::new();

/// Lets strace cancel the copy at one of its calls, by `signal=SIGUSR1`.
#[expect(unsafe_code, reason = "the standard library knows no signals")]
fn cancel_on_signal(control: &CopyControl) {
    extern "C" fn cancel(_signal: libc::c_int) {
        if let Some(control) = CANCELLED_BY_SIGNAL.get() {
            control.cancel();
        }
    }
    let first = CANCELLED_BY_SIGNAL.set(control.clone());
    assert!(first.is_ok(), "a child makes one copy");
    let handler = cancel as extern "C" fn(libc::c_int);
    // SAFETY: the handler only reads and changes atomics.
    let before = unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    assert_ne!(before, libc::SIG_ERR);
}

/// Limits what this process may take, and returns what the limit was.
fn limit(resource: Resource, most: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(resource);
    let limited = Rlimit {
        current: Some(most),
        maximum,
    };
    setrlimit(resource, limited).unwrap();
    current.unwrap_or(u64::MAX)
}

/// The numbers of all open descriptors, without opening one: `poll` tells of those that are not.
#[expect(unsafe_code, reason = "one call, without a feature of a crate")]
fn open_descriptors() -> Vec<u64> {
    let mut asked: Vec<_> = (0..256)
        .map(|fd| libc::pollfd {
            fd,
            events: 0,
            revents: 0,
        })
        .collect();
    // SAFETY: the kernel reads and writes as many entries as there are.
    let answers = unsafe { libc::poll(asked.as_mut_ptr(), asked.len() as libc::nfds_t, 0) };
    assert!(answers >= 0);
    let open = asked.iter().filter(|one| one.revents & libc::POLLNVAL == 0);
    open.map(|one| one.fd as u64).collect()
}

/// Done by the child itself: another user may not even reach the program's folder.
#[expect(unsafe_code, reason = "the standard library only does this on exec")]
fn become_user(uid: u32) {
    // SAFETY: plain system calls, in a process with one thread.
    let results = unsafe {
        [
            libc::setgroups(0, std::ptr::null()),
            libc::setgid(uid),
            libc::setuid(uid),
        ]
    };
    assert_eq!(results, [0; 3]);
}

/// Returns how much address space this process has mapped, in bytes.
fn mapped_memory() -> u64 {
    let counts = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = counts.split(' ').next().unwrap().parse().unwrap();
    pages * rustix::param::page_size() as u64
}
