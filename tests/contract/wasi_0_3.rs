//! What only a guest of WASI 0.3 can do: have several calls in progress, cancel a call, and read streams.
//!
//! The other modules with guests make each of their calls in WASI 0.3 too.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use fast_copy_test_support::command::Form;
use fast_copy_test_support::files::{
    KIB, MIB, allocated, assert_same, data_ranges, dense_file, exists, names, sparse_file,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::guest_host::{Guest, Preopen, run_with};
use fast_copy_test_support::held::HeldSlots;
use fast_copy_test_support::running_guest::RunningGuest;
use fast_copy_test_support::waiting::wait_until;
use wasmtime_fast_copy::{
    CopyControl, CopyError, CopyHooks, CopyOptions, CopyQuota, CopyRate, CopyReport, CopyRequest,
    CopySlots, CopyTimes, FastCopyCtx, FastCopyCtxBuilder, Source,
};

fast_copy_test_support::tests![
    sixty_four_calls_run_eight_at_a_time,
    calls_beyond_the_limit_on_waiting_ones_are_busy,
    a_call_cancelled_at_any_moment_leaves_a_whole_copy_or_none,
    cancelling_a_running_copy_stops_it,
    progress_grows_and_reaches_the_end,
    a_copy_does_not_wait_for_a_reader_of_its_progress,
    dropping_the_future_at_once_cancels_the_copy,
    dropping_the_store_cancels_its_calls,
    copies_with_progress_count_as_jobs,
    streams_and_futures_of_copies_keep_their_places,
    a_stream_has_all_ranges_of_a_file where Holes,
    a_stream_has_the_same_ranges_in_parts where Holes,
    streams_and_futures_of_ranges_can_be_dropped where Holes,
];

const MINUTE: Duration = Duration::from_secs(60);

/// Runs the guest `probe` in a directory, which it sees as `.`. Returns the lines that it prints.
#[track_caller]
fn probe(dir: &Path, ctx: FastCopyCtx, args: &[&str]) -> Vec<String> {
    let dirs = [Preopen::writable(dir, ".")];
    let output = run_with(Guest::Probe, Form::P3, &dirs, args, ctx);
    assert_eq!(output.status, 0, "{output:?}");
    output.stdout.lines().map(str::to_owned).collect()
}

/// A context with slots of its own.
fn with_slots(slots: &CopySlots) -> FastCopyCtxBuilder {
    FastCopyCtx::builder()
        .slots(slots.clone())
        .max_copies(slots.total())
        .wait_timeout(Some(MINUTE))
}

/// Hooks that hold copies until a number of them run.
struct Crowd {
    /// How many run, and how many have run at most.
    counts: Mutex<(usize, usize)>,
    changed: Condvar,
    wanted: usize,
}

struct CrowdHooks(Arc<Crowd>);

impl CopyHooks for CrowdHooks {
    fn started(&self, _: &CopyRequest<'_>, _: &CopyControl) {
        let crowd = &*self.0;
        let mut counts = crowd.counts.lock().unwrap();
        counts.0 += 1;
        counts.1 = counts.1.max(counts.0);
        crowd.changed.notify_all();
        let few = |counts: &mut (usize, usize)| counts.1 < crowd.wanted;
        let (_counts, timeout) = crowd
            .changed
            .wait_timeout_while(counts, MINUTE, few)
            .unwrap();
        assert!(!timeout.timed_out(), "too few copies run at once");
    }

    fn ended(&self, _: &CopyRequest<'_>, _: Result<&CopyReport, &CopyError>, _: CopyTimes) {
        self.0.counts.lock().unwrap().0 -= 1;
    }
}

fn sixty_four_calls_run_eight_at_a_time(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), MIB);
    for function in ["fast-copy", "sparse-copy"] {
        let crowd = Arc::new(Crowd {
            counts: Mutex::default(),
            changed: Condvar::new(),
            wanted: 8,
        });
        let slots = CopySlots::new(8);
        let ctx = with_slots(&slots)
            .max_waiting(56)
            .hooks(CrowdHooks(crowd.clone()));
        let args = ["many", function, ".", "src", ".", "dst-{i}", "", "64", "64"];
        let lines = probe(dir.path(), ctx.build(), &args);
        assert_eq!(lines[0], "64 ok");
        assert_eq!(*crowd.counts.lock().unwrap(), (0, 8));
        assert_eq!(slots.free(), 8);
        for i in 0..64 {
            let copy = dir.path().join(format!("dst-{i}"));
            assert_same(&dir.path().join("src"), &copy);
            fs::remove_file(copy).unwrap();
        }
    }
    assert_eq!(names(dir.path()), ["src"]);
}

