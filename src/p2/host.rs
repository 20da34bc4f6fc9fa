//! The calls of a guest, in both forms.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Instant;

use tracing::Span;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::runtime::spawn_blocking;

use super::bindings::types::{CopyFlags, CopyReport};
use super::bindings::{copy, sync, types};
use super::{convert, log};
use crate::engine::{
    self, CopyControl, CopyError, CopyErrorKind, CopyOptions, CopyStep, Sharing, Source,
};
use crate::hooks::{CopyRequest, CopyTimes};
use crate::runtime;
use crate::sandbox::{Operands, PathAt, at_destination, at_source};
use crate::slots::{Permit, Place};
use crate::{FastCopyCtx, FastCopyCtxView};

/// What a guest gets.
pub(super) type Outcome = Result<CopyReport, types::CopyError>;

/// One call of a guest, decoded; it can be made on any thread.
pub(super) struct Call {
    operands: Operands,
    sharing: Sharing,
    options: CopyOptions,
    control: CopyControl,
    ctx: FastCopyCtx,
    called: Instant,
    span: Span,
    /// Where it is a job's: the job's place, taken until the work has ended.
    _place: Option<Arc<Place>>,
}

impl Call {
    /// The same call as the work of a job.
    pub(super) fn in_place(self, place: Arc<Place>) -> Self {
        Self {
            _place: Some(place),
            ..self
        }
    }

    /// Waits for a turn and makes the call. Blocks the calling thread.
    fn make_blocking(self) -> Outcome {
        let permit = self.ctx.permit_blocking(&self.options);
        self.make(permit)
    }

    /// Waits for a turn and makes the call, on this thread if it may be blocked, else on another.
    async fn make_async(self) -> Outcome {
        if self.ctx.may_block_executor() {
            let permit = self.ctx.permit(&self.options, pending()).await;
            return self.make(permit);
        }
        let _cancel_on_drop = CancelOnDrop(self.control.clone());
        match self.ctx.permit_now() {
            Some(permit) => spawn_blocking(move || self.make(Ok(permit))).await,
            // In a task of its own: a host may leave its guest's future alone for as long as it likes,
            // and a slot that was given to it meanwhile would be lost to everybody.
            None => runtime::spawn(self.make_elsewhere(pending())).await,
        }
    }

    /// Waits for a turn, and then makes the call on a blocking thread. Dropping the future stops it,
    /// and nothing is published. `given_up` is ready when the call was cancelled.
    pub(super) async fn make_elsewhere(self, given_up: impl Future<Output = ()>) -> Outcome {
        let _cancel_on_drop = CancelOnDrop(self.control.clone());
        let permit = self.ctx.permit(&self.options, given_up).await;
        match permit {
            Ok(_) => spawn_blocking(move || self.make(permit)).await,
            Err(kind) => Err(self.refuse(kind)),
        }
    }

    /// What the guest gets for a call that isn't made.
    pub(super) fn refuse(&self, kind: CopyErrorKind) -> types::CopyError {
        log::refused(&self.span, kind)
    }

    pub(super) fn control(&self) -> &CopyControl {
        &self.control
    }

    /// Makes the call, and gives the permit back when its work has ended. Blocks the calling thread.
    fn make(self, permit: Result<Permit, CopyErrorKind>) -> Outcome {
        let permit = permit.map_err(|kind| self.refuse(kind))?;
        let _entered = self.span.enter();
        let result = self.try_make(&permit);
        log::times(&self.span, self.times(&permit));
        log::refusals(&self.span, &self.control);
        drop(permit);
        let report = result.map_err(|error| log::failed(&self.span, error))?;
        log::report(&self.span, &report);
        Ok(report.into())
    }

    fn times(&self, permit: &Permit) -> CopyTimes {
        CopyTimes::until_now(self.called, permit.given)
    }

