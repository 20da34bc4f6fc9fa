//! A copy in a child process: the program's side that makes it, and prints its [outcome](crate::outcome).

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wasmtime_fast_copy::{CopyControl, CopyErrorKind, CopyNotes, CopyOptions, CopyRate, Limits};

use crate::function::Function;

pub const FLAG: &str = "--copy-in-child";

/// How many bytes a copy has moved when its competitors start: two full writes by each of two threads.
const COMPETE_AFTER: u64 = 4 * (256 << 10);

/// Makes the copy that the arguments describe, and prints its outcome.
pub fn main(args: &[String]) -> ExitCode {
    if let Some(at) = args.iter().position(|arg| arg == "without-main-thread") {
        let mut rest = args.to_owned();
        rest.remove(at);
        exit_main_thread(move || main(&rest));
    }
    let [function, src, dst, options @ ..] = args else {
        panic!("{FLAG} FUNCTION SRC DST [OPTION...]");
    };
    let control = CopyControl::new();
    let mut copy = CopyOptions::new().control(control.clone());
    let mut competitor = None;
    let mut free_descriptors: Option<usize> = None;
    let mut free_memory: Option<u64> = None;
    let mut may_leak = false;
    let mut print_notes = false;
    for option in options {
        copy = match option.as_str() {
            "replace" => copy.replace(true),
            "no-sync" => copy.durable(false),
            "dig-holes" => copy.dig_holes(true),
            "preserve-times" => copy.preserve_times(true),
            "require-reflink" => copy.require_reflink(true),
            "refuse-wider-permissions" => copy.refuse_wider_permissions(true),
            "print-notes" => {
                print_notes = true;
                copy
            }
            "cancel-on-signal" => {
                cancel_on_signal(&control);
                copy
            }
            "old-kernel" => {
                pretend_old_kernel();
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
                Some(("workers", count)) => copy.max_workers(count.parse().unwrap()),
                Some(("max-size", bytes)) => {
                    copy.limits(Limits::new().max_size(bytes.parse().unwrap()))
                }
                Some(("competitor", source)) => {
                    competitor = Some(PathBuf::from(source));
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
    let competes = competitor.is_some();
    if let Some(source) = competitor {
        for i in 0..thread::available_parallelism().unwrap().get() {
            let (control, source) = (control.clone(), source.clone());
            thread::spawn(move || {
                wait_for(COMPETE_AFTER, &control);
                compete(&source, i)
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
    // The competitors keep theirs open.
    if !competes && !may_leak {
        assert_eq!(
            open_descriptors(),
            open,
            "the copy has left a descriptor open"
        );
    }
    match result {
        Ok(report) => {
            let notes = match print_notes {
                true => notes(report.notes),
                false => String::new(),
            };
            println!("ok {:?}{notes} {}", report.method, report.copied);
        }
        Err(error) => {
            let kind = match error.kind() {
                CopyErrorKind::Os(os) => format!("{:?}", os.kind()),
                kind => format!("{kind:?}"),
            };
            // The name of the variant, without its fields.
            let name = kind.split(['(', '{', ' ']).next().unwrap_or_default();
            let number = error.raw_os_error().unwrap_or(0);
            println!("err {name} {number}");
        }
    }
    ExitCode::SUCCESS
}

/// Runs `work` on another thread, ends the main thread, and exits when the work has ended.
#[expect(
    unsafe_code,
    reason = "the standard library can't end the main thread alone"
)]
fn exit_main_thread(work: impl FnOnce() -> ExitCode + Send + 'static) -> ! {
    thread::spawn(move || {
        // The thread group's first task is a zombie then, and /proc/self has no descriptors.
        while fs::read_dir("/proc/self/fd").is_ok_and(|mut entries| entries.next().is_some()) {
            thread::yield_now();
        }
        work();
        std::process::exit(0);
    });
    loop {
        // SAFETY: the call ends this thread only. It has lent nothing to others.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

/// Returns the names of the notes that apply, each after a plus sign.
fn notes(notes: CopyNotes) -> String {
    let all = [
        (notes.permissions_wider, "+permissions_wider"),
        (notes.permissions_narrower, "+permissions_narrower"),
        (notes.times_not_preserved, "+times_not_preserved"),
        (notes.holes_not_kept, "+holes_not_kept"),
    ];
    let applying = all.iter().filter(|(applies, _)| *applies);
    applying.map(|(_, name)| *name).collect()
}

fn wait_for(copied: u64, control: &CopyControl) {
    while control.copied() < copied {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Makes a copy that lasts until the process ends. After its first chunk it sleeps, since its rate is a
/// byte a second.
fn compete(src: &Path, i: usize) {
    let rate = CopyRate::new(NonZero::new(1).unwrap());
    let options = CopyOptions::new()
        .dig_holes(true)
        .limits(Limits::new().rate(rate));
    let result = options.sparse_copy(src, src.with_extension(i.to_string()));
    panic!("the competing copy has ended: {result:?}");
}

/// The control of the copy that `SIGUSR1` cancels.
static CANCELLED_BY_SIGNAL: OnceLock<CopyControl> = OnceLock::new();

/// Makes `SIGUSR1` cancel the copy, so that strace can do so at a system call.
#[expect(unsafe_code, reason = "the standard library has no signal handlers")]
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

/// Sets a limit of this process, and returns the one before.
pub fn limit(resource: Resource, most: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(resource);
    let limited = Rlimit {
        current: Some(most),
        maximum,
    };
    setrlimit(resource, limited).unwrap();
    current.unwrap_or(u64::MAX)
}

/// Returns the numbers of all open descriptors. `poll` reports the others, and opens none itself.
#[expect(unsafe_code, reason = "poll with descriptors that may be closed")]
pub fn open_descriptors() -> Vec<u64> {
    let mut asked: Vec<_> = (0..256)
        .map(|fd| libc::pollfd {
            fd,
            events: 0,
            revents: 0,
        })
        .collect();
    // SAFETY: the pointer and the count are those of the vector.
    let answers = unsafe { libc::poll(asked.as_mut_ptr(), asked.len() as libc::nfds_t, 0) };
    assert!(answers >= 0);
    let open = asked.iter().filter(|one| one.revents & libc::POLLNVAL == 0);
    open.map(|one| one.fd as u64).collect()
}

/// Makes the kernel report version 2.6 to this process (`UNAME26` in personality(2)).
#[expect(unsafe_code, reason = "the standard library has no personality")]
fn pretend_old_kernel() {
    // SAFETY: the call only changes what uname(2) returns.
    let before = unsafe { libc::personality(libc::UNAME26 as libc::c_ulong) };
    assert!(before >= 0);
}

/// Changes the user of this process. It is done here and not by `exec`, because another user may have no
/// access to the folder of the program.
#[expect(
    unsafe_code,
    reason = "the standard library changes users on exec only"
)]
pub fn become_user(uid: u32) {
    // SAFETY: these are system calls, in a process with one thread.
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
pub fn mapped_memory() -> u64 {
    let counts = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = counts.split(' ').next().unwrap().parse().unwrap();
    pages * rustix::param::page_size() as u64
}
