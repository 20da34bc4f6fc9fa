//! How many copies run at once, and what waits.

use std::fs;
use std::future::Future;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use fast_copy_test_support::state::State;
use wasmtime_fast_copy::p2::bindings::types::{CopyFlags, ErrorCode};
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};

use crate::gate::{Gate, begin};

/// Nobody waits for it any more, yet it occupies its thread: so it occupies its slot too.
#[tokio::test(flavor = "multi_thread")]
async fn abandoned_work_still_counts() {
    let slots = CopySlots::new(1);
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder().slots(slots.clone());
    let mut state = State::new().with(builder.clone().hooks(gate));
    drop(begin(&mut state, &seen));
    assert_eq!(slots.free(), 0);

    // Another store's call waits for as long.
    let mut other = State::new().with(builder.timeout(Some(Duration::from_millis(20))));
    assert_times_out(&mut other).await;

    drop(go);
    assert_eq!(
        seen.recv().unwrap(),
        "ended: opening: the copy was cancelled"
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    while slots.free() == 0 {
        assert!(Instant::now() < deadline, "the slot is lost");
        std::thread::yield_now();
    }
    assert!(!state.path("dst").exists());
}

/// So it does in what its own store may do at once, where others have slots to spare.
#[tokio::test(flavor = "multi_thread")]
async fn abandoned_work_counts_in_its_store() {
    let slots = CopySlots::new(8);
    let (gate, seen, go) = Gate::new(None);
    let ctx = FastCopyCtx::builder().slots(slots.clone()).max_copies(1);
    let ctx = ctx.timeout(Some(Duration::from_millis(200))).hooks(gate);
    let mut state = State::new().with(ctx);
    drop(begin(&mut state, &seen));
    assert_eq!(slots.free(), 7);
    assert_times_out(&mut state).await;
    drop(go);
}

async fn assert_times_out(state: &mut State) {
    fs::write(state.path("src"), "text").unwrap();
    let answer = state
        .sparse_copy_async("src", "dst", CopyFlags::empty())
        .await;
    assert!(matches!(
        answer.unwrap().unwrap_err().code,
        ErrorCode::Timeout
    ));
}

/// Slots are free; what holds the others back is what their own store may do at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_has_as_many_copies_at_once_as_it_may() {
    let builder = FastCopyCtx::builder;
    for (ctx, most) in [
        (builder(), wasmtime_fast_copy::DEFAULT_MAX_COPIES),
        (builder().max_copies(1), 1),
        (builder().max_copies(3), 3),
    ] {
        let slots = CopySlots::new(8);
        let (gate, seen, go) = Gate::new(None);
        let ctx = ctx.slots(slots.clone()).hooks(gate).build();
        let mut handles: Vec<State> = (0..5).map(|_| State::new().with_ctx(ctx.clone())).collect();
        let mut calls: Vec<_> = handles
            .iter_mut()
            .map(|state| {
                fs::write(state.path("src"), "text").unwrap();
                Box::pin(state.sparse_copy_async("src", "dst", CopyFlags::NO_SYNC))
            })
            .collect();
        let mut context = Context::from_waker(Waker::noop());
        for call in &mut calls {
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!((ctx.waiting(), slots.free()), (5 - most, 8 - most));
        for _ in 0..most {
            while seen.recv().unwrap() != "started, 0" {}
        }
        drop(go);
        for call in calls {
            assert!(call.await.unwrap().is_ok());
        }
        assert_eq!((ctx.waiting(), slots.free()), (0, 8));
    }
}

/// A call that waits takes no thread, and leaves the line when it is dropped.
#[test]
fn calls_wait_without_a_thread_and_too_many_are_busy() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .max_blocking_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(calls_wait());
}