fn calls_beyond_the_limit_on_waiting_ones_are_busy(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), MIB);
    let slots = CopySlots::new(1);
    let held = HeldSlots::take(&slots, 1);
    let ctx = with_slots(&slots).max_waiting(3).build();
    let dirs = [Preopen::writable(dir.path(), ".")];
    let args = [
        "many",
        "sparse-copy",
        ".",
        "src",
        ".",
        "dst-{i}",
        "no-sync",
        "64",
        "64",
    ];
    let mut guest = RunningGuest::new(Guest::Probe, Form::P3, &dirs, &args, ctx.clone());
    guest.run_until(|| ctx.waiting() == 3);
    held.release();
    let output = guest.finish();
    let expected = "3 ok, 61 err ErrorCode::Busy None";
    assert_eq!(output.stdout.lines().next(), Some(expected), "{output:?}");
    assert_eq!(names(dir.path()), ["dst-0", "dst-1", "dst-2", "src"]);
    assert_eq!((ctx.waiting(), slots.free()), (0, 1));
}

/// Parses counts of outcomes: `40 ok, 24 err ErrorCode::Busy None`.
fn counts(line: &str) -> Vec<(usize, String)> {
    line.split(", ")
        .map(|entry| {
            let (count, outcome) = entry.split_once(' ').unwrap();
            (count.parse().unwrap(), outcome.to_owned())
        })
        .collect()
}

fn a_call_cancelled_at_any_moment_leaves_a_whole_copy_or_none(fs: &FileSystem) {
    const COPIES: usize = 40;
    for function in ["fast-copy", "sparse-copy"] {
        let dir = fs.dir();
        let src = dir.path().join("src");
        dense_file(&src, 8 * MIB);
        let slots = CopySlots::new(2);
        let quota = CopyQuota::new(1 << 40);
        let ctx = with_slots(&slots).quota(quota.clone());
        // Cancelled between the call and 40 ms later, by which time most copies have ended.
        let args = [
            "cancel", function, ".", "src", ".", "dst-{i}", "no-sync", "40000000", "40",
        ];
        let lines = probe(dir.path(), ctx.build(), &args);
        let counts = counts(&lines[0]);
        let total: usize = counts.iter().map(|(count, _)| count).sum();
        assert_eq!(total, COPIES, "{lines:?}");
        for (_, outcome) in &counts {
            assert!(["ok", "cancelled"].contains(&outcome.as_str()), "{lines:?}");
        }
        // The work of the last calls may still be stopping.
        wait_until(|| slots.free() == slots.total());
        let made = names(dir.path());
        let mut charged = 0;
        for name in &made {
            assert!(name == "src" || name.starts_with("dst-"), "{made:?}");
            assert_same(&src, &dir.path().join(name));
            if name != "src" {
                charged += allocated(&dir.path().join(name));
            }
        }
        assert_eq!(quota.reserved(), 0);
        assert!(quota.used() >= charged, "{} < {charged}", quota.used());
        assert!(
            quota.used() <= charged + MIB,
            "{} > {charged}",
            quota.used()
        );
    }
}

/// A context in which a copy of 100 MiB takes minutes.
fn slow(slots: &CopySlots) -> FastCopyCtxBuilder {
    let rate = CopyRate::new(std::num::NonZero::new(256 * KIB).unwrap());
    with_slots(slots).rate(rate)
}

/// Hooks that create a file when a copy starts, and remove it when the copy has ended. They keep the result.
struct Signal {
    file: PathBuf,
    results: Arc<Mutex<Vec<String>>>,
}

impl CopyHooks for Signal {
    fn started(&self, _: &CopyRequest<'_>, _: &CopyControl) {
        File::create(&self.file).unwrap();
    }

