//! No line of the contract is weaker by any way that the engine can take: each is forced, and goes
//! through all of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use fast_copy_test_support::files::{MIB, assert_same};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::prepared::{Prepared, prepared};
use fast_copy_test_support::traced::Call;

fast_copy_test_support::tests![
    each_way_can_be_forced_and_makes_the_same_copy,
    no_fault_makes_a_wrong_copy,
    an_interrupted_call_is_made_again,
    a_kill_at_any_call_leaves_the_old_file_or_the_whole_new_one,
    a_cancel_at_any_call_before_publishing_leaves_nothing,
    a_source_that_changes_is_an_error,
    a_limit_on_file_sizes_is_an_error_and_no_signal,
];

/// Lines 7, 8 and 10: the same content, nothing denser, the same permissions but for set-user-ID.
fn each_way_can_be_forced_and_makes_the_same_copy(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let (outcome, calls) = prepared.calls();
        prepared.assert_taken(&outcome, &calls);
        prepared.assert_complete("alone");
        prepared.assert_mode();
    }
}

/// Calls that say nothing of a copy: of the memory, of threads, and those that can't fail.
const NOT_OF_THE_COPY: [&str; 22] = [
    "mmap",
    "munmap",
    "mprotect",
    "mremap",
    "madvise",
    "brk",
    "futex",
    "sched_yield",
    "sched_getaffinity",
    "rt_sigprocmask",
    "rt_sigaction",
    "rt_sigreturn",
    "sigaltstack",
    "set_robust_list",
    "rseq",
    "gettid",
    "prctl",
    "clock_nanosleep",
    "prlimit64",
    "poll",
    "exit",
    "exit_group",
];

/// A call of a copy, at which something is to happen.
struct Point {
    name: String,
    /// For `when=`.
    number: usize,
    /// Its place among the calls of this kind.
    among: usize,
    is_last: bool,
    /// Whether each copy by this way comes there: two threads share the others as it happens.
    sure: bool,
    /// Whether the copy's name is in its place already, and only the directory is synchronised.
    is_last_sync: bool,
    /// Its place among all calls.
    place: usize,
}

impl Point {
    /// Whether it is the first or the last call of its kind.
    fn is_at_an_end(&self) -> bool {
        self.among == 0 || self.is_last
    }

    fn inject(&self, what: &str) -> String {
        format!("{}:{what}:when={}", self.name, self.number)
    }
}

/// What two threads share.
const MOVING: [&str; 6] = [
    "lseek",
    "ioctl",
    "pread64",
    "pwrite64",
    "fadvise64",
    "sync_file_range",
];

/// The first, the second and the last of each kind of call that a copy makes this way, but for those
/// that are tampered with to force it.
fn points(prepared: &Prepared, calls: &[Call]) -> Vec<Point> {
    let mut kinds: BTreeMap<&str, Vec<(usize, &Call)>> = BTreeMap::new();
    for (place, call) in calls.iter().enumerate() {
        // The standard library's own check of a descriptor that it closes.
        let counts = call.thread == calls[0].thread && !call.line.contains("F_GETFD");
        let name = call.name.as_str();
        if counts && !prepared.needs(name) && !NOT_OF_THE_COPY.contains(&name) {
            kinds.entry(name).or_default().push((place, call));
        }
    }
    let mut points = Vec::new();
    for (name, calls) in kinds {
        let shared = prepared.way.by_two && MOVING.contains(&name);
        let last = calls.len() - 1;
        for (i, (place, call)) in calls.into_iter().enumerate() {
            if i < 2 || i == last {
                points.push(Point {
                    name: name.to_owned(),
                    number: call.number,
                    among: i,
                    is_last: i == last,
                    sure: !shared,
                    is_last_sync: name == "fsync" && i == last,
                    place,
                });
            }
        }
    }
    points
}

/// The first and the last of each kind.
fn ends(prepared: &Prepared, calls: &[Call]) -> impl Iterator<Item = Point> {
    points(prepared, calls)
        .into_iter()
        .filter(Point::is_at_an_end)
}

/// The disk's own error, no room, and not here.
const ERRORS: &[&str] = &["EIO", "ENOSPC", "EINVAL"];

/// And others of these kinds, or: not now, not allowed. They meet the first calls of the three ways
/// that all others are made of.
const MORE_ERRORS: &[&str] = &[
    "EDQUOT", "EXDEV", "ENOSYS", "ENOTTY", "EBADF", "EAGAIN", "EPERM", "EACCES",
];

/// Whatever a call answers, a copy is the same as its source, or there is none and the call says so.
fn no_fault_makes_a_wrong_copy(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let (_, calls) = prepared.calls();
        for point in points(&prepared, &calls) {
            let errors = match (prepared.way.is_a_part_of_others(), point.among < 2) {
                (true, true) => [ERRORS, MORE_ERRORS].concat(),
                _ if point.is_at_an_end() => ERRORS.to_vec(),
                _ => continue,
            };
            for error in errors {
                let injection = point.inject(&format!("error={error}"));
                match run_at(&prepared, &point, &injection) {
                    Outcome::Killed(_) => panic!("{injection}: killed"),
                    // Where the extents can't be counted, a clone is tried after all.
                    Outcome::Ok(method, _) if method == "Reflink" => {
                        prepared.assert_cloned(&injection);
                    }
                    Outcome::Err(..) if !point.is_last_sync => {
                        prepared.assert_as_before(&injection)
                    }
                    _ => prepared.assert_complete(&injection),
                }
            }
        }
    }
}

