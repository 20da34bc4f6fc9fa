//! A host that lacks threads, descriptors, memory, table entries or a runtime.
//!
//! A test that limits its process runs in a child: this program again, with that one test.

use std::env;
use std::fs::{self, File};
use std::future::Future;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::{Command, exit};
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use fast_copy_test_support::files::dense_file;
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use fast_copy_test_support::waiting::poll_to_end;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tokio::runtime::Builder;
use wasmtime_fast_copy::p2::bindings::inspect::Host as _;
use wasmtime_fast_copy::p2::bindings::jobs::HostCopyJob;
use wasmtime_fast_copy::p2::bindings::types::{CopyError, CopyReport, ErrorCode};
use wasmtime_fast_copy::{
    CopyErrorKind, CopyHooks, CopyOptions, CopyQuota, CopyRequest, CopySlots, Decision, FastCopyCtx,
};

use crate::gate::{Gate, Panics, start_held};

type Answer = Result<CopyReport, CopyError>;

const CHILD: &str = "FAST_COPY_TEST_CHILD";

/// Runs the body of a test in a child process, which must neither abort nor hang.
fn in_child(test: &str, body: impl FnOnce()) {
    if env::var_os(CHILD).is_some() {
        thread::spawn(|| {
            thread::sleep(Duration::from_secs(120));
            eprintln!("the child hangs");
            exit(3);
        });
        return body();
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Sets the soft limit, and returns what it was.
fn limit(resource: Resource, most: Option<u64>) -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(resource);
    let limited = Rlimit {
        current: most,
        maximum,
    };
    setrlimit(resource, limited).unwrap();
    current
}

fn copy_async(state: &mut State, dst: &str) -> Answer {
    poll_to_end(state.fast_copy_async("src", dst, Options::REPLACE)).unwrap()
}

fn copy_sync(state: &mut State, dst: &str) -> Answer {
    state.fast_copy("src", dst, Options::REPLACE).unwrap()
}

fn copy_in_job(state: &mut State, dst: &str) -> Answer {
    let job = state
        .start_fast_copy("src", dst, Options::REPLACE)
        .unwrap()?;
    state.finish(job)
}

fn assert_busy(answer: &Answer) {
    let busy = matches!(answer, Err(error) if error.code == ErrorCode::Busy);
    assert!(busy, "{answer:?}");
}

#[test]
fn calls_do_not_wait_for_a_saturated_blocking_pool() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (free, occupied) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || occupied.recv().is_err());
    let slots = CopySlots::new(1);
    let ctx = FastCopyCtx::builder().slots(slots.clone());
    let mut state = State::new().with(ctx.timeout(Some(Duration::from_secs(60))));
    dense_file(&state.path("src"), 1 << 20);
    runtime.block_on(async {
        let answer = state
            .sparse_copy_async("src", "dst", Options::REPLACE)
            .await;
        assert_eq!(answer.unwrap().unwrap().size, 1 << 20);
        let dir = state.borrow();
        let usage = state.view().disk_usage(dir, "src".into()).await;
        assert_eq!(usage.unwrap().unwrap().size, 1 << 20);
        let job = state.start_fast_copy("src", "dst", Options::REPLACE);
        assert!(state.finish(job.unwrap().unwrap()).is_ok());
    });
    assert_eq!(slots.free(), 1);
    drop(free);
}

/// The synchronous guest has the pool's only thread and waits for the slot. The asynchronous guest has
/// the slot.
#[test]
fn a_sync_and_an_async_guest_share_a_slot_and_a_saturated_pool() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder()
        .slots(CopySlots::new(1))
        .wait_timeout(None);
    let mut first = State::new().with(builder.clone().hooks(gate));
    let mut second = State::new().with(builder);
    dense_file(&second.path("src"), 100_000);
    let waiting = second.ctx.clone();
    let held = start_held(&mut first, &seen);
    let synchronous = runtime.spawn_blocking(move || copy_sync(&mut second, "dst"));
    while waiting.waiting() == 0 {
        thread::yield_now();
    }
    drop(go);
    assert!(poll_to_end(held).unwrap().is_ok());
    assert!(runtime.block_on(synchronous).unwrap().is_ok());
}

