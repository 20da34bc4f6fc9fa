//! Leaks: after many calls no slot, table entry, descriptor, thread or staged file is left, and no more
//! memory is in use than before.

use std::fs;
use std::time::{Duration, Instant};

use fast_copy_test_support::command::Form;
use fast_copy_test_support::files::{MIB, assert_same, dense_file, names};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::guest_host::{Guest, Preopen, run_with};
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use fast_copy_test_support::waiting::wait_until;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use wasmtime::component::Resource;
use wasmtime_fast_copy::p2::bindings::inspect::Host as _;
use wasmtime_fast_copy::p2::bindings::jobs::HostCopyJob;
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};
use wasmtime_wasi::p2::bindings::io::poll::HostPollable;

fast_copy_test_support::tests![
    ten_thousand_calls_leak_nothing,
    ten_thousand_calls_of_wasi_0_3_leak_nothing,
];

/// How many rounds there are, and how many calls each of them makes.
const ROUNDS: usize = 1_250;
const KINDS: usize = 9;

fn ten_thousand_calls_leak_nothing(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), MIB);
    let ctx = ctx_with_slots();
    let mut state = State::in_dir(dir.path(), ctx.clone());
    assert_no_leak(fs, &ctx, (100, ROUNDS), |rounds| {
        // Its drop waits for its blocking threads.
        let runtime = Runtime::new().unwrap();
        runtime.block_on(all_kinds(&mut state, rounds));
        KINDS * rounds
    });
    assert!(state.close(), "the table is not empty");
    assert_eq!(names(dir.path()), ["dst", "src"]);
}

/// What a guest of WASI 0.3 does in each round, and how many calls or copies that makes.
const ATTACKS: [(&str, usize, &[&str]); 8] = [
    ("storm", 400, &["1"]),
    ("ends", 90, &[]),
    ("reads", 30, &[]),
    ("cancel", 80, &[]),
    ("hoard", 80, &[]),
    ("ranges", 80, &[]),
    ("exit", 40, &[]),
    ("crowd", 40, &["replace", "dst"]),
];

fn ten_thousand_calls_of_wasi_0_3_leak_nothing(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), MIB);
    let ctx = ctx_with_slots();
    let dirs = [Preopen::writable(dir.path(), ".")];
    assert_no_leak(fs, &ctx, (2, 12), |rounds| {
        for _ in 0..rounds {
            for (attack, calls, rest) in ATTACKS {
                let calls = calls.to_string();
                let args = [&[attack, &calls], rest].concat();
                let output = run_with(Guest::Hostile, Form::P3, &dirs, &args, ctx.clone());
                assert_eq!(output.status, 0, "{output:?}");
            }
        }
        let calls = ATTACKS.iter().map(|(_, calls, _)| calls);
        calls.sum::<usize>() * rounds
    });
    for name in names(dir.path()) {
        assert_same(&dir.path().join("src"), &dir.path().join(name));
    }
}

/// Returns a context with slots of its own.
fn ctx_with_slots() -> FastCopyCtx {
    FastCopyCtx::builder().slots(CopySlots::new(8)).build()
}

/// Runs `work` in two numbers of rounds, and asserts that the second run leaves nothing behind. `work` returns how
/// many calls it has made.
fn assert_no_leak(
    fs: &FileSystem,
    ctx: &FastCopyCtx,
    (first, second): (usize, usize),
    mut work: impl FnMut(usize) -> usize,
) {
    // The work of dropped calls and jobs has to stop, too.
    let wait_for_the_end = || {
        let slots = ctx.slots();
        wait_until(|| slots.free() == slots.total() && ctx.jobs() + ctx.waiting() == 0);
    };
    // What the first calls allocate for good is no leak.
    work(first);
    wait_for_the_end();
    let before = Resources::now();

    let calls = work(second);
    wait_for_the_end();
    let deadline = Instant::now() + Duration::from_secs(60);
    // A runtime keeps an idle blocking thread for some seconds.
    let mut after = Resources::now();
    while after.threads > before.threads && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
        after = Resources::now();
    }
    println!("{}: {calls} calls: {before:?}, then {after:?}", fs.name);
    assert_eq!(after.descriptors, before.descriptors);
    assert!(after.threads <= before.threads);
    // The allocator keeps some freed memory. A leak of 100 bytes a call would be 1 MB.
    assert!(
        after.memory <= before.memory + 1_000_000,
        "memory has grown"
    );
}

/// Makes calls in both forms: some that succeed, fail, or are dropped; jobs that are finished, cancelled
/// and dropped; and calls of `inspect`.
async fn all_kinds(state: &mut State, rounds: usize) {
    let options = Options::NOT_DURABLE | Options::REPLACE;
    for i in 0..rounds {
        assert!(state.fast_copy("src", "dst", options).unwrap().is_ok());
        let nonsense = ["", "none", "../src", "src/", "."][i % 5];
        assert!(state.fast_copy(nonsense, "dst", options).unwrap().is_err());
        assert!(
            state
                .sparse_copy_async("src", "dst", options)
                .await
                .unwrap()
                .is_ok()
        );
        // During the copy, or before it has started.
        let dropped = state.sparse_copy_async("src", "dst", options);
        let _ = timeout(Duration::from_micros(i as u64 % 500), dropped).await;
        assert!(state.disk_usage("src").unwrap().is_ok());
        let dir = state.borrow();
        let extents = state.view().summarize_extents(dir, "src".into()).await;
        // It fails on tmpfs, which has no FIEMAP.
        let _ = extents.unwrap();
        for end in [End::Finish, End::Cancel, End::Drop] {
            let job = state.start_sparse_copy("src", "dst", options);
            let job = job.unwrap().unwrap();
            let again = || Resource::new_borrow(job.rep());
            let pollable = HostCopyJob::subscribe(&mut state.view(), again()).unwrap();
            match end {
                End::Finish => assert!(state.finish(job).is_ok()),
                End::Cancel => {
                    HostCopyJob::cancel(&mut state.view(), again()).unwrap();
                    let _ = state.finish(job);
                }
                End::Drop => HostCopyJob::drop(&mut state.view(), job).unwrap(),
            }
            HostPollable::drop(&mut state.table, pollable).unwrap();
        }
    }
}

/// How a job ends.
enum End {
    Finish,
    Cancel,
    Drop,
}

/// The resources of this process.
#[derive(Debug)]
struct Resources {
    descriptors: usize,
    threads: usize,
    /// The resident memory, in bytes.
    memory: u64,
}

impl Resources {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let number = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Self {
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            threads: number("Threads:") as usize,
            memory: number("VmRSS:") * 1024,
        }
    }
}
