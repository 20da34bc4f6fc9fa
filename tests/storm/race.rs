//! Races of path resolution: one thread exchanges a directory with a symbolic link that leads out of the
//! guest's directory, and a file with another such link, as fast as it can, while paths are resolved
//! through both: with `openat2`, without it, and for a guest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use fast_copy_test_support::files::names;
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::guest_host::{FORMS, Guest, Preopen, run};
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use rustix::fs::{RenameFlags, renameat_with};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tempfile::TempDir;
use wasmtime_fast_copy::FastCopyCtx;
use wasmtime_fast_copy::p2::bindings::types::ErrorCode;

use fast_copy_test_support::scale::scaled;

fast_copy_test_support::tests![
    a_raced_path_never_leaves_the_directory,
    a_raced_copy_never_leaves_the_directory,
    a_raced_path_never_leaves_the_directory_without_openat2,
    a_raced_copy_never_leaves_the_directory_without_openat2,
    a_raced_copy_by_a_guest_never_leaves_the_directory,
];

/// The sizes of the files inside and outside the guest's directory, in bytes.
const INSIDE: u64 = 1000;
const OUTSIDE: u64 = 7777;

/// The guest's directory is `in`. `in/dir` alternates between a directory and a link to `out`, and
/// `in/last` between a file and a link to a file in `out`.
struct Exchanged {
    dir: TempDir,
    inside: PathBuf,
    outside: PathBuf,
}

impl Exchanged {
    fn new(fs: &FileSystem) -> Self {
        let dir = fs.dir();
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        fs::create_dir_all(inside.join("dir")).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink("../out", inside.join("other")).unwrap();
        fs::write(inside.join("dir/file"), vec![1; INSIDE as usize]).unwrap();
        symlink("../out/file", inside.join("last-link")).unwrap();
        for name in ["file", "last"] {
            fs::write(inside.join(name), vec![1; INSIDE as usize]).unwrap();
        }
        fs::write(outside.join("file"), vec![2; OUTSIDE as usize]).unwrap();
        Self {
            dir,
            inside,
            outside,
        }
    }

    #[track_caller]
    fn assert_outside_untouched(&self) {
        assert_eq!(names(&self.outside), ["file"]);
        assert_content(&self.outside.join("file"), 2, OUTSIDE);
    }

    fn state(&self) -> State {
        State::in_dir(&self.inside, FastCopyCtx::new())
    }

    /// Does the work while the thread exchanges both pairs. Returns how often it did.
    fn exchange_during(&self, work: impl FnOnce()) -> u64 {
        let (stop, exchanges) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let dir = File::open(&self.inside).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    for (a, b) in [("dir", "other"), ("last", "last-link")] {
                        renameat_with(&dir, a, &dir, b, RenameFlags::EXCHANGE).unwrap();
                        exchanges.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
            let stopping = StopOnDrop(&stop);
            work();
            drop(stopping);
        });
        exchanges.into_inner()
    }
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts a result. Only errors of paths that lead out of the directory or to no file are allowed, and
/// `others`.
fn count(answers: &mut BTreeMap<String, u64>, answer: Result<(), ErrorCode>, others: &[ErrorCode]) {
    use ErrorCode::{Loop, NoEntry, NotDirectory, NotPermitted};
    let answer = match answer {
        Ok(()) => "ok".to_owned(),
        // `..` fails with EAGAIN while a rename runs, and is tried again. The fallback then follows no
        // link.
        Err(code @ (NotPermitted | Loop | NoEntry | NotDirectory)) => format!("{code:?}"),
        Err(code) => {
            assert!(others.contains(&code), "{code:?}");
            format!("{code:?}")
        }
    };
    *answers.entry(answer).or_default() += 1;
}

/// Whether to try again: `wanted` times, and then until there was a race, but at most a hundred times as
/// often. If both threads share a processor, all tries of a time slice see the same files.
fn goes_on(tried: usize, wanted: usize, answers: &BTreeMap<String, u64>) -> bool {
    tried < wanted || !was_a_race(wanted, answers) && tried < 100 * wanted
}

/// Whether there was a race: at least a hundredth of `wanted` succeeded, and as many were refused.
fn was_a_race(wanted: usize, answers: &BTreeMap<String, u64>) -> bool {
    let succeeded = answers.get("ok").copied().unwrap_or(0);
    let refused = answers.values().sum::<u64>() - succeeded;
    succeeded.min(refused) >= wanted as u64 / 100
}

/// The error of `open-at` for a link that was replaced before it was read.
const BY_OPEN_AT: &[ErrorCode] = &[ErrorCode::Invalid];

fn a_raced_path_never_leaves_the_directory(fs: &FileSystem) {
    resolve(fs, scaled(400_000, 20_000), "by openat2", &[]);
}

fn a_raced_path_never_leaves_the_directory_without_openat2(fs: &FileSystem) {
    without_openat2(|| resolve(fs, scaled(400_000, 5_000), "by open-at", BY_OPEN_AT));
}