#[test]
fn calls_run_on_a_current_thread_runtime() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder().slots(CopySlots::new(1));
    let mut holder = State::new().with(builder.clone().hooks(gate));
    let mut state = State::new().with(builder);
    dense_file(&state.path("src"), 100_000);
    runtime.block_on(async {
        let held = start_held(&mut holder, &seen);
        // It waits, so that the runtime without a timer has a deadline to watch.
        let mut waiting = Box::pin(state.sparse_copy_async("src", "dst", Options::REPLACE));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop(go);
        assert!(held.await.unwrap().is_ok());
        assert!(waiting.await.unwrap().is_ok());
    });
    assert!(copy_in_job(&mut state, "job").is_ok());
}

#[test]
fn calls_run_while_the_entered_runtime_is_shut_down() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    runtime.shutdown_background();
    let _entered = handle.enter();
    let mut state = State::new();
    dense_file(&state.path("src"), 100_000);
    for answer in [
        copy_async(&mut state, "async"),
        copy_sync(&mut state, "sync"),
        copy_in_job(&mut state, "job"),
    ] {
        assert_eq!(answer.unwrap().size, 100_000);
    }
    let dir = state.borrow();
    let usage = poll_to_end(state.view().disk_usage(dir, "src".into()));
    assert_eq!(usage.unwrap().unwrap().size, 100_000);
}

/// The thread of a call hangs, here in a hook. The call returns at its deadline all the same.
#[test]
fn the_deadline_ends_a_call_whose_thread_hangs() {
    let slots = CopySlots::new(1);
    let (gate, seen, go) = Gate::new(None);
    let ctx = FastCopyCtx::builder().slots(slots.clone()).hooks(gate);
    let mut state = State::new().with(ctx.timeout(Some(Duration::from_millis(300))));
    fs::write(state.path("src"), "text").unwrap();
    for in_job in [false, true] {
        let answer = match in_job {
            false => copy_async(&mut state, "dst"),
            true => copy_in_job(&mut state, "dst"),
        };
        assert_eq!(answer.unwrap_err().code, ErrorCode::Timeout);
        assert_eq!(slots.free(), 0, "the thread still hangs");
        go.send(()).unwrap();
        while slots.free() == 0 {
            thread::yield_now();
        }
        let told: Vec<_> = seen.try_iter().collect();
        let last = "ended: opening: the copy exceeded its time limit";
        assert_eq!(told.last().unwrap(), last);
    }
    assert!(!state.path("dst").exists());
    while state.ctx.jobs() > 0 {
        thread::yield_now();
    }
}

#[test]
fn a_job_whose_thread_hangs_ends_at_its_deadline() {
    let slots = CopySlots::new(1);
    let (gate, seen, go) = Gate::new(None);
    let ctx = FastCopyCtx::builder().slots(slots.clone()).hooks(gate);
    let mut state = State::new().with(ctx.timeout(Some(Duration::from_millis(300))));
    fs::write(state.path("src"), "text").unwrap();
    let job = state.start_fast_copy("src", "dst", Options::empty());
    let job = job.unwrap().unwrap();
    while seen.recv().unwrap() != "started, 0" {}
    assert_eq!(state.get(&job), None);
    let again = wasmtime::component::Resource::new_borrow(job.rep());
    let pollable = HostCopyJob::subscribe(&mut state.view(), again).unwrap();
    use wasmtime_wasi::p2::bindings::io::poll::HostPollable;
    poll_to_end(HostPollable::block(&mut state.table, pollable)).unwrap();
    let result = state.get(&job).expect("its pollable is ready");
    let error = result.unwrap_err();
    assert_eq!((error.code, slots.free()), (ErrorCode::Timeout, 0));
    drop(go);
    while slots.free() == 0 {
        thread::yield_now();
    }
    // The result stays when the work has ended.
    let error = state.finish(job).unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    assert!(!state.path("dst").exists());
}

