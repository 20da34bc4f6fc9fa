//! The interface `jobs`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use fast_copy_test_support::files::dense_file;
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use wasmtime::component::Resource;
use wasmtime_fast_copy::p2::CopyJob;
use wasmtime_fast_copy::p2::bindings::jobs::HostCopyJob;
use wasmtime_fast_copy::p2::bindings::types::{CopyError, CopyReport, ErrorCode};
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};
use wasmtime_wasi::p2::bindings::io::poll::HostPollable;

use crate::gate::{Gate, Panics};

type Started = Result<Resource<CopyJob>, CopyError>;

fn start(state: &mut State, src: &str, dst: &str) -> Started {
    let job = state.start_sparse_copy(src, dst, Options::empty());
    job.unwrap()
}

/// Waits by a pollable until the job has ended, and drops it.
async fn finish(state: &mut State, job: Resource<CopyJob>) -> Result<CopyReport, CopyError> {
    let pollable = HostCopyJob::subscribe(&mut state.view(), again(&job)).unwrap();
    HostPollable::block(&mut state.table, Resource::new_borrow(pollable.rep()))
        .await
        .unwrap();
    HostPollable::drop(&mut state.table, pollable).unwrap();
    let result = state.get(&job).expect("its pollable is ready");
    HostCopyJob::drop(&mut state.view(), job).unwrap();
    result
}

fn again(job: &Resource<CopyJob>) -> Resource<CopyJob> {
    Resource::new_borrow(job.rep())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_returns_what_its_call_would() {
    let mut state = State::new();
    dense_file(&state.path("src"), 1 << 20);
    let job = start(&mut state, "src", "dst").unwrap();
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
        let job = start(&mut state, src, dst).unwrap();
        let error = finish(&mut state, job).await.unwrap_err();
        assert_eq!(format!("{:?}", error.code), format!("{expected:?}"));
    }
}

#[test]
fn a_job_runs_without_a_tokio_runtime() {
    let mut state = State::new();
    dense_file(&state.path("src"), 1 << 20);
    let job = state.start_fast_copy("src", "dst", Options::empty());
    let report = state.finish(job.unwrap().unwrap()).unwrap();
    assert_eq!(report.size, 1 << 20);
}

