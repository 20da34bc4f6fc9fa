//! Slots: how many copies run at once, and which calls wait.

use std::fs;
use std::future::Future;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use wasmtime_fast_copy::p2::bindings::types::{CopyError, CopyReport, ErrorCode};
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};

use crate::gate::{Gate, start_held};

/// The work still occupies its thread.
#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_dropped_call_keeps_its_slot() {
    let slots = CopySlots::new(1);
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder().slots(slots.clone());
    let mut state = State::new().with(builder.clone().hooks(gate));
    drop(start_held(&mut state, &seen));
    assert_eq!(slots.free(), 0);

    // So the call of another store has to wait.
    let mut other = State::new().with(builder.wait_timeout(Some(Duration::from_millis(20))));
    assert_times_out(&mut other).await;

    drop(go);
    assert_eq!(
        seen.recv().unwrap(),
        "ended: opening: the copy was cancelled"
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    while slots.free() == 0 {
        assert!(Instant::now() < deadline, "the slot is still taken");
        std::thread::yield_now();
    }
    assert!(!state.path("dst").exists());
}

/// It counts for `max_copies` of its store, also while slots are free.
#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_dropped_call_counts_for_its_store() {
    let slots = CopySlots::new(8);
    let (gate, seen, go) = Gate::new(None);
    let ctx = FastCopyCtx::builder().slots(slots.clone()).max_copies(1);
    let ctx = ctx
        .wait_timeout(Some(Duration::from_millis(200)))
        .hooks(gate);
    let mut state = State::new().with(ctx);
    drop(start_held(&mut state, &seen));
    assert_eq!(slots.free(), 7);
    assert_times_out(&mut state).await;
    drop(go);
}

async fn assert_times_out(state: &mut State) {
    fs::write(state.path("src"), "text").unwrap();
    let answer = state
        .sparse_copy_async("src", "dst", Options::empty())
        .await;
    assert!(matches!(
        answer.unwrap().unwrap_err().code,
        ErrorCode::Timeout
    ));
}

/// More slots are free, so the limit is that of the store.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_runs_at_most_max_copies_at_once() {
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
                Box::pin(state.sparse_copy_async("src", "dst", Options::NOT_DURABLE))
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

/// A waiting call that is dropped leaves the queue.
#[test]
fn waiting_calls_take_no_thread_and_too_many_are_busy() {
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
    let held = start_held(&mut holder, &seen);
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
        .map(|state| Box::pin(state.sparse_copy_async("src", "dst", Options::empty())))
        .collect();
    let busy = calls.split_off(3).pop().unwrap();
    for call in &mut calls {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    // The held copy has one of the two blocking threads. If a waiting call had the other, this would not
    // end.
    tokio::task::spawn_blocking(|| ()).await.unwrap();
    assert!(matches!(
        busy.await.unwrap().unwrap_err().code,
        ErrorCode::Busy
    ));

    // One waiting call is dropped; the others get their slots.
    drop(calls.remove(1));
    drop(go);
    assert!(held.await.unwrap().is_ok());
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(slots.free(), 1);
}

/// Its own copy is made without a poll, and frees the slot.
#[tokio::test(flavor = "current_thread")]
async fn a_call_that_is_not_polled_delays_no_other_call() {
    let slots = CopySlots::new(1);
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder()
        .slots(slots.clone())
        .wait_timeout(None);
    let mut holder = State::new().with(builder.clone().hooks(gate));
    let held = start_held(&mut holder, &seen);
    let mut context = Context::from_waker(Waker::noop());

    let (mut not_polled, mut other) = (State::new(), State::new());
    not_polled.ctx = builder.clone().build();
    other.ctx = builder.build();
    for state in [&not_polled, &other] {
        fs::write(state.path("src"), "text").unwrap();
    }
    let dst = not_polled.path("dst");
    let mut call = Box::pin(not_polled.sparse_copy_async("src", "dst", Options::empty()));
    assert!(call.as_mut().poll(&mut context).is_pending());
    drop(go);
    assert!(held.await.unwrap().is_ok());
    let answer = other.sparse_copy_async("src", "dst", Options::empty());
    let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
    assert!(answer.expect("the slot is still taken").unwrap().is_ok());
    assert!(dst.exists());
    assert!(call.await.unwrap().is_ok());
}

/// The host's runtime has no timer.
#[test]
fn calls_wait_and_time_out_in_a_runtime_without_a_timer() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let slots = CopySlots::new(1);
        let (gate, seen, go) = Gate::new(None);
        let builder = FastCopyCtx::builder().slots(slots.clone());
        let mut holder = State::new().with(builder.clone().hooks(gate));
        let held = start_held(&mut holder, &seen);

        let impatient = builder.wait_timeout(Some(Duration::from_millis(20)));
        let mut state = State::new().with(impatient);
        fs::write(state.path("src"), "text").unwrap();
        let answer = state
            .sparse_copy_async("src", "dst", Options::empty())
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

type Answer = Result<CopyReport, CopyError>;

/// Makes a copy in each form, on threads of their own.
fn call_in_each_form(ctx: &FastCopyCtx) -> [thread::JoinHandle<Answer>; 3] {
    let forms: [fn(&mut State) -> Answer; 3] = [
        |state| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let call = state.sparse_copy_async("src", "dst", Options::NOT_DURABLE);
            runtime.unwrap().block_on(call).unwrap()
        },
        |state| {
            let answer = state.sparse_copy("src", "dst", Options::NOT_DURABLE);
            answer.unwrap()
        },
        |state| {
            let job = state.start_sparse_copy("src", "dst", Options::NOT_DURABLE);
            state.finish(job.unwrap().unwrap())
        },
    ];
    forms.map(|form| {
        let mut state = State::new().with_ctx(ctx.clone());
        thread::spawn(move || {
            fs::write(state.path("src"), "text").unwrap();
            let answer = form(&mut state);
            assert_eq!(state.path("dst").exists(), answer.is_ok());
            answer
        })
    })
}