    fn try_make(&self, permit: &Permit) -> Result<engine::CopyReport, engine::CopyError> {
        let Self {
            operands,
            options,
            sharing,
            ..
        } = self;
        if self.control.is_cancelled() {
            return Err(CopyError::new(CopyStep::Open, CopyErrorKind::Cancelled));
        }
        let (source, destination) = operands.resolve(options)?;
        log::opened(&self.span, source.size());
        let copy = |watch| engine::copy(&source, &destination, *sharing, options, watch);
        let Some(hooks) = self.ctx.hooks() else {
            return copy(&|_| ());
        };
        let request = self.request(&source);
        if !hooks.authorize(&request) {
            return Err(CopyError::new(
                CopyStep::Open,
                CopyErrorKind::NotPermitted("the host doesn't allow this copy"),
            ));
        }
        hooks.started(&request, &self.control);
        let result = copy(&|copied| hooks.progress(&request, copied));
        hooks.ended(&request, result.as_ref(), self.times(permit));
        result
    }

    /// What the host's hooks are asked about.
    fn request(&self, source: &Source) -> CopyRequest<'_> {
        let (src, dst) = (&self.operands.source, &self.operands.destination);
        CopyRequest {
            may_share: self.sharing == Sharing::Allowed,
            src_path: src.path(),
            src_perms: src.perms(),
            dst_path: dst.path(),
            dst_perms: dst.perms(),
            size: source.size(),
            allocated: source.allocated(),
            replace: self.options.replace,
            durable: !self.options.no_sync,
        }
    }
}

/// Cancels a copy whose caller has gone. The thread that copies can't be stopped from outside, so
/// it looks at the control itself.
pub(super) struct CancelOnDrop(pub(super) CopyControl);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl FastCopyCtxView<'_> {
    /// Decodes a call. An unknown handle is a trap, as in `wasmtime-wasi`.
    pub(super) fn call(
        &self,
        sharing: Sharing,
        (src, src_path): (Resource<Descriptor>, String),
        (dst, dst_path): (Resource<Descriptor>, String),
        flags: CopyFlags,
    ) -> wasmtime::Result<Result<Call, types::CopyError>> {
        let (src, dst) = (self.table.get(&src)?, self.table.get(&dst)?);
        let span = log::copy(&src_path, &dst_path, sharing, flags);
        let max_path = self.ctx.max_path();
        let decode = || {
            let (sharing, options) = self.ctx.restrict(sharing, convert::options(flags))?;
            let operands = Operands {
                source: PathAt::new(src, src_path, max_path).map_err(at_source)?,
                destination: PathAt::new(dst, dst_path, max_path).map_err(at_destination)?,
            };
            Ok((operands, sharing, options))
        };
        let (operands, sharing, options) = match decode() {
            Ok(decoded) => decoded,
            Err(error) => return Ok(Err(log::failed(&span, error))),
        };
        let control = CopyControl::new();
        Ok(Ok(Call {
            operands,
            sharing,
            options: options.control(control.clone()),
            control,
            ctx: self.ctx.clone(),
            called: Instant::now(),
            span,
            _place: None,
        }))
    }
}

impl types::Host for FastCopyCtxView<'_> {}

impl copy::Host for FastCopyCtxView<'_> {
    async fn fast_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> wasmtime::Result<Outcome> {
        let call = self.call(Sharing::Allowed, (src, src_path), (dst, dst_path), options)?;
        Ok(match call {
            Ok(call) => call.make_async().await,
            Err(refused) => Err(refused),
        })
    }

    async fn sparse_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> wasmtime::Result<Outcome> {
        let call = self.call(
            Sharing::Forbidden,
            (src, src_path),
            (dst, dst_path),
            options,
        )?;
        Ok(match call {
            Ok(call) => call.make_async().await,
            Err(refused) => Err(refused),
        })
    }
}

impl sync::copy::Host for FastCopyCtxView<'_> {
    fn fast_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> wasmtime::Result<Outcome> {
        let call = self.call(Sharing::Allowed, (src, src_path), (dst, dst_path), options)?;
        Ok(call.and_then(Call::make_blocking))
    }

    fn sparse_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> wasmtime::Result<Outcome> {
        let call = self.call(
            Sharing::Forbidden,
            (src, src_path),
            (dst, dst_path),
            options,
        )?;
        Ok(call.and_then(Call::make_blocking))
    }
}