async fn calls_wait() {
    let slots = CopySlots::new(1);
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder().slots(slots.clone()).max_waiting(3);
    let mut holder = State::new().with(builder.clone().hooks(gate));
    let held = begin(&mut holder, &seen);
    let mut context = Context::from_waker(Waker::noop());

    let ctx = builder.build();
    let mut stores: Vec<State> = (0..4)
        .map(|_| {
            let state = State::new().with_ctx(ctx.clone());
            fs::write(state.path("src"), "text").unwrap();
            state
        })
        .collect();
    let mut calls: Vec<_> = stores
        .iter_mut()
        .map(|state| Box::pin(state.sparse_copy_async("src", "dst", CopyFlags::empty())))
        .collect();
    let busy = calls.split_off(3).pop().unwrap();
    for call in &mut calls {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    // One of the two blocking threads is held; were the other one taken by those who wait, this
    // would never end.
    tokio::task::spawn_blocking(|| ()).await.unwrap();
    assert!(matches!(
        busy.await.unwrap().unwrap_err().code,
        ErrorCode::Busy
    ));

    // One of them goes away; the others get their turn.
    drop(calls.remove(1));
    drop(go);
    assert!(held.await.unwrap().is_ok());
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(slots.free(), 1);
}

/// A host that leaves a guest's future alone keeps no slot from the others, and no copy from its end.
#[tokio::test(flavor = "current_thread")]
async fn a_call_that_nobody_polls_is_in_nobodys_way() {
    let slots = CopySlots::new(1);
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder().slots(slots.clone()).timeout(None);
    let mut holder = State::new().with(builder.clone().hooks(gate));
    let held = begin(&mut holder, &seen);
    let mut context = Context::from_waker(Waker::noop());

    let (mut left_alone, mut other) = (State::new(), State::new());
    left_alone.ctx = builder.clone().build();
    other.ctx = builder.build();
    for state in [&left_alone, &other] {
        fs::write(state.path("src"), "text").unwrap();
    }
    let dst = left_alone.path("dst");
    let mut call = Box::pin(left_alone.sparse_copy_async("src", "dst", CopyFlags::empty()));
    assert!(call.as_mut().poll(&mut context).is_pending());
    drop(go);
    assert!(held.await.unwrap().is_ok());
    let answer = other.sparse_copy_async("src", "dst", CopyFlags::empty());
    let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
    assert!(answer.expect("the slot is lost").unwrap().is_ok());
    assert!(dst.exists());
    assert!(call.await.unwrap().is_ok());
}

/// A host's runtime need not have a timer, nor need its thread be free.
#[test]
fn calls_wait_in_a_runtime_that_has_no_timer() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let slots = CopySlots::new(1);
        let (gate, seen, go) = Gate::new(None);
        let builder = FastCopyCtx::builder().slots(slots.clone());
        let mut holder = State::new().with(builder.clone().hooks(gate));
        let held = begin(&mut holder, &seen);

        let impatient = builder.timeout(Some(Duration::from_millis(20)));
        let mut state = State::new().with(impatient);
        fs::write(state.path("src"), "text").unwrap();
        let answer = state
            .sparse_copy_async("src", "dst", CopyFlags::empty())
            .await;
        assert!(matches!(
            answer.unwrap().unwrap_err().code,
            ErrorCode::Timeout
        ));
        assert_eq!(state.ctx.waiting(), 0);
        drop(go);
        assert!(held.await.unwrap().is_ok());
    });
}

/// None of them takes a thread, and none of them fails.
#[test]
fn a_thousand_stores_wait_without_a_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let slots = CopySlots::new(1);
        let (gate, seen, go) = Gate::new(None);
        let builder = FastCopyCtx::builder().slots(slots.clone());
        let mut holder = State::new().with(builder.clone().hooks(gate));
        let held = begin(&mut holder, &seen);
        let mut context = Context::from_waker(Waker::noop());

        let mut stores: Vec<State> = (0..1000)
            .map(|_| State::new().with(builder.clone()))
            .collect();
        let mut calls: Vec<_> = stores
            .iter_mut()
            .map(|state| {
                fs::write(state.path("src"), "text").unwrap();
                Box::pin(state.sparse_copy_async("src", "dst", CopyFlags::NO_SYNC))
            })
            .collect();
        for call in &mut calls {
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        drop(go);
        assert!(held.await.unwrap().is_ok());
        for call in calls {
            assert!(call.await.unwrap().is_ok());
        }
        assert_eq!(slots.free(), 1);
    });
}