/// The limit of the work begins when the slot is granted.
#[test]
fn the_deadline_ends_a_call_that_has_waited_and_hangs() {
    for in_job in [false, true] {
        let slots = CopySlots::new(1);
        let builder = FastCopyCtx::builder().slots(slots.clone());
        let (gate, seen, go) = Gate::new(None);
        let mut holder = State::new().with(builder.clone().hooks(gate));
        let held = start_held(&mut holder, &seen);

        let (gate, seen, go_on) = Gate::new(None);
        let ctx = builder
            .hooks(gate)
            .timeout(Some(Duration::from_millis(300)));
        let mut state = State::new().with(ctx);
        fs::write(state.path("src"), "text").unwrap();
        let waiting = state.ctx.clone();
        let calling = thread::spawn(move || {
            let answer = match in_job {
                false => {
                    let runtime = Builder::new_current_thread().build().unwrap();
                    let call = state.sparse_copy_async("src", "dst", Options::empty());
                    runtime.block_on(call).unwrap()
                }
                true => copy_in_job(&mut state, "dst"),
            };
            (state, answer)
        });
        while waiting.waiting() == 0 {
            thread::yield_now();
        }
        drop(go);
        assert!(poll_to_end(held).unwrap().is_ok());
        let (state, answer) = calling.join().unwrap();
        assert_eq!(answer.unwrap_err().code, ErrorCode::Timeout);
        assert!(seen.try_iter().any(|told| told == "started, 0"));
        assert_eq!(slots.free(), 0, "the thread still hangs");
        drop(go_on);
        while slots.free() == 0 {
            thread::yield_now();
        }
        assert!(!state.path("dst").exists());
    }
}