    fn ended(&self, _: &CopyRequest<'_>, result: Result<&CopyReport, &CopyError>, _: CopyTimes) {
        let text = result.map_or_else(ToString::to_string, |_| "copied".to_owned());
        self.results.lock().unwrap().push(text);
        fs::remove_file(&self.file).unwrap();
    }
}

/// The guest goes on until the copy has ended, so the cancel stops the copy, and not the end of the guest.
fn cancelling_a_running_copy_stops_it(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), 100 * MIB);
    for how in ["call", "future"] {
        let slots = CopySlots::new(1);
        let results = Arc::new(Mutex::default());
        let signal = Signal {
            file: dir.path().join("runs"),
            results: Arc::clone(&results),
        };
        let ctx = slow(&slots).hooks(signal).build();
        let copy = ["sparse-copy", ".", "src", ".", "dst", "no-sync"];
        let args = [&["cancel-when", "runs", how], &copy[..]].concat();
        let lines = probe(dir.path(), ctx.clone(), &args);
        assert_eq!(lines, ["cancelled"], "{how}");
        let results = results.lock().unwrap();
        assert_eq!(results.len(), 1, "{how}: {results:?}");
        assert!(
            results[0].ends_with("the copy was cancelled"),
            "{how}: {results:?}"
        );
        wait_until(|| slots.free() == 1 && ctx.jobs() == 0);
        assert_eq!(names(dir.path()), ["src"], "{how}");
    }
}

/// Parses lines of progress: `progress COPIED TOTAL`.
fn progress(lines: &[String]) -> Vec<(u64, Option<u64>)> {
    lines
        .iter()
        .map_while(|line| line.strip_prefix("progress "))
        .map(|values| {
            let (copied, total) = values.split_once(' ').unwrap();
            (copied.parse().unwrap(), total.parse().ok())
        })
        .collect()
}

fn watch(dir: &Path, mode: &str, ctx: FastCopyCtx) -> Vec<String> {
    let copy = ["sparse-copy", ".", "src", ".", "dst", "no-sync,replace"];
    probe(dir, ctx, &[&["progress", mode], &copy[..]].concat())
}

fn progress_grows_and_reaches_the_end(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    dense_file(&src, 100 * MIB);
    let lines = watch(dir.path(), "read", FastCopyCtx::new());
    let values = progress(&lines);
    assert!(!values.is_empty(), "{lines:?}");
    assert!(values.is_sorted(), "{lines:?}");
    assert_eq!(values.last().unwrap().0, 100 * MIB, "{lines:?}");
    assert!(
        values
            .iter()
            .all(|(_, total)| total.is_some_and(|total| total >= 100 * MIB))
    );
    let answer = &lines[values.len()];
    assert!(answer.starts_with("ok CopyMethod::"), "{lines:?}");
    assert_same(&src, &dir.path().join("dst"));
    if fs.reflinks() {
        let args = [
            "progress",
            "read",
            "fast-copy",
            ".",
            "src",
            ".",
            "clone",
            "no-sync",
        ];
        let lines = probe(dir.path(), FastCopyCtx::new(), &args);
        // The clone has begun, and moved nothing.
        let values = progress(&lines);
        assert!(values.len() <= 1, "{lines:?}");
        assert!(values.iter().all(|(copied, _)| *copied == 0), "{lines:?}");
        assert!(lines[values.len()].starts_with("ok CopyMethod::Reflink "));
    }
}

fn a_copy_does_not_wait_for_a_reader_of_its_progress(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    dense_file(&src, 100 * MIB);
    for mode in ["unread", "drop-stream", "late"] {
        let slots = CopySlots::new(1);
        let ctx = with_slots(&slots).build();
        let lines = watch(dir.path(), mode, ctx.clone());
        let outcome = lines.iter().find(|line| line.starts_with("ok "));
        assert!(outcome.is_some(), "{mode}: {lines:?}");
        assert_same(&src, &dir.path().join("dst"));
        assert_eq!((ctx.jobs(), slots.free()), (0, 1));
        if mode == "late" {
            // Only the latest value is kept.
            let values: Vec<_> = lines
                .iter()
                .filter(|line| line.starts_with("progress "))
                .collect();
            assert_eq!(values.len(), 1, "{lines:?}");
            assert!(values[0].starts_with(&format!("progress {} ", 100 * MIB)));
        }
    }
}

