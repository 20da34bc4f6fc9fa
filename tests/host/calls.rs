//! Single calls: the executor, the resource table, and callers that drop the future.

use std::fs;
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use fast_copy_test_support::files::dense_file;
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use wasmtime::component::Resource;
use wasmtime_fast_copy::p2::bindings::copy::Host;
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};

/// Returns the allocated bytes of the unnamed file of this size that this process has open.
fn staged(size: u64) -> Option<u64> {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|fd| fs::metadata(fd.ok()?.path()).ok())
        .find(|metadata| metadata.is_file() && metadata.nlink() == 0 && metadata.len() == size)
        .map(|metadata| metadata.blocks() * 512)
}

#[tokio::test]
async fn a_dropped_call_stops_copying_and_publishes_nothing() {
    const SIZE: u64 = (256 << 20) + 12_345;
    let mut state = State::new();
    dense_file(&state.path("src"), SIZE);
    // If the copy ends before the drop, it is tried again.
    for _ in 0..10 {
        let mut call = Box::pin(state.sparse_copy_async("src", "dst", Options::empty()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
        let deadline = Instant::now() + Duration::from_secs(60);
        while staged(SIZE).unwrap_or(0) == 0 {
            assert!(Instant::now() < deadline, "the copy has not started");
        }
        drop(call);

        let mut last_seen = 0;
        while let Some(blocks) = staged(SIZE) {
            last_seen = last_seen.max(blocks);
            assert!(Instant::now() < deadline, "the copy has not ended");
        }
        if state.path("dst").exists() {
            fs::remove_file(state.path("dst")).unwrap();
            continue;
        }
        assert!(last_seen < SIZE, "the whole file was copied after the drop");
        return;
    }
    panic!("all of ten copies ended before the drop");
}

#[tokio::test(flavor = "current_thread")]
async fn a_copy_does_not_block_the_executor() {
    let mut state = State::new();
    dense_file(&state.path("src"), 32 << 20);
    let mut copying = pin!(state.sparse_copy_async("src", "dst", Options::empty()));
    let mut ticks = 0;
    let result = loop {
        tokio::select! {
            biased;
            result = &mut copying => break result,
            () = tokio::task::yield_now() => ticks += 1,
        }
    };
    assert_eq!(result.unwrap().unwrap().size, 32 << 20);
    assert!(ticks > 0, "the copy ran on the executor's only thread");
}

#[test]
fn allow_blocking_current_thread_copies_on_the_polling_thread() {
    let mut state = State::new();
    // With a slot of its own, which is free.
    state.ctx = FastCopyCtx::builder()
        .slots(CopySlots::new(1))
        .allow_blocking_current_thread(true)
        .build();
    dense_file(&state.path("src"), 1 << 20);
    let mut call = pin!(state.sparse_copy_async("src", "dst", Options::empty()));
    // There is no runtime, and one poll must be enough.
    let mut context = Context::from_waker(Waker::noop());
    match call.as_mut().poll(&mut context) {
        Poll::Ready(answer) => assert_eq!(answer.unwrap().unwrap().size, 1 << 20),
        Poll::Pending => panic!("the copy was given to another thread"),
    }
}

#[tokio::test]
async fn the_synchronous_form_works_inside_a_tokio_context() {
    let mut state = State::new();
    fs::write(state.path("src"), "text").unwrap();
    let report = state.fast_copy("src", "dst", Options::empty());
    assert_eq!(report.unwrap().unwrap().size, 4);
}

#[test]
fn the_asynchronous_form_works_outside_a_tokio_context() {
    let mut state = State::new();
    fs::write(state.path("src"), "text").unwrap();
    let mut call = pin!(state.sparse_copy_async("src", "dst", Options::empty()));
    let mut context = Context::from_waker(Waker::noop());
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Poll::Ready(result) = call.as_mut().poll(&mut context) {
            assert_eq!(result.unwrap().unwrap().size, 4);
            return;
        }
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn an_unknown_handle_traps() {
    let mut state = State::new();
    let (unknown, dst_dir) = (Resource::new_borrow(4711), state.borrow());
    let (src, dst) = ("src".into(), "dst".into());
    let mut view = state.view();
    let answer = Host::sparse_copy(&mut view, unknown, src, dst_dir, dst, None).await;
    assert!(answer.is_err());
}

#[tokio::test]
async fn a_call_leaves_no_table_entry_and_no_open_descriptor() {
    let mut state = State::new();
    fs::write(state.path("src"), "text").unwrap();
    let mut counts = Vec::new();
    for path in ["src", "none", "src/", "../src", ""] {
        for _ in 0..3 {
            let answer = state.sparse_copy_async(path, "dst", Options::REPLACE).await;
            assert_eq!(answer.unwrap().is_ok(), path == "src");
            let of_this_test = fs::read_dir("/proc/self/fd")
                .unwrap()
                .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok())
                .filter(|target| target.starts_with(state.dir()));
            counts.push(of_this_test.count());
        }
    }
    assert!(counts.iter().all(|&count| count == 1), "{counts:?}");
    assert!(state.close(), "the table is not empty");
}
