//! The contract holds for each of the engine's strategies: options and injected errors force each of
//! them, and it runs through all of these tests.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use fast_copy_test_support::features::Feature;
use fast_copy_test_support::files::{MIB, assert_same, inode};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::prepared::{Prepared, prepared};
use fast_copy_test_support::traced::Call;

fast_copy_test_support::tests![
    each_strategy_makes_a_correct_copy where Holes and Preallocation and Permissions,
    a_failing_call_never_makes_a_wrong_copy where Holes and Preallocation and Permissions,
    an_interrupted_call_is_repeated where Holes and Preallocation and Permissions,
    a_kill_at_any_call_leaves_the_old_file_or_the_complete_copy where Holes and Preallocation and Permissions and UnnamedFiles,
    a_cancel_at_any_call_before_publishing_leaves_no_file where Holes and Preallocation and Permissions and Statx,
    a_source_changed_during_the_copy_is_source_changed where Holes and Preallocation and Permissions,
    a_copy_beyond_rlimit_fsize_fails_without_sigxfsz where Holes and Preallocation and Permissions,
];

/// Lines 7, 8 and 10: the same content, nothing denser, the same permissions but for set-user-ID.
fn each_strategy_makes_a_correct_copy(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let (outcome, calls) = prepared.calls();
        prepared.assert_strategy(&outcome, &calls);
        prepared.assert_complete("without an injection");
        prepared.assert_mode();
    }
}

/// Calls that can't fail, or whose errors have tests of their own.
const NOT_TESTED: [&str; 4] = ["clock_nanosleep", "prlimit64", "poll", "exit_group"];

/// A system call of a copy, for an injection.
struct Point {
    name: String,
    /// Its number, as `when=` takes it.
    number: usize,
    /// Its index among the calls with this name.
    among: usize,
    is_last: bool,
    /// Whether this thread makes the call in every run: two threads share some calls by chance.
    certain: bool,
    /// Whether it synchronises the directory, after the copy is published.
    is_last_sync: bool,
    /// Its index among all calls.
    index: usize,
}

impl Point {
    /// Whether it is the first or the last call with its name.
    fn is_at_an_end(&self) -> bool {
        self.among == 0 || self.is_last
    }

    fn inject(&self, what: &str) -> String {
        format!("{}:{what}:when={}", self.name, self.number)
    }
}

/// Returns the first, the second and the last call of each name, without those that have an injection to
/// force the strategy.
fn points(prepared: &Prepared, calls: &[Call]) -> Vec<Point> {
    let mut by_name: BTreeMap<&str, Vec<(usize, &Call)>> = BTreeMap::new();
    for (index, call) in calls.iter().enumerate() {
        // The standard library's debug check of a descriptor before it closes it.
        let counts = call.thread == calls[0].thread && !call.line.contains("F_GETFD");
        let name = call.name.as_str();
        let is_tested = !call.is_for_memory_or_threads() && !NOT_TESTED.contains(&name);
        if counts && !prepared.needs(name) && is_tested {
            by_name.entry(name).or_default().push((index, call));
        }
    }
    let mut points = Vec::new();
    for (name, calls) in by_name {
        let last = calls.len() - 1;
        for (i, (index, call)) in calls.into_iter().enumerate() {
            if i < 2 || i == last {
                points.push(Point {
                    name: name.to_owned(),
                    number: call.number,
                    among: i,
                    is_last: i == last,
                    certain: !(prepared.strategy.two_threads && call.is_shared_by_threads()),
                    is_last_sync: name == "fsync" && i == last,
                    index,
                });
            }
        }
    }
    points
}

/// Returns the first and the last call of each name.
fn ends(prepared: &Prepared, calls: &[Call]) -> impl Iterator<Item = Point> {
    points(prepared, calls)
        .into_iter()
        .filter(Point::is_at_an_end)
}

/// A disk error, no space, and not supported here.
const ERRORS: &[&str] = &["EIO", "ENOSPC", "EINVAL"];

/// More errors, for the first calls of the three basic strategies.
const MORE_ERRORS: &[&str] = &[
    "EDQUOT", "EXDEV", "ENOSYS", "ENOTTY", "EBADF", "EAGAIN", "EPERM", "EACCES",
];