/// Does the work on a thread for which `openat2` fails with ENOSYS.
fn without_openat2(work: impl FnOnce() + Send) {
    let rules = [(libc::SYS_openat2, Vec::new())].into();
    let refused = SeccompAction::Errno(libc::ENOSYS as u32);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            seccompiler::apply_filter(&filter).unwrap();
            work();
        });
    });
}

fn resolve(fs: &FileSystem, wanted: usize, how: &str, others: &[ErrorCode]) {
    let exchanged = Exchanged::new(fs);
    let mut state = exchanged.state();
    let mut answers = BTreeMap::new();
    let mut tried = 0;
    let exchanges = exchanged.exchange_during(|| {
        while goes_on(tried, wanted, &answers) {
            let path = ["dir/file", "other/file", "dir/../dir/file", "last"][tried % 4];
            let usage = state.disk_usage(path).unwrap();
            if let Ok(usage) = &usage {
                assert_eq!(usage.size, INSIDE, "resolution {tried} left the directory");
            }
            tried += 1;
            count(&mut answers, usage.map(drop), others);
        }
    });
    println!(
        "{}: {tried} resolutions {how}, {exchanges} exchanges: {answers:?}",
        fs.name
    );
    assert!(
        was_a_race(wanted, &answers),
        "there was no race: {answers:?}"
    );
    drop(exchanged.dir);
}

fn a_raced_copy_never_leaves_the_directory(fs: &FileSystem) {
    copy(fs, scaled(20_000, 1_000), "by openat2", &[]);
}

fn a_raced_copy_never_leaves_the_directory_without_openat2(fs: &FileSystem) {
    without_openat2(|| copy(fs, scaled(20_000, 1_000), "by open-at", BY_OPEN_AT));
}

fn copy(fs: &FileSystem, wanted: usize, how: &str, others: &[ErrorCode]) {
    // An exchange changes the times of the file.
    let others = [others, &[ErrorCode::SourceChanged]].concat();
    let exchanged = Exchanged::new(fs);
    let mut state = exchanged.state();
    let mut answers = BTreeMap::new();
    let options = Options::NOT_DURABLE | Options::REPLACE | Options::SYMLINK_FOLLOW;
    let mut tried = 0;
    let exchanges = exchanged.exchange_during(|| {
        while goes_on(tried, wanted, &answers) {
            let (src, dst) = [
                ("dir/file", "copy"),
                ("file", "dir/copy"),
                ("other/file", "dir/copy"),
                ("last", "copy"),
            ][tried % 4];
            let report = state.fast_copy(src, dst, options).unwrap();
            if let Ok(report) = &report {
                assert_eq!(report.size, INSIDE, "copy {tried} left the directory");
            }
            tried += 1;
            count(
                &mut answers,
                report.map(drop).map_err(|error| error.code),
                &others,
            );
        }
    });
    println!(
        "{}: {tried} copies {how}, {exchanges} exchanges: {answers:?}",
        fs.name
    );
    assert!(
        was_a_race(wanted, &answers),
        "there was no race: {answers:?}"
    );
    assert_content(&exchanged.inside.join("copy"), 1, INSIDE);
    exchanged.assert_outside_untouched();
}

/// The guest repeats its copy whatever the result.
fn a_raced_copy_by_a_guest_never_leaves_the_directory(fs: &FileSystem) {
    let exchanged = Exchanged::new(fs);
    let a_run = scaled(20_000, 1_000);
    let args = ["spam", &a_run.to_string(), "dir/file"];
    for form in FORMS {
        let mut answers = BTreeMap::new();
        let mut tried = 0;
        let exchanges = exchanged.exchange_during(|| {
            while goes_on(tried, a_run, &answers) {
                let dirs = [Preopen::writable(&exchanged.inside, ".")];
                let output = run(Guest::Hostile, form, &dirs, &args).stdout;
                for line in output.lines() {
                    let (answer, times) = line.split_once(' ').expect("an answer, and how often");
                    *answers.entry(answer.to_owned()).or_default() += times.parse::<u64>().unwrap();
                }
                tried += a_run;
            }
        });
        println!(
            "{}: a guest, {form:?}, {tried} copies, {exchanges} exchanges: {answers:?}",
            fs.name
        );
        assert!(
            was_a_race(a_run, &answers),
            "there was no race: {answers:?}"
        );
        assert!(
            answers.contains_key("NotPermitted"),
            "no copy was refused at a link"
        );
        assert_content(&exchanged.inside.join("spam"), 1, INSIDE);
        exchanged.assert_outside_untouched();
    }
}

#[track_caller]
fn assert_content(path: &Path, byte: u8, size: u64) {
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut File::open(path).unwrap(), &mut content).unwrap();
    assert_eq!(content, vec![byte; size as usize], "{}", path.display());
}
