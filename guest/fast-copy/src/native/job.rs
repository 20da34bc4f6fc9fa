//! Runs a copy in a thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fast_copy_engine::CopyControl;

use super::{convert, copy_with, engine_options, full_paths};
use crate::error::Failure;
use crate::request::Request;
use crate::{CopyProgress, CopyReport, Error, ErrorCode, Operand};

/// A copy in a thread. Dropping it cancels the copy.
#[derive(Debug)]
pub(crate) struct RunningCopy {
    control: CopyControl,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    result: Mutex<Option<Outcome>>,
    ended: Condvar,
}

type Outcome = Result<CopyReport, (Failure, Option<Operand>)>;

pub(crate) fn start(request: &Request<'_>) -> Result<RunningCopy, Error> {
    let control = CopyControl::new();
    let shared = Arc::new(Shared::default());
    let options = engine_options(request).control(control.clone());
    // The working directory may change before the thread begins.
    let paths = full_paths(request)?.map(|path| std::path::absolute(&path).unwrap_or(path));
    let (function, end) = (request.function, shared.clone());
    let thread = std::thread::Builder::new().spawn(move || {
        let copied = catch_unwind(AssertUnwindSafe(|| copy_with(function, &paths, &options)));
        end.set(match copied {
            Ok(result) => result.map_err(|error| (Failure::from(&error), convert::operand(&error))),
            Err(_) => Err((ErrorCode::InDoubt.into(), None)),
        });
    });
    match thread {
        Ok(_) => Ok(RunningCopy { control, shared }),
        Err(_) => {
            let failure = Failure::with_text(ErrorCode::Busy, "no thread can be started");
            Err(request.error(failure, None))
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, result: Outcome) {
        *self.lock() = Some(result);
        self.ended.notify_all();
    }
}

impl RunningCopy {
    pub(crate) fn progress(&self) -> CopyProgress {
        CopyProgress {
            copied: self.control.copied(),
            total: self.control.total(),
        }
    }

    pub(crate) fn cancel(&self) {
        self.control.cancel();
    }

    pub(crate) fn result(&self) -> Option<Outcome> {
        self.shared.lock().clone()
    }

    pub(crate) fn wait_timeout(&self, time: Duration) -> bool {
        let shared = &self.shared;
        let running = |result: &mut Option<Outcome>| result.is_none();
        let waited = shared
            .ended
            .wait_timeout_while(shared.lock(), time, running);
        let (result, _) = waited.unwrap_or_else(PoisonError::into_inner);
        result.is_some()
    }

    pub(crate) fn wait(&self) {
        let shared = &self.shared;
        let running = |result: &mut Option<Outcome>| result.is_none();
        let waited = shared.ended.wait_while(shared.lock(), running);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for RunningCopy {
    fn drop(&mut self) {
        self.control.cancel();
    }
}
