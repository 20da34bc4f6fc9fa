//! From a guest's handles to a call. Both fronts use it.
//!
//! `convert.rs` and `options.rs` are compiled once for each front, because the types of their bindings differ.

use std::any::Any;

use fast_copy_engine::{CopyReport, DataRange, ExtentSummary, FileUsage, ReflinkSupport, Sharing};
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi::filesystem::Descriptor;

use crate::call::Call;
use crate::ctx::FastCopyCtxView;
use crate::options::{GuestOptions, Wanted};

/// A directory and a path relative to it, as a guest passes them.
pub(crate) type At = (Resource<Descriptor>, String);

/// A guest's options, as it passes them.
pub(crate) type Options = Option<Resource<GuestOptions>>;

/// Returns a guest's resource. An unknown handle is a trap, as in `wasmtime-wasi`.
pub(crate) fn get<'a, T: Any>(
    table: &'a ResourceTable,
    handle: &Resource<T>,
) -> wasmtime::Result<&'a T> {
    table.get(handle).map_err(not_in_the_table)
}

fn not_in_the_table(error: ResourceTableError) -> wasmtime::Error {
    wasmtime::Error::from(error).context(
        "the handle is not in the table of this FastCopyCtxView: FastCopyView::fast_copy must return the \
         ResourceTable that WasiView::ctx returns",
    )
}

impl FastCopyCtxView<'_> {
    pub(crate) fn decode_copy(
        &self,
        sharing: Sharing,
        (src, src_path): At,
        (dst, dst_path): At,
        options: Options,
    ) -> wasmtime::Result<Call<CopyReport>> {
        let src = (get(self.table, &src)?, src_path);
        let dst = (get(self.table, &dst)?, dst_path);
        let wanted = match options {
            Some(options) => get(self.table, &options)?.wanted,
            None => Wanted::default(),
        };
        Ok(self.ctx.copy(sharing, src, dst, wanted))
    }

    pub(crate) fn decode_disk_usage(&self, (dir, path): At) -> wasmtime::Result<Call<FileUsage>> {
        Ok(self.ctx.disk_usage(get(self.table, &dir)?, path))
    }

    pub(crate) fn decode_summarize_extents(
        &self,
        (dir, path): At,
    ) -> wasmtime::Result<Call<ExtentSummary>> {
        Ok(self.ctx.summarize_extents(get(self.table, &dir)?, path))
    }

    pub(crate) fn decode_data_ranges(
        &self,
        (dir, path): At,
        start: u64,
    ) -> wasmtime::Result<Call<Vec<DataRange>>> {
        Ok(self.ctx.data_ranges(get(self.table, &dir)?, path, start))
    }

    pub(crate) fn decode_can_reflink(
        &self,
        src: &Resource<Descriptor>,
        dst: &Resource<Descriptor>,
    ) -> wasmtime::Result<Call<ReflinkSupport>> {
        let [src, dst] = [get(self.table, src)?, get(self.table, dst)?];
        Ok(self.ctx.can_reflink(src, dst))
    }

    /// Creates a guest's options in one of the context's places. Having none is a trap.
    pub(crate) fn new_options(&mut self) -> wasmtime::Result<Resource<GuestOptions>> {
        let place = self.ctx.options.take();
        let place = place.map_err(|full| wasmtime::Error::msg(full.to_string()))?;
        Ok(self.table.push(GuestOptions::new(place))?)
    }

    /// Changes a guest's options.
    pub(crate) fn set(
        &mut self,
        options: &Resource<GuestOptions>,
        change: impl FnOnce(&mut Wanted),
    ) -> wasmtime::Result<()> {
        let options = self.table.get_mut(options).map_err(not_in_the_table)?;
        change(&mut options.wanted);
        Ok(())
    }
}
