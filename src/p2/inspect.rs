//! What files take.

use std::future::pending;
use std::time::Instant;

use tracing::Span;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::runtime::spawn_blocking;

use super::bindings::types::{CopyError, ExtentSummary, FileUsage};
use super::bindings::{inspect, sync};
use super::host::CancelOnDrop;
use super::log;
use crate::engine::{self, CopyControl, CopyErrorKind, CopyOptions, Source};
use crate::hooks::CopyTimes;
use crate::runtime;
use crate::sandbox::{PathAt, at_source};
use crate::slots::Permit;
use crate::{FastCopyCtx, FastCopyCtxView};

type Outcome<T> = Result<T, CopyError>;

/// One look, decoded; it can be taken on any thread.
struct Look {
    at: PathAt,
    ctx: FastCopyCtx,
    options: CopyOptions,
    control: CopyControl,
    called: Instant,
    span: Span,
}

impl Look {
    fn disk_usage(self) -> Outcome<FileUsage> {
        self.told(Instant::now(), || {
            let usage = engine::disk_usage(&self.at.resolve()?)?;
            log::opened(&self.span, usage.size);
            Ok(usage)
        })
    }

    fn summarize_extents(self, permit: Result<Permit, CopyErrorKind>) -> Outcome<ExtentSummary> {
        let permit = permit.map_err(|kind| log::refused(&self.span, kind))?;
        let summary = self.told(permit.given, || {
            let source = Source::from_handle(self.at.resolve()?)?;
            log::opened(&self.span, source.size());
            engine::summarize_extents(&source, &self.options, &self.control)
        });
        drop(permit);
        summary
    }

    /// Does the work, whose turn came at `given`, within the span, and tells of its time and its failure
    /// there.
    fn told<T, U: From<T>>(
        &self,
        given: Instant,
        work: impl FnOnce() -> Result<T, engine::CopyError>,
    ) -> Outcome<U> {
        let _entered = self.span.enter();
        let result = work();
        log::times(&self.span, CopyTimes::until_now(self.called, given));
        result
            .map(U::from)
            .map_err(|error| log::failed(&self.span, error))
    }

    async fn disk_usage_async(self) -> Outcome<FileUsage> {
        match self.ctx.may_block_executor() {
            true => self.disk_usage(),
            false => spawn_blocking(move || self.disk_usage()).await,
        }
    }

    fn summarize_extents_blocking(self) -> Outcome<ExtentSummary> {
        let permit = self.ctx.permit_blocking(&self.options);
        self.summarize_extents(permit)
    }

    async fn summarize_extents_async(self) -> Outcome<ExtentSummary> {
        if self.ctx.may_block_executor() {
            let permit = self.ctx.permit(&self.options, pending()).await;
            return self.summarize_extents(permit);
        }
        let _cancel_on_drop = CancelOnDrop(self.control.clone());
        match self.ctx.permit_now() {
            Some(permit) => spawn_blocking(move || self.summarize_extents(Ok(permit))).await,
            // In a task of its own, as a copy does.
            None => runtime::spawn(self.summarize_extents_elsewhere()).await,
        }
    }

    async fn summarize_extents_elsewhere(self) -> Outcome<ExtentSummary> {
        let _cancel_on_drop = CancelOnDrop(self.control.clone());
        let permit = self.ctx.permit(&self.options, pending()).await;
        match permit {
            Ok(_) => spawn_blocking(move || self.summarize_extents(permit)).await,
            Err(kind) => Err(log::refused(&self.span, kind)),
        }
    }
}

impl FastCopyCtxView<'_> {
    /// Decodes a call. An unknown handle is a trap, as in `wasmtime-wasi`.
    fn look(&self, dir: &Resource<Descriptor>, path: String) -> wasmtime::Result<Outcome<Look>> {
        let dir = self.table.get(dir)?;
        let span = log::inspect(&path);
        let at = match PathAt::new(dir, path, self.ctx.max_path()) {
            Ok(at) => at,
            Err(error) => return Ok(Err(log::failed(&span, at_source(error)))),
        };
        Ok(Ok(Look {
            at,
            ctx: self.ctx.clone(),
            options: self.ctx.timed(CopyOptions::new()),
            control: CopyControl::new(),
            called: Instant::now(),
            span,
        }))
    }
}

impl inspect::Host for FastCopyCtxView<'_> {
    async fn disk_usage(
        &mut self,
        dir: Resource<Descriptor>,
        path: String,
    ) -> wasmtime::Result<Outcome<FileUsage>> {
        Ok(match self.look(&dir, path)? {
            Ok(look) => look.disk_usage_async().await,
            Err(refused) => Err(refused),
        })
    }

    async fn summarize_extents(
        &mut self,
        dir: Resource<Descriptor>,
        path: String,
    ) -> wasmtime::Result<Outcome<ExtentSummary>> {
        Ok(match self.look(&dir, path)? {
            Ok(look) => look.summarize_extents_async().await,
            Err(refused) => Err(refused),
        })
    }
}

impl sync::inspect::Host for FastCopyCtxView<'_> {
    fn disk_usage(
        &mut self,
        dir: Resource<Descriptor>,
        path: String,
    ) -> wasmtime::Result<Outcome<FileUsage>> {
        Ok(self.look(&dir, path)?.and_then(Look::disk_usage))
    }

    fn summarize_extents(
        &mut self,
        dir: Resource<Descriptor>,
        path: String,
    ) -> wasmtime::Result<Outcome<ExtentSummary>> {
        Ok(self
            .look(&dir, path)?
            .and_then(Look::summarize_extents_blocking))
    }
}
