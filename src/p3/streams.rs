//! What a guest reads while a call is in progress: the progress of a copy, and the ranges of a file.
//!
//! wasmtime may ask a producer for more after it has said that it has ended, if the guest has not read all of its
//! items yet.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};

use super::bindings::types::{CopyProgress, DataRange, ErrorCode};
use super::convert::failed;
use crate::dispatch::Outcome;
use crate::progress::Progress;
use crate::ranges::RangeReader;
use crate::watched::Changes;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Produces the changes of a copy's progress.
pub(super) struct ProgressStream {
    /// The wait for the next change, which returns the changes too. None at the end.
    next: Option<BoxFuture<(Changes, Option<Progress>)>>,
}

impl ProgressStream {
    pub(super) fn new(mut changes: Changes) -> Self {
        let next = async move {
            let progress = changes.next().await;
            (changes, progress)
        };
        Self {
            next: Some(Box::pin(next)),
        }
    }
}

impl<D> StreamProducer<D> for ProgressStream {
    type Item = CopyProgress;
    type Buffer = Option<CopyProgress>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some(next) = &mut self.next else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        // To tell whether a value is there, it would have to be taken, and be old when it is read.
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match next.as_mut().poll(context) {
            Poll::Ready((changes, Some(progress))) => {
                destination.set_buffer(Some(progress.into()));
                *self = Self::new(changes);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready((_, None)) => {
                self.next = None;
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            // A value that comes later is not lost: the next read gets the latest.
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Produces the ranges of a file. Its result goes to a future of its own.
pub(super) struct RangeStream {
    reader: RangeReader,
    /// The call that a read waits for.
    call: Option<BoxFuture<Outcome<Vec<fast_copy_engine::DataRange>>>>,
    /// None at the end. Dropped with the stream before.
    result: Option<oneshot::Sender<Result<(), ErrorCode>>>,
}

impl RangeStream {
    pub(super) fn new(reader: RangeReader, result: oneshot::Sender<Result<(), ErrorCode>>) -> Self {
        Self {
            reader,
            call: None,
            result: Some(result),
        }
    }

    fn end(&mut self, result: Result<(), ErrorCode>) -> StreamResult {
        if let Some(sender) = self.result.take() {
            // The guest may have dropped the future.
            let _ = sender.send(result);
        }
        StreamResult::Dropped
    }
}

impl<D> StreamProducer<D> for RangeStream {
    type Item = DataRange;
    type Buffer = VecBuffer<DataRange>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let me = &mut *self;
        if me.result.is_none() {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let reader = &me.reader;
        let call = me.call.get_or_insert_with(|| Box::pin(reader.next().run()));
        let outcome = match call.as_mut().poll(context) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending if finish => {
                // Cancels the call. The next read makes it again.
                me.call = None;
                return Poll::Ready(Ok(StreamResult::Cancelled));
            }
            Poll::Pending => return Poll::Pending,
        };
        me.call = None;
        Poll::Ready(Ok(match outcome {
            Ok(ranges) => {
                let more = me.reader.advance(&ranges);
                let ranges: Vec<_> = ranges.into_iter().map(DataRange::from).collect();
                destination.set_buffer(ranges.into());
                if more {
                    StreamResult::Completed
                } else {
                    me.end(Ok(()))
                }
            }
            Err(error) => me.end(Err(failed(&error))),
        }))
    }
}
