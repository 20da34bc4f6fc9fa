//! What a guest reads while a call is in progress: the progress of a copy, and the ranges of a file.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};

use super::bindings::types::{self, CopyProgress, DataRange, ErrorCode};
use super::convert::failed;
use crate::dispatch::Outcome;
use crate::progress::{Changes, Progress};
use crate::ranges::{Batch, RangeReader};

/// A step of a producer, which returns the producer's state with its result.
type Step<S, T> = Pin<Box<dyn Future<Output = (S, T)> + Send>>;

/// Makes a stream of the changes of a copy's progress.
pub(super) struct ProgressStream(Step<Changes, Option<Progress>>);

impl ProgressStream {
    pub(super) fn new(mut changes: Changes) -> Self {
        Self(Box::pin(async move {
            let progress = changes.next().await;
            (changes, progress)
        }))
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
        // To tell whether a value is there, it would have to be taken, and be old when it is read.
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.0.as_mut().poll(context) {
            Poll::Ready((changes, Some(progress))) => {
                destination.set_buffer(Some(progress.into()));
                *self = Self::new(changes);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready((_, None)) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Makes a stream of the ranges of a file. Its result goes to a future of its own.
pub(super) struct RangeStream {
    step: Step<RangeReader, Outcome<Batch>>,
    /// Taken at the end. Dropped with the stream before.
    result: Option<oneshot::Sender<Result<(), ErrorCode>>>,
}

impl RangeStream {
    pub(super) fn new(reader: RangeReader, result: oneshot::Sender<Result<(), ErrorCode>>) -> Self {
        Self {
            step: Self::step(reader),
            result: Some(result),
        }
    }

    fn step(mut reader: RangeReader) -> Step<RangeReader, Outcome<Batch>> {
        Box::pin(async move {
            let batch = reader.next().await;
            (reader, batch)
        })
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
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let (reader, batch) = match self.step.as_mut().poll(context) {
            Poll::Ready(done) => done,
            // The step goes on, and the next read gets its ranges.
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(Ok(match batch {
            Ok(Batch { ranges, last }) => {
                let ranges: Vec<_> = ranges.into_iter().map(types::DataRange::from).collect();
                destination.set_buffer(ranges.into());
                if last {
                    self.end(Ok(()))
                } else {
                    self.step = Self::step(reader);
                    StreamResult::Completed
                }
            }
            Err(error) => self.end(Err(failed(&error))),
        }))
    }
}