#[tokio::test]
async fn the_time_that_a_call_waits_does_not_count_for_its_timeout() {
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder().slots(CopySlots::new(1));
    let mut holder = State::new().with(builder.clone().hooks(gate));
    let held = start_held(&mut holder, &seen);

    let timeout = Duration::from_secs(3);
    let ctx = builder.timeout(Some(timeout)).build();
    let calls = call_in_each_form(&ctx);
    while ctx.waiting() < calls.len() {
        thread::yield_now();
    }
    thread::sleep(timeout);
    drop(go);
    assert!(held.await.unwrap().is_ok());
    for call in calls {
        assert_eq!(call.join().unwrap().unwrap().size, 4);
    }
}

#[tokio::test]
async fn a_call_that_waits_too_long_times_out_before_its_work_begins() {
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder().slots(CopySlots::new(1));
    let mut holder = State::new().with(builder.clone().hooks(gate));
    let held = start_held(&mut holder, &seen);

    let (gate, seen, _go) = Gate::new(None);
    let impatient = builder.wait_timeout(Some(Duration::from_millis(20)));
    let ctx = impatient.timeout(None).hooks(gate).build();
    for call in call_in_each_form(&ctx) {
        assert_eq!(call.join().unwrap().unwrap_err().code, ErrorCode::Timeout);
    }
    assert_eq!(ctx.waiting(), 0);
    assert!(seen.try_recv().is_err(), "a hook was called");
    drop(go);
    assert!(held.await.unwrap().is_ok());
}

#[test]
fn calls_of_a_thousand_stores_wait_without_a_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let slots = CopySlots::new(1);
        let (gate, seen, go) = Gate::new(None);
        let builder = FastCopyCtx::builder().slots(slots.clone());
        let mut holder = State::new().with(builder.clone().hooks(gate));
        let held = start_held(&mut holder, &seen);
        let mut context = Context::from_waker(Waker::noop());

        let mut stores: Vec<State> = (0..1000)
            .map(|_| State::new().with(builder.clone()))
            .collect();
        let mut calls: Vec<_> = stores
            .iter_mut()
            .map(|state| {
                fs::write(state.path("src"), "text").unwrap();
                Box::pin(state.sparse_copy_async("src", "dst", Options::NOT_DURABLE))
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
