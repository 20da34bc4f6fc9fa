//! The runtime of `wasmtime-wasi`, whatever runtime the caller is in.
//!
//! What must go on while a host's thread is blocked can't be left to the runtime which that thread may
//! belong to. And a host's runtime need not have a timer.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use tokio::runtime::Handle;
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, with_ambient_tokio_runtime};

fn handle() -> Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return handle.clone();
    }
    // A new thread is in no runtime, so there the ambient one is wasmtime-wasi's own.
    let thread = thread::Builder::new().spawn(|| with_ambient_tokio_runtime(Handle::current));
    match thread.map(|thread| thread.join()) {
        Ok(Ok(handle)) => HANDLE.get_or_init(|| handle).clone(),
        // No thread is to be had: this once it is the caller's, if that is in one.
        _ => with_ambient_tokio_runtime(Handle::current),
    }
}

/// Runs a future there, after it was polled here for the first time: those who wait in a line stand in it
/// in the order of their calls, and not as threads come to it.
pub(crate) fn spawn<F>(future: F) -> AbortOnDropJoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (handle, mut future) = (handle(), Box::pin(future));
    let first = {
        let _entered = handle.enter();
        future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    };
    handle
        .spawn(async move {
            match first {
                Poll::Ready(output) => output,
                Poll::Pending => future.await,
            }
        })
        .into()
}

/// Waits for a future, wherever that is done, but not beyond a deadline.
pub(crate) async fn until<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    let Some(deadline) = deadline else {
        return Some(future.await);
    };
    let timed = {
        let _entered = handle().enter();
        tokio::time::timeout_at(deadline.into(), future)
    };
    timed.await.ok()
}

/// Runs a future on this thread, which may be one of a runtime's: tokio's own `block_on` panics
/// there. None: the deadline came first.
pub(crate) fn block_on<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    // A task of tokio's may only do so much before it yields, and this can't.
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
