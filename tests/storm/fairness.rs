//! Many guests of WASI 0.2 and 0.3, some of them hostile, share a few slots.

use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fast_copy_test_support::command::Form;
use fast_copy_test_support::files::{KIB, MIB, dense_file, names, same_content, sparse_file};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::guest_host::{Guest, Preopen, run_to_end};
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use fast_copy_test_support::waiting::wait_until;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use wasmtime_fast_copy::p2::bindings::types::{CopyMethod, ErrorCode};
use wasmtime_fast_copy::{
    CopyError, CopyHooks, CopyReport, CopyRequest, CopySlots, CopyTimes, FastCopyCtx,
    FastCopyCtxBuilder,
};

use fast_copy_test_support::scale::scaled;

fast_copy_test_support::tests![
    every_copy_succeeds_beside_hostile_guests,
    a_source_with_too_many_extents_is_not_cloned where Reflinks,
];

/// The forms that run many guests on one runtime.
const FORMS: [Form; 2] = [Form::Async, Form::P3];

const GUESTS: usize = 32;
const COPIES: usize = 32;
const SLOTS: usize = 8;

/// The limit on the time that a call waits, and that it works. A guest whose call takes longer fails its test.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The times of calls, from their permits until they return to their guests.
#[derive(Clone, Default)]
struct Times(Arc<Mutex<Vec<Duration>>>);

impl Times {
    /// Returns the median and the 99th percentile.
    fn figures(&self) -> (Duration, Duration) {
        let mut times = self.0.lock().unwrap().clone();
        times.sort_unstable();
        (times[times.len() / 2], times[times.len() * 99 / 100])
    }
}

/// The time that each call of a guest waited for its permit, in order.
#[derive(Clone, Default)]
struct Waits(Arc<Mutex<Vec<Duration>>>);

impl CopyHooks for Waits {
    fn ended(&self, _: &CopyRequest<'_>, _: Result<&CopyReport, &CopyError>, times: CopyTimes) {
        self.0.lock().unwrap().push(times.waited);
    }
}

fn every_copy_succeeds_beside_hostile_guests(fs: &FileSystem) {
    let (slots, start) = (CopySlots::new(SLOTS), Instant::now());
    let alone = Times::default();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for _ in 0..scaled(16, 2) {
            for form in FORMS {
                copy_one_by_one(form, fs.clone(), slots.clone(), alone.clone()).await;
            }
        }
    });

    let crowded = Times::default();
    let mut slowest = Duration::ZERO;
    runtime.block_on(async {
        let mut hostile = JoinSet::new();
        let attack = FastCopyCtx::builder().slots(slots.clone());
        // Enough to take all slots if stores didn't take turns.
        for (form, extents) in [
            (Form::Async, scaled(50_000, 5_000)),
            (Form::P3, scaled(110_000, 10_000)),
            (Form::Async, scaled(50_000, 5_000)),
            (Form::P3, scaled(50_000, 5_000)),
        ] {
            hostile.spawn(spam_fifos(form, fs.clone(), attack.clone()));
            hostile.spawn(spam_extents(
                form,
                fs.clone(),
                attack.clone(),
                extents as u64,
            ));
            hostile.spawn(be_dropped(form, fs.clone(), attack.clone()));
        }
        for _ in 0..scaled(10, 1) {
            let round = Instant::now();
            let mut guests = JoinSet::new();
            for _ in 0..GUESTS / 4 {
                for form in FORMS {
                    let (fs, slots) = (fs.clone(), slots.clone());
                    guests.spawn(copy_one_by_one(
                        form,
                        fs.clone(),
                        slots.clone(),
                        crowded.clone(),
                    ));
                    guests.spawn(copy_all_at_once(form, fs, slots));
                }
            }
            while let Some(guest) = guests.join_next().await {
                guest.unwrap();
            }
            slowest = slowest.max(round.elapsed());
        }
        let ended = hostile.try_join_next();
        assert!(ended.is_none(), "a hostile guest has ended: {ended:?}");
        hostile.shutdown().await;
    });
    drop(runtime);
    wait_until(|| slots.free() == SLOTS);
    let (unloaded, loaded) = (alone.figures(), crowded.figures());
    println!(
        "{}: a copy of 1 MiB takes {unloaded:?} alone, {loaded:?} beside hostile guests (median and 99th \
         percentile, from its permit to its return); the slowest round of {GUESTS} x \
         {COPIES} copies took {slowest:?}, all {:?}",
        fs.name,
        start.elapsed(),
    );
}

fn guest(slots: CopySlots) -> FastCopyCtxBuilder {
    FastCopyCtx::builder()
        .slots(slots)
        .wait_timeout(Some(TIMEOUT))
        .timeout(Some(TIMEOUT))
}

