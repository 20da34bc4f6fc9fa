//! The traits of the bindings for named imports, except those of `types`.

use fast_copy_engine::Sharing;
use wasmtime::component::{Access, Accessor, Resource};
use wasmtime_wasi::filesystem::Descriptor;

use super::bindings::{named, types};
use super::host::{Answer, Copied, Ranges, WithProgress, ask, ranges, run, start_with_progress};
use crate::front::Options;
use crate::named::{FastCopyNamed, FastCopyNamedData, FastCopyNamedView, NamedId};

impl<U: FastCopyNamedView> named::copy::Host for FastCopyNamedData<'_, U> {}

impl<T: 'static, U: FastCopyNamedView> named::copy::HostWithStore<T> for FastCopyNamed<U> {
    async fn fast_copy(
        accessor: &Accessor<T, Self>,
        id: NamedId,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<Copied> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        run(accessor, id, Sharing::Allowed, src, dst, options).await
    }

    async fn sparse_copy(
        accessor: &Accessor<T, Self>,
        id: NamedId,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<Copied> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        run(accessor, id, Sharing::Forbidden, src, dst, options).await
    }

    fn fast_copy_with_progress(
        access: Access<'_, T, Self>,
        id: NamedId,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<WithProgress> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        start_with_progress(access, id, Sharing::Allowed, src, dst, options)
    }

    fn sparse_copy_with_progress(
        access: Access<'_, T, Self>,
        id: NamedId,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<WithProgress> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        start_with_progress(access, id, Sharing::Forbidden, src, dst, options)
    }
}

impl<U: FastCopyNamedView> named::inspect::Host for FastCopyNamedData<'_, U> {}

impl<T: 'static, U: FastCopyNamedView> named::inspect::HostWithStore<T> for FastCopyNamed<U> {
    async fn disk_usage(
        accessor: &Accessor<T, Self>,
        id: NamedId,
        dir: Resource<Descriptor>,
        path: String,
    ) -> Answer<types::FileUsage> {
        ask(accessor, id, |view| view.decode_disk_usage((dir, path))).await
    }

    async fn summarize_extents(
        accessor: &Accessor<T, Self>,
        id: NamedId,
        dir: Resource<Descriptor>,
        path: String,
    ) -> Answer<types::ExtentSummary> {
        ask(accessor, id, |view| {
            view.decode_summarize_extents((dir, path))
        })
        .await
    }

    fn data_ranges(
        access: Access<'_, T, Self>,
        id: NamedId,
        dir: Resource<Descriptor>,
        path: String,
        start: u64,
    ) -> wasmtime::Result<Ranges> {
        ranges(access, id, (dir, path), start)
    }

    async fn can_reflink(
        accessor: &Accessor<T, Self>,
        id: NamedId,
        src_dir: Resource<Descriptor>,
        dst_dir: Resource<Descriptor>,
    ) -> Answer<types::ReflinkSupport> {
        ask(accessor, id, |view| {
            view.decode_can_reflink(&src_dir, &dst_dir)
        })
        .await
    }
}
