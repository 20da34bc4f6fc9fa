//! Many guests share a few slots, some of them attackers.

use std::fs::{self, File};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use wasmtime_fast_copy::p2::bindings::types::{CopyFlags, CopyMethod, ErrorCode};
use wasmtime_fast_copy::{
    CopyError, CopyHooks, CopyReport, CopyRequest, CopySlots, CopyTimes, FastCopyCtx,
    FastCopyCtxBuilder,
};

use crate::files::{KIB, MIB, dense_file, names, same_content, sparse_file};
use crate::filesystems::FileSystem;
use crate::guest_host::{Guest, Preopen, run_to_end};
use crate::times;
use crate::view::View;

const GUESTS: usize = 32;
const COPIES: usize = 32;
const SLOTS: usize = 8;

/// Notes how long each copy took, from its permit to its end.
#[derive(Clone, Default)]
struct Stopwatch(Arc<Mutex<Vec<Duration>>>);

impl CopyHooks for Stopwatch {
    fn ended(
        &self,
        _: &CopyRequest<'_>,
        result: Result<&CopyReport, &CopyError>,
        times: CopyTimes,
    ) {
        if result.is_ok() {
            self.0.lock().unwrap().push(times.worked);
        }
    }
}

impl Stopwatch {
    /// The median and the 99th percentile.
    fn figures(&self) -> (Duration, Duration) {
        let mut times = self.0.lock().unwrap().clone();
        times.sort_unstable();
        (times[times.len() / 2], times[times.len() * 99 / 100])
    }
}

pub fn nobody_fails_or_starves_beside_attackers(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), MIB);
    let (slots, start) = (CopySlots::new(SLOTS), Instant::now());
    let alone = Stopwatch::default();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(guests(fs, 1, &slots, &alone));
    let unloaded = alone.figures();

    let crowded = Stopwatch::default();
    let mut slowest = Duration::ZERO;
    runtime.block_on(async {
        let mut attackers = JoinSet::new();
        let attack = FastCopyCtx::builder().slots(slots.clone());
        // Enough to take all slots, were these not given in turn.
        for _ in 0..3 {
            attackers.spawn(spam_fifos(fs.clone(), attack.clone()));
            attackers.spawn(spam_extents(fs.clone(), attack.clone()));
            attackers.spawn(be_killed(fs.clone(), attack.clone()));
        }
        for _ in 0..times(10, 1) {
            let round = Instant::now();
            guests(fs, GUESTS, &slots, &crowded).await;
            slowest = slowest.max(round.elapsed());
        }
        let ended = attackers.try_join_next();
        assert!(ended.is_none(), "an attacker has ended: {ended:?}");
        attackers.shutdown().await;
    });
    drop(runtime);
    let deadline = Instant::now() + Duration::from_secs(60);
    while slots.free() < SLOTS {
        assert!(Instant::now() < deadline, "{} slots are free", slots.free());
        std::thread::sleep(Duration::from_millis(1));
    }
    let loaded = crowded.figures();
    println!(
        "{}: a copy of 1 MiB takes {unloaded:?} alone, {loaded:?} beside attackers (median and 99th \
         percentile, from its permit to its end); the slowest round of {GUESTS} x \
         {COPIES} copies took {slowest:?}, all {:?}",
        fs.name,
        start.elapsed(),
    );
}

/// So many guests copy at the same time; all copies must be made, and be whole.
async fn guests(fs: &FileSystem, count: usize, slots: &CopySlots, watch: &Stopwatch) {
    let mut running = JoinSet::new();
    for _ in 0..count {
        let dir = fs.dir();
        dense_file(&dir.path().join("src"), MIB);
        let ctx = FastCopyCtx::builder()
            .slots(slots.clone())
            .hooks(watch.clone());
        running.spawn(async move {
            let dirs = [Preopen::writable(dir.path(), ".")];
            let copies = COPIES.to_string();
            let args = ["fast-copy", ".", "src", ".", "dst-{i}", "no-sync", &copies];
            let output = run_to_end(Guest::Probe, &dirs, &args, ctx.build()).await;
            let output = output.unwrap();
            assert!(output.stdout.starts_with("ok "), "{output:?}");
            assert_eq!(names(dir.path()).len(), 1 + COPIES);
            let src = dir.path().join("src");
            for i in 0..COPIES {
                same_content(&src, &dir.path().join(format!("dst-{i}"))).unwrap();
            }
        });
    }
    while let Some(guest) = running.join_next().await {
        guest.unwrap();
    }
}

/// Copies what no copy may wait at, again and again.
async fn spam_fifos(fs: FileSystem, ctx: FastCopyCtxBuilder) {
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
        let output = run_to_end(Guest::Hostile, &dirs, &args, ctx.clone().build()).await;
        assert_eq!(output.unwrap().stdout, "Invalid 1000\n");
    }
}

/// Copies a file of very many extents, again and again.
async fn spam_extents(fs: FileSystem, ctx: FastCopyCtxBuilder) {
    let dir = fs.dir();
    let extents: Vec<_> = (0..times(50_000, 2_000) as u64)
        .map(|i| 8 * KIB * i..8 * KIB * i + 4 * KIB)
        .collect();
    let src = dir.path().join("src");
    let end = extents.last().unwrap().end;
    let making = tokio::task::spawn_blocking(move || sparse_file(&src, end, &extents));
    making.await.unwrap();
    loop {
        let dirs = [Preopen::writable(dir.path(), ".")];
        let args = ["spam", "10", "src"];
        let output = run_to_end(Guest::Hostile, &dirs, &args, ctx.clone().build()).await;
        assert_eq!(output.unwrap().stdout, "ok 10\n");
    }
}

/// Is dropped in the middle of its copies, every 100 ms.
async fn be_killed(fs: FileSystem, ctx: FastCopyCtxBuilder) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), 64 * MIB);
    for seed in 1.. {
        let dirs = [Preopen::writable(dir.path(), ".")];
        let seed = seed.to_string();
        let args = ["storm", "1000000", &seed];
        let guest = run_to_end(Guest::Hostile, &dirs, &args, ctx.clone().build());
        let ended = tokio::time::timeout(Duration::from_millis(100), guest).await;
        assert!(ended.is_err(), "{ended:?}");
        for name in names(dir.path()) {
            if name != "src" {
                let _ = fs::remove_file(dir.path().join(name));
            }
        }
    }
}

/// To clone it would take long, could not be stopped, and would keep its writers waiting.
pub fn an_extent_bomb_is_not_cloned(fs: &FileSystem) {
    let dir = fs.dir();
    let extents: Vec<_> = (0..times(1_000_000, 110_000) as u64)
        .map(|i| 8 * KIB * i..8 * KIB * i + 4 * KIB)
        .collect();
    let src = dir.path().join("src");
    sparse_file(&src, extents.last().unwrap().end, &extents);
    File::open(&src).unwrap().sync_all().unwrap();
    let mut view = View::new(dir.path(), FastCopyCtx::new());
    let start = Instant::now();
    let error = view.fast_copy("src", "dst", CopyFlags::REQUIRE_REFLINK);
    let refused = start.elapsed();
    assert!(matches!(error.unwrap_err().code, ErrorCode::Unsupported));
    let report = view.fast_copy("src", "dst", CopyFlags::NO_SYNC).unwrap();
    assert!(!matches!(report.method, CopyMethod::Reflink));
    same_content(&src, &dir.path().join("dst")).unwrap();
    println!(
        "{}: {} extents: refused after {refused:?}, copied after {:?}",
        fs.name,
        extents.len(),
        start.elapsed()
    );
}
