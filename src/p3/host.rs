//! The traits of the bindings. Each function decodes its handles, and converts the outcome of a call.

use std::future::{Future, ready};
use std::iter;

use fast_copy_engine::Sharing;
use tokio::sync::oneshot;
use wasmtime::component::{
    Access, Accessor, FutureReader, HasData, Lift, Lower, Resource, StreamProducer, StreamReader,
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
use crate::named::{FastCopyNamed, FastCopyNamedData, FastCopyNamedView, NamedId};
use crate::ranges::RangeReader;

pub(super) type Copied = Result<types::CopyReport, types::CopyError>;

/// A stream, and a future with its result.
type StreamAndFuture<T, R> = (StreamReader<T>, FutureReader<R>);

/// A copy with progress.
pub(super) type WithProgress = StreamAndFuture<CopyProgress, Copied>;

/// What an asynchronous function of `inspect` returns.
pub(super) type Answer<T> = wasmtime::Result<Result<T, ErrorCode>>;

/// What `data-ranges` returns.
pub(super) type Ranges = StreamAndFuture<DataRange, Result<(), ErrorCode>>;

/// Finds the context of a call.
pub(super) trait Find: HasData {
    /// Which context, if there are several.
    type Id: Send;

    fn view<'a>(data: &'a mut Self::Data<'_>, id: Self::Id) -> FastCopyCtxView<'a>;
}

impl Find for FastCopy {
    type Id = ();

    fn view<'a>(data: &'a mut FastCopyCtxView<'_>, (): ()) -> FastCopyCtxView<'a> {
        FastCopyCtxView {
            ctx: data.ctx,
            table: data.table,
        }
    }
}

impl<T: FastCopyNamedView> Find for FastCopyNamed<T> {
    type Id = NamedId;

    fn view<'a>(data: &'a mut FastCopyNamedData<'_, T>, id: NamedId) -> FastCopyCtxView<'a> {
        data.0.named_fast_copy(id)
    }
}

/// Decodes a call with the store's view. The call does not need the store while it runs.
fn decode<T, D: Find, C>(
    accessor: &Accessor<T, D>,
    id: D::Id,
    decode: impl FnOnce(&FastCopyCtxView<'_>) -> wasmtime::Result<Call<C>>,
) -> wasmtime::Result<Call<C>> {
    accessor.with(|mut access| decode(&D::view(&mut access.get(), id)))
}

/// Runs a copy.
pub(super) async fn run<T, D: Find>(
    accessor: &Accessor<T, D>,
    id: D::Id,
    sharing: Sharing,
    src: At,
    dst: At,
    options: Options,
) -> wasmtime::Result<Copied> {
    let call = decode(accessor, id, |view| {
        view.decode_copy(sharing, src, dst, options)
    })?;
    Ok(copied(&call.run().await))
}

/// Runs a function of `inspect`.
pub(super) async fn ask<T, D: Find, C: Send + 'static, A: From<C>>(
    accessor: &Accessor<T, D>,
    id: D::Id,
    decode_call: impl FnOnce(&FastCopyCtxView<'_>) -> wasmtime::Result<Call<C>>,
) -> Answer<A> {
    answer(decode(accessor, id, decode_call)?.run().await)
}

/// Makes a stream and a future, or neither.
fn stream_and_future<T, D, S, F>(
    mut access: Access<'_, T, D>,
    items: S,
    value: F,
) -> wasmtime::Result<StreamAndFuture<S::Item, F::Output>>
where
    T: 'static,
    D: HasData + ?Sized,
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

/// Starts a copy with progress. Its place, its stream and its future are there before anything begins.
pub(super) fn start_with_progress<T: 'static, D: Find>(
    mut access: Access<'_, T, D>,
    id: D::Id,
    sharing: Sharing,
    src: At,
    dst: At,
    options: Options,
) -> wasmtime::Result<WithProgress> {
    let mut data = access.get();
    let view = D::view(&mut data, id);
    let call = view.decode_copy(sharing, src, dst, options)?;
    let prepared = CopyJob::prepare(view.ctx, call);
    drop(data);
    match prepared {
        Ok((job, begin)) => {
            let (changes, outcome) = job.split();
            let progress = ProgressStream::new(changes);
            let watched = stream_and_future(access, progress, async { copied(&outcome.await) })?;
            begin();
            Ok(watched)
        }
        Err(busy) => {
            let refused = copied(&Err(busy));
            stream_and_future(access, iter::empty(), ready(refused))
        }
    }
}

/// Starts to read the ranges of a file.
pub(super) fn ranges<T: 'static, D: Find>(
    mut access: Access<'_, T, D>,
    id: D::Id,
    (dir, path): At,
    start: u64,
) -> wasmtime::Result<Ranges> {
    let mut data = access.get();
    let view = D::view(&mut data, id);
    let reader = RangeReader::new(view.ctx, get(view.table, &dir)?, path, start);
    drop(data);
    match reader {
        Ok(reader) => {
            let (sender, result) = oneshot::channel();
            let ranges = RangeStream::new(reader, sender);
            // The sender is dropped if the guest drops the stream before its end.
            stream_and_future(access, ranges, async { result.await.unwrap_or(Ok(())) })
        }
        Err(error) => {
            let refused = Err(failed(&error));
            stream_and_future(access, iter::empty(), ready(refused))
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
        run(accessor, (), Sharing::Allowed, src, dst, options).await
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
        run(accessor, (), Sharing::Forbidden, src, dst, options).await
    }

    fn fast_copy_with_progress(
        access: Access<'_, T, Self>,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<WithProgress> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        start_with_progress(access, (), Sharing::Allowed, src, dst, options)
    }

    fn sparse_copy_with_progress(
        access: Access<'_, T, Self>,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<WithProgress> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        start_with_progress(access, (), Sharing::Forbidden, src, dst, options)
    }
}

impl inspect::Host for FastCopyCtxView<'_> {}

impl<T: 'static> inspect::HostWithStore<T> for FastCopy {
    async fn disk_usage(
        accessor: &Accessor<T, Self>,
        dir: Resource<Descriptor>,
        path: String,
    ) -> Answer<types::FileUsage> {
        ask(accessor, (), |view| view.decode_disk_usage((dir, path))).await
    }

    async fn summarize_extents(
        accessor: &Accessor<T, Self>,
        dir: Resource<Descriptor>,
        path: String,
    ) -> Answer<types::ExtentSummary> {
        ask(accessor, (), |view| {
            view.decode_summarize_extents((dir, path))
        })
        .await
    }

    fn data_ranges(
        access: Access<'_, T, Self>,
        dir: Resource<Descriptor>,
        path: String,
        start: u64,
    ) -> wasmtime::Result<Ranges> {
        ranges(access, (), (dir, path), start)
    }

    async fn can_reflink(
        accessor: &Accessor<T, Self>,
        src_dir: Resource<Descriptor>,
        dst_dir: Resource<Descriptor>,
    ) -> Answer<types::ReflinkSupport> {
        ask(accessor, (), |view| {
            view.decode_can_reflink(&src_dir, &dst_dir)
        })
        .await
    }
}