fn run_at(prepared: &Prepared, point: &Point, injection: &str) -> Outcome {
    // A close that is made to fail isn't made.
    let options: &[&str] = match point.name.as_str() {
        "close" => &["may-leak"],
        _ => &[],
    };
    prepared.run(options, &[injection])
}

/// Three times, and all goes on as if nothing had been.
fn an_interrupted_call_is_made_again(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let (expected, calls) = prepared.calls();
        for point in ends(&prepared, &calls) {
            let injection = format!("{}..{}", point.inject("error=EINTR"), point.number + 2);
            let outcome = run_at(&prepared, &point, &injection);
            assert_eq!(outcome, expected, "{}: {injection}", prepared.way.name);
            prepared.assert_complete(&injection);
        }
    }
}

fn a_kill_at_any_call_leaves_the_old_file_or_the_whole_new_one(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let (_, calls) = prepared.calls();
        for point in ends(&prepared, &calls) {
            let injection = point.inject("signal=KILL");
            let outcome = prepared.run(&[], &[&injection]);
            let name = prepared.way.name;
            if point.sure {
                assert_eq!(
                    outcome,
                    Outcome::Killed(libc::SIGKILL),
                    "{name}: {injection}"
                );
            }
            if let Some(left) = prepared.sweep() {
                assert!(
                    prepared.way.passes_through_a_name(),
                    "{name}: {injection}: {left:?}"
                );
                // In the instant between a link and a renaming it is complete.
                if !prepared.way.named {
                    assert_same(&prepared.src, &left);
                }
                fs::remove_file(left).unwrap();
            }
            match prepared.is_as_before() {
                true => prepared.assert_as_before(&injection),
                false => prepared.assert_complete(&injection),
            }
        }
    }
}

/// A signal at the call cancels the copy, so each is heard at exactly one place.
fn a_cancel_at_any_call_before_publishing_leaves_nothing(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let (_, calls) = prepared.calls();
        // Before publishing, the copy closes a duplicate of its descriptor, then reads its status.
        let duplicates = |call: &Call| call.line.contains("F_DUPFD");
        let last_look = calls.iter().rposition(duplicates).unwrap() + 2;
        let names = [-1, 0].map(|i| calls[last_look.strict_add_signed(i)].name.as_str());
        assert_eq!(names, ["close", "fstat"]);
        for point in ends(&prepared, &calls) {
            let injection = point.inject("signal=SIGUSR1");
            let outcome = prepared.run(&["cancel-on-signal"], &[&injection]);
            let name = prepared.way.name;
            if point.place > last_look {
                assert!(
                    matches!(outcome, Outcome::Ok(..)),
                    "{name}: {injection}: {outcome:?}"
                );
            } else if point.sure {
                assert!(is_cancelled(&outcome), "{name}: {injection}: {outcome:?}");
            }
            match is_cancelled(&outcome) {
                true => prepared.assert_as_before(&injection),
                false => prepared.assert_complete(&injection),
            }
        }
    }
}

fn is_cancelled(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Err(kind, _) if kind == "Cancelled")
}

/// Not by a clone, which is one picture.
fn a_source_that_changes_is_an_error(fs: &FileSystem) {
    let changes: [fn(&File); 3] = [
        |file| file.set_len(MIB).unwrap(),
        |file| file.set_len(20 * MIB).unwrap(),
        |file| file.write_all_at(b"new", 0).unwrap(),
    ];
    for change in changes {
        for prepared in prepared(fs).filter(|prepared| !prepared.way.clones()) {
            let (_, calls) = prepared.calls();
            let moves =
                |call: &&Call| call.name == prepared.way.moves_by && call.thread == calls[0].thread;
            let first = calls.iter().find(moves).expect("a byte moved");
            let stopped =
                prepared.start_and_stop_at(&format!("{}:when={}", first.name, first.number));
            change(&File::options().write(true).open(&prepared.src).unwrap());
            let outcome = stopped.go_on();
            let name = prepared.way.name;
            let seen = matches!(&outcome, Outcome::Err(kind, _) if kind == "SourceChanged");
            assert!(seen, "{name}: {outcome:?}");
            prepared.assert_as_before("a change");
        }
    }
}

fn a_limit_on_file_sizes_is_an_error_and_no_signal(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let size = prepared.size();
        let outcome = prepared.run(&[&format!("file-size={}", size - 1)], &[]);
        outcome.assert_error("FileTooLarge");
        prepared.assert_as_before("a limit below the size");
        let outcome = prepared.run(&[&format!("file-size={size}")], &[]);
        assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
        prepared.assert_complete("a limit at the size");
    }
}
