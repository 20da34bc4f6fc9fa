//! The interface `jobs`.

use std::fs;
use std::time::{Duration, Instant};

use fast_copy_test_support::files::dense_file;
use fast_copy_test_support::state::State;
use wasmtime::component::Resource;
use wasmtime_fast_copy::p2::CopyJob;
use wasmtime_fast_copy::p2::bindings::jobs::{Host, HostCopyJob};
use wasmtime_fast_copy::p2::bindings::sync::jobs::{Host as SyncHost, HostCopyJob as SyncCopyJob};
use wasmtime_fast_copy::p2::bindings::types::{CopyError, CopyFlags, CopyReport, ErrorCode};
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};
use wasmtime_wasi::p2::bindings::io::poll::HostPollable;

use crate::gate::Gate;

type Started = Result<Resource<CopyJob>, CopyError>;

async fn start(state: &mut State, src: &str, dst: &str) -> Started {
    let (src_dir, dst_dir) = (state.borrow(), state.borrow());
    let mut view = state.view();
    let flags = CopyFlags::empty();
    Host::start_sparse_copy(&mut view, src_dir, src.into(), dst_dir, dst.into(), flags).unwrap()
}

async fn finish(state: &mut State, job: Resource<CopyJob>) -> Result<CopyReport, CopyError> {
    HostCopyJob::finish(&mut state.view(), job).await.unwrap()
}

fn again(job: &Resource<CopyJob>) -> Resource<CopyJob> {
    Resource::new_borrow(job.rep())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_returns_what_its_call_would() {
    let mut state = State::new();
    dense_file(&state.path("src"), 1 << 20);
    let job = start(&mut state, "src", "dst").await.unwrap();
    let report = finish(&mut state, job).await.unwrap();
    assert_eq!((report.size, report.durable), (1 << 20, true));
    assert_eq!(
        fs::read(state.path("src")).unwrap(),
        fs::read(state.path("dst")).unwrap()
    );
    for (src, dst, expected) in [
        ("src", "dst", ErrorCode::Exist),
        ("none", "dst", ErrorCode::NoEntry),
        ("src", "../x", ErrorCode::NotPermitted),
    ] {
        let job = start(&mut state, src, dst).await.unwrap();
        let error = finish(&mut state, job).await.unwrap_err();
        assert_eq!(format!("{:?}", error.code), format!("{expected:?}"));
    }
}

#[test]
fn a_job_runs_without_a_tokio_runtime() {
    let mut state = State::new();
    dense_file(&state.path("src"), 1 << 20);
    let (src, dst) = (state.borrow(), state.borrow());
    let mut view = state.view();
    let flags = CopyFlags::empty();
    let job = SyncHost::start_fast_copy(&mut view, src, "src".into(), dst, "dst".into(), flags);
    let job = job.unwrap().unwrap();
    let report = SyncCopyJob::finish(&mut view, job).unwrap().unwrap();
    assert_eq!(report.size, 1 << 20);
}

/// Runs more jobs than the budget of a tokio task allows without a yield.
#[test]
fn the_synchronous_form_runs_jobs_in_any_runtime() {
    async fn start_and_finish() {
        let mut state = State::new();
        fs::write(state.path("src"), "text").unwrap();
        for i in 0..300 {
            let (src, dst) = (state.borrow(), state.borrow());
            let mut view = state.view();
            let (flags, name) = (CopyFlags::NO_SYNC, i.to_string());
            let job = SyncHost::start_fast_copy(&mut view, src, "src".into(), dst, name, flags);
            let job = job.unwrap().unwrap();
            assert!(SyncCopyJob::finish(&mut view, job).unwrap().is_ok());
        }
    }
    let single = tokio::runtime::Builder::new_current_thread().build();
    single.unwrap().block_on(start_and_finish());
    let several = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    // Also in a spawned task.
    several.block_on(async { tokio::spawn(start_and_finish()).await.unwrap() });
}

/// It ends without a slot, and no hook is called for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_job_is_cancelled_at_once() {
    let (gate, seen, go) = Gate::new(None);
    let ctx = FastCopyCtx::builder().slots(CopySlots::new(1)).hooks(gate);
    let mut state = State::new().with(ctx.wait_timeout(None));
    fs::write(state.path("src"), "text").unwrap();
    let first = start(&mut state, "src", "first").await.unwrap();
    while seen.recv().unwrap() != "started, 0" {}
    let second = start(&mut state, "src", "second").await.unwrap();
    while state.ctx.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let mut view = state.view();
    HostCopyJob::cancel(&mut view, again(&second)).unwrap();
    let error = finish(&mut state, second).await.unwrap_err();
    assert!(matches!(error.code, ErrorCode::Cancelled));
    drop(go);
    assert!(finish(&mut state, first).await.is_ok());
    assert_eq!(seen.recv().unwrap(), "ended, 4");
    assert!(
        seen.try_recv().is_err(),
        "a hook was called for the second job"
    );
    assert_eq!((state.ctx.waiting(), state.ctx.jobs()), (0, 0));
}