/// Makes copies one after another, which must all be complete.
async fn copy_one_by_one(form: Form, fs: FileSystem, slots: CopySlots, times: Times) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), MIB);
    let waits = Waits::default();
    let ctx = guest(slots).hooks(waits.clone());
    let dirs = [Preopen::writable(dir.path(), ".")];
    let copies = COPIES.to_string();
    let args = ["fast-copy", ".", "src", ".", "dst-{i}", "no-sync", &copies];
    let output = run_to_end(Guest::Probe, form, &dirs, &args, ctx.build()).await;
    let output = output.unwrap();
    assert!(output.stdout.starts_with("ok "), "{output:?}");
    assert_all_complete(dir.path());

    let nanos = output.stdout.lines().nth(1).unwrap().split(' ');
    let calls = nanos.map(|nanos| Duration::from_nanos(nanos.parse().unwrap()));
    let waits = waits.0.lock().unwrap();
    let worked = calls.zip(waits.iter()).map(|(call, wait)| call - *wait);
    times.0.lock().unwrap().extend(worked);
}

/// Makes copies at the same time, which must all be complete: by jobs in WASI 0.2, by calls in WASI 0.3.
async fn copy_all_at_once(form: Form, fs: FileSystem, slots: CopySlots) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), MIB);
    let dirs = [Preopen::writable(dir.path(), ".")];
    let args = ["crowd", &COPIES.to_string(), "no-sync", "dst-{i}"];
    let output = run_to_end(Guest::Hostile, form, &dirs, &args, guest(slots).build()).await;
    assert_eq!(output.unwrap().stdout, format!("ok {COPIES}\n"));
    assert_all_complete(dir.path());
}

fn assert_all_complete(dir: &Path) {
    assert_eq!(names(dir).len(), 1 + COPIES);
    for i in 0..COPIES {
        same_content(&dir.join("src"), &dir.join(format!("dst-{i}"))).unwrap();
    }
}

/// Repeatedly copies a FIFO, where a copy must not block.
async fn spam_fifos(form: Form, fs: FileSystem, ctx: FastCopyCtxBuilder) {
    let dir = fs.dir();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    loop {
        let dirs = [Preopen::writable(dir.path(), ".")];
        let args = ["spam", "1000", "fifo"];
        let output = run_to_end(Guest::Hostile, form, &dirs, &args, ctx.clone().build()).await;
        assert_eq!(output.unwrap().stdout, "NotRegularFile 1000\n");
    }
}

/// Repeatedly copies a file of very many extents: by a clone, which can't be interrupted, or extent by
/// extent.
async fn spam_extents(form: Form, fs: FileSystem, ctx: FastCopyCtxBuilder, extents: u64) {
    let dir = fs.dir();
    let extents: Vec<_> = (0..extents)
        .map(|i| 8 * KIB * i..8 * KIB * i + 4 * KIB)
        .collect();
    let src = dir.path().join("src");
    let end = extents.last().unwrap().end;
    let making = tokio::task::spawn_blocking(move || sparse_file(&src, end, &extents));
    making.await.unwrap();
    loop {
        let dirs = [Preopen::writable(dir.path(), ".")];
        let args = ["spam", "10", "src"];
        let output = run_to_end(Guest::Hostile, form, &dirs, &args, ctx.clone().build()).await;
        assert_eq!(output.unwrap().stdout, "ok 10\n");
    }
}

/// Runs a guest with many jobs or calls, and drops it every 100 ms.
async fn be_dropped(form: Form, fs: FileSystem, ctx: FastCopyCtxBuilder) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), 64 * MIB);
    for seed in 1.. {
        let dirs = [Preopen::writable(dir.path(), ".")];
        let seed = seed.to_string();
        let args = ["storm", "1000000", &seed];
        let guest = run_to_end(Guest::Hostile, form, &dirs, &args, ctx.clone().build());
        let ended = tokio::time::timeout(Duration::from_millis(100), guest).await;
        assert!(ended.is_err(), "{ended:?}");
        // What was published is complete, also at the moment of the drop.
        let src = dir.path().join("src");
        for name in names(dir.path()) {
            if name.starts_with("dst-") {
                same_content(&src, &dir.path().join(&name)).unwrap();
                fs::remove_file(dir.path().join(name)).unwrap();
            }
        }
    }
}

/// A clone of it would take long, could not be interrupted, and would block writers to the source.
fn a_source_with_too_many_extents_is_not_cloned(fs: &FileSystem) {
    let dir = fs.dir();
    let extents: Vec<_> = (0..scaled(1_000_000, 110_000) as u64)
        .map(|i| 8 * KIB * i..8 * KIB * i + 4 * KIB)
        .collect();
    let src = dir.path().join("src");
    sparse_file(&src, extents.last().unwrap().end, &extents);
    File::open(&src).unwrap().sync_all().unwrap();
    let mut state = State::in_dir(dir.path(), FastCopyCtx::new());
    let start = Instant::now();
    let answer = state.fast_copy("src", "dst", Options::REQUIRE_REFLINK);
    let refused = start.elapsed();
    let error = answer.unwrap().unwrap_err();
    assert!(matches!(error.code, ErrorCode::NotShareable));
    let answer = state.fast_copy("src", "dst", Options::NOT_DURABLE);
    let report = answer.unwrap().unwrap();
    assert!(!matches!(report.method, CopyMethod::Reflink));
    same_content(&src, &dir.path().join("dst")).unwrap();
    println!(
        "{}: {} extents: refused after {refused:?}, copied after {:?}",
        fs.name,
        extents.len(),
        start.elapsed()
    );
}
