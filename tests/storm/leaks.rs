//! Leaks: after many calls no slot, table entry, descriptor, thread or staged file is left, and no more
//! memory is in use than before.

use std::fs;
use std::time::{Duration, Instant};

use fast_copy_test_support::files::{MIB, dense_file, names};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use wasmtime::component::Resource;
use wasmtime_fast_copy::p2::bindings::inspect::Host as _;
use wasmtime_fast_copy::p2::bindings::jobs::HostCopyJob;
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};
use wasmtime_wasi::p2::bindings::io::poll::HostPollable;

fast_copy_test_support::tests![ten_thousand_calls_leak_nothing];

/// How many rounds there are, and how many calls each of them makes.
const ROUNDS: usize = 1_250;
const KINDS: usize = 9;

fn ten_thousand_calls_leak_nothing(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), MIB);
    let slots = CopySlots::new(8);
    let ctx = FastCopyCtx::builder().slots(slots.clone()).build();
    let mut state = State::in_dir(dir.path(), ctx);

    // What the first calls allocate for good is no leak.
    let runtime = Runtime::new().unwrap();
    runtime.block_on(all_kinds(&mut state, 100));
    drop(runtime);
    wait_for_the_end_of_all_work(&state, &slots);
    let before = Resources::now();

    let runtime = Runtime::new().unwrap();
    runtime.block_on(all_kinds(&mut state, ROUNDS));
    // This waits for its blocking threads.
    drop(runtime);
    wait_for_the_end_of_all_work(&state, &slots);
    let deadline = Instant::now() + Duration::from_secs(60);
    // A runtime keeps an idle blocking thread for some seconds.
    let mut after = Resources::now();
    while after.threads > before.threads && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
        after = Resources::now();
    }
    println!(
        "{}: {} calls: {before:?}, then {after:?}",
        fs.name,
        KINDS * ROUNDS
    );
    assert_eq!(after.descriptors, before.descriptors);
    assert!(after.threads <= before.threads);
    // The allocator keeps some freed memory. A leak of 100 bytes a call would be 1 MB.
    assert!(
        after.memory <= before.memory + 1_000_000,
        "memory has grown"
    );
    assert!(state.close(), "the table is not empty");
    assert_eq!(names(dir.path()), ["dst", "src"]);
}

/// Waits until the work of dropped calls and jobs has stopped, too.
fn wait_for_the_end_of_all_work(state: &State, slots: &CopySlots) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while slots.free() < slots.total() || state.ctx.jobs() + state.ctx.waiting() > 0 {
        assert!(Instant::now() < deadline, "{} slots are free", slots.free());
        std::thread::sleep(Duration::from_millis(1));
    }
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
