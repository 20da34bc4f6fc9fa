//! The traits of the bindings. Each function decodes its handles, and converts the outcome of a call.

use std::future::{Future, ready};
use std::iter;

use fast_copy_engine::Sharing;
use tokio::sync::oneshot;
use wasmtime::component::{
    Access, Accessor, FutureReader, Lift, Lower, Resource, StreamProducer, StreamReader,
};
use wasmtime_wasi::filesystem::Descriptor;

use super::bindings::types::{CopyProgress, DataRange, ErrorCode};
use super::bindings::{copy, inspect, types};
use super::convert::{answer, copied, failed};
use super::streams::{ProgressStream, RangeStream};
use crate::call::Call;
use crate::ctx::{FastCopy, FastCopyCtxView};
use crate::front::{At, Options, get};
use crate::job::CopyJob;
use crate::ranges::RangeReader;

type Copied = Result<types::CopyReport, types::CopyError>;

/// A copy with progress.
type Watched = (StreamReader<CopyProgress>, FutureReader<Copied>);

/// What an asynchronous function of `inspect` returns.
type Answer<T> = wasmtime::Result<Result<T, ErrorCode>>;

/// What `data-ranges` returns.
type Ranges = (StreamReader<DataRange>, FutureReader<Result<(), ErrorCode>>);

/// Decodes a call with the store's view. The call does not need the store while it runs.
fn decode<T, C>(
    accessor: &Accessor<T, FastCopy>,
    decode: impl FnOnce(&FastCopyCtxView<'_>) -> wasmtime::Result<Call<C>>,
) -> wasmtime::Result<Call<C>> {
    accessor.with(|mut access| decode(&access.get()))
}

/// Makes a stream and a future, or neither.
fn pair<T, S, F>(
    mut access: Access<'_, T, FastCopy>,
    items: S,
    value: F,
) -> wasmtime::Result<(StreamReader<S::Item>, FutureReader<F::Output>)>
where
    T: 'static,
    S: StreamProducer<T, Item: Lower + Lift + Send + Sync + 'static>,
    F: Future<Output: Lower + Lift + Send + Sync + 'static> + Send + 'static,
{
    let mut stream = StreamReader::new(&mut access, items)?;
    let value = async { Ok::<_, wasmtime::Error>(value.await) };
    match FutureReader::new(&mut access, value) {
        Ok(future) => Ok((stream, future)),
        Err(error) => {
            stream.close(&mut access)?;
            Err(error)
        }
    }
}

/// Starts a copy with progress. Its place, its stream and its future are there before anything begins, so a call
/// that traps has done nothing.
fn watch<T: 'static>(
    mut access: Access<'_, T, FastCopy>,
    sharing: Sharing,
    src: At,
    dst: At,
    options: Options,
) -> wasmtime::Result<Watched> {
    let view = access.get();
    let call = view.decode_copy(sharing, src, dst, options)?;
    match CopyJob::prepare(view.ctx, call) {
        Ok((job, begin)) => {
            let changes = job.changes();
            let watched = pair(access, ProgressStream::new(changes), async {
                copied(&job.into_outcome().await)
            })?;
            begin();
            Ok(watched)
        }
        Err(busy) => {
            let refused = copied(&Err(busy));
            pair(access, iter::empty(), ready(refused))
        }
    }
}

impl copy::Host for FastCopyCtxView<'_> {}

impl<T: 'static> copy::HostWithStore<T> for FastCopy {
    async fn fast_copy(
        accessor: &Accessor<T, Self>,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<Copied> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        let call = decode(accessor, |view| {
            view.decode_copy(Sharing::Allowed, src, dst, options)
        })?;
        Ok(copied(&call.run().await))
    }

    async fn sparse_copy(
        accessor: &Accessor<T, Self>,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<Copied> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        let call = decode(accessor, |view| {
            view.decode_copy(Sharing::Forbidden, src, dst, options)
        })?;
        Ok(copied(&call.run().await))
    }

    fn fast_copy_with_progress(
        access: Access<'_, T, Self>,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<Watched> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        watch(access, Sharing::Allowed, src, dst, options)
    }

    fn sparse_copy_with_progress(
        access: Access<'_, T, Self>,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<Watched> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        watch(access, Sharing::Forbidden, src, dst, options)
    }
}

impl inspect::Host for FastCopyCtxView<'_> {}

impl<T: 'static> inspect::HostWithStore<T> for FastCopy {
    async fn disk_usage(
        accessor: &Accessor<T, Self>,
        dir: Resource<Descriptor>,
        path: String,
    ) -> Answer<types::FileUsage> {
        let call = decode(accessor, |view| view.decode_disk_usage((dir, path)))?;
        answer(call.run().await)
    }

    async fn summarize_extents(
        accessor: &Accessor<T, Self>,
        dir: Resource<Descriptor>,
        path: String,
    ) -> Answer<types::ExtentSummary> {
        let call = decode(accessor, |view| view.decode_summarize_extents((dir, path)))?;
        answer(call.run().await)
    }

    fn data_ranges(
        mut access: Access<'_, T, Self>,
        dir: Resource<Descriptor>,
        path: String,
        start: u64,
    ) -> wasmtime::Result<Ranges> {
        let view = access.get();
        match RangeReader::new(view.ctx, get(view.table, &dir)?, path, start) {
            Ok(reader) => {
                let (sender, result) = oneshot::channel();
                let ranges = RangeStream::new(reader, sender);
                // The sender is dropped if the guest drops the stream before its end.
                pair(access, ranges, async { result.await.unwrap_or(Ok(())) })
            }
            Err(error) => {
                let refused = Err(failed(&error));
                pair(access, iter::empty(), ready(refused))
            }
        }
    }

    async fn can_reflink(
        accessor: &Accessor<T, Self>,
        src_dir: Resource<Descriptor>,
        dst_dir: Resource<Descriptor>,
    ) -> Answer<types::ReflinkSupport> {
        let call = decode(accessor, |view| view.decode_can_reflink(&src_dir, &dst_dir))?;
        answer(call.run().await)
    }
}
