//! The calls of a guest, in both forms.

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::runtime::spawn_blocking;

use super::bindings::types::{CopyError, CopyFlags, CopyReport};
use super::bindings::{copy, sync, types};
use super::convert;
use crate::FastCopyCtxView;
use crate::engine::{self, CopyControl, CopyOptions, Sharing};
use crate::sandbox::{Operands, PathAt};

/// What a guest gets.
type Outcome = Result<CopyReport, CopyError>;

/// One call of a guest, decoded; it can be made on any thread.
struct Call {
    operands: Operands,
    sharing: Sharing,
    options: CopyOptions,
    /// Whether the executor's thread may be blocked.
    may_block_executor: bool,
}

impl Call {
    /// Blocks the calling thread.
    fn make(self) -> Outcome {
        let report = self.try_make()?;
        Ok(report.into())
    }

    fn try_make(&self) -> Result<engine::CopyReport, engine::CopyError> {
        self.options.check(self.sharing)?;
        let (source, destination) = self.operands.resolve(&self.options)?;
        engine::copy(&source, &destination, self.sharing, &self.options)
    }

    /// Makes the call on a blocking thread, unless it may be made on this one. Dropping the future
    /// stops it, and nothing is published.
    async fn make_async(mut self) -> Outcome {
        if self.may_block_executor {
            return self.make();
        }
        let control = CopyControl::new();
        let _cancel_on_drop = CancelOnDrop(control.clone());
        self.options = self.options.control(control);
        spawn_blocking(move || self.make()).await
    }
}

/// Cancels a copy whose caller has gone. The thread that copies can't be stopped from outside, so
/// it looks at the control itself.
struct CancelOnDrop(CopyControl);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl FastCopyCtxView<'_> {
    /// Decodes a call. An unknown handle is a trap, as in `wasmtime-wasi`.
    fn call(
        &self,
        sharing: Sharing,
        (src, src_path): (Resource<Descriptor>, String),
        (dst, dst_path): (Resource<Descriptor>, String),
        flags: CopyFlags,
    ) -> wasmtime::Result<Call> {
        let source = PathAt {
            descriptor: self.table.get(&src)?.clone(),
            path: src_path,
        };
        let destination = PathAt {
            descriptor: self.table.get(&dst)?.clone(),
            path: dst_path,
        };
        Ok(Call {
            operands: Operands {
                source,
                destination,
            },
            sharing,
            options: self.ctx.restrict(convert::options(flags)),
            may_block_executor: self.ctx.allow_blocking_current_thread,
        })
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
        Ok(call.make_async().await)
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
        Ok(call.make_async().await)
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
        Ok(call.make())
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
        Ok(call.make())
    }
}
