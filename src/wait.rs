//! Waiting for slots and deadlines, on a thread of our own.
//!
//! The host's runtime may be blocked by a guest of the synchronous form, shut down, or without a timer.
//! So calls that wait do so in a runtime of this crate. It has one thread, named `fast-copy-wait`, and no
//! descriptors. It starts when it is first needed. A failed start is an error, and is tried again at the
//! next call.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use fast_copy_engine::thread_builder;
use tokio::runtime::{Builder, Handle};

/// Why a call is refused if the runtime can't be started.
pub(crate) const NO_THREAD: &str =
    "the host can't start the thread that waits for slots and deadlines";

/// Returns the runtime that waits, and starts it if necessary.
pub(crate) fn runtime() -> io::Result<&'static Handle> {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(handle) = RUNTIME.get() {
        return Ok(handle);
    }
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if RUNTIME.get().is_none() {
        let handle = start()?;
        let _ = RUNTIME.set(handle);
    }
    Ok(RUNTIME.get().expect("it was set"))
}

fn start() -> io::Result<Handle> {
    let (sender, receiver) = mpsc::channel();
    thread_builder("fast-copy-wait")?.spawn(move || {
        // It is built here, because dropping a runtime inside another one panics.
        match Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => {
                let _ = sender.send(Ok(runtime.handle().clone()));
                runtime.block_on(pending::<()>());
            }
            Err(error) => {
                let _ = sender.send(Err(error));
            }
        }
    })?;
    receiver
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the waiting thread has ended")))
}

/// Runs `future` in the runtime. The calling thread polls it first, so that calls enter a queue in the
/// order in which they are made.
pub(crate) fn spawn<F>(runtime: &Handle, future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut future = Box::pin(future);
    let _entered = runtime.enter();
    let first = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    if first.is_pending() {
        runtime.spawn(future);
    }
}

/// Waits for `future` until the deadline. None if the deadline passes first. It can be polled on any
/// executor, whose wakers may panic.
///
/// # Errors
///
/// The runtime can't be started.
pub(crate) async fn until<F: Future>(
    deadline: Option<Instant>,
    future: F,
) -> io::Result<Option<F::Output>> {
    let Some(deadline) = deadline else {
        return Ok(Some(guarded(future).await));
    };
    let timed = {
        let _entered = runtime()?.enter();
        tokio::time::timeout_at(deadline.into(), future)
    };
    Ok(guarded(timed).await.ok())
}

/// Polls `future` with a waker that does not panic. The thread that waits and the threads that free slots call
/// it, and other calls depend on them. So everything that is awaited for a caller goes through here.
pub(crate) async fn guarded<F: Future>(future: F) -> F::Output {
    struct Guarded(Waker);
    impl Wake for Guarded {
        fn wake(self: Arc<Self>) {
            let _ = catch_unwind(AssertUnwindSafe(move || {
                self.0.wake_by_ref();
                drop(self);
            }));
        }
    }
    let mut future = pin!(future);
    poll_fn(|context| {
        let waker = Waker::from(Arc::new(Guarded(context.waker().clone())));
        future.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await
}

/// Waits for `future` on the calling thread until the deadline. None if the deadline passes first.
///
/// The thread may belong to a runtime, where tokio's own `block_on` panics.
pub(crate) fn block_on<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    // tokio limits how much a task does before it yields; this one can't yield.
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        match deadline {
            None => thread::park(),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                thread::park_timeout(left);
            }
        }
    }
}
