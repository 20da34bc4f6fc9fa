//! What only a guest of WASI 0.3 can do: have several calls in progress, cancel a call, and read streams.
//!
//! The other modules with guests make each of their calls in WASI 0.3 too.

use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fast_copy_test_support::command::Form;
use fast_copy_test_support::files::{
    KIB, MIB, allocated, assert_same, data_ranges, dense_file, exists, names, sparse_file,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::guest_host::{Guest, Preopen, run_to_end, run_with};
use wasmtime_fast_copy::{
    CopyControl, CopyError, CopyHooks, CopyQuota, CopyRate, CopyReport, CopyRequest, CopySlots,
    CopyTimes, FastCopyCtx, FastCopyCtxBuilder,
};

fast_copy_test_support::tests![
    sixty_four_calls_run_eight_at_a_time,
    calls_beyond_the_limit_on_waiting_ones_are_busy,
    a_call_cancelled_at_any_moment_leaves_a_whole_copy_or_none,
    progress_grows_and_reaches_the_end,
    a_copy_does_not_wait_for_a_reader_of_its_progress,
    dropping_the_future_of_a_copy_cancels_it,
    dropping_the_store_cancels_its_calls,
    copies_with_progress_count_as_jobs,
    a_stream_has_all_ranges_of_a_file where Holes,
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

/// Waits until a condition holds.
#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + MINUTE;
    while !condition() {
        assert!(Instant::now() < deadline, "it does not hold after a minute");
        thread::sleep(Duration::from_millis(1));
    }
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
    dense_file(&dir.path().join("src"), 4 * MIB);
    let slots = CopySlots::new(1);
    let ctx = with_slots(&slots).max_waiting(3).build();
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
    let lines = probe(dir.path(), ctx.clone(), &args);
    let counts = counts(&lines[0]);
    let count = |of: &str| {
        let found = counts.iter().find(|(_, outcome)| outcome == of);
        found.map_or(0, |(count, _)| *count)
    };
    let (made, busy) = (count("ok"), count("err ErrorCode::Busy None"));
    assert_eq!(made + busy, 64, "{lines:?}");
    assert!(made >= 4 && busy > 0, "{lines:?}");
    assert_eq!(names(dir.path()).len(), 1 + made);
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

/// A context in which a copy of 100 MiB takes minutes.
fn slow(slots: &CopySlots) -> FastCopyCtxBuilder {
    let rate = CopyRate::new(std::num::NonZero::new(256 * KIB).unwrap());
    with_slots(slots).rate(rate)
}

fn dropping_the_future_of_a_copy_cancels_it(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), 100 * MIB);
    let slots = CopySlots::new(1);
    let ctx = slow(&slots).build();
    let start = Instant::now();
    let lines = watch(dir.path(), "drop-future", ctx.clone());
    assert_eq!(lines.last().unwrap(), "ended", "{lines:?}");
    // The copy would have taken longer.
    assert!(start.elapsed() < Duration::from_secs(300));
    wait_until(|| slots.free() == 1);
    assert_eq!(ctx.jobs(), 0);
    assert_eq!(names(dir.path()), ["src"]);
}

/// Hooks that say when a copy has started.
struct Started(std::sync::mpsc::Sender<()>);

impl CopyHooks for Started {
    fn started(&self, _: &CopyRequest<'_>, _: &CopyControl) {
        self.0.send(()).unwrap();
    }
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
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (path, in_guest) = (dir.path().to_owned(), ctx.clone());
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let running = runtime.spawn(async move {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let dirs = [Preopen::writable(&path, ".")];
            run_to_end(Guest::Probe, Form::P3, &dirs, &args, in_guest).await
        });
        started.recv_timeout(MINUTE).expect("a copy starts");
        running.abort();
        let ended = runtime.block_on(running);
        assert!(ended.is_err_and(|error| error.is_cancelled()));
        wait_until(|| slots.free() == 2 && ctx.waiting() == 0 && ctx.jobs() == 0);
        assert_eq!(names(dir.path()), ["src"]);
    }
}

fn copies_with_progress_count_as_jobs(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), 64 * KIB);
    let slots = CopySlots::new(2);
    let ctx = with_slots(&slots).max_jobs(4).build();
    let args = [
        "hoard",
        "10",
        "fast-copy",
        ".",
        "src",
        ".",
        "dst-{i}",
        "no-sync",
    ];
    let lines = probe(dir.path(), ctx.clone(), &args);
    assert_eq!(lines[0], "4 ok, 6 err ErrorCode::Busy None");
    assert_eq!((ctx.jobs(), slots.free()), (0, 2));
    assert_eq!(names(dir.path()).len(), 5);
}

/// Makes a file of many ranges. Returns what `data-ranges` prints for it.
fn many_ranges(src: &Path, ranges: u64) -> String {
    let data: Vec<_> = (0..ranges)
        .map(|i| 64 * KIB * i..64 * KIB * i + 4 * KIB)
        .collect();
    sparse_file(src, 64 * KIB * ranges, &data);
    let file = File::open(src).unwrap();
    file.sync_all().unwrap();
    let found = data_ranges(&file);
    assert!(found.len() > 2048, "{} ranges", found.len());
    let words = found
        .iter()
        .map(|range| format!(" {}+{}", range.start, range.end - range.start));
    format!("ok{}", words.collect::<String>())
}

fn a_stream_has_all_ranges_of_a_file(fs: &FileSystem) {
    let dir = fs.dir();
    let expected = many_ranges(&dir.path().join("src"), 3000);
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

fn streams_and_futures_of_ranges_can_be_dropped(fs: &FileSystem) {
    let dir = fs.dir();
    let expected = many_ranges(&dir.path().join("src"), 3000);
    let ctx = FastCopyCtx::new();
    let lines = probe(dir.path(), ctx.clone(), &["ranges-drop", ".", "src"]);
    assert_eq!(lines, ["ok"]);
    let lines = probe(dir.path(), ctx.clone(), &["ranges-future-drop", ".", "src"]);
    assert!(lines[0] == expected, "{:.200}", lines[0]);
    assert_eq!(ctx.jobs(), 0);
    assert!(exists(&dir.path().join("src")));
}