/// Runs more jobs than the budget of a tokio task allows without a yield.
#[test]
fn jobs_run_in_any_runtime() {
    async fn start_and_finish() {
        let mut state = State::new();
        fs::write(state.path("src"), "text").unwrap();
        for i in 0..300 {
            let job = state.start_fast_copy("src", &i.to_string(), Options::NOT_DURABLE);
            let job = job.unwrap().unwrap();
            assert!(finish(&mut state, job).await.is_ok());
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
    let first = start(&mut state, "src", "first").unwrap();
    while seen.recv().unwrap() != "started, 0" {}
    let second = start(&mut state, "src", "second").unwrap();
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
    let first = start(&mut state, "src", "first").unwrap();
    while seen.recv().unwrap() != "started, 0" {}
    let second = start(&mut state, "src", "second").unwrap();
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
        let job = start(&mut state, "src", &format!("dst-{i}"));
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
        match start(&mut state, "src", &i.to_string()) {
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
    let _running = start(&mut state, "src", "first").unwrap();
    while seen.recv().unwrap() != "started, 0" {}
    let _waiting = start(&mut state, "src", "second").unwrap();
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
    let job = start(&mut state, "src", "dst").unwrap();
    while seen.recv().unwrap() != "started, 0" {}
    HostCopyJob::drop(&mut state.view(), job).unwrap();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(state.ctx.jobs(), 1);
    }
    let busy = start(&mut state, "src", "more").unwrap_err();
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
    let job = start(&mut state, "src", "dst").unwrap();
    while seen.recv().unwrap() != "started, 0" {}
    let before = HostCopyJob::progress(&mut state.view(), again(&job));
    assert_eq!((before.unwrap().copied, state.get(&job)), (0, None));
    drop(go);
    let deadline = Instant::now() + Duration::from_secs(60);
    while state.get(&job).is_none() {
        assert!(Instant::now() < deadline, "the job has not ended");
        tokio::task::yield_now().await;
    }
    let after = HostCopyJob::progress(&mut state.view(), again(&job));
    let after = after.unwrap();
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
        let job = start(&mut state, "src", "dst").unwrap();
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
        let job = start(&mut state, "src", &i.to_string()).unwrap();
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
        assert!(state.get(&job).is_some(), "its pollable is ready");
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
        jobs.push(start(&mut state, "src", &i.to_string()).unwrap());
    }
    for _ in 0..1000 {
        let busy = start(&mut state, "src", "more").unwrap_err();
        assert!(matches!(busy.code, ErrorCode::Busy));
    }
    // The limit applies also to a job that would fail.
    let busy = start(&mut state, &"x".repeat(5000), "more");
    assert!(matches!(busy.unwrap_err().code, ErrorCode::Busy));
    // A job that has ended counts until it is dropped, also if its result is known.
    let job = jobs.pop().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while state.get(&job).is_none() {
        assert!(Instant::now() < deadline, "the job has not ended");
        tokio::task::yield_now().await;
    }
    let busy = start(&mut state, "src", "more").unwrap_err();
    assert!(matches!(busy.code, ErrorCode::Busy));
    HostCopyJob::drop(&mut state.view(), job).unwrap();
    assert_eq!(state.ctx.jobs(), 2);
    jobs.push(start(&mut state, "src", "next").unwrap());
    assert!(start(&mut state, "src", "more").is_err());
    for job in jobs {
        assert!(finish(&mut state, job).await.is_ok());
    }
    assert_eq!(state.ctx.jobs(), 0);
    assert!(start(&mut state, "src", "last").is_ok());
}

/// The host lets no call wait, so a slot that is not free yet makes the next job fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_has_ended_has_freed_its_slot_and_place() {
    let ctx = FastCopyCtx::builder().slots(CopySlots::new(1));
    let mut state = State::new().with(ctx.max_waiting(0).max_jobs(1));
    fs::write(state.path("src"), "text").unwrap();
    for i in 0..500 {
        let job = start(&mut state, "src", &i.to_string()).unwrap();
        let pollable = HostCopyJob::subscribe(&mut state.view(), again(&job)).unwrap();
        HostPollable::block(&mut state.table, Resource::new_borrow(pollable.rep()))
            .await
            .unwrap();
        assert_eq!((state.ctx.slots().free(), state.ctx.jobs()), (1, 1));
        HostPollable::drop(&mut state.table, pollable).unwrap();
        assert!(state.get(&job).unwrap().is_ok());
        HostCopyJob::drop(&mut state.view(), job).unwrap();
        assert_eq!(state.ctx.jobs(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn get_returns_none_before_the_end_and_the_same_result_each_time_after_it() {
    let (gate, seen, go) = Gate::new(None);
    let mut state = State::new().with(FastCopyCtx::builder().hooks(gate));
    dense_file(&state.path("src"), 1 << 20);
    fs::write(state.path("exists"), "old").unwrap();
    for (dst, expected) in [("dst", None), ("exists", Some(ErrorCode::Exist))] {
        let job = start(&mut state, "src", dst).unwrap();
        while seen.recv().unwrap() != "started, 0" {}
        for _ in 0..10 {
            assert_eq!(state.get(&job), None);
        }
        go.send(()).unwrap();
        let pollable = HostCopyJob::subscribe(&mut state.view(), again(&job)).unwrap();
        HostPollable::block(&mut state.table, pollable)
            .await
            .unwrap();
        let first = state.get(&job).expect("its pollable is ready");
        assert_eq!(
            first.as_ref().err().map(|error| &error.code),
            expected.as_ref()
        );
        // Neither a cancel nor another copy of the same name has an effect on it.
        HostCopyJob::cancel(&mut state.view(), again(&job)).unwrap();
        fs::write(state.path(dst), "another").unwrap();
        for _ in 0..10 {
            assert_eq!(state.get(&job), Some(first.clone()));
        }
        HostCopyJob::drop(&mut state.view(), job).unwrap();
    }
}

/// The job has ended like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_a_hook_resumes_in_the_first_get_of_its_job() {
    let mut state = State::new().with(FastCopyCtx::builder().hooks(Panics));
    fs::write(state.path("src"), "text").unwrap();
    let job = start(&mut state, "src", "dst").unwrap();
    let pollable = HostCopyJob::subscribe(&mut state.view(), again(&job)).unwrap();
    HostPollable::block(&mut state.table, Resource::new_borrow(pollable.rep()))
        .await
        .unwrap();
    HostPollable::drop(&mut state.table, pollable).unwrap();
    let got = catch_unwind(AssertUnwindSafe(|| state.get(&job)));
    assert_eq!(got.unwrap_err().downcast_ref(), Some(&4711_u32));
    HostCopyJob::drop(&mut state.view(), job).unwrap();
    assert_eq!(state.ctx.jobs(), 0);
    assert!(state.close(), "the table is not empty");
}
