//! tokio's own primitives. A step comes before each operation, and before a value is dropped.

use real_tokio::sync as real;
use system::pin::Pin;

use crate::future::Future;
use crate::step;
use crate::sync::Arc;
use crate::task::{Context, Poll};

/// A future with a step before each poll, and before it is dropped unless it has ended: its output may hold a
/// lock of tokio's.
struct Stepped<F> {
    future: Pin<Box<F>>,
    has_ended: bool,
}

fn stepped<F: Future>(future: F) -> Stepped<F> {
    Stepped {
        future: Box::pin(future),
        has_ended: false,
    }
}

impl<F: Future> Future for Stepped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        step();
        let poll = self.future.as_mut().poll(context);
        self.has_ended = poll.is_ready();
        poll
    }
}

impl<F> Drop for Stepped<F> {
    fn drop(&mut self) {
        if !self.has_ended {
            step();
        }
    }
}

#[derive(Debug)]
pub struct Semaphore(Arc<real::Semaphore>);

#[derive(Debug)]
pub struct OwnedSemaphorePermit(
    #[expect(dead_code, reason = "it is dropped")] real::OwnedSemaphorePermit,
);

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        step();
    }
}

impl Semaphore {
    pub const MAX_PERMITS: usize = real::Semaphore::MAX_PERMITS;

    pub fn new(permits: usize) -> Self {
        Self(Arc::new(real::Semaphore::new(permits)))
    }

    pub fn available_permits(&self) -> usize {
        step();
        self.0.available_permits()
    }

    pub fn try_acquire_owned(
        self: Arc<Self>,
    ) -> Result<OwnedSemaphorePermit, real::TryAcquireError> {
        step();
        self.0.clone().try_acquire_owned().map(OwnedSemaphorePermit)
    }

    pub async fn acquire_owned(
        self: Arc<Self>,
    ) -> Result<OwnedSemaphorePermit, real::AcquireError> {
        let permit = stepped(self.0.clone().acquire_owned()).await;
        permit.map(OwnedSemaphorePermit)
    }
}

#[derive(Debug, Default)]
pub struct Notify(real::Notify);

impl Notify {
    pub fn notify_one(&self) {
        step();
        self.0.notify_one();
    }

    pub fn notified(&self) -> impl Future<Output = ()> + Send + '_ {
        stepped(self.0.notified())
    }
}

pub mod oneshot {
    pub use real_tokio::sync::oneshot::error;

    use super::*;

    pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = real::oneshot::channel();
        (Sender(Some(sender)), Receiver(receiver))
    }

    pub struct Sender<T>(Option<real::oneshot::Sender<T>>);

    impl<T> Sender<T> {
        pub fn send(mut self, value: T) -> Result<(), T> {
            step();
            self.0.take().map_or(Ok(()), |sender| sender.send(value))
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            if self.0.is_some() {
                step();
            }
        }
    }

    pub struct Receiver<T>(real::oneshot::Receiver<T>);

    impl<T> Receiver<T> {
        pub fn try_recv(&mut self) -> Result<T, error::TryRecvError> {
            step();
            self.0.try_recv()
        }
    }

    impl<T> Future for Receiver<T> {
        type Output = Result<T, error::RecvError>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            step();
            Pin::new(&mut self.0).poll(context)
        }
    }
}

pub mod watch {
    pub use real_tokio::sync::watch::{Ref, error};

    use super::*;

    pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = real::watch::channel(value);
        (Sender(sender), Receiver(receiver))
    }

    pub struct Sender<T>(real::watch::Sender<T>);

    impl<T> Sender<T> {
        pub fn send_replace(&self, value: T) -> T {
            step();
            self.0.send_replace(value)
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            step();
        }
    }

    #[derive(Clone)]
    pub struct Receiver<T>(real::watch::Receiver<T>);

    impl<T> Receiver<T> {
        pub fn borrow(&self) -> Ref<'_, T> {
            step();
            self.0.borrow()
        }

        pub fn has_changed(&self) -> Result<bool, error::RecvError> {
            step();
            self.0.has_changed()
        }

        pub async fn wait_for(
            &mut self,
            is_it: impl FnMut(&T) -> bool,
        ) -> Result<Ref<'_, T>, error::RecvError> {
            stepped(self.0.wait_for(is_it)).await
        }
    }
}