/// It ends without a slot, and its pollable is ready.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_too_long_ends() {
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder().slots(CopySlots::new(1));
    let ctx = builder
        .hooks(gate)
        .wait_timeout(Some(Duration::from_millis(20)));
    let mut state = State::new().with(ctx);
    fs::write(state.path("src"), "text").unwrap();
    let first = start(&mut state, "src", "first").await.unwrap();
    while seen.recv().unwrap() != "started, 0" {}
    let second = start(&mut state, "src", "second").await.unwrap();
    let pollable = HostCopyJob::subscribe(&mut state.view(), again(&second)).unwrap();
    HostPollable::block(&mut state.table, pollable)
        .await
        .unwrap();
    let progress = HostCopyJob::progress(&mut state.view(), again(&second));
    assert!(progress.unwrap().ended, "its pollable is ready");
    let error = finish(&mut state, second).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    drop(go);
    assert!(finish(&mut state, first).await.is_ok());
    assert_eq!(state.ctx.waiting(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_run_in_the_order_of_their_start() {
    let (gate, seen, go) = Gate::new(None);
    let ctx = FastCopyCtx::builder().slots(CopySlots::new(1)).hooks(gate);
    let mut state = State::new().with(ctx);
    fs::write(state.path("src"), "text").unwrap();
    let mut jobs = Vec::new();
    for i in 0..20 {
        let job = start(&mut state, "src", &format!("dst-{i}")).await;
        jobs.push(job.unwrap());
    }
    drop(go);
    for job in jobs {
        assert!(finish(&mut state, job).await.is_ok());
    }
    let asked: Vec<_> = seen
        .try_iter()
        .filter(|told| told.starts_with("asked"))
        .collect();
    let in_order: Vec<_> = (0..20)
        .map(|i| format!("asked src -> dst-{i}, 4"))
        .collect();
    assert_eq!(asked, in_order);
}

/// A guest that starts and drops jobs in a loop gets no more tasks than its limit of jobs.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_job_counts_until_its_task_has_ended() {
    let mut state = State::new().with(FastCopyCtx::builder().max_jobs(3));
    fs::write(state.path("src"), "text").unwrap();
    for i in 0..2000 {
        match start(&mut state, "src", &i.to_string()).await {
            Ok(job) => HostCopyJob::drop(&mut state.view(), job).unwrap(),
            Err(error) => assert!(matches!(error.code, ErrorCode::Busy)),
        }
        assert!(state.ctx.jobs() <= 3);
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while state.ctx.jobs() > 0 {
        assert!(
            Instant::now() < deadline,
            "{} jobs have not ended",
            state.ctx.jobs()
        );
        tokio::task::yield_now().await;
    }
}

/// No handle is left to wait for them.
#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_store_cancels_its_jobs() {
    let slots = CopySlots::new(1);
    let (gate, seen, go) = Gate::new(None);
    let ctx = FastCopyCtx::builder().slots(slots.clone()).hooks(gate);
    let mut state = State::new().with(ctx);
    dense_file(&state.path("src"), 1 << 20);
    let _running = start(&mut state, "src", "first").await.unwrap();
    while seen.recv().unwrap() != "started, 0" {}
    let _waiting = start(&mut state, "src", "second").await.unwrap();
    drop(std::mem::take(&mut state.table));
    // The running work can't be stopped at once, and counts until it has ended.
    assert_eq!((state.ctx.jobs() > 0, slots.free()), (true, 0));
    drop(go);
    assert_eq!(
        seen.recv().unwrap(),
        "ended: opening: the copy was cancelled"
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    while state.ctx.jobs() > 0 || slots.free() == 0 {
        assert!(
            Instant::now() < deadline,
            "{} jobs have not ended",
            state.ctx.jobs()
        );
        std::thread::yield_now();
    }
    assert!(seen.try_recv().is_err(), "the second job has started");
    assert_eq!(fs::read_dir(state.dir()).unwrap().count(), 1);
}

/// Its work goes on after the drop until the next chunk.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_job_counts_until_its_work_has_ended() {
    let (gate, seen, go) = Gate::new(None);
    let ctx = FastCopyCtx::builder().slots(CopySlots::new(1)).hooks(gate);
    let mut state = State::new().with(ctx.max_jobs(1));
    fs::write(state.path("src"), "text").unwrap();
    let job = start(&mut state, "src", "dst").await.unwrap();
    while seen.recv().unwrap() != "started, 0" {}
    HostCopyJob::drop(&mut state.view(), job).unwrap();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(state.ctx.jobs(), 1);
    }
    let busy = start(&mut state, "src", "more").await.unwrap_err();
    assert!(matches!(busy.code, ErrorCode::Busy));
    drop(go);
    while state.ctx.jobs() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_returns_the_bytes_copied_so_far() {
    let (gate, seen, go) = Gate::new(None);
    let mut state = State::new().with(FastCopyCtx::builder().hooks(gate));
    dense_file(&state.path("src"), 1 << 20);
    let job = start(&mut state, "src", "dst").await.unwrap();
    while seen.recv().unwrap() != "started, 0" {}
    let before = HostCopyJob::progress(&mut state.view(), again(&job));
    let before = before.unwrap();
    assert_eq!((before.copied, before.ended), (0, false));
    drop(go);
    let deadline = Instant::now() + Duration::from_secs(60);
    let after = loop {
        let progress = HostCopyJob::progress(&mut state.view(), again(&job));
        let progress = progress.unwrap();
        if progress.ended {
            break progress;
        }
        assert!(Instant::now() < deadline, "the job has not ended");
        tokio::task::yield_now().await;
    };
    assert_eq!(after.copied, 1 << 20);
    assert!(after.total >= Some(1 << 20));
    assert!(finish(&mut state, job).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_publishes_nothing() {
    for drops in [false, true] {
        let slots = CopySlots::new(1);
        let (gate, seen, go) = Gate::new(None);
        let builder = FastCopyCtx::builder().slots(slots.clone()).hooks(gate);
        let mut state = State::new().with(builder);
        dense_file(&state.path("src"), 1 << 20);
        let job = start(&mut state, "src", "dst").await.unwrap();
        while seen.recv().unwrap() != "started, 0" {}
        if drops {
            HostCopyJob::drop(&mut state.view(), job).unwrap();
            drop(go);
        } else {
            let mut view = state.view();
            HostCopyJob::cancel(&mut view, again(&job)).unwrap();
            drop(go);
            let error = finish(&mut state, job).await.unwrap_err();
            assert!(matches!(error.code, ErrorCode::Cancelled));
        }
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
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_and_its_pollables_can_be_dropped_in_any_order() {
    let mut state = State::new();
    fs::write(state.path("src"), "text").unwrap();
    for (i, job_first) in [false, true].into_iter().enumerate() {
        let job = start(&mut state, "src", &i.to_string()).await.unwrap();
        let mut pollables = Vec::new();
        for _ in 0..3 {
            let pollable = HostCopyJob::subscribe(&mut state.view(), again(&job));
            pollables.push(pollable.unwrap());
        }
        for pollable in &pollables {
            let pollable = Resource::new_borrow(pollable.rep());
            HostPollable::block(&mut state.table, pollable)
                .await
                .unwrap();
        }
        let progress = HostCopyJob::progress(&mut state.view(), again(&job));
        assert!(progress.unwrap().ended, "its pollable is ready");
        if job_first {
            HostCopyJob::drop(&mut state.view(), job).unwrap();
            for pollable in pollables {
                let still = Resource::new_borrow(pollable.rep());
                assert!(HostPollable::ready(&mut state.table, still).await.unwrap());
                HostPollable::drop(&mut state.table, pollable).unwrap();
            }
        } else {
            for pollable in pollables {
                HostPollable::drop(&mut state.table, pollable).unwrap();
            }
            assert!(finish(&mut state, job).await.is_ok());
        }
    }
    assert!(state.close(), "the table is not empty");
}

#[tokio::test]
async fn jobs_beyond_the_limit_are_busy() {
    let mut state = State::new().with(FastCopyCtx::builder().max_jobs(3));
    fs::write(state.path("src"), "text").unwrap();
    let mut jobs = Vec::new();
    for i in 0..3 {
        jobs.push(start(&mut state, "src", &i.to_string()).await.unwrap());
    }
    for _ in 0..1000 {
        let busy = start(&mut state, "src", "more").await.unwrap_err();
        assert!(matches!(busy.code, ErrorCode::Busy));
    }
    // The limit applies also to a job that would fail.
    let busy = start(&mut state, &"x".repeat(5000), "more").await;
    assert!(matches!(busy.unwrap_err().code, ErrorCode::Busy));
    // A job that has ended counts until its result is taken.
    let job = jobs.pop().unwrap();
    assert!(finish(&mut state, job).await.is_ok());
    // Its task may end a moment later.
    while state.ctx.jobs() == 3 {
        tokio::task::yield_now().await;
    }
    jobs.push(start(&mut state, "src", "next").await.unwrap());
    assert!(start(&mut state, "src", "more").await.is_err());
    for job in jobs {
        assert!(finish(&mut state, job).await.is_ok());
    }
    while state.ctx.jobs() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(start(&mut state, "src", "last").await.is_ok());
}

/// The host lets no call wait, so a slot that is not free yet makes the next job fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_has_ended_has_freed_its_slot_and_place() {
    let ctx = FastCopyCtx::builder().slots(CopySlots::new(1));
    let mut state = State::new().with(ctx.max_waiting(0).max_jobs(1));
    fs::write(state.path("src"), "text").unwrap();
    for i in 0..500 {
        let job = start(&mut state, "src", &i.to_string()).await.unwrap();
        let pollable = HostCopyJob::subscribe(&mut state.view(), again(&job)).unwrap();
        HostPollable::block(&mut state.table, Resource::new_borrow(pollable.rep()))
            .await
            .unwrap();
        assert_eq!(state.ctx.slots().free(), 1);
        HostPollable::drop(&mut state.table, pollable).unwrap();
        assert!(finish(&mut state, job).await.is_ok());
        assert_eq!(state.ctx.jobs(), 0);
    }
}
