//! Runs a copy as a job of the host.

use std::time::Duration;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::{Pollable, poll};

use super::bindings::sandbox::fast_copy::jobs::{self, CopyJob};
use super::bindings::sandbox::fast_copy::types::CopyError;
use super::call;
use crate::error::Failure;
use crate::request::{Function, Request};
use crate::{CopyProgress, CopyReport, Error, Operand};

#[derive(Debug)]
pub(crate) struct RunningCopy(CopyJob);

pub(crate) fn start(request: &Request<'_>) -> Result<RunningCopy, Error> {
    let function = match request.function {
        Function::FastCopy => jobs::start_fast_copy,
        Function::SparseCopy => jobs::start_sparse_copy,
    };
    Ok(RunningCopy(call(request, function)?))
}

impl RunningCopy {
    pub(crate) fn progress(&self) -> CopyProgress {
        self.0.progress().into()
    }

    pub(crate) fn cancel(&self) {
        self.0.cancel();
    }

    pub(crate) fn result(&self) -> Option<Result<CopyReport, (Failure, Option<Operand>)>> {
        Some(match self.0.get()? {
            Ok(report) => Ok(report.into()),
            Err(CopyError { code, operand }) => Err((code.into(), operand.map(Operand::from))),
        })
    }

    pub(crate) fn wait_timeout(&self, time: Duration) -> bool {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (ended, timer) = (self.0.subscribe(), subscribe_duration(time));
        poll(&[&ended, &timer]);
        ended.ready()
    }

    pub(crate) fn wait(&self) {
        self.0.subscribe().block();
    }

    pub(crate) fn subscribe(&self) -> Pollable {
        self.0.subscribe()
    }
}
