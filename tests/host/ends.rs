//! The streams and futures of WASI 0.3: their places, and calls that have no room for them. A store makes the calls.

use std::pin::Pin;
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Poll};

use fast_copy_test_support::files::dense_file;
use fast_copy_test_support::state::State;
use fast_copy_test_support::waiting::wait_until;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wasmtime::component::{
    Access, FutureConsumer, FutureReader, Lift, ResourceTableError, Source, StreamConsumer,
    StreamReader, StreamResult,
};
use wasmtime::{AsContextMut, Store, StoreContextMut};
use wasmtime_fast_copy::p3::bindings::types::{
    CopyError, CopyProgress, CopyReport, DataRange, ErrorCode,
};
use wasmtime_fast_copy::p3::bindings::{copy, inspect};
use wasmtime_fast_copy::{
    CopyHooks, CopyQuota, CopyRequest, CopySlots, Decision, FastCopy, FastCopyCtx,
    FastCopyCtxBuilder,
};

type Copied = Result<CopyReport, CopyError>;

/// What a call returns: a stream and a future.
type Started<T, R> = (StreamReader<T>, FutureReader<R>);

/// A store that makes the calls of a guest.
struct Caller(Store<State>);

impl Caller {
    /// Makes a store whose directory has the file `src`.
    fn new(ctx: FastCopyCtxBuilder) -> Self {
        let state = State::new().with(ctx);
        dense_file(&state.path("src"), 100_000);
        let engine = fast_copy_test_support::command::engine();
        Self(Store::new(&engine, state))
    }

    /// Calls `sparse-copy-with-progress`.
    fn copy(&mut self, src: &str, dst: &str) -> wasmtime::Result<Started<CopyProgress, Copied>> {
        let [src_dir, dst_dir] = [(); 2].map(|()| self.0.data().borrow());
        let (src, dst) = (src.to_owned(), dst.to_owned());
        copy::HostWithStore::sparse_copy_with_progress(
            self.access(),
            src_dir,
            src,
            dst_dir,
            dst,
            None,
        )
    }

    /// Calls `data-ranges`.
    fn ranges(&mut self) -> wasmtime::Result<Started<DataRange, Result<(), ErrorCode>>> {
        let dir = self.0.data().borrow();
        inspect::HostWithStore::data_ranges(self.access(), dir, "src".to_owned(), 0)
    }

    fn access(&mut self) -> Access<'_, State, FastCopy> {
        Access::<_, FastCopy>::new(self.0.as_context_mut(), State::view)
    }

    /// Limits the entries of the table that has the streams and futures.
    fn set_room(&mut self, entries: usize) {
        let table = self.0.concurrent_resource_table();
        table.unwrap().set_max_capacity(entries);
    }

    fn jobs(&self) -> usize {
        self.0.data().ctx.jobs()
    }

    /// Reads a stream to its end.
    fn read_stream<T: Lift + Send + 'static>(&mut self, stream: StreamReader<T>) -> Vec<T> {
        let (sender, items) = unbounded_channel();
        stream.pipe(&mut self.0, Reader(sender)).unwrap();
        self.receive(items)
    }

    /// Reads a future.
    fn read_future<T: Lift + Send + 'static>(&mut self, future: FutureReader<T>) -> T {
        let (sender, items) = unbounded_channel();
        future.pipe(&mut self.0, Reader(sender)).unwrap();
        let mut items = self.receive(items);
        assert_eq!(items.len(), 1);
        items.remove(0)
    }

    /// Receives what a reader has read, once the reader has ended.
    fn receive<T: Send>(&mut self, mut items: UnboundedReceiver<T>) -> Vec<T> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let all = self.0.run_concurrent(async move |_| {
            let mut all = Vec::new();
            while let Some(item) = items.recv().await {
                all.push(item);
            }
            all
        });
        runtime.block_on(all).unwrap()
    }
}

/// Sends what it reads.
struct Reader<T>(UnboundedSender<T>);

impl<T: Lift + Send + 'static> StreamConsumer<State> for Reader<T> {
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'_, State>,
        mut source: Source<'_, T>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut items = Vec::with_capacity(source.remaining(&mut store));
        source.read(&mut store, &mut items)?;
        for item in items {
            self.0.send(item)?;
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl<T: Lift + Send + 'static> FutureConsumer<State> for Reader<T> {
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let read = StreamConsumer::poll_consume(self, context, store, source, finish);
        read.map_ok(|_| ())
    }
}

/// How a guest ends a stream or a future.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Read,
    Drop,
}

const ENDS: [End; 2] = [End::Read, End::Drop];

