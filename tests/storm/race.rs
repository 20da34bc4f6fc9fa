//! Somebody exchanges a directory and a symbolic link that leads out, and a file and another such link, as
//! fast as the kernel can, while paths through them and to them are resolved: with `openat2` and without,
//! and for a guest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use fast_copy_test_support::files::names;
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::guest_host::{FORMS, Guest, Preopen, run};
use fast_copy_test_support::state::State;
use rustix::fs::{RenameFlags, renameat_with};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tempfile::TempDir;
use wasmtime_fast_copy::FastCopyCtx;
use wasmtime_fast_copy::p2::bindings::types::{CopyFlags, ErrorCode};

use crate::times::times;

fast_copy_test_support::tests![
    no_raced_path_leads_out,
    no_raced_copy_leads_out,
    no_raced_path_leads_out_without_openat2,
    no_raced_copy_leads_out_without_openat2,
    no_raced_guest_leads_out,
];

/// The sizes of the file inside and of the one outside, in bytes.
const INSIDE: u64 = 1000;
const OUTSIDE: u64 = 7777;

/// `in` is what the guest sees; `in/way` is a directory, and then a link to `out`, and then again a
/// directory; so is `in/last`, a file.
struct Place {
    dir: TempDir,
    inside: PathBuf,
    outside: PathBuf,
}

impl Place {
    fn new(fs: &FileSystem) -> Self {
        let dir = fs.dir();
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        fs::create_dir_all(inside.join("way")).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink("../out", inside.join("other")).unwrap();
        fs::write(inside.join("way/file"), vec![1; INSIDE as usize]).unwrap();
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

    /// Does the work while the two are exchanged, and returns how often they were.
    fn exchanged_during(&self, work: impl FnOnce()) -> u64 {
        let (stop, exchanges) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let dir = File::open(&self.inside).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    for (a, b) in [("way", "other"), ("last", "last-link")] {
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

/// Counts an answer, of which there may only be those of a path that leads nowhere or out, and `others`.
fn count(answers: &mut BTreeMap<String, u64>, answer: Result<(), ErrorCode>, others: &[ErrorCode]) {
    use ErrorCode::{Loop, NoEntry, NotDirectory, NotPermitted};
    let answer = match answer {
        Ok(()) => "ok".to_owned(),
        // `..` can't be resolved while somebody renames, and is tried again; the fallback then meets a
        // link, which it doesn't follow.
        Err(code @ (NotPermitted | Loop | NoEntry | NotDirectory)) => format!("{code:?}"),
        Err(code) => {
            assert!(others.contains(&code), "{code:?}");
            format!("{code:?}")
        }
    };
    *answers.entry(answer).or_default() += 1;
}

/// Whether to try again: as often as `wanted`, and then until it was a race, but at most a hundred times as
/// often. While both threads are on one processor, all tries of a time slice meet the same.
fn goes_on(tried: usize, wanted: usize, answers: &BTreeMap<String, u64>) -> bool {
    tried < wanted || !was_a_race(wanted, answers) && tried < 100 * wanted
}

/// Whether enough got through, and enough met a link: each a hundredth of what is wanted.
fn was_a_race(wanted: usize, answers: &BTreeMap<String, u64>) -> bool {
    let through = answers.get("ok").copied().unwrap_or(0);
    let refused = answers.values().sum::<u64>() - through;
    through.min(refused) >= wanted as u64 / 100
}

/// What `open-at` says of a link that was one when it looked, and none when it read it.
const BY_OPEN_AT: &[ErrorCode] = &[ErrorCode::Invalid];

fn no_raced_path_leads_out(fs: &FileSystem) {
    resolve(fs, times(400_000, 20_000), "by openat2", &[]);
}

fn no_raced_path_leads_out_without_openat2(fs: &FileSystem) {
    without_openat2(|| resolve(fs, times(400_000, 5_000), "by open-at", BY_OPEN_AT));
}

/// Does the work on a thread on which the kernel has no `openat2`.
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
    let place = Place::new(fs);
    let mut state = place.state();
    let mut answers = BTreeMap::new();
    let mut tried = 0;
    let exchanges = place.exchanged_during(|| {
        while goes_on(tried, wanted, &answers) {
            let path = ["way/file", "other/file", "way/../way/file", "last"][tried % 4];
            let usage = state.disk_usage(path).unwrap();
            if let Ok(usage) = &usage {
                assert_eq!(usage.size, INSIDE, "an escape, at the {tried}th resolution");
            }
            tried += 1;
            count(
                &mut answers,
                usage.map(drop).map_err(|error| error.code),
                others,
            );
        }
    });
    println!(
        "{}: {tried} resolutions {how}, {exchanges} exchanges: {answers:?}",
        fs.name
    );
    assert!(was_a_race(wanted, &answers), "it was no race");
    drop(place.dir);
}

fn no_raced_copy_leads_out(fs: &FileSystem) {
    copy(fs, times(20_000, 1_000), "by openat2", &[]);
}

fn no_raced_copy_leads_out_without_openat2(fs: &FileSystem) {
    without_openat2(|| copy(fs, times(20_000, 1_000), "by open-at", BY_OPEN_AT));
}

fn copy(fs: &FileSystem, wanted: usize, how: &str, others: &[ErrorCode]) {
    // To exchange a file changes its times.
    let others = [others, &[ErrorCode::SourceChanged]].concat();
    let place = Place::new(fs);
    let mut state = place.state();
    let mut answers = BTreeMap::new();
    let flags = CopyFlags::NO_SYNC | CopyFlags::REPLACE | CopyFlags::SYMLINK_FOLLOW;
    let mut tried = 0;
    let exchanges = place.exchanged_during(|| {
        while goes_on(tried, wanted, &answers) {
            let (src, dst) = [
                ("way/file", "copy"),
                ("file", "way/copy"),
                ("other/file", "way/copy"),
                ("last", "copy"),
            ][tried % 4];
            let report = state.fast_copy(src, dst, flags).unwrap();
            if let Ok(report) = &report {
                assert_eq!(report.size, INSIDE, "an escape, at the {tried}th copy");
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
    assert!(was_a_race(wanted, &answers), "it was no race");
    assert_content(&place.inside.join("copy"), 1, INSIDE);
    place.assert_outside_untouched();
}

/// A component that copies, and doesn't mind to be refused.
fn no_raced_guest_leads_out(fs: &FileSystem) {
    let place = Place::new(fs);
    let a_run = times(20_000, 1_000);
    let args = ["spam", &a_run.to_string(), "way/file"];
    for form in FORMS {
        let mut answers = BTreeMap::new();
        let mut tried = 0;
        let exchanges = place.exchanged_during(|| {
            while goes_on(tried, a_run, &answers) {
                let dirs = [Preopen::writable(&place.inside, ".")];
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
        assert!(was_a_race(a_run, &answers), "it was no race");
        assert!(answers.contains_key("NotPermitted"), "nobody met a link");
        assert_content(&place.inside.join("spam"), 1, INSIDE);
        place.assert_outside_untouched();
    }
}

#[track_caller]
fn assert_content(path: &Path, byte: u8, size: u64) {
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut File::open(path).unwrap(), &mut content).unwrap();
    assert_eq!(content, vec![byte; size as usize], "{}", path.display());
}