#[test]
fn a_dropped_call_that_waits_leaves_the_queue() {
    let slots = CopySlots::new(1);
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder()
        .slots(slots.clone())
        .wait_timeout(None);
    let mut holder = State::new().with(builder.clone().hooks(gate));
    let held = start_held(&mut holder, &seen);
    let mut state = State::new().with(builder);
    fs::write(state.path("src"), "text").unwrap();
    let ctx = state.ctx.clone();
    let mut waiting = Box::pin(state.sparse_copy_async("src", "dst", Options::empty()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    assert_eq!(ctx.waiting(), 1);
    drop(waiting);
    let deadline = Instant::now() + Duration::from_secs(60);
    while ctx.waiting() > 0 {
        assert!(Instant::now() < deadline, "the call still waits");
        thread::yield_now();
    }
    drop(go);
    assert!(poll_to_end(held).unwrap().is_ok());
    assert!(!state.path("dst").exists());
}

#[test]
fn a_lack_of_descriptors_is_busy_until_it_ends() {
    in_child(
        "resources::a_lack_of_descriptors_is_busy_until_it_ends",
        || {
            let mut state = State::new().with(FastCopyCtx::builder().slots(CopySlots::new(1)));
            dense_file(&state.path("src"), 100_000);
            // The next number that a new descriptor would get. Nothing was copied yet, so threads and timers
            // start under the limit too.
            let next = File::open("/").map(|file| file.as_raw_fd() as u64);
            let usual = limit(Resource::Nofile, Some(next.unwrap()));
            for _ in 0..3 {
                assert_busy(&copy_async(&mut state, "dst"));
                assert_busy(&copy_in_job(&mut state, "dst"));
                assert_busy(&copy_sync(&mut state, "dst"));
            }
            limit(Resource::Nofile, usual);
            assert_eq!(fs::read_dir(state.dir()).unwrap().count(), 1);
            assert!(copy_async(&mut state, "async").is_ok());
            assert!(copy_in_job(&mut state, "job").is_ok());
            assert!(copy_sync(&mut state, "sync").is_ok());
            assert_eq!(state.ctx.slots().free(), 1);
        },
    );
}

/// With each number of free descriptors, another step on the way to the file fails.
#[test]
fn a_lack_of_descriptors_is_busy_without_openat2() {
    in_child(
        "resources::a_lack_of_descriptors_is_busy_without_openat2",
        || {
            refuse_openat2();
            let mut state = State::new();
            let deep = state.path("a/b/c/d");
            fs::create_dir_all(&deep).unwrap();
            symlink("b/c/d", state.path("a/link")).unwrap();
            fs::write(deep.join("src"), "text").unwrap();
            let next = File::open("/").map(|file| file.as_raw_fd() as u64);
            let next = next.unwrap();
            for path in ["a/b/c/d/src", "a/link/src"] {
                let mut busy = 0;
                loop {
                    let usual = limit(Resource::Nofile, Some(next + busy));
                    let answer = state.sparse_copy(path, "dst", Options::REPLACE).unwrap();
                    limit(Resource::Nofile, usual);
                    if answer.is_ok() {
                        break;
                    }
                    assert_busy(&answer);
                    busy += 1;
                }
                assert!(busy > 4, "{path} needs only {busy} descriptors");
            }
        },
    );
}

/// Makes `openat2` fail with ENOSYS on this thread and those that it starts.
fn refuse_openat2() {
    let rules = [(libc::SYS_openat2, Vec::new())].into();
    let refused = SeccompAction::Errno(libc::ENOSYS as u32);
    let arch = env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter(&filter).unwrap();
}

/// Two copies wait here while the third holds the slot, so that the waiting thread starts without free
/// descriptors.
#[test]
fn the_waiting_thread_starts_without_free_descriptors() {
    in_child(
        "resources::the_waiting_thread_starts_without_free_descriptors",
        || {
            let (gate, seen, go) = Gate::new(None);
            let builder = FastCopyCtx::builder()
                .slots(CopySlots::new(1))
                .wait_timeout(None);
            let mut holder = State::new().with(builder.clone().hooks(gate));
            let held = start_held(&mut holder, &seen);
            let mut state = State::new().with(builder);
            dense_file(&state.path("src"), 100_000);
            let usual = limit(Resource::Nofile, Some(0));
            let ctx = state.ctx.clone();
            let mut waiting = Box::pin(state.sparse_copy_async("src", "dst", Options::empty()));
            let mut context = Context::from_waker(Waker::noop());
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            assert_eq!(ctx.waiting(), 1);
            limit(Resource::Nofile, usual);
            drop(go);
            assert!(poll_to_end(held).unwrap().is_ok());
            assert!(poll_to_end(waiting).unwrap().is_ok());
        },
    );
}

#[test]
fn a_lack_of_threads_is_busy_until_it_ends() {
    in_child("resources::a_lack_of_threads_is_busy_until_it_ends", || {
        let mut state = State::new();
        let size = 20 << 20;
        dense_file(&state.path("src"), size);
        become_unprivileged(&state);
        let usual = limit(Resource::Nproc, Some(1));
        for _ in 0..3 {
            assert_busy(&copy_async(&mut state, "dst"));
            assert_busy(&copy_in_job(&mut state, "dst"));
            let dir = state.borrow();
            let usage = poll_to_end(state.view().disk_usage(dir, "src".into())).unwrap();
            assert_eq!(usage.unwrap_err(), ErrorCode::Busy);
            // It needs no thread, but for the second worker, without which it goes on.
            let report = copy_sync(&mut state, "dst").unwrap();
            assert_eq!(report.size, size);
        }
        let slots = state.ctx.slots();
        assert_eq!(slots.free(), slots.total());
        limit(Resource::Nproc, usual);
        assert!(copy_async(&mut state, "async").is_ok());
        assert!(copy_in_job(&mut state, "job").is_ok());
    });
}

/// `RLIMIT_NPROC` has no effect on root.
#[expect(unsafe_code, reason = "the standard library only does this on exec")]
fn become_unprivileged(state: &State) {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    fs::set_permissions(state.dir(), PermissionsExt::from_mode(0o777)).unwrap();
    fs::set_permissions(state.path("src"), PermissionsExt::from_mode(0o644)).unwrap();
    // SAFETY: a plain system call, which glibc makes for all threads.
    let result = unsafe { libc::setuid(65534) };
    assert_eq!(result, 0);
}

/// The address space that this process has mapped, in bytes.
fn mapped() -> u64 {
    let status = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').next().unwrap().parse().unwrap();
    pages * rustix::param::page_size() as u64
}

/// At each limit, starting a thread, its signal stack, the copy's buffer or the second worker fails.
#[test]
fn a_lack_of_memory_is_an_error_until_it_ends() {
    const STEP: u64 = 64 << 10;
    for step in 2..100 {
        let test = "resources::a_lack_of_memory_is_an_error_until_it_ends";
        if let Ok(step) = env::var(CHILD).map(|step| step.parse::<u64>().unwrap()) {
            return copies_with_memory_for(step * STEP);
        }
        let output = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, step.to_string())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "with {} bytes: {}\n{}",
            step * STEP,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn copies_with_memory_for(bytes: u64) {
    let mut state = State::new();
    dense_file(&state.path("src"), 17 << 20);
    let usual = limit(Resource::As, Some(mapped() + bytes));
    let native = CopyOptions::new()
        .durable(false)
        .sparse_copy(state.path("src"), state.path("native"));
    let answers = [
        copy_async(&mut state, "async"),
        copy_in_job(&mut state, "job"),
        copy_sync(&mut state, "sync"),
    ];
    limit(Resource::As, usual);
    if let Err(error) = native {
        let expected = matches!(error.kind(), CopyErrorKind::InsufficientMemory);
        assert!(expected, "{error}");
    }
    for answer in answers {
        match answer {
            Ok(report) => assert_eq!(report.size, 17 << 20),
            Err(error) => assert!(
                matches!(error.code, ErrorCode::Busy | ErrorCode::InsufficientMemory),
                "{error:?}"
            ),
        }
    }
    assert_eq!(state.ctx.slots().free(), state.ctx.slots().total());
    assert!(copy_async(&mut state, "async").is_ok());
    assert!(copy_in_job(&mut state, "job").is_ok());
}

/// Counts the copies that it is asked about.
struct Count(mpsc::Sender<()>);

impl CopyHooks for Count {
    fn authorize(&self, _: &CopyRequest<'_>) -> Decision {
        self.0.send(()).unwrap();
        Decision::Allow
    }
}

#[test]
fn a_job_that_does_not_fit_into_the_table_has_done_nothing() {
    let (sender, asked) = mpsc::channel();
    let quota = CopyQuota::new(1 << 30);
    // The slots of the process are shared with the tests that run at the same time.
    let slots = CopySlots::new(1);
    let ctx = FastCopyCtx::builder()
        .hooks(Count(sender))
        .quota(quota.clone())
        .slots(slots.clone());
    let mut state = State::new().with(ctx);
    dense_file(&state.path("src"), 100_000);
    fs::write(state.path("dst"), "old").unwrap();
    // Room for the directory and the options.
    state.table.set_max_capacity(2);
    for _ in 0..100 {
        let trap = state.start_fast_copy("src", "dst", Options::REPLACE);
        assert!(trap.is_err());
    }
    assert_eq!(state.ctx.jobs(), 0);
    assert_eq!(slots.free(), 1);
    assert_eq!((quota.used(), quota.reserved()), (0, 0));
    assert!(asked.try_recv().is_err(), "the hooks have seen a copy");
    assert_eq!(fs::read(state.path("dst")).unwrap(), b"old");
}

#[test]
fn a_subscription_that_does_not_fit_into_the_table_leaves_nothing() {
    let mut state = State::new();
    fs::write(state.path("src"), "text").unwrap();
    let job = state.start_fast_copy("src", "dst", Options::empty());
    let job = job.unwrap().unwrap();
    // Room for the end of the job, and not for its pollable.
    state.table.set_max_capacity(3);
    let again = wasmtime::component::Resource::new_borrow(job.rep());
    assert!(HostCopyJob::subscribe(&mut state.view(), again).is_err());
    state.table.set_max_capacity(100);
    assert!(state.finish(job).is_ok());
    assert!(state.close());
}

#[test]
fn a_panic_of_a_hook_keeps_its_payload_in_every_form() {
    type Form = fn(&mut State, &str) -> Answer;
    let forms: [(Form, bool); 4] = [
        (copy_async, false),
        (copy_async, true),
        (copy_sync, false),
        (copy_in_job, false),
    ];
    for (form, may_block) in forms {
        let ctx = FastCopyCtx::builder().hooks(Panics);
        let mut state = State::new().with(ctx.allow_blocking_current_thread(may_block));
        fs::write(state.path("src"), "text").unwrap();
        let panic = catch_unwind(AssertUnwindSafe(|| form(&mut state, "dst"))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&4711_u32));
    }
}

/// The waker of an executor that is gone.
struct Gone;

impl Wake for Gone {
    fn wake(self: Arc<Self>) {
        panic!("the executor is gone");
    }
}

/// Polls a call once, with a waker that panics.
fn poll_with_panicking_waker<T>(call: Pin<&mut impl Future<Output = T>>) {
    let waker = Waker::from(Arc::new(Gone));
    assert!(call.poll(&mut Context::from_waker(&waker)).is_pending());
}

/// The deadline of the first call, its end, and its slot all call wakers that panic.
#[test]
fn a_waker_that_panics_does_not_disturb_other_calls() {
    let slots = CopySlots::new(1);
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder().slots(slots.clone());
    let short = builder.clone().timeout(Some(Duration::from_millis(100)));
    let mut first = State::new().with(short.hooks(gate));
    fs::write(first.path("src"), "text").unwrap();
    let mut hanging = Box::pin(first.sparse_copy_async("src", "dst", Options::empty()));
    poll_with_panicking_waker(hanging.as_mut());
    while seen.recv().unwrap() != "started, 0" {}

    let mut second = State::new().with(
        builder
            .clone()
            .allow_blocking_current_thread(true)
            .wait_timeout(None),
    );
    fs::write(second.path("src"), "text").unwrap();
    let mut waiting = Box::pin(second.sparse_copy_async("src", "dst", Options::empty()));
    poll_with_panicking_waker(waiting.as_mut());

    // The third call stops waiting after the deadline of the first.
    let impatient = builder
        .clone()
        .wait_timeout(Some(Duration::from_millis(300)));
    let mut third = State::new().with(impatient);
    fs::write(third.path("src"), "text").unwrap();
    let answer = copy_async(&mut third, "dst");
    assert_eq!(answer.unwrap_err().code, ErrorCode::Timeout);
    let answer = poll_to_end(hanging).unwrap();
    assert_eq!(answer.unwrap_err().code, ErrorCode::Timeout);

    // The slot of the first call goes to the second, which is not polled yet.
    drop(go);
    assert!(poll_to_end(waiting).unwrap().is_ok());
    let mut fourth = State::new().with(builder.timeout(Some(Duration::from_secs(60))));
    fs::write(fourth.path("src"), "text").unwrap();
    assert!(copy_async(&mut fourth, "dst").is_ok());
    assert!(copy_in_job(&mut fourth, "job").is_ok());
}