/// A copy, and one that has ended when its call returns: its path is too long.
fn sources() -> [(String, &'static str); 2] {
    [
        ("src".to_owned(), "ok"),
        ("x".repeat(5000), "name-too-long"),
    ]
}

fn shown(copied: &Copied) -> &'static str {
    match copied {
        Ok(_) => "ok",
        Err(error) if error.code == ErrorCode::NameTooLong => "name-too-long",
        Err(error) if error.code == ErrorCode::Busy => "busy",
        Err(error) => panic!("{error:?}"),
    }
}

/// Checks that the only place is taken.
#[track_caller]
fn assert_full(caller: &mut Caller) {
    assert_eq!(caller.jobs(), 1);
    let (mut progress, copied) = caller.copy("src", "more").unwrap();
    progress.close(&mut caller.0).unwrap();
    let copied = caller.read_future(copied);
    assert_eq!(shown(&copied), "busy");
}

/// The copy's work has ended: its outcome is known, or it never began.
#[test]
fn a_stream_keeps_its_place_after_its_future_has_ended() {
    for (src, expected) in sources() {
        for (future, stream) in ENDS
            .into_iter()
            .flat_map(|end| ENDS.map(|next| (end, next)))
        {
            let mut caller = Caller::new(FastCopyCtx::builder().max_jobs(1));
            let (mut progress, mut copied) = caller.copy(&src, "dst").unwrap();
            match future {
                End::Read => assert_eq!(shown(&caller.read_future(copied)), expected),
                End::Drop => copied.close(&mut caller.0).unwrap(),
            }
            assert_full(&mut caller);
            match stream {
                End::Read => drop(caller.read_stream(progress)),
                End::Drop => progress.close(&mut caller.0).unwrap(),
            }
            // The work of a copy whose future is dropped may still be stopping.
            wait_until(|| caller.jobs() == 0);
        }
    }
}

/// A stream that is read to its end tells that the copy's work has ended.
#[test]
fn a_future_keeps_its_place_after_its_stream_has_ended() {
    for (src, expected) in sources() {
        for (stream, future) in ENDS
            .into_iter()
            .flat_map(|end| ENDS.map(|next| (end, next)))
        {
            let mut caller = Caller::new(FastCopyCtx::builder().max_jobs(1));
            let (mut progress, mut copied) = caller.copy(&src, "dst").unwrap();
            match stream {
                End::Read => drop(caller.read_stream(progress)),
                End::Drop => progress.close(&mut caller.0).unwrap(),
            }
            assert_full(&mut caller);
            match future {
                End::Read => assert_eq!(shown(&caller.read_future(copied)), expected),
                End::Drop => copied.close(&mut caller.0).unwrap(),
            }
            wait_until(|| caller.jobs() == 0);
        }
    }
}

/// Hooks that say when a copy has asked for its permission.
struct Asked(Sender<()>);

impl CopyHooks for Asked {
    fn authorize(&self, _: &CopyRequest<'_>) -> Decision {
        self.0.send(()).unwrap();
        Decision::Allow
    }
}

/// Calls with more and more room in the table, until one has enough.
#[test]
fn a_copy_whose_stream_or_future_does_not_fit_into_the_table_has_done_nothing() {
    let mut enough = false;
    for room in 0.. {
        // The work of a copy that has begun may end before this thread goes on.
        for _ in 0..20 {
            let (sender, asked) = mpsc::channel();
            let quota = CopyQuota::new(1 << 30);
            let slots = CopySlots::new(1);
            let ctx = FastCopyCtx::builder()
                .hooks(Asked(sender))
                .quota(quota.clone())
                .slots(slots.clone());
            let mut caller = Caller::new(ctx);
            caller.set_room(room);
            let started = caller.copy("src", "dst");
            let counts = (slots.free(), caller.jobs());
            let trap = match started {
                Ok((_, copied)) => {
                    assert_eq!(shown(&caller.read_future(copied)), "ok");
                    enough = true;
                    break;
                }
                Err(trap) => trap,
            };
            assert_eq!(counts, (1, 0), "room for {room}");
            assert!(trap.is::<ResourceTableError>(), "{trap:?}");
            assert_eq!((quota.used(), quota.reserved()), (0, 0));
            assert!(asked.try_recv().is_err(), "the hooks have seen a copy");
            assert!(!caller.0.data().path("dst").exists());
        }
        if enough {
            assert!(room >= 2, "a stream and a future have an entry each");
            return;
        }
    }
}

#[test]
fn ranges_whose_stream_or_future_does_not_fit_into_the_table_keep_no_place() {
    for room in 0.. {
        let mut caller = Caller::new(FastCopyCtx::builder());
        caller.set_room(room);
        if caller.ranges().is_ok() {
            assert_eq!(caller.jobs(), 1);
            assert!(room >= 2, "a stream and a future have an entry each");
            return;
        }
        assert_eq!(caller.jobs(), 0, "room for {room}");
    }
}