/// The copy may not have begun when it is cancelled.
fn dropping_the_future_at_once_cancels_the_copy(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), 100 * MIB);
    let slots = CopySlots::new(1);
    let ctx = slow(&slots).build();
    let lines = watch(dir.path(), "drop-future", ctx.clone());
    assert_eq!(lines.last().unwrap(), "ended", "{lines:?}");
    wait_until(|| slots.free() == 1 && ctx.jobs() == 0);
    assert_eq!(names(dir.path()), ["src"]);
}

fn dropping_the_store_cancels_its_calls(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), 100 * MIB);
    let copy = ["sparse-copy", ".", "src", ".", "dst-{i}", "no-sync"];
    for args in [
        [&["many"][..], &copy[..], &["8", "8"]].concat(),
        [&["progress", "unread"], &copy[..]].concat(),
    ] {
        let slots = CopySlots::new(2);
        let (sender, started) = std::sync::mpsc::channel();
        let ctx = slow(&slots).hooks(Started(sender)).build();
        let dirs = [Preopen::writable(dir.path(), ".")];
        let mut guest = RunningGuest::new(Guest::Probe, Form::P3, &dirs, &args, ctx.clone());
        guest.run_until(|| started.try_recv().is_ok());
        drop(guest);
        wait_until(|| slots.free() == 2 && ctx.waiting() == 0 && ctx.jobs() == 0);
        assert_eq!(names(dir.path()), ["src"]);
    }
}

/// Hooks that say when a copy has started.
struct Started(std::sync::mpsc::Sender<()>);

impl CopyHooks for Started {
    fn started(&self, _: &CopyRequest<'_>, _: &CopyControl) {
        // The test waits for the first one only.
        let _ = self.0.send(());
    }
}

/// Starts copies with progress in a directory, keeps of each what `kept` says, and makes two more.
fn hoard(dir: &Path, kept: &str, copies: &str, ctx: FastCopyCtx) -> Vec<String> {
    let copy = ["fast-copy", ".", "src", ".", "dst-{i}", "no-sync"];
    probe(dir, ctx, &[&["hoard", kept, copies], &copy[..]].concat())
}

fn copies_with_progress_count_as_jobs(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), 64 * KIB);
    let slots = CopySlots::new(2);
    let ctx = with_slots(&slots).max_jobs(4).build();
    let lines = hoard(dir.path(), "both", "10", ctx.clone());
    let [busy, kept, last] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(busy, "err ErrorCode::Busy None");
    assert_eq!(kept, "4 ok, 6 err ErrorCode::Busy None");
    assert!(last.starts_with("ok "), "{last}");
    assert_eq!((ctx.jobs(), slots.free()), (0, 2));
    let made = ["dst-0", "dst-1", "dst-11", "dst-2", "dst-3", "src"];
    assert_eq!(names(dir.path()), made);
}

/// A place is free once the stream, the future and the work have ended.
fn streams_and_futures_of_copies_keep_their_places(fs: &FileSystem) {
    for (kept, expected) in [
        ("stream", &["err", "ok"] as &[_]),
        ("future", &["err", "4 ok, 6 err", "ok"]),
    ] {
        let dir = fs.dir();
        dense_file(&dir.path().join("src"), 64 * KIB);
        let slots = CopySlots::new(2);
        let ctx = with_slots(&slots).max_jobs(4).build();
        let lines = hoard(dir.path(), kept, "10", ctx.clone());
        assert_eq!(lines.len(), expected.len(), "{kept}: {lines:?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{kept}: {lines:?}");
        }
        wait_until(|| (ctx.jobs(), slots.free()) == (0, 2));
    }
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), 64 * KIB);
    let slots = CopySlots::new(2);
    // The work of the copies whose ends are dropped may still be stopping.
    let ctx = with_slots(&slots).max_jobs(4).build();
    let lines = hoard(dir.path(), "neither", "3", ctx.clone());
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines.iter().all(|line| line.starts_with("ok ")),
        "{lines:?}"
    );
    wait_until(|| (ctx.jobs(), slots.free()) == (0, 2));
}