/// After an injected error, the copy equals its source, or the call fails and there is no copy.
fn a_failing_call_never_makes_a_wrong_copy(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let (_, calls) = prepared.calls();
        for point in points(&prepared, &calls) {
            let errors = match (prepared.strategy.is_basic(), point.among < 2) {
                (true, true) => [ERRORS, MORE_ERRORS].concat(),
                _ if point.is_at_an_end() => ERRORS.to_vec(),
                _ => continue,
            };
            for error in errors {
                let injection = point.inject(&format!("error={error}"));
                let outcome = run_at(&prepared, &point, &injection);
                let is_published = matches!(outcome, Outcome::Ok(..));
                let removes = REMOVING.contains(&point.name.as_str());
                if is_published && removes && !fs.has(Feature::NoReplace) {
                    remove_second_name(&prepared);
                }
                match outcome {
                    Outcome::Killed(_) => panic!("{injection}: killed"),
                    // If FIEMAP fails, the extents aren't counted and the clone is tried.
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

/// The calls that look up and remove a staging name.
const REMOVING: [&str; 3] = ["newfstatat", "statx", "unlinkat"];

/// Removes the staging name that a copy keeps as its second name where it is published by a link, if the name could
/// not be removed.
fn remove_second_name(prepared: &Prepared) {
    if let Some(left) = prepared.staging_name() {
        assert_eq!(inode(&left), inode(&prepared.dst));
        fs::remove_file(left).unwrap();
    }
}

fn run_at(prepared: &Prepared, point: &Point, injection: &str) -> Outcome {
    // A close with an injected error doesn't close the descriptor. Without getrandom, the crate of that name keeps
    // /dev/urandom open.
    let options: &[&str] = match point.name.as_str() {
        "close" | "getrandom" => &["may-leak"],
        _ => &[],
    };
    prepared.run(options, &[injection])
}

/// Each call is interrupted three times, and the outcome is the same as without.
///
/// Where statx is missing, std looks at the files for the crate reflink-copy by `fstatat`, and does not repeat it. Then
/// the bytes are copied.
fn an_interrupted_call_is_repeated(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let (expected, calls) = prepared.calls();
        for point in ends(&prepared, &calls) {
            let injection = format!("{}..{}", point.inject("error=EINTR"), point.number + 2);
            let outcome = run_at(&prepared, &point, &injection);
            let by_std = prepared.strategy.clones() && point.name == "newfstatat";
            match by_std && !fs.has(Feature::Statx) {
                true => assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}"),
                false => assert_eq!(outcome, expected, "{}: {injection}", prepared.strategy.name),
            }
            prepared.assert_complete(&injection);
        }
    }
}

fn a_kill_at_any_call_leaves_the_old_file_or_the_complete_copy(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let (_, calls) = prepared.calls();
        for point in ends(&prepared, &calls) {
            let injection = point.inject("signal=KILL");
            let outcome = prepared.run(&[], &[&injection]);
            let name = prepared.strategy.name;
            if point.certain {
                assert_eq!(
                    outcome,
                    Outcome::Killed(libc::SIGKILL),
                    "{name}: {injection}"
                );
            }
            if let Some(left) = prepared.staging_name() {
                assert!(
                    prepared.strategy.may_leave_a_name() || fs.names_before_sync(),
                    "{name}: {injection}: {left:?}"
                );
                // Between the link and the rename it is complete.
                if !prepared.strategy.named {
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

/// A signal at the call cancels the copy.
fn a_cancel_at_any_call_before_publishing_leaves_no_file(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let (_, calls) = prepared.calls();
        // Before publishing, the copy is synchronised, closes a duplicate of its descriptor, then reads its status.
        let position = |name| calls.iter().position(|call| call.name == name).unwrap();
        let last_check = position("fsync") + 2;
        let names = [-2, -1, 0].map(|i| calls[last_check.strict_add_signed(i)].name.as_str());
        assert_eq!(names, ["fsync", "close", "statx"]);
        for point in ends(&prepared, &calls) {
            let injection = point.inject("signal=SIGUSR1");
            let outcome = prepared.run(&["cancel-on-signal"], &[&injection]);
            let name = prepared.strategy.name;
            if point.index > last_check {
                assert!(
                    matches!(outcome, Outcome::Ok(..)),
                    "{name}: {injection}: {outcome:?}"
                );
            } else if point.certain {
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

/// Without clones, which are atomic snapshots.
fn a_source_changed_during_the_copy_is_source_changed(fs: &FileSystem) {
    let changes: [fn(&File); 3] = [
        |file| file.set_len(MIB).unwrap(),
        |file| file.set_len(20 * MIB).unwrap(),
        |file| file.write_all_at(b"new", 0).unwrap(),
    ];
    for change in changes {
        for prepared in prepared(fs).filter(|prepared| !prepared.strategy.clones()) {
            let (_, calls) = prepared.calls();
            let moves = |call: &&Call| {
                call.name == prepared.strategy.moves_by && call.thread == calls[0].thread
            };
            let first = calls.iter().find(moves).expect("a call that moves bytes");
            let stopped =
                prepared.start_and_stop_at(&format!("{}:when={}", first.name, first.number));
            change(&File::options().write(true).open(&prepared.src).unwrap());
            let outcome = stopped.go_on();
            let name = prepared.strategy.name;
            let seen = matches!(&outcome, Outcome::Err(kind, _) if kind == "SourceChanged");
            assert!(seen, "{name}: {outcome:?}");
            prepared.assert_as_before("a change");
        }
    }
}

fn a_copy_beyond_rlimit_fsize_fails_without_sigxfsz(fs: &FileSystem) {
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
