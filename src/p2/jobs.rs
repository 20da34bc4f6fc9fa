//! Copies in the background.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::runtime::AbortOnDropJoinHandle;

use super::bindings::jobs;
use super::bindings::sync;
use super::bindings::types::{CopyError, CopyFlags, CopyProgress};
use super::host::{Call, CancelOnDrop, Outcome};
use crate::FastCopyCtxView;
use crate::engine::{CopyControl, CopyError as EngineError, CopyStep, Sharing};
use crate::runtime::{self, block_on};
use crate::slots::Place;

/// A copy in the background: the host's side of `copy-job`.
///
/// To drop it is to cancel it. The work itself may last a little longer, and keeps its slot.
pub struct CopyJob {
    control: CancelOnDrop,
    stop: Arc<Notify>,
    task: AbortOnDropJoinHandle<Outcome>,
    ended: watch::Receiver<()>,
    /// Free when the guest is done with the job and its work has ended.
    _place: Arc<Place>,
}

impl fmt::Debug for CopyJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyJob")
            .field("control", &self.control.0)
            .field("ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}

impl CopyJob {
    /// It runs on the runtime of `wasmtime-wasi`: a host's own may be standing still, with a guest of
    /// the synchronous form on its thread.
    fn start(call: Result<Call, CopyError>, place: Place) -> Self {
        let control = match &call {
            Ok(call) => call.control().clone(),
            Err(_) => CopyControl::new(),
        };
        // Closed, by whatever ends the task, it wakes who waits.
        let (running, ended) = watch::channel(());
        let place = Arc::new(place);
        let call = call.map(|call| call.in_place(place.clone()));
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let task = runtime::spawn(async move {
            let _running = running;
            call?.make_elsewhere(stopped.notified()).await
        });
        Self {
            control: CancelOnDrop(control),
            stop,
            task,
            ended,
            _place: place,
        }
    }

    fn progress(&self) -> CopyProgress {
        CopyProgress {
            copied: self.control.0.copied(),
            total: self.control.0.total(),
            ended: self.has_ended(),
        }
    }

    /// As its pollables see it.
    fn has_ended(&self) -> bool {
        self.ended.has_changed().is_err()
    }

    fn cancel(&self) {
        self.control.0.cancel();
        self.stop.notify_one();
    }
}

/// What a pollable of a job looks at. It is no child of the job, so either can be dropped first: a
/// guest that drops a parent before its child traps.
struct JobsEnd(watch::Receiver<()>);

#[wasmtime_wasi::async_trait]
impl Pollable for JobsEnd {
    async fn ready(&mut self) {
        // The only change there is: nobody sends, and the sender goes away.
        let _ = self.0.changed().await;
    }
}

impl FastCopyCtxView<'_> {
    fn start(
        &mut self,
        call: Result<Call, CopyError>,
    ) -> wasmtime::Result<Result<Resource<CopyJob>, CopyError>> {
        let place = match self.ctx.job_places().take() {
            Ok(place) => place,
            Err(busy) => {
                // Also where the job would have failed: that is for a job to say.
                let refused = match call {
                    Ok(call) => call.refuse(busy),
                    Err(_) => EngineError::new(CopyStep::Open, busy).into(),
                };
                return Ok(Err(refused));
            }
        };
        Ok(Ok(self.table.push(CopyJob::start(call, place))?))
    }

    fn subscribe_to(&mut self, job: &Resource<CopyJob>) -> wasmtime::Result<Resource<DynPollable>> {
        let ended = JobsEnd(self.table.get(job)?.ended.clone());
        let ended = self.table.push(ended)?;
        subscribe(self.table, ended)
    }
}

impl jobs::Host for FastCopyCtxView<'_> {
    async fn start_fast_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> wasmtime::Result<Result<Resource<CopyJob>, CopyError>> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        let call = self.call(Sharing::Allowed, src, dst, options)?;
        self.start(call)
    }

    async fn start_sparse_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> wasmtime::Result<Result<Resource<CopyJob>, CopyError>> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        let call = self.call(Sharing::Forbidden, src, dst, options)?;
        self.start(call)
    }
}

impl jobs::HostCopyJob for FastCopyCtxView<'_> {
    async fn subscribe(
        &mut self,
        job: Resource<CopyJob>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_to(&job)
    }

    async fn progress(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<CopyProgress> {
        Ok(self.table.get(&job)?.progress())
    }

    async fn cancel(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<()> {
        self.table.get(&job)?.cancel();
        Ok(())
    }

    async fn finish(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<Outcome> {
        // Whoever goes away meanwhile cancels it still.
        let CopyJob { task, control, .. } = self.table.delete(job)?;
        let outcome = task.await;
        drop(control);
        Ok(outcome)
    }

    async fn drop(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<()> {
        self.table.delete(job)?;
        Ok(())
    }
}

impl sync::jobs::Host for FastCopyCtxView<'_> {
    fn start_fast_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> wasmtime::Result<Result<Resource<CopyJob>, CopyError>> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        let call = self.call(Sharing::Allowed, src, dst, options)?;
        self.start(call)
    }

    fn start_sparse_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> wasmtime::Result<Result<Resource<CopyJob>, CopyError>> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        let call = self.call(Sharing::Forbidden, src, dst, options)?;
        self.start(call)
    }
}

impl sync::jobs::HostCopyJob for FastCopyCtxView<'_> {
    fn subscribe(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_to(&job)
    }

    fn progress(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<CopyProgress> {
        Ok(self.table.get(&job)?.progress())
    }

    fn cancel(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<()> {
        self.table.get(&job)?.cancel();
        Ok(())
    }

    fn finish(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<Outcome> {
        let CopyJob { task, control, .. } = self.table.delete(job)?;
        let outcome = block_on(task, None).expect("there is no deadline");
        drop(control);
        Ok(outcome)
    }

    fn drop(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<()> {
        self.table.delete(job)?;
        Ok(())
    }
}
