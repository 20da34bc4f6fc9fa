//! A guest that a test stops and continues.

use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use wasmtime_fast_copy::FastCopyCtx;

use crate::command::Form;
use crate::guest_host::{Guest, Output, Preopen, run_to_end};

/// A guest in an asynchronous form. It runs only within the methods of this type, on the calling thread. Dropping
/// it drops the guest's store.
pub struct RunningGuest<'a> {
    runtime: Runtime,
    end: Pin<Box<dyn Future<Output = anyhow::Result<Output>> + 'a>>,
}

impl<'a> RunningGuest<'a> {
    /// Prepares a guest. It does not run yet.
    pub fn new(
        guest: Guest,
        form: Form,
        dirs: &'a [Preopen<'a>],
        args: &'a [&'a str],
        copies: FastCopyCtx,
    ) -> Self {
        Self {
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            end: Box::pin(run_to_end(guest, form, dirs, args, copies)),
        }
    }

    /// Runs the guest until a condition holds while it waits for the host: it has made all calls that it makes
    /// without waiting.
    #[track_caller]
    pub fn run_until(&mut self, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while {
            assert!(Instant::now() < deadline, "it does not hold after a minute");
            self.runtime.block_on(async {
                tokio::select! {
                    // The guest runs first, and waits when the time has passed.
                    biased;
                    end = self.end.as_mut() => panic!("the guest has ended: {end:?}"),
                    () = tokio::time::sleep(Duration::from_millis(1)) => !condition(),
                }
            })
        } {}
    }

    /// Runs the guest to its end. A trap fails the test.
    #[track_caller]
    pub fn finish(self) -> Output {
        let output = self.runtime.block_on(self.end);
        output.unwrap_or_else(|trap| panic!("{trap:#}"))
    }
}