/// Makes a file with data in so many ranges.
fn file_of_ranges(src: &Path, ranges: u64) -> File {
    let data: Vec<_> = (0..ranges)
        .map(|i| 64 * KIB * i..64 * KIB * i + 4 * KIB)
        .collect();
    sparse_file(src, 64 * KIB * ranges, &data);
    let file = File::open(src).unwrap();
    file.sync_all().unwrap();
    file
}

/// Returns what `data-ranges` prints for ranges: their offsets and lengths.
fn line(ranges: impl IntoIterator<Item = (u64, u64)>) -> String {
    let ranges = ranges.into_iter();
    let words = ranges.map(|(offset, length)| format!(" {offset}+{length}"));
    format!("ok{}", words.collect::<String>())
}

/// Makes a file of more ranges than the host looks for at a time. Returns what `data-ranges` prints for it.
fn many_ranges(src: &Path) -> String {
    let found = data_ranges(&file_of_ranges(src, 3000));
    assert!(found.len() > 2048, "{} ranges", found.len());
    let ranges = found.into_iter();
    line(ranges.map(|range| (range.start, range.end - range.start)))
}

fn a_stream_has_all_ranges_of_a_file(fs: &FileSystem) {
    let dir = fs.dir();
    let expected = many_ranges(&dir.path().join("src"));
    let ctx = FastCopyCtx::new();
    let lines = probe(dir.path(), ctx.clone(), &["data-ranges", ".", "src", "0"]);
    assert!(lines[0] == expected, "{:.200}", lines[0]);
    assert_eq!(ctx.jobs(), 0);
    let args = ["data-ranges", ".", "none", "0"];
    assert_eq!(
        probe(dir.path(), ctx.clone(), &args)[0],
        "err ErrorCode::NoEntry"
    );
    let long = "x".repeat(5000);
    let args = ["data-ranges", ".", &long, "0"];
    assert_eq!(
        probe(dir.path(), ctx, &args)[0],
        "err ErrorCode::NameTooLong"
    );
    // A stream needs a place, as a job does.
    let none = FastCopyCtx::builder().max_jobs(0).build();
    let args = ["data-ranges", ".", "src", "0"];
    assert_eq!(probe(dir.path(), none, &args)[0], "err ErrorCode::Busy");
}

/// The host finds up to 1,024 ranges at a time. The guest reads fewer, as many, or more.
fn a_stream_has_the_same_ranges_in_parts(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    for ranges in [0, 1, 2, 4, 5, 8, 1023, 1024, 1025] {
        drop(file_of_ranges(&src, ranges));
        let source = Source::open(&src, false).unwrap();
        let options = CopyOptions::new();
        let found = wasmtime_fast_copy::data_ranges(&source, 0, usize::MAX, &options).unwrap();
        assert_eq!(found.len() as u64, ranges);
        let expected = line(found.iter().map(|range| (range.offset, range.length)));
        let ctx = FastCopyCtx::new();
        for args in [
            &["data-ranges", ".", "src", "0"] as &[_],
            &["ranges-in-parts", "1", ".", "src"],
            &["ranges-in-parts", "3", ".", "src"],
            &["ranges-in-parts", "1024", ".", "src"],
            &["ranges-in-parts", "1025", ".", "src"],
        ] {
            let lines = probe(dir.path(), ctx.clone(), args);
            assert!(
                lines[0] == expected,
                "{ranges} ranges, {args:?}: {:.200}",
                lines[0]
            );
        }
        assert_eq!(ctx.jobs(), 0);
    }
}

fn streams_and_futures_of_ranges_can_be_dropped(fs: &FileSystem) {
    let dir = fs.dir();
    let expected = many_ranges(&dir.path().join("src"));
    let ctx = FastCopyCtx::new();
    let lines = probe(dir.path(), ctx.clone(), &["ranges-drop", ".", "src"]);
    let first = expected.split(' ').nth(1).unwrap();
    assert_eq!(lines, [first, "ok"]);
    let lines = probe(dir.path(), ctx.clone(), &["ranges-future-drop", ".", "src"]);
    assert!(lines[0] == expected, "{:.200}", lines[0]);
    assert_eq!(ctx.jobs(), 0);
    assert!(exists(&dir.path().join("src")));
}
