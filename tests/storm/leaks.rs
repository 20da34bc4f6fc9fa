//! What is left of many calls: no slot, no table entry, no descriptor, no thread, no staged file, and
//! no more memory than before.

use std::fs;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use wasmtime::component::Resource;
use wasmtime_fast_copy::p2::bindings::jobs::{Host as _, HostCopyJob};
use wasmtime_fast_copy::p2::bindings::types::CopyFlags;
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};
use wasmtime_wasi::p2::bindings::io::poll::HostPollable;

use crate::files::{MIB, dense_file, names};
use crate::filesystems::FileSystem;
use crate::view::View;

/// Calls of each kind.
const EACH: usize = 2_500;

pub fn ten_thousand_calls_leave_nothing(fs: &FileSystem) {
    let dir = fs.dir();
    dense_file(&dir.path().join("src"), MIB);
    let slots = CopySlots::new(8);
    let ctx = FastCopyCtx::builder().slots(slots.clone()).build();
    let mut view = View::new(dir.path(), ctx);

    // What a first call brings with it for good is no leak.
    let runtime = Runtime::new().unwrap();
    runtime.block_on(some_of_each(&mut view, 100));
    drop(runtime);
    let before = Held::now();

    let runtime = Runtime::new().unwrap();
    runtime.block_on(some_of_each(&mut view, EACH));
    // Waits for its blocking threads.
    drop(runtime);
    let deadline = Instant::now() + Duration::from_secs(60);
    while slots.free() < 8 {
        assert!(Instant::now() < deadline, "{} slots are free", slots.free());
        std::thread::sleep(Duration::from_millis(1));
    }
    // A runtime keeps a blocking thread for some seconds after its last work.
    let mut after = Held::now();
    while after.threads > before.threads && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
        after = Held::now();
    }
    println!(
        "{}: {} calls: {before:?}, then {after:?}",
        fs.name,
        4 * EACH
    );
    assert_eq!(after.descriptors, before.descriptors);
    assert!(after.threads <= before.threads);
    // The allocator keeps some of what it was given; a leak of 100 bytes a call were 1 MB.
    assert!(
        after.memory <= before.memory + 1_000_000,
        "memory has grown"
    );
    assert!(view.close(), "something is left in the table");
    assert_eq!(names(dir.path()), ["dst", "src"]);
}

/// Of plain calls, of those that fail, of finished jobs and of dropped ones.
async fn some_of_each(view: &mut View, calls: usize) {
    let flags = CopyFlags::NO_SYNC | CopyFlags::REPLACE;
    for i in 0..calls {
        assert!(view.fast_copy("src", "dst", flags).is_ok());
        let nonsense = ["", "none", "../src", "src/", "."][i % 5];
        assert!(view.fast_copy(nonsense, "dst", flags).is_err());
        for finishes in [true, false] {
            let (src, dst) = (view.dir(), view.dir());
            let mut host = view.view();
            let job = host
                .start_sparse_copy(src, "src".into(), dst, "dst".into(), flags)
                .await
                .unwrap()
                .unwrap();
            let again = Resource::new_borrow(job.rep());
            let pollable = HostCopyJob::subscribe(&mut host, again).await.unwrap();
            if finishes {
                assert!(HostCopyJob::finish(&mut host, job).await.unwrap().is_ok());
            } else {
                HostCopyJob::drop(&mut host, job).await.unwrap();
            }
            HostPollable::drop(&mut view.table, pollable).unwrap();
        }
    }
}

/// What this process holds.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    threads: usize,
    /// In bytes.
    memory: u64,
}

impl Held {
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
